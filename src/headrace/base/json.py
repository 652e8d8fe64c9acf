"""The only door to JSON: plain encoding for data, and a sorted form for hashes.

Integers of any size, decimals, dates, UUIDs, enums, dataclasses and numpy scalars are accepted; floats that JSON cannot
express (NaN and infinities) are written as ``null``, as other JSON writers of the field do.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import decimal
import enum
import uuid
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import msgspec


def _other(value: Any) -> Any:
    """Turn a value msgspec does not know into one it does."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, PurePath):
        return str(value)
    item = getattr(value, "item", None)  # numpy scalars
    if callable(item) and getattr(value, "shape", None) == ():
        return item()
    dump = getattr(value, "model_dump", None)  # pydantic models
    if callable(dump):
        return dump()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    if isinstance(value, (str, int, float, bytes, dt.datetime, dt.date, dt.time, decimal.Decimal, uuid.UUID)):
        return _plain_subclass(value)
    raise TypeError(f"a value of type {type(value).__module__}.{type(value).__qualname__} has no JSON form")


def _plain_subclass(value: Any) -> Any:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return value.isoformat()
    return str(value)


_encoder = msgspec.json.Encoder(enc_hook=_other)
_sorted_encoder = msgspec.json.Encoder(enc_hook=_other, order="sorted")
_decoder = msgspec.json.Decoder()


def _string_keys(value: Any) -> Any:
    """Give every mapping inside the value string keys."""
    if isinstance(value, Mapping):
        return {k if isinstance(k, str) else str(k): _string_keys(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_string_keys(v) for v in value]
    return value


def _offsets(value: Any) -> Any:
    """Write instants as the field does, ``+00:00`` instead of ``Z``: hashes of rows depend on it."""
    if isinstance(value, Mapping):
        return {k: _offsets(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_offsets(v) for v in value]
    return value.isoformat() if isinstance(value, (dt.datetime, dt.time)) else value


def _encode(encoder: msgspec.json.Encoder, value: Any) -> bytes:
    try:
        raw = encoder.encode(value)
    except TypeError:
        value = _string_keys(value)
        raw = encoder.encode(value)
    return encoder.encode(_offsets(value)) if b'Z"' in raw else raw


def dumpb(value: Any, sort_keys: bool = False) -> bytes:
    """Encode a value as JSON bytes without spaces.

    Args:
        value: What to encode.
        sort_keys: Order the keys of every object, for hashing.

    Returns:
        UTF-8 bytes.

    Raises:
        TypeError: The value holds something that has no JSON form.
    """
    return _encode(_sorted_encoder if sort_keys else _encoder, value)


def dump_lines(values: Sequence[Any]) -> bytes:
    """Encode values as JSON, one a line, each line ended; as `dumpb` would each of them."""
    try:
        raw = _encoder.encode_lines(values)
    except TypeError:
        raw = None
    if raw is None or b'Z"' in raw:
        return b"".join(dumpb(value) + b"\n" for value in values)
    return raw


def dumps(value: Any, sort_keys: bool = False, pretty: bool = False) -> str:
    """Encode a value as JSON text; ``pretty`` indents by two spaces."""
    raw = dumpb(value, sort_keys)
    return (msgspec.json.format(raw, indent=2) if pretty else raw).decode("utf-8")


def loads(text: str | bytes) -> Any:
    """Decode JSON text or bytes.

    Raises:
        ValueError: The text is not valid JSON (msgspec.DecodeError is a ValueError).
    """
    return _decoder.decode(text)


loadb = loads
