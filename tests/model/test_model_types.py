"""Which Python values have which data type, and what the detections see."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import time
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.base.typed_json import HexBytes, Wei
from headrace.model.types import (
    DATA_TYPES,
    DETECTIONS,
    TYPES,
    data_type_of,
    detect,
    infer_type,
    is_iso_date,
    is_iso_timestamp,
    parse_iso_timestamp,
)

Color = enum.Enum("Color", "red")
Level = enum.IntEnum("Level", "low")


@dataclasses.dataclass
class Point:
    x: int = 1


@pytest.mark.parametrize(
    ("value", "data_type"),
    [
        ("x", "text"),
        (1, "bigint"),
        (1.5, "double"),
        (True, "bool"),
        ({}, "json"),
        ([], "json"),
        ((1,), "json"),
        (collections.OrderedDict(), "json"),
        (Point(), "json"),
        (dt.datetime(2024, 1, 1), "timestamp"),
        (dt.date(2024, 1, 1), "date"),
        (dt.time(1), "time"),
        (decimal.Decimal(1), "decimal"),
        (Wei(1), "wei"),
        (b"", "binary"),
        (HexBytes("0x01"), "binary"),
        (uuid.UUID(int=1), "text"),
        (Color.red, "text"),
        (Level.low, "bigint"),
    ],
)
def test_each_python_type_has_a_data_type(value: Any, data_type: str) -> None:
    assert data_type_of(type(value)) == data_type


@pytest.mark.parametrize("value", [None, object(), complex(1), {1}, dt.timedelta(1), print])
def test_other_types_are_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="no data type"):
        data_type_of(type(value))


def test_numpy_scalars_have_the_type_of_their_kind() -> None:
    np = pytest.importorskip("numpy")
    assert [data_type_of(t) for t in (np.int32, np.float32, np.bool_, np.datetime64)] == [
        "bigint",
        "double",
        "bool",
        "timestamp",
    ]


def test_the_table_of_types_is_complete() -> None:
    assert set(TYPES) == set(DATA_TYPES)
    assert all(data_type_of(facts.python) == name for name, facts in TYPES.items())


ISO = """2024-05-01T10:00:00Z|2024-05-01 10:00:00|2024-05-01T10|2024-05-01T10:00|2024-05-01T10Z|20240501T100000
20240501T10|2024-W10-1T10:00|2024W101T10|2024-123T10:00:00|2024123T10|2024-05-01T10:00:00.1|2024-05-01T10:00:00,123
2024-05-01T10:00:00.123456789|2024-05-01T10:00:00+02:00|2024-05-01T10:00:00+0200|2024-05-01T10:00:00+02
2024/05/01 10:00:00|20240501 10:00:00|0001-01-01T00:00:00|9999-12-31T23:59:59Z|2024-02-29T00:00:00|2024-366T10:00"""
NOT_ISO = """2024-05-01|20240501|2024|10:00:00|T10:00:00||x|2024-05-01t10:00:00z|2024-05-01T10:00:00 Z
 2024-05-01T10:00:00Z
2024-05-01T24:00:00|2024-05-01T23:59:60|2024-02-30T10:00:00|2023-02-29T10:00:00|2024-13-01T10:00:00|2024-00-01T10:00:00
2024-05-00T10:00:00|0000-01-01T00:00:00|2024-5-1T10:00:00|2024-05-01T9:00:00|2024-05-01_10:00:00|2024-05-01T
2024-05-01T10:00:00+25:00|2024-05-01T10:00:00+2:00|2024-05-01T10:00:00UTC|2024-05-01T10:00:00.|2024-05-01T10:00.5
2023-366T10:00|2024-W54-1T10:00|٢٠٢٤-05-01T10:00:00|2024-05-01T100000|P1D|12024-05-01T10:00:00|2024/05/01T10:00:00Z"""


@pytest.mark.parametrize("text", ISO.replace("\n", "|").split("|"))
def test_iso_instants_are_detected_and_read(text: str) -> None:
    assert is_iso_timestamp(text)
    assert parse_iso_timestamp(text) is not None


@pytest.mark.parametrize("text", NOT_ISO.replace("\n", "|").split("|"))
def test_other_text_is_no_instant(text: str) -> None:
    assert not is_iso_timestamp(text)
    assert parse_iso_timestamp(text) is None


@given(st.datetimes(timezones=st.none() | st.just(dt.timezone.utc) | st.just(dt.timezone(dt.timedelta(hours=-3)))))
def test_whatever_isoformat_writes_is_read_back(instant: dt.datetime) -> None:
    assert is_iso_timestamp(instant.isoformat())
    assert parse_iso_timestamp(instant.isoformat()) == instant
    assert parse_iso_timestamp(instant.isoformat(sep=" ")) == instant


@given(st.text())
def test_detection_and_reading_agree(text: str) -> None:
    assert is_iso_timestamp(text) == (parse_iso_timestamp(text) is not None)


def test_ordinal_and_week_dates_mean_the_right_day() -> None:
    assert parse_iso_timestamp("2024-123T10:00:00Z") == dt.datetime(2024, 5, 2, 10, tzinfo=dt.timezone.utc)
    assert parse_iso_timestamp("2024-W10-1T10:00") == dt.datetime(2024, 3, 4, 10)


@pytest.mark.parametrize(
    ("text", "known"),
    [("2024-05-01", True), ("20240501", True), ("2024-05", True), ("2024", True), ("2024-13", False), ("24", False)],
)
def test_iso_dates(text: str, known: bool) -> None:
    assert is_iso_date(text) is known


@pytest.mark.parametrize(
    ("detection", "value", "data_type"),
    [
        # the ids are fixed: workers must agree on them
        pytest.param("timestamp", int(time.time()), "timestamp", id="now"),
        pytest.param("timestamp", time.time() - 6 * 366 * 86400, None, id="six-years-ago"),
        ("timestamp", True, None),
        pytest.param("timestamp", str(time.time()), None, id="now-as-text"),
        ("iso_timestamp", "2024-05-01T10:00:00Z", "timestamp"),
        ("iso_date", "2024-05-01", "date"),
        ("large_integer", 2**63 - 1, None),
        ("large_integer", 2**63, "wei"),
        ("large_integer", 2**256, "text"),
        ("hexbytes_to_text", HexBytes("0x01"), "text"),
        ("hexbytes_to_text", b"a", None),
        ("wei_to_double", Wei(1), "double"),
    ],
)
def test_detections(detection: str, value: Any, data_type: str | None) -> None:
    assert detect([detection], value) == data_type


def test_detections_are_asked_in_order_before_the_python_type() -> None:
    assert infer_type(["iso_date", "iso_timestamp"], "2024-05-01T10:00:00") == "timestamp"
    assert infer_type(None, "2024-05-01T10:00:00") == "text"
    assert set(DETECTIONS) >= {"timestamp", "iso_timestamp", "iso_date", "large_integer"}
