"""Ranges from outside: a scheduler says which interval this run has to load.

The interval is looked for in this order: one set in code (`interval.set`, or `TimeIntervalContext` as a context
manager), the environment (``DLT_INTERVAL_START`` and ``DLT_INTERVAL_END``, shown in ``DLT_INTERVAL_TIMEZONE``), the
data interval of a running Airflow task.
"""

from __future__ import annotations

import datetime as dt
import os
import sys
from collections.abc import Mapping
from contextvars import ContextVar, Token
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from headrace.base.logs import get_logger
from headrace.base.time import UTC, parse_iso
from headrace.errors.incremental import ExternalSchedulerNotAvailable, JoinSchedulerError
from headrace.extract.incremental.settings import Settings
from headrace.extract.incremental.values import to_kind_of

__all__ = ["TTimeInterval", "TimeIntervalContext", "current_context", "express", "find_interval", "interval"]

logger = get_logger("headrace.incremental")


class TTimeInterval(NamedTuple):
    """What to load: from ``start`` up to and without ``end``; both aware."""

    start: dt.datetime
    end: dt.datetime


class TimeIntervalContext:
    """An interval for all resources run inside of it.

    Args:
        interval: Start and end; None leaves it to environment or Airflow.
        allow_external_schedulers: Whether resources that do not say so themselves take their range from the interval;
            None leaves it to ``DLT_ALLOW_EXTERNAL_SCHEDULERS``.
    """

    def __init__(
        self,
        interval: TTimeInterval | tuple[dt.datetime, dt.datetime] | None = None,
        allow_external_schedulers: bool | None = None,
    ) -> None:
        self._interval = None if interval is None else TTimeInterval(_aware(interval[0]), _aware(interval[1]))
        self._allow = allow_external_schedulers
        self._tokens: list[Token[TimeIntervalContext | None]] = []

    @property
    def interval(self) -> TTimeInterval | None:
        """The interval in force.

        Raises:
            ValueError: The environment holds something that is no ISO 8601 date or instant.
        """
        return self._interval or _from_environment(os.environ) or _from_airflow()

    @property
    def timezone(self) -> dt.tzinfo:
        """The zone in which the interval is shown: of the interval set, else ``DLT_INTERVAL_TIMEZONE``, else UTC."""
        zone = self._interval.start.tzinfo if self._interval else None
        return zone or _zone(os.environ)

    @property
    def allow_external_schedulers(self) -> bool:
        """Whether resources take part that do not say so themselves."""
        if self._allow is not None:
            return self._allow
        return os.environ.get("DLT_ALLOW_EXTERNAL_SCHEDULERS", "").strip().lower() in ("1", "true", "t", "yes", "y")

    def __enter__(self) -> TimeIntervalContext:
        self._tokens.append(_context.set(self))
        return self

    def __exit__(self, *error: object) -> None:
        _context.reset(self._tokens.pop())


_context: ContextVar[TimeIntervalContext | None] = ContextVar("headrace_interval", default=None)
_default = TimeIntervalContext()


def current_context() -> TimeIntervalContext:
    """The innermost context, or one that looks at environment and Airflow."""
    return _context.get() or _default


class IntervalAccessor:
    """``current.interval``: call it for the interval of this run, or None."""

    def __call__(self) -> TTimeInterval | None:
        """The interval to load, or None when nobody set one."""
        return current_context().interval

    def set(self, interval: TTimeInterval | tuple[dt.datetime, dt.datetime] | None) -> None:
        """Set the interval for this thread or task; None takes it back."""
        allow = current_context()._allow
        _context.set(None if interval is None and allow is None else TimeIntervalContext(interval, allow))

    def update(self, *, start: dt.datetime | str | None = None, end: dt.datetime | str | None = None) -> None:
        """Change one end of the interval.

        Raises:
            ValueError: There is no interval yet, and only one end was given.
        """
        known = self()
        begin = start if start is not None else known and known.start
        finish = end if end is not None else known and known.end
        if begin is None or finish is None:
            raise ValueError("there is no interval whose other end could be kept: give start and end")
        self.set(TTimeInterval(_aware(begin), _aware(finish)))

    @property
    def is_empty(self) -> bool:
        """Whether there is no interval, or one that ends where it starts."""
        known = self()
        return known is None or known.end <= known.start

    @property
    def timezone(self) -> dt.tzinfo:
        """The zone in which the interval is shown."""
        return current_context().timezone


interval = IntervalAccessor()


def _aware(value: dt.datetime | dt.date | str) -> dt.datetime:
    if isinstance(value, str):
        return parse_iso(value)
    if not isinstance(value, dt.datetime):
        return dt.datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _zone(env: Mapping[str, str]) -> dt.tzinfo:
    name = env.get("DLT_INTERVAL_TIMEZONE")
    return ZoneInfo(name) if name and name != "UTC" else UTC


def _from_environment(env: Mapping[str, str]) -> TTimeInterval | None:
    start, end = env.get("DLT_INTERVAL_START"), env.get("DLT_INTERVAL_END")
    if not start or not end:
        return None
    zone = _zone(env)
    return TTimeInterval(parse_iso(start).astimezone(zone), parse_iso(end).astimezone(zone))


def _from_airflow() -> TTimeInterval | None:
    """The data interval of the task that runs; None outside of tasks and in runs that no schedule started."""
    if not sys.modules.get("airflow"):  # a task runs inside of Airflow: never import it for this
        return None
    try:
        context = _airflow_context() or {}
        start, end = context.get("data_interval_start"), context.get("data_interval_end")
        return None if start is None or end is None or end <= start else TTimeInterval(start, end)
    except Exception:  # noqa: BLE001 - Airflow has its own error for "no task is running", which moved between its versions
        return None


def _airflow_context() -> Mapping[str, Any]:
    import importlib

    for home in ("airflow.sdk", "airflow.operators.python"):
        try:
            found: Mapping[str, Any] = importlib.import_module(home).get_current_context()
            return found
        except ImportError:
            continue
    return {}


def find_interval(cursor: Settings[Any], resource: str) -> tuple[Any, Any] | None:
    """The range that the scheduler wants a cursor to load, cut to the configured one.

    Args:
        cursor: Its settings.
        resource: For errors.

    Returns:
        initial_value and end_value; None when the cursor does not follow schedulers.

    Raises:
        ExternalSchedulerNotAvailable: It shall, and there is no interval.
        JoinSchedulerError: It shall, and its type cannot say an instant.
    """
    context, allowed = current_context(), cursor.allow_external_schedulers
    if allowed is False or (allowed is None and not context.allow_external_schedulers):
        return None
    found = context.interval
    if found is None:
        if allowed:
            raise ExternalSchedulerNotAvailable(resource)
        return None
    kind, func = cursor.get_incremental_value_type(), cursor.last_value_func
    try:
        low, high = express(found.start, kind, resource), express(found.end, kind, resource)
    except JoinSchedulerError:
        if allowed:
            raise
        logger.info("Resource %r: its cursor cannot follow the interval of the scheduler; state is used.", resource)
        return None
    if func is min:
        low, high = high, low
    return _cut(low, cursor.initial_value, func), _cut(high, cursor.end_value, min if func is max else max)


def _cut(value: Any, bound: Any, choose: Any) -> Any:
    """An end of the interval, not beyond the configured one."""
    if bound is None:
        return value
    if isinstance(value, dt.datetime) and isinstance(bound, dt.datetime):
        # the configured value shows what the data is like
        value = to_kind_of(value, bound, up=False)
    return choose((bound, value))


def express(value: dt.datetime, kind: Any, resource: str) -> Any:
    """An end of the interval in the type of a cursor.

    Args:
        value: Aware instant.
        kind: The cursor's type: datetime, date, int or float (seconds since 1970); `Any` when it is not known.
        resource: For the error.

    Raises:
        JoinSchedulerError: The type is unknown, or an instant cannot be said in it.
    """
    if kind is Any or not isinstance(kind, type):
        raise JoinSchedulerError(resource, "the type of the cursor is not known")
    if issubclass(kind, dt.datetime):
        return value
    if issubclass(kind, dt.date):
        return value.date()
    if issubclass(kind, int) and not issubclass(kind, bool):
        return int(value.timestamp())
    if issubclass(kind, float):
        return value.timestamp()
    raise JoinSchedulerError(
        resource, f"its cursor has the type {kind.__name__}, and can be datetime, date, int or float"
    )
