"""Progress of a run: collectors by name, and the observer that feeds them from events."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from headrace.errors import TypeErrorWithKnownTypes, ValueErrorWithKnownValues
from headrace.model.events import AnyEvent, Progress, RunEnded, StepEnded, StepStarted
from headrace.observers.bars import AliveCollector, EnlightenCollector, RichCollector, TqdmCollector
from headrace.observers.collector import Collector, DictCollector, LogCollector, NullCollector

if TYPE_CHECKING:
    from headrace.bus.observer import Run

__all__ = [
    "AliveCollector",
    "Collector",
    "DictCollector",
    "EnlightenCollector",
    "LogCollector",
    "NullCollector",
    "ProgressObserver",
    "RichCollector",
    "TCollectorArg",
    "TSupportedCollectors",
    "TqdmCollector",
    "make_collector",
]

TSupportedCollectors: TypeAlias = Literal["tqdm", "enlighten", "log", "alive_progress", "rich"]
TCollectorArg: TypeAlias = Collector | TSupportedCollectors

_BY_NAME: dict[str, Callable[[], Collector]] = {
    "log": LogCollector,
    "tqdm": TqdmCollector,
    "rich": RichCollector,
    "enlighten": EnlightenCollector,
    "alive_progress": AliveCollector,
}
_SHOWN_STEPS = ("extract", "normalize", "load")


def make_collector(progress: TCollectorArg | str | None = None) -> Collector:
    """The collector that an argument or setting ``progress`` asks for.

    Args:
        progress: A name, a collector, or None: then nothing is shown, as in a service nobody watches.

    Raises:
        MissingDependencyException: The library of that name is not installed.
        ValueErrorWithKnownValues: There is no collector of that name.
        TypeErrorWithKnownTypes: It is neither a name nor a collector.
    """
    if progress is None:
        return NullCollector()
    if isinstance(progress, Collector):
        return progress
    if not isinstance(progress, str):
        raise TypeErrorWithKnownTypes("progress", progress, [str, Collector])
    if progress not in _BY_NAME:
        raise ValueErrorWithKnownValues("progress", progress, sorted(_BY_NAME))
    return _BY_NAME[progress]()


class ProgressObserver:
    """Feeds a collector from the events of a run: a display for each step, moved by `Progress` events.

    Args:
        collector: What shows the counts.
    """

    def __init__(self, collector: Collector) -> None:
        self.collector = collector
        self._open: str | None = None
        self._lock = threading.Lock()

    def notify(self, event: AnyEvent, run: Run) -> None:
        """Open, move or close the display."""
        with self._lock:
            if isinstance(event, Progress):
                self._move(event)
            elif isinstance(event, StepStarted) and event.step in _SHOWN_STEPS:
                self._close()
                name = getattr(run.pipeline, "pipeline_name", "")
                self.collector(f"{event.step.capitalize()} {name}".strip()).__enter__()
                self._open = event.step
            elif (isinstance(event, StepEnded) and event.step == self._open) or isinstance(event, RunEnded):
                self._close()

    def _move(self, event: Progress) -> None:
        # counts of a step that is not shown have no display to go to
        if self._open is not None:
            self.collector.update(event.name, event.inc, total=event.total, message=event.message, label=event.label)

    def _close(self) -> None:
        if self._open is not None:
            self._open = None
            self.collector.__exit__(None, None, None)
