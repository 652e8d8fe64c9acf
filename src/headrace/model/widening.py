"""Whether one column type holds all values of another: what may be widened in place and what may not.

Pure rules over (data type, precision, scale), the same for all destinations. Safe is what loses no digit and changes no
order: a longer text, more digits on either side of a decimal's point with none taken from the other, a larger integer,
an integer as a decimal with room for it or as a double that counts that far, a date as the instant of its midnight UTC,
finer fractions of seconds, JSON as text. All else is not: a number as text sorts otherwise, an integer of 64 bits as a
double loses digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from headrace.model.capabilities import Capabilities

Fit = Literal["same", "kept", "widen", "unsafe"]
"""What becomes of a column when another type is asked for: nothing, nothing since it holds all such values already, it
is widened, or it cannot be done without loss."""

TYPE_PROPS = ("data_type", "precision", "scale", "timezone")
_UNLIMITED = 1 << 30
# decimal digits that all integers of so many bits need, and digits that fit into so many bits whatever they are
_INTEGER_DIGITS = {8: (3, 2), 16: (5, 4), 32: (10, 9), 64: (19, 18), 128: (39, 38)}
_EXACT_IN_DOUBLE = 15


class Digits(NamedTuple):
    """Places before and after the point: the most that values need, and how many are free for any value."""

    needs: int
    holds: int
    scale: int


def compare_types(present: Mapping[str, Any], wanted: Mapping[str, Any], capabilities: Capabilities) -> Fit:
    """Say what becomes of a column.

    Args:
        present: The column as it is, with its data type.
        wanted: The column as it is asked for, with its data type.
        capabilities: Of the destination: precision and scale where a column declares none.
    """
    if all(present.get(p) == wanted.get(p) for p in TYPE_PROPS):
        return "same"
    if holds(present, wanted, capabilities):
        return "kept"
    return "widen" if holds(wanted, present, capabilities) else "unsafe"


def holds(outer: Mapping[str, Any], inner: Mapping[str, Any], capabilities: Capabilities) -> bool:
    """Whether a column of the first type can hold every value of the second, and keeps their order."""
    big, small = outer.get("data_type"), inner.get("data_type")
    if not big or not small:
        return True  # nothing is known, so there is nothing to say against it
    wide, narrow = _digits(outer, capabilities), _digits(inner, capabilities)
    if big == small == "bigint":
        return (outer.get("precision") or 64) >= (inner.get("precision") or 64)
    if wide is not None and narrow is not None:
        return wide.holds >= narrow.needs and wide.scale >= narrow.scale
    if big == "double" and narrow is not None:
        return narrow.needs + narrow.scale <= _EXACT_IN_DOUBLE and narrow.scale == 0
    if big in ("text", "binary", "time", "timestamp") and big == small:
        return _limit(outer, capabilities) >= _limit(inner, capabilities)
    if big == "timestamp" and small == "date":
        return True
    if big == "text" and small == "json":
        return outer.get("precision") is None
    return bool(big == small)


def _digits(column: Mapping[str, Any], capabilities: Capabilities) -> Digits | None:
    """Of the exact numbers; None for all other types."""
    kind, precision, scale = column.get("data_type"), column.get("precision"), column.get("scale")
    if kind == "bigint":
        bits = next((b for b in _INTEGER_DIGITS if (precision or 64) <= b), 128)
        return Digits(*_INTEGER_DIGITS[bits], 0) if (precision or 64) <= 128 else None
    if kind not in ("decimal", "wei"):
        return None
    whole, places = capabilities.decimal_precision if kind == "decimal" else capabilities.wei_precision
    places = places if scale is None and precision is None else int(scale or 0)
    before = int(precision or whole) - places
    return Digits(before, before, places)


def _limit(column: Mapping[str, Any], capabilities: Capabilities) -> int:
    """Characters, bytes, or digits of a second."""
    precision = column.get("precision")
    if column["data_type"] in ("time", "timestamp"):
        return capabilities.timestamp_precision if precision is None else int(precision)
    return _UNLIMITED if precision is None else int(precision)


def type_text(column: Mapping[str, Any]) -> str:
    """A type for people: ``decimal(10, 2)``, ``text``, ``timestamp without timezone``."""
    given = [column[p] for p in ("precision", "scale") if column.get(p) is not None]
    text = str(column.get("data_type") or "unknown") + (f"({', '.join(map(str, given))})" if given else "")
    return f"{text} without timezone" if column.get("timezone") is False else text


def why_unsafe(present: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The reason why a column cannot become what is asked for."""
    old, new = present.get("data_type"), wanted.get("data_type")
    if new == "text":
        return f"{old} values as text sort and compare otherwise, so queries on the column would change their meaning"
    if new == "double":
        return f"a double has 15 exact digits, {type_text(present)} has more"
    if old in ("decimal", "wei", "bigint") and new in ("decimal", "wei", "bigint"):
        return f"{type_text(wanted)} has fewer digits before or after the point than {type_text(present)}"
    if old == "timestamp" and new == "date":
        return "dates have no time of day"
    return f"{type_text(wanted)} cannot hold every value of {type_text(present)}"
