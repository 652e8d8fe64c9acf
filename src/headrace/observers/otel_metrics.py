"""The metrics of runs. Their names and attributes are public: dashboards and alarms are made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from headrace.model.events import (
    AnyEvent,
    Extracted,
    JobDone,
    JobFailed,
    JobRetried,
    Loaded,
    Normalized,
    PackageCreated,
    PackageParked,
    Rejected,
    SchemaMigrated,
    StepEnded,
    StepRetried,
)
from headrace.observers import facts
from headrace.observers.facts import Piece

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

    from headrace.bus.observer import Run
    from headrace.model.jobs import Job

COUNTERS: dict[str, tuple[str, str]] = {
    "headrace.runs": ("{run}", "Runs that are over"),
    "headrace.rows.extracted": ("{row}", "Rows read from resources"),
    "headrace.rows.normalized": ("{row}", "Rows written to loader files, those of nested tables included"),
    "headrace.rows.loaded": ("{row}", "Rows that jobs have brought to the destination"),
    "headrace.rows.rejected": ("{row}", "Rows and values that schema contracts let go"),
    "headrace.bytes.extracted": ("By", "Size of what was read, as it is kept for normalize"),
    "headrace.bytes.normalized": ("By", "Size of loader files"),
    "headrace.bytes.loaded": ("By", "Size of loader files that jobs have brought to the destination"),
    "headrace.steps.retried": ("{step}", "Steps that failed and were repeated (settings of retries)"),
    "headrace.jobs.done": ("{job}", "Jobs that succeeded"),
    "headrace.jobs.retried": ("{job}", "Attempts at jobs that failed and will be repeated"),
    "headrace.jobs.failed": ("{job}", "Jobs that failed for good"),
    "headrace.packages.loaded": ("{package}", "Packages that are complete at the destination"),
    "headrace.packages.set_aside": ("{package}", "Packages that were given up"),
    "headrace.schema.changes": ("{column}", "Columns made or changed at the destination"),
}
"""Counters by name: unit, what is counted."""

HISTOGRAMS: dict[str, str] = {
    "headrace.run.duration": "How long runs take",
    "headrace.step.duration": "How long steps take",
    "headrace.job.duration": "How long attempts at jobs take",
    "headrace.load.lag": "From the beginning of a package's extract until it is complete at the destination",
}
"""Histograms by name, all in seconds."""

_BOUNDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 1800, 3600, 7200, 21600, 86400]
_PIPELINE, _TABLE, _STEP = "headrace.pipeline.name", "headrace.table.name", "headrace.step"
_KIND, _OUTCOME, _RULE = "headrace.job.kind", "headrace.outcome", "headrace.contract.rule"


class Metrics:
    """Counts for one pipeline.

    Args:
        meter: Makes the instruments.
        instruments: Those that were made already, by name.
        pipeline_name: An attribute of all of them.
    """

    def __init__(self, meter: Meter, instruments: dict[str, Any], pipeline_name: str) -> None:
        self._meter, self._instruments, self._pipeline = meter, instruments, {_PIPELINE: pipeline_name}
        self._begun: dict[str, float] = {}
        self._created: dict[str, float] = {}

    def _add(self, name: str, number: float, **more: str) -> None:
        if number:
            if name not in self._instruments:
                unit, text = COUNTERS[name]
                self._instruments[name] = self._meter.create_counter(name, unit, text)
            self._instruments[name].add(number, self._said(more))

    def _time(self, name: str, seconds: float, **more: str) -> None:
        if name not in self._instruments:
            self._instruments[name] = self._meter.create_histogram(
                name, "s", HISTOGRAMS[name], explicit_bucket_boundaries_advisory=_BOUNDS
            )
        self._instruments[name].record(max(0.0, seconds), self._said(more))

    def _said(self, more: Mapping[str, str]) -> dict[str, str]:
        names = {"table": _TABLE, "step": _STEP, "kind": _KIND, "outcome": _OUTCOME, "rule": _RULE}
        return self._pipeline | {names.get(name, "error.type"): value for name, value in more.items()}

    # ---- what happened ---------------------------------------------------------------------------------------------

    def count(self, event: AnyEvent, run: Run) -> None:
        """Count what an event tells."""
        if isinstance(event, PackageCreated):
            self._created[event.load_id] = facts.seconds(event)
        elif isinstance(event, Extracted):
            self._volume("extracted", event.row_counts, event.files)
        elif isinstance(event, Normalized):
            self._volume("normalized", event.row_counts, event.files)
        elif isinstance(event, SchemaMigrated):
            for table, partial in (*event.applied.items(), *event.altered.items()):
                self._add("headrace.schema.changes", len(partial.get("columns") or ()), table=table)
        elif isinstance(event, Rejected):
            self._add("headrace.rows.rejected", event.count, table=event.table, rule=event.rule)
        elif isinstance(event, StepRetried):
            self._add("headrace.steps.retried", 1, step=event.step)
        elif isinstance(event, PackageParked):
            self._add("headrace.packages.set_aside", 1)
        elif isinstance(event, Loaded):
            self._add("headrace.packages.loaded", 1)
            created = self._created.get(event.load_id)
            package = run.package
            if created is None and package is not None and package.load_id == event.load_id:
                created = package.created_at.timestamp()
            if created is not None:
                self._time("headrace.load.lag", facts.seconds(event) - created)

    def _volume(self, what: str, rows: Mapping[str, int], files: Iterable[Any]) -> None:
        sizes: Counter[str] = Counter()
        for file in files:
            sizes[file.table] += file.size
        for table, number in rows.items():
            self._add(f"headrace.rows.{what}", number, table=table)
        for table, size in sizes.items():
            self._add(f"headrace.bytes.{what}", size, table=table)

    def job(self, event: JobDone | JobFailed | JobRetried, piece: Piece, job: Job | None) -> None:
        """Count an attempt at a job."""
        kind, table = piece.facts.get("job_kind", "job"), piece.facts.get("table", "")
        outcome = {JobDone: "done", JobFailed: "failed", JobRetried: "retried"}[type(event)]
        self._add(f"headrace.jobs.{outcome}", 1, kind=kind, table=table)
        self._time("headrace.job.duration", event.seconds, kind=kind, outcome=outcome)
        if isinstance(event, JobDone) and job is not None and facts.is_moved(job):
            for file in job.files:
                self._add("headrace.rows.loaded", file.rows, table=file.table)
                self._add("headrace.bytes.loaded", file.size, table=file.table)

    def step_began(self, step: str, at: float) -> None:
        """A step begins."""
        self._begun[step] = at

    def step_ended(self, event: StepEnded, error: BaseException | None) -> None:
        """Time a step; `run` is timed by itself."""
        begun = self._begun.pop(event.step, None)
        if begun is not None and event.step != "run":
            took = facts.seconds(event) - begun
            self._time("headrace.step.duration", took, step=event.step, **_outcome(error))

    def run_ended(self, seconds: float, error: BaseException | None) -> None:
        """Count and time a run."""
        self._add("headrace.runs", 1, **_outcome(error))
        self._time("headrace.run.duration", seconds, **_outcome(error))


def _outcome(error: BaseException | None) -> dict[str, str]:
    if error is None:
        return {"outcome": "ok"}
    if facts.is_interrupt(error):
        return {"outcome": "interrupted"}
    return {"outcome": "failed", "error": facts.kind_of(facts.innermost(error))}
