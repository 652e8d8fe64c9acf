"""dlt's tracking protocol: what a tracker written for dlt is registered with and told by.

The names are where such a tracker looks for them (``dlt.pipeline.trace``). A tracker is told on the thread of the run,
in dlt's order: ``on_start_trace``, then for each step ``on_start_trace_step`` and ``on_end_trace_step`` (those of
``extract``, ``normalize`` and ``load`` inside those of ``run``), then ``on_end_trace``. Hooks of headrace itself see
more: `headrace.hooks`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from headrace.model.events import AnyEvent, RunEnded, StepEnded, StepStarted
from headrace.model.trace import (
    PipelineStepTrace,
    PipelineTrace,
    SerializableResolvedValueTrace,
    TPipelineStep,
    merge_traces,
)

if TYPE_CHECKING:
    from headrace.bus.observer import Run

logger = logging.getLogger("headrace")

__all__ = [
    "TRACKING_MODULES",
    "PipelineStepTrace",
    "PipelineTrace",
    "SerializableResolvedValueTrace",
    "SupportsTracking",
    "TPipelineStep",
    "merge_traces",
]


class SupportsTracking(Protocol):
    """What a tracker has; a module with these four functions does as well."""

    def on_start_trace(self, trace: PipelineTrace, step: TPipelineStep, pipeline: Any) -> None:
        """A run begins, or a single step that is called on its own: ``step`` is the name of the method."""

    def on_start_trace_step(self, trace: PipelineTrace, step: TPipelineStep, pipeline: Any) -> None:
        """A step begins."""

    def on_end_trace_step(
        self, trace: PipelineTrace, step: PipelineStepTrace, pipeline: Any, step_info: Any, send_state: bool
    ) -> None:
        """A step is over, well or badly; it is the last one of ``trace.steps``."""

    def on_end_trace(self, trace: PipelineTrace, pipeline: Any, send_state: bool) -> None:
        """The run is over; ``trace.finished_at`` is set."""


# the room is above this one
_COLLECTORS = "headrace.observers.collector"

# plugins append to it, or put another list in its place
TRACKING_MODULES: list[Any] = []


class Tracking:
    """Tells trackers, and a progress collector, of what an observer is told: the four calls of dlt's protocol.

    A call that raises is logged with the name of the tracker; the others are told all the same. Nothing is told while
    ``enable_runtime_trace`` is off.
    """

    def __init__(self) -> None:
        self._trace: PipelineTrace | None = None
        self._outermost: TPipelineStep | None = None

    def notify(self, event: AnyEvent, run: Run) -> None:
        """Turn events of steps into calls."""
        if isinstance(event, StepStarted) and event.step != "sync":
            self._start(_step_name(event.step), run)
        elif isinstance(event, StepEnded) and event.step != "sync":
            self._end(run)
        elif isinstance(event, RunEnded):
            self._end_trace(event, run)

    def _start(self, step: TPipelineStep, run: Run) -> None:
        trace = run.trace
        if trace is None or not run.pipeline.config.enable_runtime_trace:
            return
        if self._outermost is None:
            self._trace, self._outermost = trace, step
            _call(run, "on_start_trace", trace, step, run.pipeline)
        _call(run, "on_start_trace_step", trace, step, run.pipeline)

    def _end(self, run: Run) -> None:
        trace = self._trace
        if trace is None or not trace.steps:
            return
        # as in dlt: what was looked up so far, brought up to date with every step
        trace.resolved_config_values[:] = run.pipeline._tracer.resolved()
        step = trace.steps[-1]
        _call(run, "on_end_trace_step", trace, step, run.pipeline, step.step_info, step.step == "load")

    def _end_trace(self, event: RunEnded, run: Run) -> None:
        trace, outermost = self._trace, self._outermost
        self._trace = self._outermost = None
        if trace is not None:
            # the trace of a single step: what is kept of it stands behind the steps before it
            _call(run, "on_end_trace", trace._replace(finished_at=event.at), run.pipeline, outermost == "load")


def _step_name(step: str) -> TPipelineStep:
    return step  # type: ignore[return-value]  # the event's text is one of these


def _call(run: Run, method: str, *args: Any) -> None:
    collector = run.pipeline.collector
    for tracker in (*TRACKING_MODULES, *([] if collector is None else [collector])):
        try:
            getattr(tracker, method)(*args)
        except Exception as error:
            logger.warning(
                "pipeline `%s`: `%s` of the tracker %s failed and is passed over: %s: %s",
                *(run.pipeline.pipeline_name, method, _name(tracker), type(error).__name__, error),
                exc_info=error if logger.isEnabledFor(logging.DEBUG) else None,
            )


def _name(tracker: Any) -> str:
    return str(getattr(tracker, "__name__", None) or f"{type(tracker).__module__}.{type(tracker).__qualname__}")


def wants_tracking(collector: Any) -> bool:
    """Whether there is anybody to be told: a tracker, or a collector that has one of the four methods of its own."""
    if TRACKING_MODULES:
        return True
    if collector is None:
        return False
    methods = ("on_start_trace", "on_start_trace_step", "on_end_trace_step", "on_end_trace")
    # those of the base class do nothing
    return any(getattr(getattr(collector, m, None), "__module__", _COLLECTORS) != _COLLECTORS for m in methods)
