"""JSON that remembers types: decimals, dates, times, UUIDs and bytes come back as what they were.

A value that JSON has no form for is written as text behind one character of the private use area, which tells its type.
Text that merely looks so and does not decode is left as it is.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import decimal
import os
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from typing_extensions import Self

from headrace.base import json

# the first of the marks; the setting exists for data which uses this very range of characters itself
PUA_START = int(os.environ.get("DLT_JSON_TYPED_PUA_START", "f026"), 16)
DECIMAL, DATETIME, DATE, UUID, HEXBYTES, B64BYTES, WEI, TIME = (chr(PUA_START + i) for i in range(8))
_LAST = chr(PUA_START + 7)


class Wei(decimal.Decimal):
    """An amount in the smallest unit of a currency: an integer of up to 256 bits, kept exactly."""

    @classmethod
    def from_int256(cls, value: int, decimals: int = 0) -> Self:
        """The amount of ``value`` units when the currency has ``decimals`` digits behind the point."""
        return cls(decimal.Decimal(value).scaleb(-decimals, decimal.Context(prec=100))) if decimals else cls(value)


class HexBytes(bytes):
    """Bytes that are shown and written as ``0x`` text.

    Args:
        value: Bytes, an integer, or hexadecimal text with or without ``0x``.
    """

    def __new__(cls, value: bytes | bytearray | str | int) -> Self:
        """Make the bytes; text without an even number of digits gets a zero in front."""
        if isinstance(value, str):
            digits = value[2:] if value[:2] in ("0x", "0X") else value
            value = bytes.fromhex("0" + digits if len(digits) % 2 else digits)
        elif isinstance(value, int):
            value = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
        return super().__new__(cls, value)

    def hex(self, sep: Any = None, bytes_per_sep: Any = 1) -> str:
        """The digits behind ``0x``."""
        return "0x" + (bytes(self).hex() if sep is None else bytes(self).hex(sep, bytes_per_sep))

    def __repr__(self) -> str:
        return f"HexBytes({self.hex()!r})"


def _mark(value: Any) -> Any:
    """The marked text of a value, or the value itself when JSON can hold it."""
    if isinstance(value, Wei):
        return WEI + str(value)
    if isinstance(value, decimal.Decimal):
        return DECIMAL + str(value)
    if isinstance(value, dt.datetime):
        return DATETIME + value.isoformat()
    if isinstance(value, dt.date):
        return DATE + value.isoformat()
    if isinstance(value, dt.time):
        return TIME + value.isoformat()
    if isinstance(value, uuid.UUID):
        return UUID + str(value)
    if isinstance(value, HexBytes):
        return HEXBYTES + value.hex()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return B64BYTES + base64.b64encode(value).decode("ascii")
    return value


_PLAIN = frozenset({str, int, float, bool, type(None)})


def _mark_nested(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Mapping):
        return {k: _mark_nested(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mark_nested(v) for v in value]
    return _mark(value)


_FRACTION = re.compile(r"[.,](\d+)")


def parse_datetime(text: str) -> dt.datetime:
    """Parse what ``datetime.isoformat`` writes, and a final ``Z``; naive stays naive.

    Raises:
        ValueError: The text is something else.
    """
    if text.endswith("Z"):
        text = text[:-1] + "+00:00"
    # Python 3.10 reads three or six digits only
    return dt.datetime.fromisoformat(_FRACTION.sub(lambda m: "." + m[1][:6].ljust(6, "0"), text, count=1))


def _bytes_of(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


_DECODERS: dict[str, Callable[[str], Any]] = {
    DECIMAL: decimal.Decimal,
    DATETIME: parse_datetime,
    DATE: dt.date.fromisoformat,
    UUID: uuid.UUID,
    HEXBYTES: HexBytes,
    B64BYTES: _bytes_of,
    WEI: Wei,
    TIME: dt.time.fromisoformat,
}


def decode_value(value: Any) -> Any:
    """The value that marked text stands for; everything else is returned as it is."""
    if isinstance(value, str) and value and DECIMAL <= value[0] <= _LAST:
        try:
            return _DECODERS[value[0]](value[1:])
        except (ValueError, decimal.InvalidOperation, binascii.Error):
            return value
    return value


def decode_nested(value: Any) -> Any:
    """Decode every marked text inside lists and dictionaries, in place where possible; returns the result."""
    if isinstance(value, str):
        return decode_value(value)
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, (str, dict, list)):
                value[key] = decode_nested(inner)
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            if isinstance(inner, (str, dict, list)):
                value[at] = decode_nested(inner)
    return value


def dumpb(value: Any, sort_keys: bool = False) -> bytes:
    """Encode a value as typed JSON.

    Args:
        value: What to encode.
        sort_keys: Order the keys of every object, for hashing.

    Returns:
        UTF-8 bytes.

    Raises:
        TypeError: The value holds something that has no JSON form.
    """
    return json.dumpb(_mark_nested(value), sort_keys)


def dumps(value: Any, sort_keys: bool = False) -> str:
    """`dumpb` as text."""
    return dumpb(value, sort_keys).decode("utf-8")


def loads(text: str | bytes) -> Any:
    """Decode typed JSON.

    Raises:
        ValueError: The text is not valid JSON.
    """
    return decode_nested(json.loads(text))


loadb = loads
