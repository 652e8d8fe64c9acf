from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from headrace.errors.incremental import (
    IncrementalCursorInvalidCoercion,
    IncrementalCursorPathHasValueNone,
    IncrementalCursorPathMissing,
    IncrementalPrimaryKeyMissing,
)
from headrace.extract.incremental import Incremental

from .driver import at, rows, run, run_with


def table(values: list[Any], kind: pa.DataType | None = None) -> pa.Table:
    return pa.table({"id": list(range(len(values))), "c": pa.array(values, kind)})


def ids(frame: Any) -> list[int]:
    if frame is None:
        return []
    column = frame["id"]
    return list(column.to_pylist() if isinstance(column, (pa.Array, pa.ChunkedArray)) else column.to_list())


def test_frames_keep_their_kind() -> None:
    arrow = table([1, 5, 7])
    batch = arrow.to_batches()[0]
    for frame in (arrow, batch, arrow.to_pandas(), pl.from_arrow(arrow)):
        (kept,) = run([frame], cursor_path="c", initial_value=5).passed
        assert type(kept) is type(frame)
        assert ids(kept) == [1, 2]
        (whole,) = run([frame], cursor_path="c").passed
        assert whole is frame
        assert run([frame], cursor_path="c", initial_value=9).passed == [None]


def test_a_filtered_pandas_frame_has_a_fresh_index() -> None:
    frame = table([1, 5, 7]).to_pandas().set_index(pd.Index([7, 8, 9]))
    (kept,) = run([frame], cursor_path="c", initial_value=5).passed
    assert list(kept.index) == [0, 1]


def test_lazy_frames_are_collected() -> None:
    (kept,) = run([pl.from_arrow(table([1, 5])).lazy()], cursor_path="c", initial_value=5).passed
    assert ids(kept) == [1]


def test_a_reader_is_filtered_while_it_is_read() -> None:
    read = []

    def batches() -> Any:
        for values in ([1, 2], [5, 6], [0, 0], [7, 1]):
            read.append(values)
            yield table(values).to_batches()[0]

    reader = pa.RecordBatchReader.from_batches(table([1]).schema, batches())
    state: dict[str, Any] = {}
    cursor: Incremental[int] = Incremental("c", initial_value=2)
    cursor.bind("orders", state)
    kept = cursor(reader)
    assert isinstance(kept, pa.RecordBatchReader)
    assert read == []
    assert [batch.column("c").to_pylist() for batch in kept] == [[2], [5, 6], [7]]
    cursor.finish()
    assert state["c"]["last_value"] == 7
    assert cursor.custom_metrics["incremental"][0]["unfiltered_items_count"] == 8


def test_a_list_of_frames_is_a_page_of_them() -> None:
    (kept,) = run([[table([1, 2]), table([0]), table([3])]], cursor_path="c", initial_value=2).passed
    assert [ids(frame) for frame in kept] == [[1], [0]]
    assert run([[table([0])]], cursor_path="c", initial_value=2).passed == [None]


def test_an_empty_frame_passes() -> None:
    empty = table([], pa.int64())
    assert run([empty], cursor_path="c", initial_value=2).passed == [empty]


VALUES: list[tuple[list[Any], pa.DataType | None]] = [
    ([1, 5, 5], None),
    ([1.5, math.nan, 2.5], None),
    (["a", "c", "b"], None),
    (["a", "c", "b"], pa.large_string()),
    (["a", "c", "b"], pa.string_view()),
    (["a", "c", "b"], pa.dictionary(pa.int32(), pa.string())),
    ([b"a", b"c"], None),
    ([Decimal("1.50"), Decimal("2.50")], None),
    ([dt.date(2020, 1, 1), dt.date(2020, 1, 3)], None),
    ([dt.date(2020, 1, 1), dt.date(2020, 1, 3)], pa.date64()),
    ([at(1), at(3)], pa.timestamp("us", "UTC")),
    ([at(1), at(3)], pa.timestamp("s", "UTC")),
    ([at(1), at(3)], pa.timestamp("ns", "UTC")),
    ([at(1), at(3)], pa.timestamp("ms", "Europe/Berlin")),
    ([at(1, tz=None), at(3, tz=None)], pa.timestamp("us")),
    ([True, False], None),
]


@pytest.mark.parametrize(("values", "kind"), VALUES)
@pytest.mark.parametrize("key", [None, "id", ("id", "c")])
def test_rows_and_frames_go_on_from_each_others_state(values: list[Any], kind: pa.DataType | None, key: Any) -> None:
    frame = table(values, kind)
    by_frame = run([frame], None, key, cursor_path="c")
    by_row = run([rows(*values)], None, key, cursor_path="c")
    assert by_frame.state == by_row.state
    known = [[i for i, v in enumerate(values) if v != v]] * 2
    assert [ids(run([frame], by_row.state, key, cursor_path="c").passed[0])] == known[:1]
    assert [[r["id"] for r in run([rows(*values)], by_frame.state, key, cursor_path="c").rows]] == known[:1]


def test_nested_values_are_hashed_as_in_rows() -> None:
    data = [{"c": 1, "s": {"z": 1, "a": [1, 2]}, "t": at(1), "b": b"x", "d": Decimal("1.10"), "f": 1e22, "n": None}]
    assert run([pa.Table.from_pylist(data)], cursor_path="c").state == run([data], cursor_path="c").state


def test_instants_within_a_microsecond_share_their_value() -> None:
    frame = pa.table(
        {"id": [1, 2], "c": pa.array([1_577_836_800_000_000_001, 1_577_836_800_000_000_999], pa.timestamp("ns"))}
    )
    first = run([frame], None, "id", cursor_path="c")
    assert first.state["c"]["last_value"] == at(1, tz=None)
    assert len(first.state["c"]["unique_hashes"]) == 2
    assert run([frame], first.state, "id", cursor_path="c").passed == [None]


def test_bounds_of_other_types_are_compared_by_value() -> None:
    assert ids(run([table([1, 2, 3])], cursor_path="c", initial_value=1.5).passed[0]) == [1, 2]
    assert ids(run([table([1.0, 2.0, 3.0])], cursor_path="c", initial_value=2).passed[0]) == [1, 2]
    decimals = table([Decimal("1.5"), Decimal("2.5")])
    assert ids(run([decimals], cursor_path="c", initial_value=2).passed[0]) == [1]
    small = table([1, 2, 3], pa.int8())
    assert run([small], cursor_path="c", initial_value=1000).passed == [None]
    assert ids(run([table([at(1, tz=None), at(3, tz=None)])], cursor_path="c", initial_value=at(2)).passed[0]) == [1]
    days = table([dt.date(2020, 1, 2), dt.date(2020, 1, 3)])
    assert ids(run([days], cursor_path="c", initial_value=at(2, 12)).passed[0]) == [1]
    assert ids(run([table([at(1), at(3)])], cursor_path="c", initial_value=dt.date(2020, 1, 2)).passed[0]) == [1]


def test_bounds_that_cannot_be_compared_are_told() -> None:
    for values, bound in (([1], "a"), (["a"], 1), (["2020-01-01"], at(1)), ([at(1)], "2020-01-01")):
        with pytest.raises(IncrementalCursorInvalidCoercion, match="initial_value"):
            run([table(values)], cursor_path="c", initial_value=bound)


def test_nulls_and_absent_columns_follow_the_setting() -> None:
    frame = table([1, None, 3])
    with pytest.raises(IncrementalCursorPathHasValueNone):
        run([frame], cursor_path="c")
    with pytest.raises(IncrementalCursorPathMissing, match="it has: id, c"):
        run([frame], cursor_path="d")
    for missing, kept in (("include", [1, 2]), ("exclude", [2])):
        made = run([frame], cursor_path="c", initial_value=2, on_cursor_value_missing=missing)
        assert ids(made.passed[0]) == kept
    assert run([frame], cursor_path="d", on_cursor_value_missing="include").passed == [frame]
    assert run([frame], cursor_path="d", on_cursor_value_missing="exclude").passed == [None]
    nothing = table([None, None], pa.int64())
    assert run([nothing], cursor_path="c", on_cursor_value_missing="include").passed == [nothing]
    assert run([nothing], cursor_path="c", on_cursor_value_missing="exclude").passed == [None]


def test_missing_values_of_pandas_are_nulls() -> None:
    for values in ([1.0, math.nan], pd.to_datetime(["2020-01-01", None])):
        frame = pd.DataFrame({"id": [0, 1], "c": values})
        with pytest.raises(IncrementalCursorPathHasValueNone):
            run([frame], cursor_path="c")
        assert ids(run([frame], cursor_path="c", on_cursor_value_missing="exclude").passed[0]) == [0]


def test_a_field_of_a_struct_can_be_the_cursor() -> None:
    frame = pa.table({"id": [0, 1], "s": [{"t": {"c": 1}}, {"t": {"c": 5}}]})
    made = run([frame], cursor_path="s.t.c", initial_value=3)
    assert ids(made.passed[0]) == [1]
    assert made.state["s.t.c"]["last_value"] == 5
    for path in ("s.t.d", "s.t[0]", "s[*].c"):
        with pytest.raises(IncrementalCursorPathMissing):
            run([frame], cursor_path=path)


def test_the_key_may_be_a_function_of_the_row() -> None:
    first = run([table([1, 1])], None, lambda row: "id", cursor_path="c")
    assert first.state == run([rows(1, 1)], None, "id", cursor_path="c").state


def test_a_missing_key_column_is_told() -> None:
    with pytest.raises(IncrementalPrimaryKeyMissing, match="`number`"):
        run([table([1])], None, "number", cursor_path="c")


def test_functions_of_ones_own_need_rows() -> None:
    with pytest.raises(NotImplementedError, match="max or min"):
        run([table([1])], cursor_path="c", last_value_func=lambda pair: max(pair))


def test_any_row_out_of_range_sets_the_flags_of_a_frame() -> None:
    cursor: Incremental[int] = Incremental("c", initial_value=2, end_value=5, row_order="asc")
    made = run_with(cursor, [table([0, 3]), table([6, 3]), table([3])], {})
    assert made.pages_read == 2
    assert (cursor.start_out_of_range, cursor.end_out_of_range) == (False, True)


def test_chunked_and_sliced_tables_are_filtered_by_row() -> None:
    whole = pa.concat_tables([table([1, 5]), table([7, 2, 5])])
    (kept,) = run([whole.slice(1)], cursor_path="c", initial_value=5).passed
    assert kept["c"].to_pylist() == [5, 7, 5]
