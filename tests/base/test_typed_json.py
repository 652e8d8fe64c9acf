"""Typed JSON keeps types, and writes what the compatible library reads."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.base import typed_json
from headrace.base.typed_json import HexBytes, Wei

UTC = dt.timezone.utc


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (decimal.Decimal("1.10"), "\uf0261.10"),
        (dt.datetime(2024, 1, 2, 3, 4, 5, 678), "\uf0272024-01-02T03:04:05.000678"),
        (dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), "\uf0272024-01-02T03:04:05+00:00"),
        (dt.date(2024, 1, 2), "\uf0282024-01-02"),
        (uuid.UUID(int=5), "\uf02900000000-0000-0000-0000-000000000005"),
        (HexBytes("0x0102"), "\uf02a0x0102"),
        (b"abc", "\uf02bYWJj"),
        (Wei("2137"), "\uf02c2137"),
        (dt.time(3, 4, 5), "\uf02d03:04:05"),
    ],
)
def test_typed_values_come_back_as_what_they_were(value: object, text: str) -> None:
    written = typed_json.dumps({"k": [value]})
    assert written == '{"k":["' + text + '"]}'
    read = typed_json.loads(written)["k"][0]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    "text", ["\uf026zzz", "\uf027", "\uf027yesterday", "\uf02ahello", "\uf02bq===", "\uf0291", "\uf02d", "plain", ""]
)
def test_text_that_only_looks_marked_is_left_alone(text: str) -> None:
    assert typed_json.loads(typed_json.dumps({"k": text})) == {"k": text}


def test_instants_ending_in_z_are_read() -> None:
    assert typed_json.decode_value("\uf0272024-01-01T00:00:00.5Z") == dt.datetime(2024, 1, 1, 0, 0, 0, 500000, UTC)


def test_sorted_output_does_not_depend_on_the_order_of_keys() -> None:
    assert typed_json.dumpb({"b": 1, "a": {"d": 1, "c": 2}}, sort_keys=True) == b'{"a":{"c":2,"d":1},"b":1}'


def test_hex_bytes_accept_integers_and_odd_digits() -> None:
    assert HexBytes(258) == b"\x01\x02"
    assert HexBytes("fff") == b"\x0f\xff"
    assert HexBytes(b"\x01").hex() == "0x01"


def test_wei_counts_in_the_smallest_unit() -> None:
    assert Wei.from_int256(10**18, 18) == 1
    assert isinstance(Wei.from_int256(5), Wei)


plain = st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False, allow_infinity=False)
typed = st.decimals(allow_nan=False) | st.datetimes() | st.dates() | st.times() | st.uuids() | st.binary()
documents = st.recursive(
    plain | typed | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(documents.filter(lambda d: "\uf026" not in repr(d)))
def test_every_document_survives_a_round_trip(document: object) -> None:
    marked = any(chr(0xF026 + i) in str(document) for i in range(8))
    if not marked:
        assert typed_json.loads(typed_json.dumpb(document)) == document
