"""The rules by which one value becomes a value of another type: the slow way, for values that need a closer look."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any

from headrace.base import json
from headrace.base.time import UTC
from headrace.model.types import parse_iso_date

EPOCH = dt.datetime(1970, 1, 1, tzinfo=UTC)
_TRUE = frozenset({"yes", "true", "t", "y", "1"})
_FALSE = frozenset({"no", "false", "f", "n", "0"})


def coerce_value(data_type: str, kind: str, value: Any) -> Any:
    """Turn a value of a kind into one of a data type.

    Raises:
        ValueError: The value cannot be taken without loss.
        TypeError: The kind never becomes that type.
    """
    if data_type == kind:
        return value
    rule = _RULES.get(data_type)
    if rule is None:
        raise TypeError(f"no rule for {data_type}")
    return rule(kind, value)


def _to_text(kind: str, value: Any) -> str:
    if kind == "binary":
        return base64.b64encode(value).decode("ascii")
    if kind in ("timestamp", "date", "time"):
        return str(value.isoformat())
    if kind == "decimal":
        # the decimals of a batch share one scale: without the zeros at the end the text is the same in any company;
        # not by Decimal.normalize, which rounds to 28 digits
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(value)


def _to_binary(kind: str, value: Any) -> bytes:
    if kind == "text":
        if value.startswith("0x"):
            return bytes.fromhex(value[2:])
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise ValueError(str(error)) from error
    if kind == "bigint":
        return int(value).to_bytes((value.bit_length() + 7) // 8, "little")
    raise TypeError(kind)


def _to_bigint(kind: str, value: Any) -> int:
    if kind == "text":
        text = value.strip()
        number = int(text, 16 if text.startswith("0x") else 10)
    elif kind in ("double", "decimal", "wei"):
        number = int(value)
        if number != value:
            raise ValueError("not a whole number")
    else:
        raise TypeError(kind)
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError("more than 64 bits")
    return number


def _to_double(kind: str, value: Any) -> float:
    if kind in ("text", "bigint", "decimal", "wei"):
        return float(value.strip() if kind == "text" else value)
    raise TypeError(kind)


_ALL_DIGITS = Context(prec=400)  # more than the largest double has


def _to_decimal(kind: str, value: Any) -> Decimal:
    if kind in ("text", "bigint", "double", "wei"):
        number = Decimal(value.strip()) if kind == "text" else Decimal(str(value))
        if not number.is_finite():
            raise ValueError("not a finite number")
        return number
    raise TypeError(kind)


def to_scale(number: Decimal, scale: int) -> Decimal:
    """A number that came as floating-point, with the digits its decimal column has: it never had exact ones.

    A decimal without digits after the point counts whole things, and is not rounded to.
    """
    return number.quantize(Decimal(1).scaleb(-scale), context=_ALL_DIGITS) if scale > 0 else number


def _to_wei(kind: str, value: Any) -> Decimal:
    if kind == "text" and value.strip().startswith("0x"):
        return Decimal(int(value.strip(), 16))
    number = value if kind == "decimal" else _to_decimal(kind, value)
    if number != int(number):
        raise ValueError("not a whole number")
    return Decimal(int(number))


def _to_bool(kind: str, value: Any) -> bool:
    if kind == "text":
        word = value.strip().lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
        raise ValueError("neither yes nor no")
    if kind in ("bigint", "double", "decimal", "wei"):
        return bool(value)
    raise TypeError(kind)


def _to_json(kind: str, value: Any) -> str:
    if kind != "text":
        raise TypeError(kind)
    json.loads(value)
    return str(value)


def _to_timestamp(kind: str, value: Any) -> dt.datetime:
    if kind == "date":
        return dt.datetime(value.year, value.month, value.day, tzinfo=UTC)
    if kind in ("bigint", "double"):
        return EPOCH + dt.timedelta(seconds=value)
    if kind == "text":
        return _instant(value)
    raise TypeError(kind)


def _instant(text: str) -> dt.datetime:
    """An ISO date, month, year or date-time, or a number of unix seconds."""
    date = parse_iso_date(text.strip())
    if date is not None:
        return dt.datetime(date.year, date.month, date.day, tzinfo=UTC)
    try:
        return parse_datetime(text)
    except ValueError:
        return EPOCH + dt.timedelta(seconds=float(text))


def _to_date(kind: str, value: Any) -> dt.date:
    if kind == "timestamp":
        return dt.date(value.year, value.month, value.day)
    if kind in ("bigint", "double"):
        return (EPOCH + dt.timedelta(seconds=value)).date()
    if kind == "text":
        return _instant(value).date()
    raise TypeError(kind)


def _to_time(kind: str, value: Any) -> dt.time:
    if kind == "text":
        return dt.time.fromisoformat(value.strip()).replace(tzinfo=None)
    raise TypeError(kind)


def parse_datetime(text: str) -> dt.datetime:
    """Parse an ISO 8601 date or date-time of any usual writing; without an offset it is UTC.

    Raises:
        ValueError: The text is no date or date-time.
    """
    clean = text.strip()
    if clean[-1:] in "Zz":
        clean = clean[:-1] + "+00:00"
    head, dot, fraction = clean.partition(".")
    if dot:
        # Python before 3.11 wants three or six digits of a second, later ones cut after six
        digits = len(fraction) - len(fraction.lstrip("0123456789"))
        clean = f"{head}.{fraction[:digits][:6]:0<6}{fraction[digits:]}"
    value = dt.datetime.fromisoformat(clean)
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


_RULES: dict[str, Callable[[str, Any], Any]] = {
    "text": _to_text,
    "binary": _to_binary,
    "bigint": _to_bigint,
    "double": _to_double,
    "decimal": _to_decimal,
    "wei": _to_wei,
    "bool": _to_bool,
    "json": _to_json,
    "timestamp": _to_timestamp,
    "date": _to_date,
    "time": _to_time,
}
