"""Runs of a resource, as seen by its incremental: bind, pages, finish."""

from __future__ import annotations

import copy
import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from headrace.extract.incremental import Incremental

UTC = dt.timezone.utc


class Run(NamedTuple):
    passed: list[Any]
    pages_read: int
    state: dict[str, Any]
    cursor: Incremental[Any]

    @property
    def rows(self) -> list[Any]:
        """All that passed, pages joined."""
        return [row for page in self.passed if page is not None for row in (page if isinstance(page, list) else [page])]


def run(pages: Iterable[Any], state: dict[str, Any] | None = None, resource_key: Any = None, /, **settings: Any) -> Run:
    """One run on a copy of the state; the copy is in the result."""
    state = copy.deepcopy(state or {})
    cursor: Incremental[Any] = Incremental(**settings)
    return run_with(cursor, pages, state, resource_key)


def run_with(cursor: Incremental[Any], pages: Iterable[Any], state: dict[str, Any], resource_key: Any = None) -> Run:
    cursor.bind("orders", state, resource_key)
    passed, count = [], 0
    for page in pages:
        count += 1
        passed.append(cursor(page))
        if cursor.can_close():
            break
    cursor.finish()
    return Run(passed, count, state, cursor)


def rows(*values: Any) -> list[dict[str, Any]]:
    """Rows with these cursor values in ``c``, numbered by ``id``."""
    return [{"id": i, "c": value} for i, value in enumerate(values)]


def values(page: Sequence[dict[str, Any]] | None) -> list[Any] | None:
    """The cursor values of a page."""
    return None if page is None else [row["c"] for row in page]


def at(day: int, *rest: int, tz: dt.tzinfo | None = UTC) -> dt.datetime:
    """An instant in January 2020."""
    return dt.datetime(2020, 1, day, *rest, tzinfo=tz)


def decode(value: Any) -> Any:
    """Undo the tags of the vector file."""
    if isinstance(value, list):
        return [decode(v) for v in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (tag, text), *_ = value.items()
        read = {
            "$instant": dt.datetime.fromisoformat,
            "$date": dt.date.fromisoformat,
            "$decimal": Decimal,
            "$bytes": bytes.fromhex,
            "$uuid": uuid.UUID,
        }.get(tag)
        if read is not None:
            return read(text)
    return {k: decode(v) for k, v in value.items()}
