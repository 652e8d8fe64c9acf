"""Progress collectors: what counts rows, files and jobs while a step runs, and shows the counts.

A collector of one's own derives from `Collector` and writes three methods: `update`, `_start` and `_stop`.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, TextIO

from typing_extensions import Self

from headrace.base.time import human_duration
from headrace.model.wording import human_bytes


class Collector(ABC):
    """Counts what happens in a step; used as ``with collector("Extract shop"): collector.update("users", 100)``."""

    step: str = ""

    @abstractmethod
    def update(
        self,
        name: str,
        inc: int = 1,
        total: int | None = None,
        inc_total: int | None = None,
        message: str | None = None,
        label: str = "",
    ) -> None:
        """Move a counter; it is made when it is first named.

        Args:
            name: The counter: a table or resource (rows), or ``Resources``, ``Files``, ``Jobs``.
            inc: How much to add.
            total: How much is expected in all; only looked at when the counter is made.
            inc_total: How much more is expected now.
            message: Said beside the counter until the next one.
            label: Sets counters of one name apart.
        """

    @abstractmethod
    def _start(self, step: str) -> None:
        """The step begins: forget the counters."""

    @abstractmethod
    def _stop(self) -> None:
        """The step is over, well or badly: take the display away."""

    def __call__(self, step: str) -> Self:
        """Name the step that a ``with`` block is about."""
        self.step = step
        return self

    def __enter__(self) -> Self:
        self._start(self.step)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    # a collector may also look at traces, as a tracker does: see `headrace.pipeline.trace`

    def on_start_trace(self, trace: Any, step: str, pipeline: Any) -> None:  # noqa: B027 - to be overridden by who wants it
        """A run begins."""

    def on_start_trace_step(self, trace: Any, step: str, pipeline: Any) -> None:  # noqa: B027 - to be overridden by who wants it
        """A step begins."""

    def on_end_trace_step(self, trace: Any, step: Any, pipeline: Any, step_info: Any, send_state: bool) -> None:  # noqa: B027 - to be overridden by who wants it
        """A step is over."""

    def on_end_trace(self, trace: Any, pipeline: Any, send_state: bool) -> None:  # noqa: B027 - to be overridden by who wants it
        """A run is over."""


class NullCollector(Collector):
    """Shows nothing."""

    def update(
        self,
        name: str,
        inc: int = 1,
        total: int | None = None,
        inc_total: int | None = None,
        message: str | None = None,
        label: str = "",
    ) -> None:
        """Pass it over."""

    def _start(self, step: str) -> None:
        pass

    def _stop(self) -> None:
        pass


class DictCollector(Collector):
    """Keeps the counts of the last step in ``counters`` and shows nothing: for tests and one's own displays."""

    def __init__(self) -> None:
        self.counters: dict[str, int] = {}

    def update(
        self,
        name: str,
        inc: int = 1,
        total: int | None = None,
        inc_total: int | None = None,
        message: str | None = None,
        label: str = "",
    ) -> None:
        """Add to the counter."""
        key = counter_key(name, label)
        self.counters[key] = self.counters.get(key, 0) + inc

    def _start(self, step: str) -> None:
        self.counters = {}

    def _stop(self) -> None:
        pass


@dataclass
class CounterInfo:
    """What a counter is, besides its count: ``start_time`` in seconds of a monotonic clock."""

    description: str
    start_time: float
    total: int | None = None


class LogCollector(Collector):
    """Writes a line every few seconds: the count and rate of every counter, the time, memory and processor use.

    Args:
        log_period: Seconds between lines.
        logger: Where to: a logger, an open file, ``stdout``, or ``headrace_logger`` (the same as ``dlt_logger``) for
            the library's own logger.
        log_level: The level of the lines when they go to a logger.
        dump_system_stats: Say memory and processor use.
    """

    def __init__(
        self,
        log_period: float = 1.0,
        logger: logging.Logger | TextIO | Literal["stdout", "dlt_logger", "headrace_logger"] = "stdout",
        log_level: int = logging.INFO,
        dump_system_stats: bool = True,
    ) -> None:
        self.log_period = log_period
        self.logger = logging.getLogger("headrace") if logger in ("dlt_logger", "headrace_logger") else logger
        self.log_level = log_level
        self.dump_system_stats = dump_system_stats
        self.counters: dict[str, int] = {}
        self.counter_info: dict[str, CounterInfo] = {}
        self.messages: dict[str, str | None] = {}
        self.last_log_time: float | None = None
        self._started = 0.0
        self._clock = time.monotonic
        self._stats = _SystemStats()

    def update(
        self,
        name: str,
        inc: int = 1,
        total: int | None = None,
        inc_total: int | None = None,
        message: str | None = None,
        label: str = "",
    ) -> None:
        """Add to the counter, and write a line if it is time."""
        key = counter_key(name, label)
        if key not in self.counters:
            self.counters[key] = 0
            self.counter_info[key] = CounterInfo(counter_title(name, label), self._clock(), total)
        info = self.counter_info[key]
        if inc_total:
            info.total = (info.total or 0) + inc_total
        self.counters[key] += inc
        self.messages[key] = message
        self.maybe_log()

    def maybe_log(self) -> None:
        """Write a line if the period has passed."""
        if self.last_log_time is None or self._clock() - self.last_log_time >= self.log_period:
            self.last_log_time = self._clock()
            self.dump_counters()
            self.on_log()

    def dump_counters(self) -> None:
        """Write the line."""
        counts = [self._counter_to_log_line(key, count) for key, count in self.counters.items()]
        parts = [", ".join(counts) or "begun", human_duration(self._clock() - self._started)]
        if self.dump_system_stats:
            parts.append(self._system_stats_to_log_line())
        self._log(self.log_level, f"{self.step}: " + " | ".join(part for part in parts if part))

    def on_log(self) -> None:
        """Called after each line; for deriving classes."""

    def _counter_to_log_line(self, key: str, count: int) -> str:
        info = self.counter_info[key]
        seconds = self._clock() - info.start_time
        text = f"{info.description} {count:,}"
        if info.total:
            text += f"/{info.total:,} ({count / info.total:.0%})"
        elif seconds > 0.01:  # a rate of less says nothing
            text += f" ({count / seconds:,.0f}/s)"
        return f"{text} [{self.messages[key]}]" if self.messages.get(key) else text

    def _system_stats_to_log_line(self) -> str:
        return self._stats.text()

    def _log(self, log_level: int, log_message: str) -> None:
        if isinstance(self.logger, logging.Logger):
            self.logger.log(log_level, log_message)
        else:
            # looked up late: tests and notebooks put another stdout in place
            stream = sys.stdout if isinstance(self.logger, str) else self.logger
            print(log_message, file=stream, flush=True)

    def _start(self, step: str) -> None:
        self.counters, self.counter_info, self.messages = {}, {}, {}
        self._started = self.last_log_time = self._clock()

    def _stop(self) -> None:
        self.dump_counters()
        self.on_log()
        self.last_log_time = None


class _SystemStats:
    """Memory and processor use of this process: exact with psutil, else the highest memory use so far."""

    def __init__(self) -> None:
        self._process: Any = None
        self._looked = False

    def text(self) -> str:
        if not self._looked:
            self._looked = True
            with contextlib.suppress(ImportError):
                self._process = importlib.import_module("psutil").Process(os.getpid())
        if self._process is None:
            return self._peak()
        return f"memory {human_bytes(self._process.memory_info().rss)}, cpu {self._process.cpu_percent():.0f} %"

    def _peak(self) -> str:
        try:
            import resource
        except ImportError:  # Windows
            return ""
        unit = 1 if sys.platform == "darwin" else 1024
        return f"memory at most {human_bytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)}"


def counter_key(name: str, label: str | None) -> str:
    """The name under which a counter is kept."""
    return f"{name}_{label}" if label else name


def counter_title(name: str, label: str | None) -> str:
    """The name under which a counter is shown."""
    return f"{name} ({label})" if label else name


CollectorFactory = Callable[..., Collector]
