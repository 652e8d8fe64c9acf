"""Python values of one kind as Arrow arrays, exactly.

Arrow never guesses a type here: the kind came from the Python types. Where a kind cannot hold a value without loss, the
value moves to another kind: integers past 64 bits to ``wei``, past 38 digits to ``text``; decimals that are no finite
number to ``text``; times with an offset to ``text``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from headrace.base import json
from headrace.columns.kinds import to_plain

Arrays = list[tuple[str, pa.Array]]

BOOL, BIGINT, DOUBLE = pa.bool_(), pa.int64(), pa.float64()
TEXT, BINARY, DATE, TIME = pa.string(), pa.binary(), pa.date32(), pa.time64("us")
TIMESTAMP = pa.timestamp("us", "UTC")
WEI = pa.decimal128(38, 0)
_WEI_LIMIT = 10**38


def arrays_of(kind: str, values: Sequence[Any]) -> Arrays:
    """Turn values of one kind (and None) into arrays, one a kind needed to hold them all.

    Args:
        kind: A scalar kind, or ``doc`` and ``list`` for values to be kept as JSON text.
        values: Plain Python values, None where the row has none.

    Returns:
        Pairs of kind and array, each as long as ``values``; first the kind asked for.
    """
    return _BUILDERS[kind](values)


def _simple(kind: str, arrow_type: pa.DataType) -> Callable[[Sequence[Any]], Arrays]:
    def build(values: Sequence[Any]) -> Arrays:
        return [(kind, pa.array(values, arrow_type))]

    return build


def _split(values: Sequence[Any], fits: Callable[[Any], bool]) -> tuple[list[Any], list[Any]]:
    """Values that fit and values that do not, each with None in the other's places."""
    good: list[Any] = [None] * len(values)
    bad: list[Any] = [None] * len(values)
    for i, value in enumerate(values):
        if value is not None:
            (good if fits(value) else bad)[i] = value
    return good, bad


def _both(good: Arrays, bad: Arrays) -> Arrays:
    return [part for part in (*good, *bad) if part[1].null_count < len(part[1])]


def _text(values: Sequence[Any]) -> Arrays:
    try:
        return [("text", pa.array(values, TEXT))]
    except UnicodeEncodeError:
        # lone surrogates have no UTF-8 form: they are kept as escapes
        clean = [v if v is None else v.encode("utf-8", "backslashreplace").decode("utf-8") for v in values]
        return [("text", pa.array(clean, TEXT))]


def _integers(values: Sequence[Any]) -> Arrays:
    try:
        return [("bigint", pa.array(values, BIGINT))]
    except (OverflowError, pa.ArrowInvalid):
        small, large = _split(values, lambda v: -(1 << 63) <= v < 1 << 63)
        fitting, huge = _split(large, lambda v: abs(v) < _WEI_LIMIT)
        wei = [None if v is None else Decimal(int(v)) for v in fitting]
        text = [None if v is None else str(v) for v in huge]
        return _both(
            [("bigint", pa.array(small, BIGINT))], [("wei", pa.array(wei, WEI)), ("text", pa.array(text, TEXT))]
        )


def _decimals(values: Sequence[Any]) -> Arrays:
    if all(v is None or v.is_finite() for v in values):
        try:
            return [("decimal", pa.array(values))]
        except pa.ArrowInvalid:  # more digits than the widest decimal
            pass
    good, bad = _split(values, _fits_decimal)
    text = [None if v is None else str(v) for v in bad]
    numbers = [("decimal", pa.array(good))] if any(v is not None for v in good) else []
    return _both(numbers, [("text", pa.array(text, TEXT))])


def _fits_decimal(value: Decimal) -> bool:
    if not value.is_finite():
        return False
    _, digits, exponent = value.as_tuple()
    # what is left leaves room for the other values of the column
    return len(digits) <= 38 and -38 <= int(exponent) <= 20


def _times(values: Sequence[Any]) -> Arrays:
    if all(v is None or v.tzinfo is None for v in values):
        return [("time", pa.array(values, TIME))]
    good, bad = _split(values, lambda v: v.tzinfo is None)
    text = [None if v is None else v.isoformat() for v in bad]
    return _both([("time", pa.array(good, TIME))], [("text", pa.array(text, TEXT))])


def _documents(values: Sequence[Any]) -> Arrays:
    dumps = json.dumps
    return [("json", pa.array([None if v is None else dumps(to_plain(v)) for v in values], TEXT))]


_BUILDERS: dict[str, Callable[[Sequence[Any]], Arrays]] = {
    "bool": _simple("bool", BOOL),
    "bigint": _integers,
    "double": _simple("double", DOUBLE),
    "text": _text,
    "binary": _simple("binary", BINARY),
    "timestamp": _simple("timestamp", TIMESTAMP),
    "date": _simple("date", DATE),
    "time": _times,
    "decimal": _decimals,
    "doc": _documents,
    "list": _documents,
}
