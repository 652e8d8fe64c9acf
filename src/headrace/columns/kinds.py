"""The kind a Python type stands for: asked once for each type, never once for each value.

Scalar kinds carry the names of the data types (`headrace.typing.TDataType`). Three more exist only here: ``doc`` and
``list`` for nested values, and ``convert`` for types whose values must be turned into plain ones first.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import ipaddress
import uuid
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

import msgspec

from headrace.model.cleaning import without_empty

SCALARS = ("bool", "bigint", "double", "text", "binary", "timestamp", "date", "time", "decimal", "wei", "json")

_exact: dict[type, str] = {
    type(None): "null",
    bool: "bool",
    int: "bigint",
    float: "double",
    str: "text",
    bytes: "binary",
    dt.datetime: "timestamp",
    dt.date: "date",
    dt.time: "time",
    decimal.Decimal: "decimal",
    dict: "doc",
    list: "list",
    tuple: "list",
}
_converters: dict[type, Callable[[Any], Any]] = {}

_BY_BASE: tuple[tuple[type, str], ...] = (
    (bool, "bool"),
    (int, "bigint"),
    (float, "double"),
    (str, "text"),
    (bytes, "binary"),
    (dt.datetime, "timestamp"),
    (dt.date, "date"),
    (dt.time, "time"),
    (decimal.Decimal, "decimal"),
    (dict, "doc"),
)


class UnknownValueType(TypeError):
    """A value of a type that has no place in a table."""

    def __init__(self, kind: type) -> None:
        self.value_type = kind
        super().__init__(f"values of type {kind.__module__}.{kind.__qualname__} have no column type")


def kind_of(kind: type) -> str:
    """The kind of a type's values; ``null`` for None and its like in other libraries.

    Raises:
        UnknownValueType: No rule fits the type.
    """
    try:
        return _exact[kind]
    except KeyError:
        return _exact.setdefault(kind, _classify(kind))


def _classify(kind: type) -> str:
    if kind.__name__ in ("NaTType", "NAType") and kind.__module__.startswith("pandas"):
        return "null"
    converter = _converter_for(kind)
    if converter is not None:
        _converters[kind] = converter
        return "convert"
    for base, name in _BY_BASE:
        if issubclass(kind, base):
            return name
    if issubclass(kind, (list, tuple)):
        return "list"
    raise UnknownValueType(kind)


def _converter_for(kind: type) -> Callable[[Any], Any] | None:
    """How values of the type become plain ones, None when they are plain already."""
    if issubclass(kind, enum.Enum):
        return lambda v: v.value
    if kind.__module__ == "numpy":
        return _from_numpy
    if hasattr(kind, "model_dump"):
        return lambda v: v.model_dump(by_alias=True)
    if dataclasses.is_dataclass(kind):
        return dataclasses.asdict
    if issubclass(kind, tuple) and callable(getattr(kind, "asdict", None)):
        # load info and its like know their own document; what is empty in it is no news to anybody
        return lambda v: without_empty(v.asdict())
    if issubclass(kind, tuple) and hasattr(kind, "_asdict"):
        return lambda v: v._asdict()
    if issubclass(kind, msgspec.Struct):
        return msgspec.structs.asdict
    if issubclass(kind, (bytearray, memoryview)):
        return bytes
    if issubclass(kind, (set, frozenset)):
        return list
    if issubclass(kind, dt.timedelta):
        return _from_duration
    if issubclass(kind, (uuid.UUID, PurePath, ipaddress._BaseAddress, ipaddress._BaseNetwork)):
        return str
    if issubclass(kind, Mapping) and not issubclass(kind, dict):
        return dict
    if hasattr(kind, "__attrs_attrs__"):
        return lambda v: {a.name: getattr(v, a.name) for a in v.__attrs_attrs__}
    return None


def _from_numpy(value: Any) -> Any:
    if getattr(value, "shape", ()) != ():
        return value.tolist()
    if value.dtype.kind == "M":
        # a datetime64 finer than microseconds has no Python form but a whole number
        return value.astype("datetime64[us]").item()
    return value.item()


def _from_duration(value: dt.timedelta) -> Any:
    # the encoder takes the exact type only, and pandas has its own
    return msgspec.to_builtins(dt.timedelta(value.days, value.seconds, value.microseconds))


def to_plain(value: Any) -> Any:
    """Turn a value of a ``convert`` type into one of a plain type; other values are given back."""
    while kind_of(type(value)) == "convert":
        value = _converters[type(value)](value)
    return value
