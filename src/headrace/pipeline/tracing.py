"""The trace of a pipeline: made while steps run, kept as one JSON file a run under ``runs/``."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.base.files import write_atomic
from headrace.base.ids import new_load_id
from headrace.errors.masking import without_secrets
from headrace.model.host import execution_context
from headrace.model.trace import (
    PipelineTrace,
    SerializableResolvedValueTrace,
    TPipelineStep,
    TraceBuilder,
    merge_traces,
    trace_from_json,
    trace_to_json,
)

if TYPE_CHECKING:
    from headrace.model.infos import StepInfo

logger = logging.getLogger("headrace")
_SUFFIX = ".trace.json"


class Tracer:
    """Builds and stores traces of one pipeline.

    Args:
        folder: Where the files go; made with the first one.
        pipeline_name: The pipeline.

    Attributes:
        run_id: The run that is going on, or the last one.
    """

    def __init__(self, folder: Path, pipeline_name: str) -> None:
        self.folder, self.pipeline_name = folder, pipeline_name
        self.run_id = ""
        self._builder = TraceBuilder(pipeline_name)
        self._last: PipelineTrace | None = None
        self._file: Path | None = None

    @property
    def current(self) -> PipelineTrace | None:
        """The trace that is being made."""
        return self._builder.trace

    @property
    def last(self) -> PipelineTrace | None:
        """The newest trace of the pipeline, from this process or from disk; None when it never ran."""
        return self._builder.trace or self._stored()

    def _stored(self) -> PipelineTrace | None:
        if self._last is None:
            newest = max(self._names(), default=None)
            if newest is not None:
                path = self.folder / newest
                try:
                    self._last = trace_from_json(path.read_bytes())
                    self._file = path
                except (OSError, ValueError) as error:
                    logger.warning("the trace %s cannot be read: %s", path, error)
        return self._last

    def begin(self) -> str:
        """Begin a trace; returns the run's id."""
        self.run_id = new_load_id()
        self._builder.start_trace(execution_context(), None)
        return self.run_id

    def begin_step(self, step: TPipelineStep) -> None:
        """Note that a step begins."""
        self._builder.start_step(step)

    def end_step(self, step: TPipelineStep, info: StepInfo | None = None, error: BaseException | None = None) -> None:
        """Note that a step is over."""
        self._builder.end_step(step, info, error)

    def end(self, keep: bool = True, keep_traces: int = 100) -> PipelineTrace:
        """End the trace and store it; the trace of a single step is put behind the one before it.

        Args:
            keep: Write it to disk (``enable_runtime_trace``).
            keep_traces: How many traces stay there; 0 for all.
        """
        trace = self._builder.end_trace(_resolved(self.pipeline_name))
        alone = not any(step.step == "run" for step in trace.steps)
        self._builder.trace = None
        merged = merge_traces(self._stored() if alone else None, trace)
        if merged is trace or self._file is None:
            self._file = self.folder / f"{self.run_id}{_SUFFIX}"
        self._last = merged
        if keep:
            self._write(self._file, merged, keep_traces)
        return merged

    def resolved(self) -> list[SerializableResolvedValueTrace]:
        """Settings that were looked up so far."""
        return _resolved(self.pipeline_name)

    def _write(self, path: Path, trace: PipelineTrace, keep: int) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomic(path, trace_to_json(trace).encode("utf-8"))
            self._prune(keep)
        except (OSError, ValueError) as error:
            # the data is loaded: a trace that cannot be kept is no reason to fail
            logger.warning("the trace of run %s could not be stored: %s", self.run_id, error)

    def _prune(self, keep: int) -> None:
        names = self._names()
        if 0 < keep < len(names):
            for name in sorted(names)[:-keep]:
                with contextlib.suppress(OSError):
                    (self.folder / name).unlink()

    def _names(self) -> list[str]:
        try:
            return [name for name in os.listdir(self.folder) if name.endswith(_SUFFIX)]  # noqa: PTH208
        except FileNotFoundError:
            return []

    def forget(self) -> None:
        """The working folder was wiped."""
        self._last = self._file = None


def _resolved(pipeline_name: str) -> list[SerializableResolvedValueTrace]:
    from headrace.config.current import resolved_traces

    return [
        SerializableResolvedValueTrace(
            *(v.key, _short(v.value), _short(v.default_value), v.is_secret, v.sections, v.provider_name),
            *(v.config_type_name, v.location),
        )
        for v in resolved_traces(pipeline_name)
    ]


def _short(value: Any) -> Any:
    return value if value is None or isinstance(value, (int, float, bool)) else without_secrets(str(value))
