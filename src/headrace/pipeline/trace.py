"""dlt's tracking protocol: what a tracker written for dlt is registered with and told by.

The names are where such a tracker looks for them (``dlt.pipeline.trace``). A tracker is told on the thread of the run,
in dlt's order: ``on_start_trace``, then for each step ``on_start_trace_step`` and ``on_end_trace_step`` (those of
``extract``, ``normalize`` and ``load`` inside those of ``run``), then ``on_end_trace``. Hooks of headrace itself see
more: `headrace.hooks`.
"""

from __future__ import annotations

from typing import Any, Protocol

from headrace.model.trace import (
    PipelineStepTrace,
    PipelineTrace,
    SerializableResolvedValueTrace,
    TPipelineStep,
    merge_traces,
)

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


# plugins append to it, or put another list in its place
TRACKING_MODULES: list[Any] = []
