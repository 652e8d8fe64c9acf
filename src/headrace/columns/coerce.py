"""Values of one kind into a column of a type: whole arrays at once where Arrow can, value by value where it cannot.

`cast` never raises for a value: what the column's type cannot take is marked as failed and stays behind for a variant.
The rules are those users of the field rely on; where a conversion would lose digits it fails instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.columns.values import coerce_value, to_scale
from headrace.model.capabilities import Capabilities
from headrace.typing import TColumnSchema

Cast = tuple[pa.Array, pa.Array | None]
"""The array in the column's type, and which rows failed (None when none did)."""

MOST_DIGITS = 76  # of Arrow's widest decimal
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799  # the years 1 to 9999
_UNITS = {0: "s", 3: "ms", 6: "us", 9: "ns"}
_FIXED: dict[str, pa.DataType] = {
    "text": pa.string(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "binary": pa.binary(),
    "json": pa.string(),
    "date": pa.date32(),
    "time": pa.time64("us"),
}


def arrow_type(column: TColumnSchema, capabilities: Capabilities) -> pa.DataType:
    """The Arrow type in which a column's values travel to the destination."""
    data_type = column["data_type"]
    if data_type in _FIXED:
        return _FIXED[data_type]
    if data_type == "timestamp":
        precision = column.get("precision")
        digits = min(6 if precision is None else int(precision), capabilities.max_timestamp_precision)
        unit = _UNITS[next(d for d in sorted(_UNITS) if digits <= d)]
        return pa.timestamp(unit, None if column.get("timezone") is False else "UTC")
    default = capabilities.wei_precision if data_type == "wei" else capabilities.decimal_precision
    precision, scale = column.get("precision"), column.get("scale")
    if precision is None:
        precision, scale = default
    return decimal_type(int(precision), int(scale or 0))


def decimal_type(precision: int, scale: int) -> pa.DataType:
    """The narrowest Arrow decimal for a precision and scale; text where none has so many digits."""
    if precision > MOST_DIGITS:
        return pa.string()
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


def cast(kind: str, values: pa.Array, data_type: str, target: pa.DataType) -> Cast:
    """Bring values of a kind into a column's type.

    Args:
        kind: The values' kind.
        values: As long as the batch; nulls stay null.
        data_type: The column's data type.
        target: Its Arrow type, from `arrow_type`.

    Returns:
        The values that fit, null elsewhere, and a mask of those that do not.
    """
    if values.type == target and _same_family(kind, data_type):
        return values, None
    if data_type in ("decimal", "wei") and pa.types.is_string(target):
        return _digits(kind, values, data_type)
    fast = _FAST.get((kind, data_type))
    if fast is not None:
        try:
            return fast(values, target)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError):
            pass  # some value needs a closer look
    return _one_by_one(kind, values, data_type, target)


def _same_family(kind: str, data_type: str) -> bool:
    return kind == data_type or (kind == "json" and data_type == "text")


def _one_by_one(kind: str, values: pa.Array, data_type: str, target: pa.DataType) -> Cast:
    out: list[Any] = []
    failed: list[bool] = []
    for value in values.to_pylist():
        bad = False
        if value is not None:
            try:
                value = coerce_value(data_type, kind, value)
                if kind == "double" and data_type == "decimal":
                    value = to_scale(value, target.scale)
                pa.scalar(value, target)
            except (ValueError, TypeError, OverflowError, ArithmeticError, pa.ArrowInvalid):
                value, bad = None, True
        out.append(value)
        failed.append(bad)
    return pa.array(out, target), pa.array(failed) if any(failed) else None


def _digits(kind: str, values: pa.Array, data_type: str) -> Cast:
    """Numbers of more digits than Arrow's decimals have, as exact text."""
    if kind == "bigint" or (kind == "wei" and values.type.scale == 0):
        return values.cast(pa.string()), None
    out: list[str | None] = []
    failed: list[bool] = []
    for value in values.to_pylist():
        text, bad = None, False
        if value is not None:
            try:
                number = value if kind == data_type else coerce_value(data_type, kind, value)
                text = format(number, "f")
            except (ValueError, TypeError, OverflowError, ArithmeticError):
                bad = True
        out.append(text)
        failed.append(bad)
    return pa.array(out, pa.string()), pa.array(failed) if any(failed) else None


def _plain(values: pa.Array, target: pa.DataType) -> Cast:
    return values.cast(target), None


def _unchecked(values: pa.Array, target: pa.DataType) -> Cast:
    return values.cast(target, safe=False), None


def _same(values: pa.Array, target: pa.DataType) -> Cast:
    return values, None


def _timestamp(values: pa.Array, target: pa.DataType) -> Cast:
    # a naive column holds the wall time of UTC: the number is the same
    if target.tz is None:
        values = values.view(pa.timestamp(values.type.unit))
    return values.cast(target, safe=False), None


def _text_to_timestamp(values: pa.Array, target: pa.DataType) -> Cast:
    aware = pa.timestamp("us", "UTC")
    try:
        parsed = values.cast(aware)
    except pa.ArrowInvalid:
        # Arrow wants all values of a column with an offset, or all without
        parsed = values.cast(pa.timestamp("us")).cast(aware)
    return _timestamp(parsed, target)


def _double_to_bigint(values: pa.Array, target: pa.DataType) -> Cast:
    whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 2.0**63))
    failed = pc.fill_null(pc.invert(whole), False)
    if not pc.any(failed).as_py():
        return values.cast(target), None
    return pc.if_else(failed, None, values).cast(target), failed


def _nonzero(values: pa.Array, target: pa.DataType) -> Cast:
    return pc.not_equal(values, pa.scalar(0, values.type)), None


def _bool_to_text(values: pa.Array, target: pa.DataType) -> Cast:
    return pc.if_else(values, "True", "False"), None


def _seconds_to_timestamp(values: pa.Array, target: pa.DataType) -> Cast:
    span = pc.min_max(values)
    if span["min"].is_valid and not FIRST_SECOND <= span["min"].as_py() <= span["max"].as_py() <= LAST_SECOND:
        raise pa.ArrowInvalid("instants outside the years 1 to 9999")
    micros = pc.multiply_checked(values, pa.scalar(1_000_000, pa.int64()))
    return _timestamp(micros.view(pa.timestamp("us", "UTC")), target)


def _none(values: pa.Array, target: pa.DataType) -> Cast:
    return pa.nulls(len(values), target), values.is_valid()


_FAST: dict[tuple[str, str], Callable[[pa.Array, pa.DataType], Cast]] = {
    ("timestamp", "timestamp"): _timestamp,
    ("timestamp", "date"): _unchecked,
    ("text", "timestamp"): _text_to_timestamp,
    ("text", "bigint"): _plain,
    ("text", "double"): _plain,
    ("text", "date"): _plain,
    ("date", "timestamp"): _plain,
    ("bigint", "double"): _unchecked,
    ("bigint", "text"): _plain,
    ("bigint", "decimal"): _plain,
    ("bigint", "bool"): _nonzero,
    ("bigint", "timestamp"): _seconds_to_timestamp,
    ("double", "bigint"): _double_to_bigint,
    ("double", "bool"): _nonzero,
    ("decimal", "decimal"): _plain,
    ("wei", "decimal"): _plain,
    ("wei", "wei"): _plain,
    ("wei", "text"): _plain,
    ("bool", "text"): _bool_to_text,
    ("bool", "bigint"): _none,
    ("bool", "double"): _none,
    ("bool", "decimal"): _none,
    ("bool", "wei"): _none,
    ("json", "text"): _same,
    ("json", "json"): _same,
}
