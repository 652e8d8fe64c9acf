from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.extract.incremental.lag import apply_lag

from .driver import at


@pytest.mark.parametrize(
    ("value", "lag", "moved"),
    [
        (10, 3, 7),
        (10, 2.5, 7),
        (10.0, 2.5, 7.5),
        (Decimal("1.5"), 0.25, Decimal("1.25")),
        (at(3), 60, at(2, 23, 59)),
        (at(3, tz=None), 0.5, at(2, 23, 59, 59, 500_000, tz=None)),
        (dt.date(2020, 1, 3), 1, dt.date(2020, 1, 2)),
        (dt.date(2020, 1, 3), 1.5, dt.date(2020, 1, 1)),
        ("2020-01-03T00:00:00Z", 86_400, "2020-01-02T00:00:00Z"),
        ("2020-01-03T00:00:00+00:00", 1, "2020-01-02T23:59:59+00:00"),
        ("2020-01-03T00:00:00.000Z", 0.5, "2020-01-02T23:59:59.500Z"),
        ("2020-01-03T00:00:00.123456Z", 1, "2020-01-02T23:59:59.123456Z"),
        ("2020-01-03T00:00:00", 0.5, "2020-01-02T23:59:59"),
        ("2020-01-03 00:00:00", 60, "2020-01-02 23:59:00"),
        ("2020-01-03T00:00", 61, "2020-01-02T23:58"),
        ("2020-01-03T05", 3_600, "2020-01-03T04"),
        ("2020-01-03T00:00:00.123+0200", 1, "2020-01-02T23:59:59.123+0200"),
        ("20200103T000000Z", 1, "20200102T235959Z"),
        ("2020-01-03", 1, "2020-01-02"),
        ("20200101", 1, "20191231"),
        ("2020-W01-3", 1, "2020-W01-2"),
        ("2020-003", 1, "2020-002"),
        ("2020-01-03", 10**9, "2020-01-03"),
    ],
)
def test_values_move_back_in_their_own_notation(value: Any, lag: float, moved: Any) -> None:
    result = apply_lag(lag, value, None, max)
    assert result == moved
    assert type(result) is type(moved)


def test_min_moves_forwards_and_outwards() -> None:
    assert apply_lag(1.5, 10, None, min) == 12
    assert apply_lag(0.5, "2020-01-03T00:00:00Z", None, min) == "2020-01-03T00:00:01Z"


def test_the_initial_value_is_never_crossed() -> None:
    assert apply_lag(100, 10, 4, max) == 4
    assert apply_lag(100, 10, 40, min) == 40
    assert apply_lag(10**12, "2020-01-03", "2020-01-01", max) == "2020-01-01"
    assert apply_lag(1, at(3), at(1, tz=None), max) == at(2, 23, 59, 59)


@pytest.mark.parametrize("value", ["abc", "2020-13-45", "2020", True, [1], b"a"])
def test_values_that_cannot_lag_are_told(value: Any) -> None:
    with pytest.raises(ValueError):
        apply_lag(1, value, None, max)


@given(
    st.datetimes(dt.datetime(2000, 1, 2), dt.datetime(2100, 1, 1)),
    st.integers(0, 100_000),
    st.sampled_from(["", "Z", "+00:00", "+05:30"]),
    st.sampled_from(["seconds", "milliseconds", "microseconds"]),
)
def test_texts_move_as_instants_do(instant: dt.datetime, lag: int, zone: str, precision: str) -> None:
    text = instant.isoformat(timespec=precision) + zone
    moved = (instant - dt.timedelta(seconds=lag)).isoformat(timespec=precision) + zone
    assert apply_lag(lag, text, None, max) == moved
    assert apply_lag(lag, moved, None, min) == text
