from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import logging
import math
import pickle
import uuid
from typing import Any

import pytest

from headrace.errors.extract import IncrementalUnboundError
from headrace.errors.incremental import (
    IncrementalCursorInvalidCoercion,
    IncrementalCursorPathHasValueNone,
    IncrementalCursorPathMissing,
    IncrementalPrimaryKeyMissing,
)
from headrace.extract.incremental import Incremental

from .driver import at, rows, run, values


def test_a_page_in_range_is_given_back_itself() -> None:
    page = rows(3, 4)
    assert run([page], cursor_path="c", initial_value=1).passed[0] is page


def test_an_empty_page_stays_and_a_dropped_one_is_none() -> None:
    assert run([[], rows(1)], cursor_path="c", initial_value=5).passed == [[], None]


def test_a_run_that_finds_nothing_new_leaves_the_state_as_it_was() -> None:
    first = run([rows(1, 5)], cursor_path="c")
    assert run([rows(1), rows(1, 5)[1:]], first.state, cursor_path="c").state == first.state


def test_last_value_moves_while_rows_pass() -> None:
    cursor: Incremental[int] = Incremental("c", initial_value=2)
    cursor.bind("orders", {})
    assert (cursor.last_value, cursor.start_value) == (2, 2)
    cursor(rows(4))
    assert (cursor.last_value, cursor.start_value) == (4, 2)


def test_with_lag_the_last_value_before_the_first_row_is_the_lagged_one() -> None:
    state = run([rows(10)], cursor_path="c").state
    cursor: Incremental[int] = Incremental("c", lag=3)
    cursor.bind("orders", state)
    assert (cursor.last_value, cursor.get_current_range(apply_lag=False)) == (7, (10, None))
    cursor(rows(8))
    assert (cursor.last_value, cursor.start_value) == (10, 7)


def test_a_range_leaves_no_trace_in_the_state() -> None:
    made = run([rows(1, 2, 3)], {"c": {"last_value": 9}}, cursor_path="c", initial_value=1, end_value=3)
    assert made.state == {"c": {"last_value": 9}}
    assert values(made.rows) == [1, 2]


def test_a_bound_incremental_can_be_bound_again() -> None:
    cursor: Incremental[int] = Incremental("c")
    state: dict[str, Any] = {}
    for page, passed in ((rows(1, 2), [1, 2]), (rows(1, 2, 3), [3])):
        cursor.bind("orders", state)
        assert values(cursor(page)) == passed
        cursor.finish()
    cursor.finish()
    assert state["c"]["last_value"] == 3


@pytest.mark.parametrize("page", [[{"id": 1}], [{"id": 0, "c": 1}, {"id": 1}], [{"id": 0, "c": 1}] * 3 + [{}]])
def test_a_row_without_the_cursor_is_told(page: list[dict[str, Any]]) -> None:
    with pytest.raises(IncrementalCursorPathMissing, match=r"Resource `orders`.*`c`") as caught:
        run([page], cursor_path="c")
    assert caught.value.json_path == "c"
    assert pickle.loads(pickle.dumps(caught.value)).pipe_name == "orders"


@pytest.mark.parametrize("page", [rows(None), rows(None, None), rows(1, None), rows(None, 1)])
def test_a_null_cursor_is_told(page: list[dict[str, Any]]) -> None:
    with pytest.raises(IncrementalCursorPathHasValueNone):
        run([page], cursor_path="c")


def test_rows_without_a_value_keep_their_place() -> None:
    made = run([rows(None, 5, 1, None, 7)], cursor_path="c", initial_value=3, on_cursor_value_missing="include")
    assert values(made.rows) == [None, 5, None, 7]
    assert made.state["c"]["last_value"] == 7


def test_nan_passes_and_does_not_move_the_cursor() -> None:
    nan = math.nan
    for page in (rows(nan, 1.0, 3.0), rows(3.0, nan, 1.0), rows(1, 3, nan)):
        made = run([page], cursor_path="c", initial_value=2)
        assert len(made.rows) == 2
        assert made.state["c"]["last_value"] == 3
    assert run([rows(nan)], cursor_path="c").state["c"]["last_value"] is None


@dataclasses.dataclass
class Order:
    id: int
    c: int


def test_objects_are_read_by_attribute() -> None:
    first = run([[Order(1, 5), Order(2, 6)]], cursor_path="c")
    second = run([[Order(2, 6), Order(3, 6), Order(4, 1)]], first.state, cursor_path="c")
    assert second.rows == [Order(3, 6)]
    by_key = run([[Order(1, 5)]], None, "id", cursor_path="c")
    assert by_key.state == run([[{"id": 1, "c": 5}]], None, "id", cursor_path="c").state


class Plain:
    def __init__(self, c: int) -> None:
        self.c = c
        self._cache = object()


def test_objects_without_a_json_form_count_by_their_attributes() -> None:
    first = run([[Plain(1)]], cursor_path="c")
    assert run([[Plain(1)]], first.state, cursor_path="c").rows == []


def test_methods_of_dictionaries_are_no_fields() -> None:
    with pytest.raises(IncrementalCursorPathMissing):
        run([[{"id": 1}]], cursor_path="items")


def test_the_key_may_depend_on_the_row() -> None:
    first = run([[{"a": 1, "c": 1}, {"b": 2, "c": 1}]], None, lambda row: "a" if "a" in row else "b", cursor_path="c")
    again = run(
        [[{"a": 1, "c": 1, "x": 0}, {"b": 3, "c": 1}]],
        first.state,
        lambda row: "a" if "a" in row else "b",
        cursor_path="c",
    )
    assert again.rows == [{"b": 3, "c": 1}]


def test_a_missing_key_column_is_told() -> None:
    with pytest.raises(IncrementalPrimaryKeyMissing, match="`number`"):
        run([rows(1)], None, ("id", "number"), cursor_path="c")


@pytest.mark.parametrize(
    ("page", "settings", "said"),
    [
        (rows(1, "a"), {}, "other values of the same page"),
        (rows(1), {"initial_value": "a"}, "initial_value or last_value"),
        (rows("b"), {"initial_value": "a", "end_value": "c"}, None),
        (rows(2), {"initial_value": "a", "end_value": "c"}, "initial_value or last_value"),
        (rows("2020"), {"initial_value": at(1)}, "initial_value or last_value"),
        (rows(at(1), at(2, tz=None)), {}, "other values of the same page"),
        ([rows("x")[0]], {"initial_value": 3, "last_value_func": lambda v: max(v)}, "initial_value or last_value"),
    ],
)
def test_types_that_cannot_be_compared_are_told(page: Any, settings: dict[str, Any], said: str | None) -> None:
    if said is None:
        assert run([page], cursor_path="c", **settings).rows == page
        return
    with pytest.raises(IncrementalCursorInvalidCoercion, match=said) as caught:
        run([page], cursor_path="c", **settings)
    assert "2020" not in str(caught.value)


@pytest.mark.parametrize("one_by_one", [False, True])
def test_dates_meet_instants(one_by_one: bool) -> None:
    """The same rows pass as if dates were midnight, for any kind of bound."""
    days = [dt.date(2020, 1, d) for d in range(1, 6)]
    for hours in (0, 12):
        for start_kind in ("closed", "open"):
            for end_kind in ("closed", "open"):
                low, high = at(2, hours), at(4, hours)
                settings: dict[str, Any] = {"range_start": start_kind, "range_end": end_kind}
                pages: list[Any] = rows(*days) if one_by_one else [rows(*days)]
                up = run(pages, cursor_path="c", initial_value=low, end_value=high, **settings)
                down = run(pages, cursor_path="c", initial_value=high, end_value=low, last_value_func="min", **settings)
                instants = [[{**row, "c": at(row["c"].day)} for row in rows(*days)]]
                for made, func, ends in ((up, "max", (low, high)), (down, "min", (high, low))):
                    wanted = run(
                        instants,
                        cursor_path="c",
                        initial_value=ends[0],
                        end_value=ends[1],
                        last_value_func=func,
                        **settings,
                    )
                    assert [r["id"] for r in made.rows] == [r["id"] for r in wanted.rows]


def test_instants_meet_a_date() -> None:
    made = run([rows(at(1, 23), at(2), at(2, 1))], cursor_path="c", initial_value=dt.date(2020, 1, 2))
    assert values(made.rows) == [at(2), at(2, 1)]


def test_a_change_of_kind_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "headrace"):
        run([rows(at(3, tz=None)), rows(at(4, tz=None))], cursor_path="c", initial_value=at(1))
    assert len(caplog.records) == 1
    assert "naive" in caplog.text


def test_cursors_of_pendulum_numpy_and_pandas_are_kept_as_plain_python() -> None:
    import numpy as np
    import pandas as pd
    import pendulum

    cases: list[tuple[Any, Any]] = [
        (pendulum.datetime(2020, 1, 1), at(1)),
        (pendulum.datetime(2020, 1, 1, tz="Europe/Berlin"), at(1) - dt.timedelta(hours=1)),
        (pendulum.date(2020, 1, 1), dt.date(2020, 1, 1)),
        (pd.Timestamp("2020-01-01", tz="UTC"), at(1)),
        (pd.Timestamp("2020-01-01"), at(1, tz=None)),
        (np.int64(7), 7),
        (np.float64(0.5), 0.5),
        (np.datetime64("2020-01-01T00:00:00"), at(1, tz=None)),
        (uuid.UUID(int=3), uuid.UUID(int=3)),
    ]
    for value, stored in cases:
        made = run([rows(value, value)], None, "id", cursor_path="c")
        kept = made.state["c"]["last_value"]
        assert kept == stored
        assert type(kept) is type(stored)
        if isinstance(kept, dt.datetime):
            assert type(kept.tzinfo) in (dt.timezone, type(None))
        assert run([rows(value, value)], made.state, "id", cursor_path="c").rows == []


def test_who_starts_with_pendulum_gets_pendulum_back() -> None:
    import pendulum

    first = pendulum.datetime(2020, 1, 1)
    state = run([rows(at(5))], cursor_path="c", initial_value=first).state
    cursor = run([], state, cursor_path="c", initial_value=first).cursor
    assert isinstance(cursor.start_value, pendulum.DateTime)
    assert cursor.start_value == at(5)
    assert type(state["c"]["initial_value"]) is dt.datetime


def test_pandas_missing_instant_is_a_null() -> None:
    import pandas as pd

    with pytest.raises(IncrementalCursorPathHasValueNone):
        run([rows(pd.Timestamp("2020-01-01"), pd.NaT)], cursor_path="c")


def test_single_rows_pass_as_pages_do() -> None:
    data = rows(3, 5, 5, 1, 4, 7, 7, math.nan, 2)
    for settings in ({}, {"initial_value": 3}, {"last_value_func": "min"}, {"range_start": "open", "initial_value": 3}):
        by_page = run([data, data], cursor_path="c", **settings)
        by_row = run([*data, *data], cursor_path="c", **settings)
        assert repr(by_row.rows) == repr(by_page.rows)
        assert by_row.state == by_page.state
        again, again_by_row = (run(pages, by_page.state, cursor_path="c", **settings) for pages in ([data], data))
        assert repr(again.rows) == repr(again_by_row.rows)
        assert again.state == again_by_row.state


def test_a_function_of_ones_own_decides_what_is_later() -> None:
    def longest(pair: Any) -> Any:
        return max(pair, key=len)

    first = run([rows("a", "bbb", "cc")], cursor_path="c", last_value_func=longest)
    assert first.state["c"]["last_value"] == "bbb"
    second = run([rows("a", "bbb", "dddd")], first.state, cursor_path="c", last_value_func=longest)
    assert values(second.rows) == ["dddd"]
    again = run([[{"id": 1, "c": "bbb"}, {"id": 9, "c": "bbb"}]], first.state, cursor_path="c", last_value_func=longest)
    assert [r["id"] for r in again.rows] == [9]


def test_flags_tell_of_the_last_row_and_closing_of_any() -> None:
    cursor: Incremental[int] = Incremental("c", initial_value=3, row_order="desc")
    cursor.bind("orders", {})
    cursor(rows(9, 8))
    assert not cursor.can_close()
    cursor(rows(1, 8))
    assert (cursor.start_out_of_range, cursor.end_out_of_range, cursor.can_close()) == (False, False, True)
    cursor(rows(8, 1))
    assert cursor.start_out_of_range


def test_known_rows_at_the_start_do_not_close_the_source() -> None:
    """New rows may share their value: the source is read on until a row lies below."""
    state = run([rows(5)], cursor_path="c").state
    pages = [[{"id": 7, "c": 6}], rows(5), [{"id": 8, "c": 5}], rows(4), rows(3)]
    made = run(pages, state, cursor_path="c", row_order="desc")
    assert [r["id"] for r in made.rows] == [7, 8]
    assert made.pages_read == 4


def test_an_unbound_incremental_says_so() -> None:
    cursor: Incremental[int] = Incremental("c", initial_value=1)
    assert cursor.start_value == 1
    assert not cursor.can_close()
    for use in (lambda: cursor(rows(1)), lambda: cursor.last_value, cursor.get_state, lambda: cursor.advance(3)):
        with pytest.raises(IncrementalUnboundError):
            use()


def test_advance_moves_forwards_only() -> None:
    made = run([rows(5)], cursor_path="c")
    cursor: Incremental[int] = Incremental("c")
    cursor.bind("orders", made.state)
    assert cursor.advance(3).last_value == 5
    assert cursor.advance(8).last_value == 8
    cursor.finish()
    assert cursor.get_state() == {"initial_value": None, "last_value": 8, "unique_hashes": [], "start_value": 5}


def test_metrics_count_what_was_looked_at() -> None:
    made = run([rows(1, 2), rows(0), rows(3, 3)[0]], cursor_path="c", initial_value=1)
    assert made.cursor.custom_metrics == {
        "incremental": [
            {
                "unfiltered_items_count": 4,
                "unfiltered_batches_count": 3,
                "initial_unique_hashes_count": 0,
                "final_unique_hashes_count": 1,
            }
        ]
    }


def test_none_is_passed_on() -> None:
    assert run([None], cursor_path="c").passed == [None]


def test_a_copy_is_unbound_and_shares_nothing() -> None:
    made = run([rows(1)], cursor_path="c", initial_value=0)
    twin = made.cursor.copy()
    assert (twin.resource_name, twin.initial_value, twin.cursor_path) == (None, 0, "c")
    with pytest.raises(IncrementalUnboundError):
        _ = twin.last_value
    assert made.cursor.last_value == 1
    assert copy.deepcopy(made.state) == made.state


def test_a_unique_cursor_knows_whether_its_boundary_was_loaded() -> None:
    made = run([rows(1, 4)], cursor_path="id", primary_key="id")
    again = run([], made.state, cursor_path="id", primary_key="id").cursor
    assert again.is_unique_cursor()
    assert again.unique_boundary_consumed()
    assert not run([], cursor_path="id", primary_key="id", initial_value=1).cursor.unique_boundary_consumed()
    assert not run([], made.state, cursor_path="id", primary_key="c").cursor.unique_boundary_consumed()
