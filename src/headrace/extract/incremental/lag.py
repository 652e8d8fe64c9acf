"""Lag: starting a little before the last value, to see rows that arrived late or were changed since."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

__all__ = ["apply_lag"]

_DATE = re.compile(r"\d{4}-?\d{2}-?\d{2}")
# days by week and by number within the year
_OTHER_DATES = ((re.compile(r"\d{4}-W\d{2}-\d"), "%G-W%V-%u"), (re.compile(r"\d{4}-\d{3}"), "%Y-%j"))
_INSTANT = re.compile(
    r"(?P<day>\d{4}-?\d{2}-?\d{2})(?P<sep>[T ])(?P<hour>\d{2})(?::?(?P<minute>\d{2}))?(?::?(?P<second>\d{2}))?"
    r"(?:(?P<mark>[.,])(?P<fraction>\d{1,9}))?(?P<zone>Z|z|[+-]\d{2}(?::?\d{2})?)?"
)


def apply_lag(lag: float, value: Any, initial_value: Any, func: Callable[..., Any]) -> Any:
    """Move a last value back by the lag.

    Args:
        lag: Seconds for instants and ISO texts with a time, days for dates and ISO texts without one, else a number in
            the unit of the cursor.
        value: The last value of the state.
        initial_value: Where the cursor first began; the result never lies before it. None for no such bound.
        func: `max` (the lag is subtracted) or `min` (it is added).

    Returns:
        The moved value, of the same type; a text in the same notation.

    Raises:
        ValueError: The lag has no meaning for a value of this type.
    """
    amount = -lag if func is max else lag
    try:
        moved = _shift(value, amount)
    except OverflowError:
        moved = None  # before the first year there is: only the initial value can be meant
    if moved is None:
        return initial_value if initial_value is not None else value
    if initial_value is None:
        return moved
    try:
        return func(moved, initial_value)
    except TypeError:
        # naive against aware, or the cursor's type has changed: the comparison with rows will tell
        return moved


def _shift(value: Any, amount: float) -> Any:
    if isinstance(value, str):
        return _shift_text(value, amount)
    if isinstance(value, dt.datetime):
        return value + dt.timedelta(seconds=amount)
    if isinstance(value, dt.date):
        return value + dt.timedelta(days=amount)
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise ValueError(f"lag has no meaning for a cursor of type {type(value).__name__}")  # noqa: TRY004
    if isinstance(value, Decimal):
        return value + Decimal(str(amount))
    if isinstance(value, int):
        # an integer cursor stays one: half a step back is a whole step back
        return math.floor(value + amount) if amount < 0 else math.ceil(value + amount)
    return value + amount


def _shift_text(text: str, amount: float) -> str:
    if _DATE.fullmatch(text):
        return _say_day(_parse_day(text) + dt.timedelta(days=amount), text)
    for pattern, notation in _OTHER_DATES:
        if pattern.fullmatch(text):
            moved = dt.datetime.strptime(text, notation) + dt.timedelta(days=amount)
            return moved.strftime(notation)
    found = _INSTANT.fullmatch(text)
    if found is None:
        raise ValueError(f"lag needs a date or an instant in ISO 8601, and the cursor is the text {text!r}")
    return _shift_instant(found, amount)


def _parse_day(text: str) -> dt.date:
    plain = text.replace("-", "")
    return dt.date(int(plain[:4]), int(plain[4:6]), int(plain[6:]))


def _say_day(day: dt.date, like: str) -> str:
    text = f"{day.year:04}-{day.month:02}-{day.day:02}"
    return text if "-" in like else text.replace("-", "")


def _shift_instant(found: re.Match[str], amount: float) -> str:
    """Move an instant within its notation: separators, precision and offset stay as they are."""
    part = found.groupdict()
    day = _parse_day(part["day"])
    digits = part["fraction"] or ""
    clock = dt.time(int(part["hour"]), int(part["minute"] or 0), int(part["second"] or 0))
    whole = dt.datetime.combine(day, clock)
    # the smallest step that the notation can say, in seconds; the result is moved outwards to it, never inwards
    unit = 1 if part["second"] else 60 if part["minute"] else 3600
    ticks_per_unit = 10 ** len(digits) if digits else 1
    ticks = amount / unit * ticks_per_unit
    steps = int(digits or 0) + (math.floor(ticks + 1e-9) if amount < 0 else math.ceil(ticks - 1e-9))
    units, rest = divmod(steps, ticks_per_unit)
    moved = whole + dt.timedelta(seconds=units * unit)
    text = _say_day(moved, part["day"]) + part["sep"] + f"{moved:%H}"
    colon = ":" if ":" in found.group(0)[len(part["day"]) : found.start("zone") if part["zone"] else None] else ""
    if part["minute"]:
        text += f"{colon}{moved:%M}"
    if part["second"]:
        text += f"{colon}{moved:%S}"
    if digits:
        text += part["mark"] + str(rest).zfill(len(digits))
    return text + (part["zone"] or "")
