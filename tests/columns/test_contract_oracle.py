"""Contracts on whole frames let go of what a walk over each row lets go of; rejected items come back as they were."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.base import json
from headrace.columns.apply import FrameNormalizer, Origin
from headrace.columns.frame import to_batches
from headrace.columns.rebuild import FrameDocuments
from headrace.columns.shape import ShapeBook
from headrace.columns.shred import shred
from headrace.errors.schema import DataValidationError
from headrace.model.capabilities import Capabilities
from headrace.model.evolve import evolve
from headrace.model.schema import Schema
from tests.columns.oracle import Frozen, judge
from tests.columns.test_apply import rows_of

EXAMPLES = 2_000 if os.environ.get("HEADRACE_LONG") else 150
MODES = st.sampled_from(["evolve", "freeze", "discard_row", "discard_value"])
LENIENT = st.sampled_from(["evolve", "discard_row", "discard_value"])
NUMBER = st.integers(0, 9)
ROW = st.fixed_dictionaries({"a": st.none() | NUMBER | st.sampled_from(["x", "y"])}, optional={"b": NUMBER | st.none()})
DOCUMENT = st.builds(
    lambda row, k, n: {**row, **({"k": k} if k else {}), **({"n": n} if n else {})},
    ROW,
    st.lists(ROW, max_size=3),
    st.lists(st.fixed_dictionaries({"x": NUMBER}), max_size=2),
)


def known_schema(modes: dict[str, str]) -> Schema:
    schema = Schema("s")
    number: Any = {"data_type": "bigint", "nullable": True}
    schema.update_table({"name": "t", "columns": {n: {"name": n, **number} for n in ("id", "a")}})
    schema.update_table({"name": "t__k", "parent": "t", "columns": {"a": {"name": "a", **number}}})
    for table in schema.tables.values():
        table.setdefault("x-normalizer", {})["seen-data"] = True
    schema.set_schema_contract(modes)  # type: ignore[arg-type]
    return schema


def normalize(schema: Schema, documents: list[dict[str, Any]], cut: int, keep: bool = False) -> Any:
    frames = [frame for part in (documents[:cut], documents[cut:]) if (frame := shred(part))]
    book = ShapeBook()
    for frame in frames:
        book.observe(frame)
    chain = evolve(schema, "t", book.chain())
    origin = Origin("r", 0, "t__rejected" if keep else "")
    normalizer = FrameNormalizer(chain, schema, Capabilities(), "1.5", (7, 0), origin)
    out: dict[str, list[dict[str, Any]]] = {}
    for frame in frames:
        for batch in normalizer.apply(to_batches(frame)):
            if batch.rows:
                out.setdefault(batch.table, []).extend(rows_of(batch))
    return out, dict(normalizer.losses.reasons)


def data(rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    plain = {t: [{k: v for k, v in r.items() if not k.startswith("_dlt")} for r in found] for t, found in rows.items()}
    return {t: sorted(found, key=lambda row: json.dumps(row, sort_keys=True)) for t, found in plain.items() if found}


@given(
    st.lists(DOCUMENT, min_size=1, max_size=8),
    st.integers(1, 4),
    st.fixed_dictionaries({"tables": MODES, "columns": MODES, "data_type": MODES}),
)
@settings(max_examples=EXAMPLES, deadline=None)
def test_verdicts_are_those_of_a_walk_over_the_rows(
    documents: list[dict[str, Any]], cut: int, modes: dict[str, str]
) -> None:
    documents = [{"id": i, **d} for i, d in enumerate(documents)]
    try:
        wanted, lost = judge(documents, modes)
    except Frozen as frozen:
        with pytest.raises(DataValidationError) as refused:
            normalize(known_schema(modes), documents, cut)
        assert modes[refused.value.schema_entity] == "freeze"
        assert modes[str(frozen)] == "freeze"
        return
    got, counted = normalize(known_schema(modes), documents, cut)
    assert data(got) == data(wanted)
    assert {k: n for k, n in counted.items() if n} == lost


@given(
    st.lists(DOCUMENT, min_size=1, max_size=6),
    st.integers(1, 4),
    st.fixed_dictionaries({"tables": LENIENT, "columns": LENIENT, "data_type": LENIENT}),
)
@settings(max_examples=EXAMPLES, deadline=None)
def test_what_is_let_go_is_kept_with_its_item_and_its_place(
    documents: list[dict[str, Any]], cut: int, modes: dict[str, str]
) -> None:
    documents = [{"id": i, **d} for i, d in enumerate(documents)]
    _, lost = judge(documents, modes)
    got, _ = normalize(known_schema(modes), documents, cut, keep=True)
    kept = got.get("t__rejected", [])
    for record in kept:
        original = documents[record["position"]]
        assert json.loads(record["item"]) == without_none(original)
        assert record["item_loaded"] == any(r["id"] == record["position"] for r in got.get("t", ()))
        value = follow(original, record["path"])
        assert value is not None
        if record["column_name"] == "b":
            assert isinstance(value, int)
        if record["column_name"] == "a":
            assert isinstance(value, str)
    counted = {(r["table_name"], r.get("column_name") or "", r["rule"]) for r in kept}
    assert counted == {reason for reason in lost if not reason[2].startswith("parent")}
    single = [r for r in kept if r["column_name"]]
    assert len(single) == sum(n for (_, column, _), n in lost.items() if column)


def without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_none(v) for k, v in value.items() if v is not None and v != []}
    return [without_none(v) for v in value] if isinstance(value, list) else value


def follow(item: Any, path: str) -> Any:
    for part in path.removeprefix("$").replace("[", ".[").split(".")[1:]:
        item = item[int(part[1:-1])] if part.startswith("[") else item[part]
    return item


JSON = st.recursive(
    st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2) | st.integers(10**20, 10**21),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y", "value", "list"]), inner),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.sampled_from(["p", "q", "r"]), JSON, min_size=1), min_size=1, max_size=4))
@settings(max_examples=EXAMPLES * 2, deadline=None)
def test_documents_come_back_from_a_frame(documents: list[dict[str, Any]]) -> None:
    """But for empty lists and documents, and for `{"value": x}` among other things in a list."""
    reader = FrameDocuments(to_batches(shred(documents)))
    for row, document in enumerate(documents):
        assert folded(reader.document(row)) == folded(document)


def folded(value: Any) -> Any:
    """A value without what shredding cannot tell apart."""
    if isinstance(value, dict):
        inner = {k: folded(v) for k, v in value.items()}
        return {k: v for k, v in inner.items() if v is not None} or None
    if isinstance(value, list):
        return [_unwrapped(folded(v)) for v in value] or None
    return value


def _unwrapped(value: Any) -> Any:
    while isinstance(value, dict) and len(value) == 1 and value.keys() <= {"value", "list"}:
        value = next(iter(value.values()))
    return value


def test_paths_name_places_in_lists_of_lists() -> None:
    frame = to_batches(shred([{"m": [[1, "a"], {"deep": [{"odd key": 5}]}]}]))
    reader = FrameDocuments(frame)
    paths = {
        reader.path(index, row, column)
        for index, batch in enumerate(frame)
        for row in range(batch.num_rows)
        for column in [("value",), ("odd key",)]
        if reader.value(index, row, column) is not None
    }
    assert paths == {"$.m[0][0]", "$.m[0][1]", '$.m[1].deep[0]["odd key"]'}
