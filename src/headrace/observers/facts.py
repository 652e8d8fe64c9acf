"""What monitoring systems are told of a run, in one spelling: who ran, what took how long, whose fault it was."""

from __future__ import annotations

import contextlib
import datetime as dt
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from headrace.base.version import VERSION
from headrace.errors.base import SignalReceivedException
from headrace.errors.masking import without_secrets
from headrace.model.events import Event, JobDone, JobFailed, JobRetried, Planned
from headrace.model.infos import ExtractInfo
from headrace.model.jobs import Job, Upload

if TYPE_CHECKING:
    from headrace.bus.observer import Run
    from headrace.model.schema import Schema

FLUSH_SECONDS = 1.5
"""How long the end of a run waits at most until what it tells is sent: a receiver may be dead or hang."""

MOST_PIECES = 200
"""Jobs and resources of one run that are told one by one; failed ones are always told, the others are counted."""

_BLAMED = {
    "resource_name": "resource",
    "pipe_name": "resource",
    "table_name": "table",
    "column_name": "column",
    "load_id": "load_id",
    "job_id": "job_id",
}


class Piece(NamedTuple):
    """A job or a resource, timed.

    Attributes:
        kind: ``job`` or ``resource``.
        name: What it did, for people: ``copy orders``.
        started: Unix seconds.
        ended: Unix seconds.
        facts: Names and numbers: `load_id`, `table`, `rows`, …
        error: Why it failed, without secrets; None when it went well.
    """

    kind: str
    name: str
    started: float
    ended: float
    facts: dict[str, Any]
    error: str | None = None


class Jobs:
    """The jobs of packages by their ids, so that an event of a job can be told in full."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Job]] = {}

    def note(self, event: Planned) -> None:
        """Learn the jobs of a package."""
        self._known[event.load_id] = {job.id: job for job in event.jobs}

    def find(self, run: Run, load_id: str, job_id: str) -> Job | None:
        """A job; the plan of a package that an earlier run has left is read from the package."""
        if load_id not in self._known:
            package = run.package
            plan = package.fact(Planned) if package is not None and package.load_id == load_id else None
            self._known[load_id] = {job.id: job for job in plan.jobs} if plan is not None else {}
        return self._known[load_id].get(job_id)

    def piece(self, event: JobDone | JobFailed | JobRetried, run: Run) -> Piece:
        """An attempt at a job, from the event that ended it."""
        job = self.find(run, event.load_id, event.job_id)
        facts: dict[str, Any] = {"load_id": event.load_id, "job_id": event.job_id, "step": "load"}
        if isinstance(event, JobRetried):
            facts["attempt"] = event.attempt
        if isinstance(event, JobDone):
            facts["rows"] = event.rows
        if job is not None:
            facts |= {"job_kind": job.kind, "bytes": sum(file.size for file in job.files)}
        tables = _tables(job)
        if tables:
            facts |= {"table": tables[0], **_owner(run, tables[0])}
        if len(tables) > 1:
            facts["tables"] = ", ".join(tables)
        ended = event.at.timestamp()
        error = None if isinstance(event, JobDone) else without_secrets(event.message)
        return Piece("job", _name_of(job, event.job_id), ended - event.seconds, ended, facts, error)


def _name_of(job: Job | None, job_id: str) -> str:
    tables = _tables(job)
    if job is None or not tables:
        return f"job {job_id}"
    more = f" and {len(tables) - 1} more" if len(tables) > 1 else ""
    return f"{job.kind} {tables[0]}{more}"


def _tables(job: Job | None) -> list[str]:
    """The tables of a job; those of the user stand before those of the system."""
    return sorted(job.tables, key=lambda name: name.lower().startswith("_dlt")) if job is not None else []


def _owner(run: Run, table: str) -> dict[str, str]:
    """The resource that a table is of, if the schema says so."""
    with contextlib.suppress(Exception):
        schema: Schema = run.pipeline.schemas[run.package.schema_name]
        while (parent := schema.tables[table].get("parent")) is not None:
            table = parent
        if resource := schema.tables[table].get("resource"):
            return {"resource": resource}
    return {}


def is_moved(job: Job | None) -> bool:
    """Whether a job brings rows into tables, so that its files count as loaded."""
    return job is not None and not isinstance(job, Upload)


def resource_pieces(info: Any) -> list[Piece]:
    """The resources that an extract has read. They take turns, so each lasts as long as its source."""
    if not isinstance(info, ExtractInfo):
        return []
    return [
        Piece(
            "resource",
            f"resource {name}",
            numbers.created,
            numbers.last_modified,
            {
                "resource": name,
                "load_id": load_id,
                "step": "extract",
                "rows": numbers.items_count,
                "bytes": numbers.file_size,
            },
        )
        for load_id, many in info.metrics.items()
        for one in many
        for name, numbers in one["resource_metrics"].items()
    ]


def step_info(run: Run, step: str) -> Any:
    """What the step of a name that has just ended handed back; None when there is nothing."""
    ended = run.trace.last_pipeline_step_trace(step) if run.trace is not None else None
    return ended.step_info if ended is not None else None


def run_facts(run: Run) -> dict[str, str]:
    """Who runs, and where to."""
    pipeline = run.pipeline
    destination, staging = pipeline.destination, pipeline.staging
    found = {
        "pipeline_name": pipeline.pipeline_name,
        "run_id": run.run_id,
        "version": VERSION,
        "destination": getattr(destination, "destination_name", None),
        "destination_type": getattr(destination, "destination_type", None),
        "staging": getattr(staging, "destination_name", None),
        "dataset": pipeline.dataset_name,
    }
    return {name: str(value) for name, value in found.items() if value}


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from, outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def blamed(error: BaseException | None) -> dict[str, str]:
    """Resource, table, column, package and job that an error names, and the step that it ended."""
    found: dict[str, str] = {}
    for one in chain(error):
        for attribute, name in _BLAMED.items():
            value = getattr(one, attribute, None)
            if isinstance(value, str) and value:
                found.setdefault(name, value)
        step = getattr(one, "step", None)
        if isinstance(step, str) and hasattr(one, "step_info"):
            found.setdefault("step", step)
    return found


def innermost(error: BaseException) -> BaseException:
    """What an error came from in the end."""
    return list(chain(error))[-1]


def is_interrupt(error: BaseException | None) -> bool:
    """Whether somebody stopped the run, which is no fault of it."""
    return isinstance(error, (SignalReceivedException, KeyboardInterrupt, SystemExit, GeneratorExit))


def text_of(error: BaseException) -> str:
    """An error in words, without secrets."""
    return without_secrets(str(error) or type(error).__name__)


def kind_of(error: BaseException) -> str:
    """The class of an error with its module."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def seconds(event: Event) -> float:
    """When an event happened, in unix seconds."""
    return event.at.timestamp()


def instant(unix: float) -> dt.datetime:
    """Unix seconds as an instant."""
    return dt.datetime.fromtimestamp(unix, dt.timezone.utc)


def described(error: BaseException) -> dict[str, str]:
    """An error as the semantic conventions of OpenTelemetry have it: type, message and stack, without secrets."""
    stack = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return {
        "exception.type": kind_of(error),
        "exception.message": text_of(error),
        "exception.stacktrace": without_secrets(stack),
    }
