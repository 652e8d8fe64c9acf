"""Cursor values: what kinds there are, and how one kind becomes another."""

from __future__ import annotations

import datetime as dt
from typing import Any

from headrace.base.time import UTC

__all__ = ["plain", "say_type", "storable", "to_kind_of", "with_pendulum"]


def plain(value: Any) -> Any:
    """A value as Python's own types have it: scalars of numpy and pandas are unwrapped, a missing instant is None."""
    if isinstance(value, dt.date):
        if value != value:  # pandas' missing instant
            return None
        to_python = getattr(value, "to_pydatetime", None)
        return value if to_python is None else to_python(warn=False)
    item = getattr(value, "item", None)
    if item is not None and getattr(value, "shape", None) == ():
        unit = getattr(value, "dtype", None)
        return value.astype("datetime64[us]").item() if str(unit).startswith("datetime64") else item()
    return value


def storable(value: Any) -> Any:
    """A value as state keeps it: Python's own instants instead of pandas' or pendulum's, offsets instead of zones."""
    value = plain(value)
    if not isinstance(value, dt.date):
        return value
    if not isinstance(value, dt.datetime):
        return value if type(value) is dt.date else dt.date(value.year, value.month, value.day)
    zone = value.tzinfo
    if zone is not None and type(zone) is not dt.timezone:
        # named zones do not survive in state: an offset says the same instant
        offset = value.utcoffset() or dt.timedelta()
        zone = dt.timezone(offset) if offset else UTC
    if type(value) is dt.datetime and zone is value.tzinfo and not value.fold:
        return value
    day, time = (value.year, value.month, value.day), (value.hour, value.minute, value.second, value.microsecond)
    return dt.datetime(*day, *time, tzinfo=zone)


def with_pendulum(value: Any) -> Any:
    """A date or instant as pendulum's; anything else as it is."""
    if not isinstance(value, dt.date):
        return value
    import pendulum

    if isinstance(value, dt.datetime):
        return pendulum.instance(value)
    return pendulum.date(value.year, value.month, value.day)


def to_kind_of(bound: dt.date, value: dt.date, up: bool) -> dt.date:
    """A date or instant as the kind that a value is of: date, aware or naive instant.

    Args:
        bound: What to convert. Naive instants are taken as UTC, dates as midnight.
        value: Shows the kind.
        up: Whether an instant within a day becomes the next day, where the value is a date.

    Returns:
        The same object if it is of that kind already.
    """
    if isinstance(value, dt.datetime):
        if not isinstance(bound, dt.datetime):
            bound = dt.datetime(bound.year, bound.month, bound.day, tzinfo=UTC)
            return bound if value.tzinfo else bound.replace(tzinfo=None)
        if bound.tzinfo is None and value.tzinfo is not None:
            return bound.replace(tzinfo=UTC)
        if bound.tzinfo is not None and value.tzinfo is None:
            return bound.astimezone(UTC).replace(tzinfo=None)
        return bound
    if not isinstance(bound, dt.datetime):
        return bound
    naive = bound.astimezone(UTC).replace(tzinfo=None) if bound.tzinfo else bound
    day = dt.date(naive.year, naive.month, naive.day)
    return day + dt.timedelta(days=1) if up and naive.time() != dt.time() else day


def say_type(value: Any) -> str:
    """The type of a value, in a user's words."""
    if isinstance(value, dt.datetime):
        return "aware datetime" if value.tzinfo else "naive datetime"
    return type(value).__name__
