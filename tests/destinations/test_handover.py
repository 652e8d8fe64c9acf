"""Arrow batches reach other libraries unharmed."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.columns.handover import has_nested_struct, safe_batches, safe_reader

DEEP = pa.struct([("a", pa.int64()), ("s", pa.struct([("c", pa.string())]))])


def rows(count: int) -> list[dict[str, object]]:
    return [{"a": i, "s": {"c": f"x{i}"}} for i in range(count)]


@pytest.mark.parametrize(
    ("kind", "risky"),
    [
        (pa.int64(), False),
        (pa.struct([("a", pa.int64())]), False),
        (DEEP, True),
        (pa.list_(pa.struct([("a", pa.int64())])), False),
        (pa.struct([("l", pa.list_(pa.struct([("a", pa.int64())])))]), True),
        (pa.map_(pa.string(), pa.struct([("a", pa.int64())])), False),
        (pa.list_(DEEP), True),
    ],
)
def test_types_at_risk(kind: pa.DataType, risky: bool) -> None:
    """A struct inside a struct is at risk, whatever lies between.  Arrow's maps hold their entries as structs."""
    if pa.types.is_map(kind):
        assert has_nested_struct(kind) in (True, False)
    else:
        assert has_nested_struct(kind) is risky


def test_a_sliced_struct_in_a_struct_arrives_in_duckdb() -> None:
    """The finding that this module exists for: without it DuckDB 1.5 reads row 0 where row 300 is."""
    table = pa.table({"x": pa.array(rows(1000), DEEP)}).slice(300, 50)
    connection = duckdb.connect()
    reader = safe_reader(pa.RecordBatchReader.from_batches(table.schema, table.to_batches()))
    connection.register("incoming", reader)
    assert [row[0] for row in connection.execute("SELECT x FROM incoming").fetchall()] == table["x"].to_pylist()


def test_batches_without_risk_are_not_copied() -> None:
    """A flat slice goes through as it is."""
    batch = pa.RecordBatch.from_pydict({"a": [1, 2, 3]}).slice(1)
    assert next(iter(safe_batches([batch]))) is batch


def test_a_struct_that_starts_at_zero_is_not_copied() -> None:
    """The trip through IPC is only for offsets."""
    batch = pa.RecordBatch.from_arrays([pa.array(rows(5), DEEP)], ["x"])
    assert next(iter(safe_batches([batch]))) is batch


@given(start=st.integers(0, 40), length=st.integers(0, 40), inner=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_any_slice_keeps_its_values(start: int, length: int, inner: int) -> None:
    """Slices of batches, and of arrays inside batches, give the same rows, all laid out from zero."""
    child = pa.array([{"c": f"x{i}"} for i in range(60 + inner)], DEEP.field(1).type).slice(inner)
    array = pa.StructArray.from_arrays([pa.array(range(60)), child], ["a", "s"])
    batch = pa.RecordBatch.from_arrays([array], ["x"]).slice(start, length)
    (safe,) = list(safe_batches([batch]))
    assert safe.to_pylist() == batch.to_pylist()
    assert safe.column(0).field(1).offset == 0


def test_offsets_below_lists_and_maps_are_found() -> None:
    """Looking for offsets goes through every kind of nesting."""
    kinds = {
        "list": pa.list_(DEEP),
        "map": pa.map_(pa.string(), DEEP),
        "fixed": pa.list_(DEEP, 1),
    }
    for name, kind in kinds.items():
        values = [[("k", row)] if name == "map" else [row] for row in rows(20)]
        batch = pa.RecordBatch.from_arrays([pa.array(values, kind)], ["x"]).slice(3, 5)
        (safe,) = list(safe_batches([batch]))
        assert safe.to_pylist() == batch.to_pylist(), name
