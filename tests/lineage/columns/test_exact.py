"""What is said of columns is what happened: paths, walked over the documents, give the values that are in the table."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import headrace as dlt
from headrace.observers.lineage.columns_model import TableLineage
from headrace.observers.lineage.columns_package import PackageSchema
from tests.lineage.columns.loads import Loads, at

_KEYS = ["a", "A", "b", "Order ID", "a__b", "value", "list", "x.y", "_element", "", 5, "it's"]
_numbers = count(1000)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


class _Fresh:
    """Each value is there once, so that one that was mixed up is seen."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __repr__(self) -> str:
        return self.kind


_leaf = st.sampled_from([_Fresh(k) for k in ("int", "int", "float", "text", "text", "bool", "at", "big")]) | st.none()
_value = st.recursive(
    _leaf,
    lambda inner: st.dictionaries(st.sampled_from(_KEYS), inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=8,
)
_documents = st.lists(st.dictionaries(st.sampled_from(_KEYS), _value, min_size=1, max_size=4), min_size=1, max_size=4)


def _filled(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _filled(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_filled(v) for v in value]
    if not isinstance(value, _Fresh):
        return value
    n = next(_numbers)
    made = {"int": n, "float": n + 0.5, "text": f"t{n}", "bool": True, "big": n * 10**20}
    return made.get(value.kind, (EPOCH + dt.timedelta(hours=n)).isoformat())


class _Pipelines:
    """A pipeline for some examples at a time: its schema grows with each."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self.factory, self.used = factory, 0
        self.loads = Loads(factory.mktemp("exact"))

    def take(self) -> tuple[Loads, str]:
        self.used += 1
        if self.used % 12 == 0:
            self.loads = Loads(self.factory.mktemp("exact"))
        return self.loads, f"t{self.used}"


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> _Pipelines:
    return _Pipelines(tmp_path_factory)


# shrinking would load for minutes: a failing example is small enough to be read
_QUICKLY = settings(phases=[Phase.reuse, Phase.generate], suppress_health_check=list(HealthCheck))
_ANY_LOADS = given(first=_documents, second=st.none() | _documents, nesting=st.sampled_from([None, None, 0, 1, 2]))


@settings(_QUICKLY, max_examples=12)
@_ANY_LOADS
def test_paths_give_the_values_of_columns(pipelines: _Pipelines, first: Any, second: Any, nesting: int | None) -> None:
    _try(pipelines, first, second, nesting)


@pytest.mark.long
@settings(_QUICKLY, max_examples=300)
@_ANY_LOADS
def test_paths_give_the_values_of_columns_at_length(
    pipelines: _Pipelines, first: Any, second: Any, nesting: int | None
) -> None:
    _try(pipelines, first, second, nesting)


def _try(pipelines: _Pipelines, first: Any, second: Any, nesting: int | None) -> None:
    loads, name = pipelines.take()
    documents: list[Any] = []
    for part in [first, second] if second else [first]:
        documents += (fresh := _filled(part))
        resource = dlt.resource(fresh, name=name)
        resource.max_table_nesting = nesting
        found = loads.run(resource, remember=True)
    _check(loads, loads.package, found, documents)


def _check(loads: Loads, package: PackageSchema, found: dict[str, TableLineage], documents: list[Any]) -> None:
    for table, lineage in found.items():
        assert set(lineage.columns) | set(lineage.unknown) == set(package.columns[table])
        assert not lineage.unknown
        for column, group in _groups(package, table, lineage):
            sources = [s for name in group for s in lineage.columns[name]]
            assert sources, (table, group)
            paths = list(dict.fromkeys(tuple(s.path) for s in sources))
            json_at = {tuple(s.path) for s in sources if any("json" in t.description for t in s.transformations)}
            main = package.columns[table][column]["data_type"]
            given = [list(_wanted(documents, path, path in json_at)) for path in paths]
            assert all(given), (table, group, paths)  # no path that nothing came from
            expected = Counter(_plain(v, main) for values in given for v in values)
            held = Counter(_plain(v, main) for name in group for v in loads.values(table, name))
            # of two keys with one name one value is kept a row
            assert held == expected if len(paths) == 1 else (held and held <= expected), (table, group, paths)


def _groups(package: PackageSchema, table: str, lineage: TableLineage) -> Iterator[tuple[str, list[str]]]:
    """A column and its variants: a value is in one of them."""
    columns = [n for n in lineage.columns if not n.startswith("_dlt_")]
    variants = {n for n in columns if package.columns[table][n].get("variant")}
    for name in columns:
        if name not in variants:
            yield name, [name, *(v for v in variants if v.startswith(f"{name}__v_"))]


def _wanted(documents: list[Any], path: tuple[str | None, ...], as_json: bool) -> Iterator[Any]:
    for document in documents:
        for value in at(document, list(path)):
            if path[-1] is None:  # of the elements of a list, its documents are elsewhere, and so are either of these
                fits = isinstance(value, list) if as_json else not isinstance(value, (dict, list))
            else:
                fits = as_json or not isinstance(value, (dict, list))
            if fits:
                yield value


def _plain(value: Any, main: str) -> str:
    """A value as text, whatever type it has in documents and columns."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        value = json.loads(value)
    if isinstance(value, (dict, list)):
        return json.dumps(json.loads(json.dumps(value)), sort_keys=True)
    if main == "bool" and not isinstance(value, str):
        return str(bool(value))
    if isinstance(value, str):
        with suppress(ValueError):
            value = dt.datetime.fromisoformat(value)
    if main == "timestamp" and isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        with suppress(OverflowError):
            value = EPOCH + dt.timedelta(seconds=float(value))
    if isinstance(value, dt.datetime):
        return (
            (value if value.tzinfo else value.replace(tzinfo=dt.timezone.utc)).astimezone(dt.timezone.utc).isoformat()
        )
    try:
        return str(Decimal(str(value)).normalize())
    except InvalidOperation:
        return str(value).lower()
