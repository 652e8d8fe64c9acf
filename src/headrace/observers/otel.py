"""OpenTelemetry: a run as a trace of spans, and metrics of rows, bytes, jobs and times.

The work is done by opentelemetry-sdk (extra ``otel``). Providers that the application has set are used and left to it;
otherwise providers of our own are made from the standard variables ``OTEL_*`` (`otel_providers`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headrace.base.lazy import need
from headrace.errors.masking import without_secrets
from headrace.model.events import (
    AnyEvent,
    JobDone,
    JobFailed,
    JobRetried,
    Planned,
    RunEnded,
    RunStarted,
    StepEnded,
    StepStarted,
)
from headrace.model.events import Rejected as RejectedEvent
from headrace.observers import facts
from headrace.observers.facts import Piece

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from headrace.bus.observer import Run
    from headrace.observers.otel_metrics import Metrics
    from headrace.observers.otel_providers import Providers

ATTRIBUTES = {
    "pipeline_name": "headrace.pipeline.name",
    "run_id": "headrace.run.id",
    "version": "headrace.version",
    "destination": "headrace.destination.name",
    "destination_type": "headrace.destination.type",
    "staging": "headrace.staging.name",
    "dataset": "headrace.dataset.name",
    "step": "headrace.step",
    "load_id": "headrace.load.id",
    "resource": "headrace.resource.name",
    "table": "headrace.table.name",
    "tables": "headrace.tables",
    "column": "headrace.column.name",
    "job_id": "headrace.job.id",
    "job_kind": "headrace.job.kind",
    "attempt": "headrace.job.attempt",
    "rows": "headrace.rows",
    "bytes": "headrace.bytes",
}
"""Names of facts as attributes of spans and metrics. They are public: dashboards are made of them."""


def observer_for(p: Any) -> OtelObserver | None:
    """The observer of a pipeline, None when ``runtime.otel`` is off.

    Raises:
        MissingDependencyException: opentelemetry-sdk is not installed.
    """
    if not p.runtime_config.otel:
        return None
    need("opentelemetry.sdk.trace", "OpenTelemetry (`runtime.otel`)", "otel")
    from headrace.observers.otel_providers import providers

    providers()  # what is wrong with the variables is said now
    return OtelObserver()


def attributes(found: dict[str, Any]) -> dict[str, Any]:
    """Facts as attributes, without secrets."""
    return {
        ATTRIBUTES[name]: without_secrets(value) if isinstance(value, str) else value
        for name, value in found.items()
        if value is not None
    }


@dataclass
class _Traced:
    """A run that is going on.

    Attributes:
        who: Facts of the run.
        started: Unix seconds.
        providers: Where spans and metrics go.
        parent: The context around the run.
        spans: Those that are open, the run's first, each with the token that gives the context back.
        told: Pieces that became spans.
        untold: Pieces that did not.
        failed: Jobs that failed for good.
        fault: The error that was recorded last.
    """

    who: dict[str, str]
    started: float
    providers: Providers
    parent: Context
    metrics: Metrics
    spans: list[tuple[str, Span, Any]] = field(default_factory=list)
    told: int = 0
    untold: int = 0
    failed: int = 0
    fault: BaseException | None = None


class OtelObserver:
    """Turns events into spans while they happen, so that spans of other libraries stand below them, and counts."""

    def __init__(self) -> None:
        self._run: _Traced | None = None
        self._jobs = facts.Jobs()

    def notify(self, event: AnyEvent, run: Run) -> None:
        """Begin or end spans, and count."""
        if isinstance(event, RunStarted):
            self._begin(event, run)
        elif self._run is not None:
            self._note(self._run, event, run)

    def _begin(self, event: RunStarted, run: Run) -> None:
        from headrace.observers.otel_metrics import Metrics
        from headrace.observers.otel_providers import parent_context, providers

        found = providers()
        self._jobs = facts.Jobs()
        metrics = Metrics(found.meter(), found.instruments, event.pipeline_name)
        self._run = _Traced(facts.run_facts(run), facts.seconds(event), found, parent_context(os.environ), metrics)

    def _note(self, traced: _Traced, event: AnyEvent, run: Run) -> None:
        if isinstance(event, StepStarted):
            self._open_step(traced, event)
        elif isinstance(event, StepEnded):
            self._end_step(traced, event, run)
        elif isinstance(event, (JobDone, JobFailed, JobRetried)):
            piece = self._jobs.piece(event, run)
            traced.failed += isinstance(event, JobFailed)
            self._tell(traced, piece)
            traced.metrics.job(event, piece, self._jobs.find(run, event.load_id, event.job_id))
        elif isinstance(event, RunEnded):
            self._run = None
            self._end(traced, event, run)
        else:
            if isinstance(event, Planned):
                self._jobs.note(event)
            elif isinstance(event, RejectedEvent):
                self._tell_rejected(traced, event)
            traced.metrics.count(event, run)

    # ---- spans -----------------------------------------------------------------------------------------------------

    def _open_step(self, traced: _Traced, event: StepStarted) -> None:
        traced.metrics.step_began(event.step, facts.seconds(event))
        if not traced.spans:
            # only now: a run without a step looks after something, and is no trace
            self._open(traced, "run", f"run {traced.who['pipeline_name']}", traced.started, traced.who)
        if event.step != "run":
            name = {"pipeline_name": traced.who["pipeline_name"], "step": event.step}
            self._open(traced, event.step, event.step, facts.seconds(event), name)

    def _open(self, traced: _Traced, key: str, name: str, started: float, found: dict[str, Any]) -> None:
        from opentelemetry import context, trace

        around = trace.set_span_in_context(traced.spans[-1][1]) if traced.spans else traced.parent
        span = traced.providers.tracer().start_span(
            name, around, start_time=_nanoseconds(started), attributes=attributes(found)
        )
        token = context.attach(trace.set_span_in_context(span, around))
        traced.spans.append((key, span, token))

    def _end_step(self, traced: _Traced, event: StepEnded, run: Run) -> None:
        info = facts.step_info(run, event.step)
        if event.step == "extract":
            for piece in facts.resource_pieces(info):
                self._tell(traced, piece)
        index = 0 if event.step == "run" else -1
        if info is not None and info.loads_ids:
            traced.spans[index][1].set_attribute("headrace.load.ids", list(info.loads_ids))
        if event.step != "run" and traced.spans[-1][0] == event.step:
            self._close(traced, facts.seconds(event), run.error)
        traced.metrics.step_ended(event, run.error)

    def _close(self, traced: _Traced, ended: float, error: BaseException | None) -> None:
        from opentelemetry import context
        from opentelemetry.trace import Status, StatusCode

        _, span, token = traced.spans.pop()
        context.detach(token)
        if error is not None:
            span.set_status(Status(StatusCode.ERROR, facts.text_of(error)))
            span.set_attributes(attributes(facts.blamed(error)) | {"error.type": facts.kind_of(facts.innermost(error))})
            # the steps around the one that failed end with the same error
            if traced.fault is not facts.innermost(error):
                traced.fault = facts.innermost(error)
                span.add_event("exception", facts.described(error), _nanoseconds(ended))
        span.end(_nanoseconds(ended))

    def _tell(self, traced: _Traced, piece: Piece) -> None:
        from opentelemetry import trace

        if piece.error is None and traced.told >= facts.MOST_PIECES:
            traced.untold += 1
        elif traced.spans:
            traced.told += 1
            span = traced.providers.tracer().start_span(
                piece.name,
                trace.set_span_in_context(traced.spans[-1][1]),
                start_time=_nanoseconds(piece.started),
                attributes=attributes(piece.facts),
            )
            if piece.error is not None:
                span.set_status(trace.Status(trace.StatusCode.ERROR, piece.error))
            span.end(_nanoseconds(piece.ended))

    def _tell_rejected(self, traced: _Traced, event: RejectedEvent) -> None:
        if traced.spans:
            found = {"load_id": event.load_id, "table": event.table, "column": event.column or None}
            more = {"headrace.contract.rule": event.rule, "headrace.rejected": event.count}
            traced.spans[-1][1].add_event("rejected", attributes(found) | more, _nanoseconds(facts.seconds(event)))

    def _end(self, traced: _Traced, event: RunEnded, run: Run) -> None:
        if not traced.spans and run.error is None:
            return  # only something was looked after
        if not traced.spans:
            self._open(traced, "run", f"run {traced.who['pipeline_name']}", traced.started, traced.who)
        ended = facts.seconds(event)
        while len(traced.spans) > 1:
            self._close(traced, ended, run.error)
        span = traced.spans[0][1]
        # the run may have set destination and dataset
        span.set_attributes(attributes(facts.run_facts(run)))
        if traced.untold:
            span.set_attribute("headrace.spans.left_out", traced.untold)
        if traced.failed:
            span.set_attribute("headrace.jobs.failed", traced.failed)
        self._close(traced, ended, run.error)
        traced.metrics.run_ended(ended - traced.started, run.error)
        traced.providers.flush(facts.FLUSH_SECONDS)


def _nanoseconds(unix: float) -> int:
    return int(unix * 1_000_000) * 1000
