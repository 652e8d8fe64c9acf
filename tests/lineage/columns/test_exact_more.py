"""What is said of columns is what happened, where more than items of one resource is at work."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace as dlt
from headrace.observers.lineage.columns import edges
from headrace.observers.lineage.columns_model import json_path
from headrace.observers.lineage.columns_resource import describe
from tests.lineage.columns.test_exact import (
    _KEYS,
    _QUICKLY,
    EPOCH,
    _check,
    _documents,
    _filled,
    _numbers,
    _Pipelines,
    _plain,
    _wanted,
)
from tests.lineage.columns.test_exact import pipelines as pipelines


def at_length(test: Any) -> Any:
    """More examples than a test of every day has."""
    return pytest.mark.long(settings(_QUICKLY, max_examples=80)(test))


# ---- several resources of one table --------------------------------------------------------------------------------

_SHARED = given(first=_documents, second=_documents, nesting=st.sampled_from([None, None, 1]))


@settings(_QUICKLY, max_examples=2)
@_SHARED
def test_resources_of_one_table(pipelines: _Pipelines, first: Any, second: Any, nesting: int | None) -> None:
    _try_shared(pipelines, first, second, nesting)


@at_length
@_SHARED
def test_resources_of_one_table_at_length(pipelines: _Pipelines, first: Any, second: Any, nesting: int | None) -> None:
    _try_shared(pipelines, first, second, nesting)


def _try_shared(pipelines: _Pipelines, first: Any, second: Any, nesting: int | None) -> None:
    loads, name = pipelines.take()
    documents = {f"{name}_{n}": _filled(part) for n, part in enumerate((first, second))}
    resources = [dlt.resource(rows, name=own, table_name=name) for own, rows in documents.items()]
    for one in resources:
        one.max_table_nesting = nesting
    loads.pipeline.run(resources)
    package, fact = loads.package, loads.facts[-1]
    found = {one.name: edges(fact, package, describe(one)) for one in resources}
    for table in package.chain(name):
        told = {own: lineage[table] for own, lineage in found.items() if table in lineage}
        assert told and not any(lineage.unknown for lineage in told.values())
        for column in (c for c in package.columns[table] if not c.startswith("_dlt_")):
            if package.columns[table][column].get("variant"):
                continue
            expected: Counter[str] = Counter()
            main, several = package.columns[table][column]["data_type"], False
            for own, lineage in told.items():
                group = [n for n in lineage.columns if n == column or n.startswith(f"{column}__v_")]
                sources = [s for n in group for s in lineage.columns[n]]
                paths = list(dict.fromkeys(tuple(s.path) for s in sources))
                several |= len(paths) > 1
                json_at = {tuple(s.path) for s in sources if any("json" in t.description for t in s.transformations)}
                given_ = [list(_wanted(documents[own], path, path in json_at)) for path in paths]
                assert all(given_), (own, table, column, paths)  # a resource tells of what its own rows had
                expected += Counter(_plain(v, main) for values in given_ for v in values)
            names = [n for n in package.columns[table] if n == column or n.startswith(f"{column}__v_")]
            held = Counter(_plain(v, main) for n in names for v in loads.values(table, n))
            assert held and (held <= expected if several else held == expected), (table, column)


# ---- what the user's code does, where the user says it ---------------------------------------------------------------

_leaves = st.sampled_from(["int", "text", "float", None])
_flat = st.lists(st.dictionaries(st.sampled_from([str(k) for k in _KEYS if k != ""]), _leaves, min_size=1), min_size=1)


@settings(_QUICKLY, max_examples=2)
@given(rows=_flat)
def test_renames_that_are_declared(pipelines: _Pipelines, rows: Any) -> None:
    loads, name = pipelines.take()
    documents = [{key: _value(kind) for key, kind in row.items()} for row in rows]
    keys = list(dict.fromkeys(key for row in documents for key in row))
    new = {key: f"c{n}" for n, key in enumerate(keys)}
    resource = dlt.resource(documents, name=name).add_map(lambda row: {new[k]: v for k, v in row.items()})
    found = loads.run(resource.map_columns({new[key]: json_path([key]) for key in keys}))
    if name in loads.package.columns:  # not where all values are None
        _check(loads, loads.package, found, documents)


def _value(kind: str | None) -> Any:
    n = next(_numbers)
    return {"int": n, "text": f"t{n}", "float": n + 0.5}.get(kind or "")


# ---- frames ----------------------------------------------------------------------------------------------------------

_types = st.sampled_from(["int", "text", "float", "at", "list", "struct"])
_frames = st.lists(
    st.dictionaries(st.sampled_from(["a", "Order ID", "x.y", "b", "C"]), _types, min_size=1), min_size=1, max_size=3
)


@settings(_QUICKLY, max_examples=2)
@given(frames=_frames, pandas=st.booleans())
def test_columns_of_frames(pipelines: _Pipelines, frames: Any, pandas: bool) -> None:
    loads, name = pipelines.take()
    kinds: dict[str, str] = {}
    documents, items = [], []
    for frame in frames:
        columns = {key: kinds.setdefault(key, kind) for key, kind in frame.items()}  # a column has one type
        rows = [{key: _cell(kind) for key, kind in columns.items()} for _ in range(2)]
        documents += rows
        made = pa.Table.from_pylist(rows)
        items.append(made.to_pandas() if pandas else made)
    found = loads.run(dlt.resource(items, name=name))
    _check(loads, loads.package, found, documents)


def _cell(kind: str) -> Any:
    n = next(_numbers)
    made: dict[str, Any] = {"int": n, "text": f"t{n}", "float": n + 0.5, "list": [n, n], "struct": {"q": n}}
    return made.get(kind, EPOCH + dt.timedelta(hours=n))


# ---- ids: they change with the fields that they are said to come from, and with no others ----------------------------

_ITEM: dict[str, Any] = {"k": 1, "a": "x", "n": {"q": 1}, "l": [{"x": 1, "m": [{"y": 1}]}]}
_CHANGES: dict[str, Any] = {"k": 2, "a": "z", "n": {"q": 2}, "l": [{"x": 2, "m": [{"y": 1}]}]}
_MERGES: dict[str, dict[str, Any]] = {
    "upsert": {"primary_key": "k"},
    "upsert of two": {"primary_key": ["k", "n__q"]},
    "insert-only": {"primary_key": ["a"]},
    "scd2": {},
    "scd2 by a version": {"row_version_column_name": "a"},
    "delete-insert": {"primary_key": "k"},
}
_LESS = {"insert-only", "upsert", "delete-insert", "scd2 by a version"}


@pytest.mark.parametrize("case", [pytest.param(c, marks=pytest.mark.long if c in _LESS else ()) for c in _MERGES])
def test_ids_follow_from_what_is_said(pipelines: _Pipelines, case: str) -> None:
    hints = dict(_MERGES[case])
    loads, name = pipelines.take()
    disposition: Any = {"disposition": "merge", "strategy": case.split(" ")[0]}
    disposition |= {key: hints.pop(key) for key in list(hints) if key.startswith("row_version")}

    @dlt.source(name="cols", root_key=True)
    def one(item: Any) -> Any:
        return dlt.resource([item], name=name, write_disposition=disposition, **hints)

    ids = {"": loads.sealed(one(_ITEM))[0], "same": loads.sealed(one(_ITEM))[0]}
    for key, value in _CHANGES.items():
        ids[key], package = loads.sealed(one({**_ITEM, key: value}))
    found = edges(loads.facts[-1], package, describe(one(_ITEM).resources[name]))
    assert set(found) == {name, f"{name}__l", f"{name}__l__m"}
    for table, lineage in found.items():
        for column in ("_dlt_id", "_dlt_parent_id", "_dlt_root_id"):
            if column in lineage.columns:
                claimed = {str(s.path[0]) for s in lineage.columns[column]}
                if ids["same"][table, column] != ids[""][table, column]:
                    assert not claimed, (table, column)  # random ids
                    continue
                changed = {key for key in _CHANGES if ids[key][table, column] != ids[""][table, column]}
                assert changed == claimed, (table, column)
