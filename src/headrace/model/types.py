"""The data types, what Python type becomes which, and the detections that look at values."""

from __future__ import annotations

import calendar
import datetime as dt
import decimal
import enum
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, NamedTuple, get_args

from headrace.base.typed_json import HexBytes, Wei
from headrace.typing import TDataType

DATA_TYPES: tuple[TDataType, ...] = get_args(TDataType)
"""All data types, in the order in which they are documented."""

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
WEI_MAX = 2**255 - 1  # a signed integer of 256 bits


class TypeFacts(NamedTuple):
    """What one data type is.

    Attributes:
        python: The Python type whose values it holds.
        sized: Whether ``precision`` means something for it.
        scaled: Whether ``scale`` means something for it.
    """

    python: type
    sized: bool = False
    scaled: bool = False


TYPES: dict[TDataType, TypeFacts] = {
    "text": TypeFacts(str, sized=True),
    "double": TypeFacts(float),
    "bool": TypeFacts(bool),
    "timestamp": TypeFacts(dt.datetime, sized=True),
    "bigint": TypeFacts(int, sized=True),
    "binary": TypeFacts(bytes, sized=True),
    "json": TypeFacts(dict),
    "decimal": TypeFacts(decimal.Decimal, sized=True, scaled=True),
    "wei": TypeFacts(Wei, sized=True, scaled=True),
    "date": TypeFacts(dt.date),
    "time": TypeFacts(dt.time, sized=True),
}
"""The one table about data types."""

# the order matters: a subclass comes before its base
_BY_BASE: tuple[tuple[type, TDataType], ...] = (
    (bool, "bool"),
    (enum.IntEnum, "bigint"),
    (enum.Enum, "text"),
    (str, "text"),
    (float, "double"),
    (int, "bigint"),
    (Wei, "wei"),
    (decimal.Decimal, "decimal"),
    (bytes, "binary"),
    (bytearray, "binary"),
    (memoryview, "binary"),
    (dt.datetime, "timestamp"),
    (dt.date, "date"),
    (dt.time, "time"),
    (Mapping, "json"),
    (Sequence, "json"),
)
_BY_NAME: dict[tuple[str, str], TDataType] = {("uuid", "UUID"): "text", ("uuid_utils", "UUID"): "text"}
_NUMPY: dict[str, TDataType] = {"b": "bool", "i": "bigint", "u": "bigint", "f": "double", "U": "text", "M": "timestamp"}


_known: dict[type, TDataType] = {}


def data_type_of(python_type: type) -> TDataType:
    """The data type that values of a Python type get; worked out once for each type.

    Raises:
        TypeError: There is none.
    """
    data_type = _known.get(python_type)
    if data_type is None:
        data_type = _known[python_type] = _work_out(python_type)
    return data_type


def _work_out(python_type: type) -> TDataType:
    for base, data_type in _BY_BASE:
        if issubclass(python_type, base):
            return data_type
    named = _BY_NAME.get((python_type.__module__, python_type.__name__))
    if named:
        return named
    # pydantic models are documents like dataclasses
    if is_dataclass(python_type) or hasattr(python_type, "model_dump"):
        return "json"
    if python_type.__module__ == "numpy":
        of_kind = _numpy_type(python_type)
        if of_kind:
            return of_kind
    raise TypeError(f"values of the type {python_type.__module__}.{python_type.__qualname__} have no data type")


def _numpy_type(python_type: Any) -> TDataType | None:
    try:
        # a numpy type is known only where numpy was imported
        return _NUMPY.get(sys.modules["numpy"].dtype(python_type).kind)
    except TypeError:
        return None


# ---- ISO 8601 --------------------------------------------------------------------------------------------------------

_TIME = r"(\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?"
_BASIC_TIME = r"(\d\d)(?:(\d\d)(?:(\d\d)(?:[.,](\d+))?)?)?"
_OFFSET = r"(Z|[+-]\d\d(?::?\d\d)?)?"
_DATE = r"(\d{4})-(?:(\d\d)-(\d\d)|(\d{3})|W(\d\d)(?:-(\d))?)"
_BASIC_DATE = r"(\d{4})(?:(\d\d)(\d\d)|(\d{3})|W(\d\d)(\d)?)"
_EXTENDED = re.compile(f"{_DATE}[T ]{_TIME}{_OFFSET}", re.ASCII)
_BASIC = re.compile(f"{_BASIC_DATE}[T ]{_BASIC_TIME}{_OFFSET}", re.ASCII)
# not ISO 8601, and common enough in exports of spreadsheets to be read where it is unmistakable
_PLAIN = re.compile(r"(\d{4})/?(\d\d)/?(\d\d)()()() (\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?()", re.ASCII)
_ISO_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?|(\d\d)(\d\d))?", re.ASCII)
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def is_iso_timestamp(text: str) -> bool:
    """Whether text is an ISO 8601 date *with* a time, such as ``2024-05-01T10:00:00Z``.

    A date alone or a time alone is not one. Hours, minutes, seconds, days and offsets have to exist in the calendar.
    """
    # most text is neither long enough nor begins with a digit, and ends here
    if len(text) < 10 or not "0" <= text[0] <= "9":
        return False
    # the ordinary form, without the work of the general one
    if text[4] == "-" and text[7] == "-" and len(text) > 18 and (text[10] == "T" or text[10] == " "):
        found = _ORDINARY.fullmatch(text)
        if found:
            month, day = int(text[5:7]), int(text[8:10])
            if day <= 28:
                return 1 <= month <= 12 and day > 0 and text[:4] != "0000"
            return 1 <= month <= 12 and _day_exists(int(text[:4]), month, day)
    return parse_iso_timestamp(text) is not None


_ORDINARY = re.compile(
    r"\d{4}-\d\d-\d\d[T ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:[.,]\d+)?(?:Z|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)?",
    re.ASCII,
)


def _day_exists(year: int, month: int, day: int) -> bool:
    return year > 0 and day <= _DAYS[month - 1] and (month != 2 or day < 29 or calendar.isleap(year))


def parse_iso_timestamp(text: str) -> dt.datetime | None:
    """The instant that `is_iso_timestamp` text means; None when it is none.

    Calendar, ordinal and week dates in extended and basic form are read; without an offset the result is naive;
    digits behind microseconds are cut.
    """
    found = _EXTENDED.fullmatch(text) or _BASIC.fullmatch(text) or _PLAIN.fullmatch(text)
    if found is None:
        return None
    year, month, day, ordinal, week, weekday, hour, minute, second, fraction, offset = found.groups()
    try:
        date = _date_of(int(year), month, day, ordinal, week, weekday)
        instant = dt.time(int(hour), int(minute or 0), int(second or 0), int((fraction or "0")[:6].ljust(6, "0")))
        return dt.datetime.combine(date, instant, _offset_of(offset))
    except ValueError:
        return None


def _date_of(year: int, *parts: str | None) -> dt.date:
    month, day, ordinal, week, weekday = parts
    if week:
        return dt.date.fromisocalendar(year, int(week), int(weekday or 1))
    if ordinal:
        result = dt.date(year, 1, 1) + dt.timedelta(days=int(ordinal) - 1)
        if result.year != year:
            raise ValueError("no such day of the year")
        return result
    return dt.date(year, int(month or 0), int(day or 0))


def _offset_of(text: str | None) -> dt.tzinfo | None:
    if not text:
        return None
    if text == "Z":
        return dt.timezone.utc
    hours, minutes = int(text[1:3]), int(text[-2:]) if len(text) > 3 else 0
    if minutes > 59:
        raise ValueError("no such offset")
    delta = dt.timedelta(hours=hours, minutes=minutes)
    return dt.timezone(-delta if text[0] == "-" else delta)


def is_iso_date(text: str) -> bool:
    """Whether text is an ISO 8601 date without a time: ``2024-05-01``, ``20240501``, ``2024-05`` or ``2024``."""
    return parse_iso_date(text) is not None


def parse_iso_date(text: str) -> dt.date | None:
    """The date that `is_iso_date` text means, the first of a month or year; None when it is none."""
    found = _ISO_DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day = int(found[1]), int(found[2] or found[4] or 1), int(found[3] or found[5] or 1)
    return dt.date(year, month, day) if 1 <= month <= 12 and day > 0 and _day_exists(year, month, day) else None


# ---- detections ------------------------------------------------------------------------------------------------------

_FIVE_YEARS = 5 * 365.25 * 24 * 3600


def _detect_timestamp(python_type: type, value: Any) -> TDataType | None:
    if python_type in (int, float) and abs(value - time.time()) < _FIVE_YEARS:
        return "timestamp"
    return None


def _detect_iso_timestamp(python_type: type, value: Any) -> TDataType | None:
    return "timestamp" if python_type is str and is_iso_timestamp(value) else None


def _detect_iso_date(python_type: type, value: Any) -> TDataType | None:
    return "date" if python_type is str and is_iso_date(value) else None


def _detect_large_integer(python_type: type, value: Any) -> TDataType | None:
    if python_type is not int or INT64_MIN <= value <= INT64_MAX:
        return None
    return "wei" if abs(value) <= WEI_MAX else "text"


def _detect_hexbytes(python_type: type, value: Any) -> TDataType | None:
    return "text" if issubclass(python_type, HexBytes) else None


def _detect_wei(python_type: type, value: Any) -> TDataType | None:
    return "double" if issubclass(python_type, Wei) else None


DETECTIONS: dict[str, Callable[[type, Any], TDataType | None]] = {
    "timestamp": _detect_timestamp,
    "iso_timestamp": _detect_iso_timestamp,
    "iso_date": _detect_iso_date,
    "large_integer": _detect_large_integer,
    "hexbytes_to_text": _detect_hexbytes,
    "wei_to_double": _detect_wei,
}
"""Detections by the names that ``schema.settings["detections"]`` uses."""


def detect(names: Iterable[str] | None, value: Any) -> TDataType | None:
    """The type that the first detection to know the value says; None when none does."""
    python_type = type(value)
    for name in names or ():
        data_type = DETECTIONS[name](python_type, value)
        if data_type:
            return data_type
    return None


def infer_type(names: Iterable[str] | None, value: Any) -> TDataType:
    """The type of a value: by the detections, else by its Python type.

    Raises:
        TypeError: Its Python type has no data type.
    """
    return detect(names, value) or data_type_of(type(value))
