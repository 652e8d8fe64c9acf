"""The trace of a run: which steps it took, how long they lasted, what they did and how they failed.

A `PipelineTrace` is a value; a `TraceBuilder` makes it while the run goes on.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

from headrace.base.strings import random_id
from headrace.base.time import human_duration, now
from headrace.errors.masking import without_secrets
from headrace.model.cleaning import cleaned
from headrace.model.failures import clipped, exception_traces
from headrace.model.infos import ExtractInfo, LoadInfo, NormalizeInfo, StepInfo
from headrace.model.packages import schema_changes
from headrace.model.rejected import by_table
from headrace.model.wording import count, indented

TPipelineStep = Literal["sync", "extract", "normalize", "load", "run"]
TRACE_ENGINE_VERSION = 2
_Info = TypeVar("_Info", bound=StepInfo)


class SerializableResolvedValueTrace(NamedTuple):
    """A setting that was looked up during the run.

    Attributes:
        key: Its name.
        value: The value; None for secrets, and for what stands among secrets.
        default_value: What it replaced.
        is_secret_hint: Whether it is declared to be a secret.
        sections: The path it was looked up under; it may have been found under a shorter one.
        provider_name: Who had it.
        config_type_name: The configuration class that has it.
        provider_location: The file it was in, or the name of the environment variable.
    """

    key: str
    value: Any
    default_value: Any
    is_secret_hint: bool
    sections: Sequence[str]
    provider_name: str | None
    config_type_name: str | None = None
    provider_location: str = ""

    def asdict(self) -> dict[str, Any]:
        """A dictionary for loading: without the value."""
        fields = self._asdict()
        del fields["value"], fields["default_value"]
        return {**fields, "sections": ".".join(self.sections)}

    def asstr(self, verbosity: int = 0) -> str:
        """A line for people; from verbosity 1 with the class that has the setting."""
        hidden = self.is_secret_hint or self.value is None
        line = f"{'.'.join((*self.sections, self.key))} = {'<hidden>' if hidden else without_secrets(repr(self.value))}"
        line += f" from {self.provider_name}"
        if self.provider_location and self.provider_location != self.provider_name:
            line += f" ({self.provider_location})"
        return f"{line} for {self.config_type_name}" if verbosity > 0 and self.config_type_name else line

    def __str__(self) -> str:
        return self.asstr()


class PipelineStepTrace(NamedTuple):
    """One step of a run.

    Attributes:
        span_id: Its id.
        step: ``sync``, ``extract``, ``normalize``, ``load`` or ``run``.
        started_at: When it began.
        finished_at: When it ended; None while it runs.
        step_info: What it handed back (also after a failure, as far as it came).
        step_exception: The text of the error it ended with.
        exception_traces: The chain of errors, outermost first.
    """

    span_id: str
    step: TPipelineStep
    started_at: dt.datetime
    finished_at: dt.datetime | None = None
    step_info: StepInfo | None = None
    step_exception: str | None = None
    exception_traces: list[dict[str, Any]] | None = None

    def asdict(self) -> dict[str, Any]:
        """A dictionary for loading: ``step_info`` has what all steps share, ``<step>_info`` what only this one has."""
        fields = self._asdict()
        info = fields.pop("step_info")
        if info is not None:
            fields[f"{self.step}_info"] = {**info.own_asdict(), **info.metrics_asdict(), **info.rejected_asdict()}
            fields["step_info"] = {**info.common_asdict(), **info.times_asdict()}
        return cleaned(fields)

    def asstr(self, verbosity: int = 0) -> str:
        """Say how the step ended; from verbosity 1 with its span id."""
        lines = [self._headline()]
        if self.step_exception:
            lines += indented(self.step_exception)
        if self.step_info is not None and not self.step_info.is_empty:
            # the trace has said the pipeline's name above
            text = self.step_info.asstr(verbosity)
            lines += indented(text.removeprefix(f"Pipeline {self.step_info.pipeline.pipeline_name}: "))
            lines += self._changes(verbosity)
        if verbosity > 0:
            lines.append(f"  span {self.span_id}")
        return "\n".join(lines)

    def _headline(self) -> str:
        if self.finished_at is None:
            return f"{self.step}: running since {_instant(self.started_at)}"
        outcome = "FAILED after" if self.step_exception else "done in"
        return f"{self.step}: {outcome} {human_duration((self.finished_at - self.started_at).total_seconds())}"

    def _changes(self, verbosity: int) -> list[str]:
        """Schema changes and retries; the info says the changes itself from verbosity 1 on."""
        lines: list[str] = []
        info = self.step_info
        if isinstance(info, LoadInfo):
            if verbosity == 0:
                told = ((p.schema_update, p.schema, "    ", p.schema_altered) for p in info.load_packages)
                lines += [line for one in told for line in schema_changes(*one)]
            jobs = [job for ms in info.metrics.values() for m in ms for job in m["job_metrics"].values()]
            lines += [
                f"    {job.job_id}: {count(job.retry_count, 'retry', 'retries')}" for job in jobs if job.retry_count
            ]
        return lines

    def __str__(self) -> str:
        return self.asstr(verbosity=0)


class _PipelineTrace(NamedTuple):
    transaction_id: str
    pipeline_name: str
    execution_context: dict[str, Any]
    started_at: dt.datetime
    steps: list[PipelineStepTrace]
    finished_at: dt.datetime | None = None
    resolved_config_values: list[SerializableResolvedValueTrace] = []
    engine_version: int = TRACE_ENGINE_VERSION


class PipelineTrace(_PipelineTrace):
    """A run (or several single steps, one after the other) of a pipeline."""

    __slots__ = ()

    def asdict(self) -> dict[str, Any]:
        """A dictionary that can be loaded as a row with nested steps.

        A ``run`` that went well says nothing that its ``load`` does not, and is left out. Of settings it tells where
        each came from, but not their values: they have all types there are, and some should not be in a table.
        """
        fields = self._asdict()
        fields["steps"] = [s.asdict() for s in self.steps if s.step != "run" or s.step_exception]
        fields["resolved_config_values"] = [value.asdict() for value in self.resolved_config_values]
        return fields

    def asstr(self, verbosity: int = 0) -> str:
        """Say each step with its duration, rows by table, schema changes, retries and failures.

        Args:
            verbosity: 0 for the outcome, 1 adds settings and where they came from, system tables and packages, 2 every
                job.
        """
        lines = [self._headline()]
        if verbosity > 0 and self.resolved_config_values:
            lines.append("  settings that were found:")
            lines += [f"    {value.asstr(verbosity - 1)}" for value in self.resolved_config_values]
        failed = {s.step_exception for s in self.steps if s.step_exception and s.step != "run"}
        for step in self.steps:
            if step.step == "run" and (not step.step_exception or step.step_exception in failed):
                continue  # its outcome is the headline, its error that of the step before
            lines += indented(step.asstr(verbosity), "  ")
        return "\n".join(lines)

    def _headline(self) -> str:
        name = f"Pipeline {self.pipeline_name}, run started {_instant(self.started_at)}"
        if self.finished_at is None:
            return f"{name}: still running"
        outcome = "FAILED after" if any(s.step_exception for s in self.steps) else "completed in"
        return f"{name}: {outcome} {human_duration((self.finished_at - self.started_at).total_seconds())}"

    def last_pipeline_step_trace(self, step_name: str) -> PipelineStepTrace | None:
        """The newest step of a name; None when there is none."""
        return next((step for step in reversed(self.steps) if step.step == step_name), None)

    def _last_info(self, kind: type[_Info]) -> _Info | None:
        return next((s.step_info for s in reversed(self.steps) if isinstance(s.step_info, kind)), None)

    @property
    def rejected_counts(self) -> dict[str, int]:
        """Rows and values that schema contracts let go in this run, by table.

        A load counts what its packages lost in all steps, here or in another process; packages that are not loaded yet
        count what extract and normalize have lost.
        """
        infos = [step.step_info for step in self.steps if step.step != "run" and step.step_info is not None]
        loaded = {load_id for info in infos if isinstance(info, LoadInfo) for load_id in info.metrics}
        return by_table(
            one
            for info in infos
            for load_id, metrics in info.metrics.items()
            if isinstance(info, LoadInfo) or load_id not in loaded
            for m in metrics
            for one in m.get("rejected", ())
        )

    @property
    def last_extract_info(self) -> ExtractInfo | None:
        """What the newest extract did."""
        return self._last_info(ExtractInfo)

    @property
    def last_normalize_info(self) -> NormalizeInfo | None:
        """What the newest normalize did."""
        return self._last_info(NormalizeInfo)

    @property
    def last_load_info(self) -> LoadInfo | None:
        """What the newest load did."""
        return self._last_info(LoadInfo)

    def __str__(self) -> str:
        return self.asstr(verbosity=0)


class TraceBuilder:
    """Makes the trace while a run goes on. The trace so far can be read at any time.

    Steps nest: ``run`` is open while ``extract`` begins and ends. They stand in the trace in the order of their ends.

    Args:
        pipeline_name: The pipeline.
        clock: Gives the current instant.
    """

    def __init__(self, pipeline_name: str, clock: Callable[[], dt.datetime] = now) -> None:
        self.pipeline_name = pipeline_name
        self.trace: PipelineTrace | None = None
        self._clock = clock
        self._open: list[PipelineStepTrace] = []

    def start_trace(
        self, execution_context: Mapping[str, Any] | None = None, transaction_id: str | None = None
    ) -> PipelineTrace:
        """Begin a trace.

        Args:
            execution_context: Where the run takes place (`host.execution_context`).
            transaction_id: Its id; random by default.
        """
        self._open.clear()
        context = dict(execution_context or {})
        name = transaction_id or random_id(16)
        self.trace = PipelineTrace(name, self.pipeline_name, context, self._clock(), [], resolved_config_values=[])
        return self.trace

    def start_step(self, step: TPipelineStep) -> PipelineStepTrace:
        """Begin a step (and a trace, if there is none)."""
        if self.trace is None:
            self.start_trace()
        opened = PipelineStepTrace(random_id(16), step, self._clock())
        self._open.append(opened)
        return opened

    def end_step(
        self, step: TPipelineStep, step_info: StepInfo | None = None, error: BaseException | None = None
    ) -> PipelineStepTrace:
        """End the newest open step of a name.

        Args:
            step: Its name.
            step_info: What it did; taken from ``error.step_info`` if the error has it.
            error: What ended it.

        Raises:
            ValueError: No such step is open.
        """
        opened = next((s for s in reversed(self._open) if s.step == step), None)
        if opened is None or self.trace is None:
            raise ValueError(f"step `{step}` was not begun in the trace of pipeline `{self.pipeline_name}`")
        self._open = [step for step in self._open if step.span_id != opened.span_id]
        info: StepInfo | None = step_info if step_info is not None else getattr(error, "step_info", None)
        ended: PipelineStepTrace = opened._replace(finished_at=self._clock(), step_info=info)
        if error is not None:
            ended = ended._replace(
                step_exception=clipped(without_secrets(str(error) or type(error).__name__)),
                exception_traces=exception_traces(error),
            )
        self.trace.steps.append(ended)
        return ended

    def end_trace(self, resolved: Sequence[SerializableResolvedValueTrace] = ()) -> PipelineTrace:
        """End the trace; steps still open are left out.

        Args:
            resolved: Settings that were looked up.

        Raises:
            ValueError: No trace was begun.
        """
        if self.trace is None:
            raise ValueError(f"no trace of pipeline `{self.pipeline_name}` was begun")
        self._open.clear()
        self.trace = self.trace._replace(finished_at=self._clock(), resolved_config_values=list(resolved))
        return self.trace


def merge_traces(last: PipelineTrace | None, trace: PipelineTrace) -> PipelineTrace:
    """Put the trace of a single step behind the trace before it; a ``run`` begins anew.

    Args:
        last: The newest trace of the pipeline, if any.
        trace: The one that has just ended.
    """
    if last is None or any(step.step == "run" for step in trace.steps):
        return trace
    if not trace.steps:
        return last  # the folder was only looked at, or synced: the last run is what it was
    # each step tells all that was found so far in its process
    found = (*last.resolved_config_values, *trace.resolved_config_values)
    resolved = {(*value.sections, value.key): value for value in found}
    return last._replace(
        steps=[*last.steps, *trace.steps],
        finished_at=trace.finished_at,
        resolved_config_values=list(resolved.values()),
    )


def _instant(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}".strip()


def trace_to_json(trace: PipelineTrace) -> str:
    """Write a trace as JSON text; see `tracejson`."""
    from headrace.model import tracejson

    return tracejson.trace_to_json(trace)


def trace_from_json(text: str | bytes) -> PipelineTrace:
    """Read what `trace_to_json` wrote.

    Raises:
        ValueError: The text is not a trace, or one of a newer format.
    """
    from headrace.model import tracejson

    return tracejson.trace_from_json(text)
