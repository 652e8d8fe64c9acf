"""Documents become columns without changing a value, its type or its place."""

from __future__ import annotations

import datetime as dt
import enum
import math
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.base import json
from headrace.columns.frame import Frame, group_frames, to_batches
from headrace.columns.kinds import UnknownValueType
from headrace.columns.shred import as_documents, shred
from tests.columns.oracle import plain, walk

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.binary(max_size=4),
    st.dates(),
    st.datetimes(timezones=st.none() | st.just(dt.timezone(dt.timedelta(hours=2)))),
    st.times(),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9),
    st.uuids(),
)
KEYS = st.sampled_from(["a", "b", "c", "list", "value"])
DOCUMENTS = st.lists(
    st.dictionaries(
        KEYS,
        st.recursive(
            SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
        ),
        max_size=4,
    ),
    min_size=1,
    max_size=6,
)


def read_back(frame: Frame) -> list[tuple[Any, Any]]:
    """Every row of a frame with its place, as the oracle gives them."""
    places: list[list[Any]] = []
    out: list[tuple[Any, Any]] = []
    for table in frame:
        above = frame[table.above] if table.above >= 0 else None
        rows: list[dict[Any, Any]] = [{} for _ in range(table.rows)]
        for column in table.columns:
            for i, value in enumerate(column.values.to_pylist()):
                if value is not None:
                    assert column.path not in rows[i], "two kinds claim one place"
                    rows[i][column.path] = _value(column.kind, value)
        if above is None:
            here: list[Any] = [(i,) for i in range(table.rows)]
        else:
            name = table.path[len(above.path) :]
            here = [
                (*places[table.above][int(p)], (name, int(n)))
                for p, n in zip(table.parent, table.position, strict=True)
            ]
        places.append(here)
        out += [(place, row) for place, row in zip(here, rows, strict=True)]
    return out


def _value(kind: str, value: Any) -> Any:
    if kind == "wei":
        return int(value)
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.timezone.utc)
    return value.normalize() if isinstance(value, Decimal) else value


def expected(documents: list[dict[str, Any]], level: int = 1000) -> list[tuple[Any, Any]]:
    return [
        ((i, *place), {k: plain(v) for k, v in row.items()})
        for i, document in enumerate(documents)
        for place, row in walk(document, level)
    ]


def comparable(rows: list[tuple[Any, Any]]) -> list[str]:
    return sorted(repr((place, sorted((k, repr(v)) for k, v in row.items()))) for place, row in rows)


@given(DOCUMENTS)
@settings(max_examples=300, deadline=None)
def test_equal_to_the_oracle(documents: list[dict[str, Any]]) -> None:
    assert comparable(read_back(shred(documents))) == comparable(expected(documents))


@given(DOCUMENTS, st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_nesting_limit_keeps_json(documents: list[dict[str, Any]], level: int) -> None:
    """Below the limit there are no tables and no flattening: the rest is JSON text."""
    want = [
        (place, {k: json.dumps(v) if isinstance(v, (dict, list)) else plain(v) for k, v in row.items()})
        for place, row in (((i, *p), r) for i, document in enumerate(documents) for p, r in walk(document, level))
    ]
    assert comparable(read_back(shred(documents, level))) == comparable(want)


@given(st.lists(DOCUMENTS, min_size=1, max_size=3))
@settings(max_examples=50, deadline=None)
def test_frames_come_back_from_the_spool(batches: list[list[dict[str, Any]]]) -> None:
    frames = [shred(b) for b in batches]
    flat = [b for f in frames for b in to_batches(f)]
    assert [len(f) for f in group_frames(flat)] == [len(f) for f in frames]


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@dataclass
class Point:
    x: int
    inner: dict[str, int]


class Pair(NamedTuple):
    left: int
    right: str


def column(value: Any) -> tuple[str, Any]:
    frame = shred([{"v": value}])
    (only,) = frame[0].columns
    return only.kind, only.values[0].as_py()


@pytest.mark.parametrize(
    ("value", "kind", "stored"),
    [
        (2**63 - 1, "bigint", 2**63 - 1),
        (2**63, "wei", Decimal(2**63)),
        (-(10**38) + 1, "wei", Decimal(-(10**38) + 1)),
        (10**38, "text", str(10**38)),
        (Decimal("NaN"), "text", "NaN"),
        (Decimal("1.50"), "decimal", Decimal("1.50")),
        (Decimal("1e200"), "text", "1E+200"),
        (math.inf, "double", math.inf),
        (Colour.RED, "text", "red"),
        (Level.HIGH, "bigint", 3),
        (np.int8(5), "bigint", 5),
        (np.float32(0.5), "double", 0.5),
        (np.bool_(True), "bool", True),
        (np.datetime64("2024-01-02T03:04:05"), "timestamp", dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc)),
        (uuid.UUID(int=1), "text", "00000000-0000-0000-0000-000000000001"),
        (bytearray(b"xy"), "binary", b"xy"),
        (dt.time(1, 2, tzinfo=dt.timezone.utc), "text", "01:02:00+00:00"),
        (dt.timedelta(seconds=90), "text", "PT90S"),
        ("\ud800", "text", "\\ud800"),
        ("naïve ☃", "text", "naïve ☃"),
    ],
)
def test_odd_values(value: Any, kind: str, stored: Any) -> None:
    assert column(value) == (kind, stored)


def test_nan_stays_a_number() -> None:
    kind, stored = column(math.nan)
    assert kind == "double" and math.isnan(stored)


def test_naive_instants_are_utc_and_aware_ones_keep_their_instant() -> None:
    frame = shred(
        [{"t": dt.datetime(2024, 1, 1)}, {"t": dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2)))}]
    )
    values = frame[0].columns[0].values.to_pylist()
    assert [v.isoformat() for v in values] == ["2024-01-01T00:00:00+00:00", "2023-12-31T22:00:00+00:00"]


def test_items_of_many_makes_become_documents() -> None:
    rows = as_documents([Point(1, {"a": 2}), Pair(1, "r"), {"k": 1}, 7])
    assert rows == [{"x": 1, "inner": {"a": 2}}, {"left": 1, "right": "r"}, {"k": 1}, {"value": 7}]


def test_nested_dataclasses_and_sets_are_taken_apart() -> None:
    frame = shred([{"p": Point(1, {"a": 2}), "s": {5}}])
    assert {c.path for c in frame[0].columns} == {("p", "x"), ("p", "inner", "a")}
    assert frame[1].path == ("s",) and frame[1].columns[0].values.to_pylist() == [5]


def test_only_none_makes_no_column() -> None:
    frame = shred([{"a": None, "b": 1}, {"a": None, "b": 2}])
    assert frame[0].nulls == [("a",)] and [c.path for c in frame[0].columns] == [("b",)]


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(UnknownValueType, match="object"):
        shred([{"a": object()}])


def test_keys_that_are_no_text_become_text() -> None:
    frame = shred([{1: "x", None: 2}])  # type: ignore[dict-item]
    assert {c.path for c in frame[0].columns} == {("1",), ("None",)}
