"""What tests of pipelines ask again and again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from headrace.errors.base import HeadraceException
from headrace.testing.values import canonical

if TYPE_CHECKING:
    from headrace.model.infos import LoadInfo
    from headrace.pipeline.pipeline import Pipeline


def assert_load_ok(info: LoadInfo | None, packages: int | None = 1) -> LoadInfo:
    """A load happened, all of its packages are loaded and no job has failed.

    Args:
        info: What `Pipeline.run` or `Pipeline.load` gave back.
        packages: How many packages it had; None for any number.

    Returns:
        The info.
    """
    assert info is not None, "nothing was loaded: the pipeline has no schema"
    assert packages is None or len(info.loads_ids) == packages, f"{len(info.loads_ids)} packages instead of {packages}"
    assert not info.has_failed_jobs, str(info)
    states = {package.load_id: package.state for package in info.load_packages}
    assert set(states.values()) <= {"loaded"}, f"not all packages are loaded: {states}"
    return info


@contextmanager
def assert_load_failed(kind: type[BaseException] = HeadraceException, text: str = "") -> Iterator[Any]:
    """The block raises an error of a kind, or one that was caused by such an error, whose text has some words.

    Args:
        kind: The error or its cause.
        text: Part of the message.
    """
    with pytest.raises(Exception) as caught:
        yield caught
    chain: list[BaseException] = []
    error: BaseException | None = caught.value
    while error is not None:
        chain.append(error)
        error = error.__cause__ or error.__context__ or getattr(error, "client_exception", None)
        if error in chain:
            break
    if not any(isinstance(one, kind) for one in chain):
        raise AssertionError(f"no {kind.__name__} in {[type(one).__name__ for one in chain]}") from caught.value
    told = "\n".join(map(str, chain))
    assert text in told, f"{text!r} is not in: {told}"


def dict_rows(pipeline: Pipeline, table: str, *columns: str) -> list[dict[str, Any]]:
    """Rows of a table through the pipeline's dataset, each value in the Python type of its column.

    Args:
        pipeline: It has loaded the table.
        table: Its name.
        columns: Which of them; by default all but those that headrace adds.
    """
    # a table that was made anew has its columns in the order of whoever made it
    schema = next(s for s in pipeline.schemas.values() if table in s.tables)
    facts: Mapping[str, Any] = schema.tables[table]["columns"]
    wanted = columns or tuple(name for name, c in facts.items() if not name.startswith("_dlt_") and c.get("data_type"))
    found = pipeline.dataset(schema)[table].select(*wanted).fetchall()
    return [{n: canonical(v, facts.get(n, {})) for n, v in zip(wanted, row, strict=True)} for row in found]


def rows_of(pipeline: Pipeline, table: str, *columns: str) -> list[tuple[Any, ...]]:
    """As `dict_rows`, but tuples, in a fixed order."""
    return sorted((tuple(row.values()) for row in dict_rows(pipeline, table, *columns)), key=repr)


def assert_rows(pipeline: Pipeline, table: str, expected: Iterable[Mapping[str, Any]]) -> None:
    """A table holds these rows, in any order; columns that a row lacks are NULL.

    Args:
        pipeline: It has loaded the table.
        table: Its name.
        expected: The rows; columns that none of them has are not looked at.
    """
    wanted = [dict(row) for row in expected]
    columns = list(dict.fromkeys(name for row in wanted for name in row))
    found = [tuple(row[n] for n in columns) for row in dict_rows(pipeline, table, *columns)]
    assert sorted(found, key=repr) == sorted((tuple(row.get(n) for n in columns) for row in wanted), key=repr)


def assert_empty(pipeline: Pipeline, *tables: str) -> None:
    """Tables are there and have no rows."""
    counts = {table: len(pipeline.dataset()[table].fetchall()) for table in tables}
    assert counts == dict.fromkeys(tables, 0)
