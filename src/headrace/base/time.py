"""Clocks and durations."""

from __future__ import annotations

import datetime as dt
import threading
import time

UTC = dt.timezone.utc

_lock = threading.Lock()
_last = 0


def now() -> dt.datetime:
    """The current instant, aware, in UTC."""
    return dt.datetime.now(UTC)


def next_microsecond() -> int:
    """Microseconds since the epoch, strictly larger at each call within this process."""
    global _last
    with _lock:
        _last = max(time.time_ns() // 1000, _last + 1)
        return _last


def parse_iso(text: str) -> dt.datetime:
    """Parse an ISO 8601 date-time; without an offset it is taken as UTC.

    Raises:
        ValueError: The text is not an ISO 8601 date-time.
    """
    value = dt.datetime.fromisoformat(text.replace("Z", "+00:00") if text.endswith("Z") else text)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def human_duration(seconds: float) -> str:
    """Say a duration as people do: ``0.42 s``, ``3 min 4 s``, ``2 h 5 min``."""
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
