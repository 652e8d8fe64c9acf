from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from headrace.config.inject import with_config
from headrace.errors.base import ValueErrorWithKnownValues
from headrace.errors.config import ConfigFieldMissingException, ConfigurationValueError
from headrace.errors.incremental import IncrementalCursorPathMissing
from headrace.extract.incremental import Incremental, incremental

from .driver import at, rows, run


@pytest.mark.parametrize(
    "settings",
    [
        {"last_value_func": "sum"},
        {"last_value_func": 3},
        {"row_order": "up"},
        {"on_cursor_value_missing": "skip"},
        {"range_start": "half"},
        {"range_end": None},
    ],
)
def test_unknown_choices_are_told_where_they_are_written(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueErrorWithKnownValues):
        Incremental("c", **settings)


def test_functions_have_names() -> None:
    assert Incremental("c", last_value_func="min").last_value_func is min
    assert Incremental("c", last_value_func=None).last_value_func is max


def test_a_path_is_needed_to_run() -> None:
    with pytest.raises(IncrementalCursorPathMissing, match="no `cursor_path`"):
        run([rows(1)])


def test_a_range_that_runs_backwards_is_refused() -> None:
    with pytest.raises(ConfigurationValueError, match="before its initial_value"):
        run([], cursor_path="c", initial_value=5, end_value=3)
    with pytest.raises(ConfigurationValueError):
        run([], cursor_path="c", initial_value=3, end_value=5, last_value_func="min")
    with pytest.raises(ConfigurationValueError, match="cannot be compared"):
        run([], cursor_path="c", initial_value=3, end_value="a")
    assert run([rows(3)], cursor_path="c", initial_value=3, end_value=3, range_end="closed").rows == rows(3)


def test_a_range_needs_its_start_when_it_is_resolved() -> None:
    with pytest.raises(ConfigurationValueError, match="no initial_value"):
        Incremental("c", end_value=3).on_resolved()
    assert run([rows(1, 3)], cursor_path="c", end_value=3).rows == rows(1)


def test_merge_takes_what_the_other_says() -> None:
    mine: Incremental[int] = Incremental("c", 2, min, primary_key="x", row_order="asc", lag=1, range_start="open")
    made = mine.merge(Incremental(initial_value=4))
    assert (made.cursor_path, made.initial_value, made.primary_key, made.row_order, made.lag) == ("c", 4, "x", "asc", 1)
    # defaults other than None count as said, as in dlt
    assert (made.last_value_func, made.range_start) == (max, "closed")
    assert mine.initial_value == 2
    assert mine.merge(Incremental("d")).cursor_path == "d"


def test_the_cursors_type_is_declared_or_inferred() -> None:
    assert incremental[int]("c").get_incremental_value_type() is int
    assert incremental("c", initial_value=at(1)).get_incremental_value_type() is dt.datetime
    assert incremental("c").get_incremental_value_type() is Any
    assert incremental[int]("c").copy().get_incremental_value_type() is int
    assert incremental("c").merge(incremental[str]("c")).get_incremental_value_type() is str
    assert incremental("c").declare_type(float).get_incremental_value_type() is float


def test_plain_values_and_mappings_are_read() -> None:
    made: Incremental[Any] = Incremental("c", 1, min)
    made.parse_native_representation(5)
    assert made.initial_value == 5
    made.parse_native_representation({"cursor_path": "d", "last_value_func": "max"})
    assert (made.cursor_path, made.initial_value, made.last_value_func) == ("d", 5, max)
    assert Incremental.ensure_instance({"cursor_path": "x"}).cursor_path == "x"
    assert Incremental.ensure_instance(made) is made


def test_only_a_field_of_the_row_gets_a_hint() -> None:
    paths = {"c": "c", "a b": "a b", "'a.b'": "a.b", "a.b": None, "$.b": None, "a[0]": None}
    assert {p: Incremental(p).get_cursor_column_name() for p in paths} == paths


def test_steps_are_themselves() -> None:
    one, other = Incremental("c"), Incremental("c")
    assert one != other
    assert len({one, other}) == 2
    assert bool(Incremental.EMPTY)
    assert repr(Incremental("c", 2, "min")) == "<incremental(cursor_path='c', initial_value=2, last_value_func='min')>"


# ---- configuration -------------------------------------------------------------------------------------------------


def resolved(default: Incremental[Any], monkeypatch: pytest.MonkeyPatch, **env: str) -> Incremental[Any]:
    for name, value in env.items():
        monkeypatch.setenv(f"SOURCES__SHOP__{name}", value)

    def orders(since: Incremental[Any] = default) -> Incremental[Any]:
        return since

    return with_config(orders, sections=("sources", "shop"))()


def test_fields_come_from_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    default = Incremental("c", initial_value=1, last_value_func=min, primary_key="id")
    made = resolved(default, monkeypatch, SINCE__INITIAL_VALUE="3", SINCE__LAG="1.5", SINCE__ROW_ORDER="desc")
    assert (made.initial_value, made.lag, made.row_order) == (3, 1.5, "desc")
    assert (made.last_value_func, made.primary_key) == (min, "id")
    assert default.initial_value == 1


def test_texts_become_values_of_the_cursors_type(monkeypatch: pytest.MonkeyPatch) -> None:
    made = resolved(
        incremental[dt.datetime]("c"),
        monkeypatch,
        SINCE__INITIAL_VALUE="2020-01-01T00:00:00Z",
        SINCE__END_VALUE="2020-01-02T00:00:00Z",
    )
    assert (made.initial_value, made.end_value) == (at(1), at(2))


def test_a_value_under_the_arguments_own_name_is_the_initial_value(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolved(Incremental("c", initial_value=1), monkeypatch, SINCE="9").initial_value == 9


def test_the_path_can_come_from_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigFieldMissingException, match="cursor_path"):
        resolved(Incremental(), monkeypatch)
    assert resolved(Incremental(), monkeypatch, SINCE__CURSOR_PATH="z").cursor_path == "z"


def test_configured_ranges_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationValueError, match="before"):
        resolved(Incremental("c", initial_value=5), monkeypatch, SINCE__END_VALUE="2")
