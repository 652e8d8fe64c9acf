"""Snapshots of dlt's steps: made on the pipeline's thread from its infos, read on the sink's."""

from __future__ import annotations

import datetime as dt
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from headrace.errors.masking import without_secrets
from headrace.observers.lineage.dlt_facts import STATE_RESOURCE, Done, Seen
from headrace.observers.lineage.dlt_outputs import Loaded
from headrace.observers.lineage.dlt_places import Target
from headrace.observers.lineage.facts import Failure, Parent

_STOPS = ("KeyboardInterrupt", "SignalReceivedException", "SystemExit", "GeneratorExit", "CancelledError")
_FAILED_JOBS = ("LoadClientJobFailed", "LoadClientJobTerminalRetry")
_DEEP = 20


@dataclass(frozen=True)
class Scope:
    """A pipeline, and where its jobs are."""

    namespace: str
    pipeline: str
    working_dir: str
    engine: tuple[str, str]


@dataclass
class Extracted:
    """The end of extract.

    Attributes:
        packages: By load id the sources that went into it: the schema's name, and dlt's metrics.
        empty: Load ids of packages that dlt did not keep, since nothing new was in them.
        left_over: By load id the resources of a source that was not finished: (source, resource).
        seen: What could be seen of resources, by ``source.resource``.
        culprit: The resource at fault.
        aborted: It was stopped from outside.
        goal: Destination and dataset, as far as they are known.
    """

    packages: dict[str, list[tuple[str, Any]]]
    empty: set[str]
    left_over: dict[str, list[tuple[str, str]]]
    seen: dict[str, Seen]
    parent: Parent | None
    started: dt.datetime
    ended: dt.datetime
    failure: Failure | None = None
    culprit: str = ""
    aborted: bool = False
    goal: str = ""


@dataclass
class Normalized:
    """The end of normalize.

    Attributes:
        packages: By load id dlt's metrics of jobs.
        broken: The package and the table whose job has failed for good: dlt keeps the package, and would try it again.
    """

    packages: dict[str, Any]
    parent: Parent | None
    started: dt.datetime
    ended: dt.datetime
    failure: Failure | None = None
    broken: tuple[str, str] | None = None


@dataclass
class LoadedPackage:
    """The end of load, for one package; ``gave_up``: its jobs failed for good, and dlt keeps it to be tried again."""

    load_id: str
    schema: str
    loaded: Loaded
    jobs: dict[str, Done]
    target: Target | None
    normalize: Callable[[str], str]
    parent: Parent | None
    started: dt.datetime
    ended: dt.datetime
    parameters: list[tuple[str, str]] = field(default_factory=list)
    failure: Failure | None = None
    gave_up: bool = False


def extracted(
    info: Any,
    seen: list[Seen],
    parent: Parent | None,
    started: dt.datetime,
    ended: dt.datetime,
    error: BaseException | None,
) -> Extracted:
    """A snapshot of dlt's `ExtractInfo`.

    Args:
        info: It; None when extract failed early.
        seen: Resources that were at hand.
        parent: The invocation.
        started: When the step began.
        ended: When it ended.
        error: Why it failed.
    """
    packages: dict[str, list[tuple[str, Any]]] = {}
    left_over: dict[str, list[tuple[str, str]]] = {}
    found = info.metrics if info is not None else {}
    for load_id, metrics in found.items():
        packages[load_id] = [(str(one["schema_name"]), one) for one in metrics]
        if error is not None:
            done = {name for _, one in packages[load_id] for name in one["hints"]}
            left_over[load_id] = [(one.source, one.name) for one in seen if one.name not in done]
    made = Extracted(
        packages, _empty(info), left_over, {f"{s.source}.{s.name}": s for s in seen}, parent, started, ended
    )
    if error is not None:
        made.failure, made.aborted, made.culprit = failure_of(error), is_stop(error), culprit_of(error)
    return made


def _empty(info: Any) -> set[str]:
    """Packages that were made and not kept, or that hold no file but that of the state."""
    if info is None:
        return set()
    kept = {one.load_id for one in info.load_packages if any(one.jobs.values()) or _changes_tables(one)}
    return {load_id for load_id in info.metrics if load_id not in kept}


def _changes_tables(package: Any) -> bool:
    return bool(getattr(package, "dropped_tables", None) or getattr(package, "truncated_tables", None))


def normalized(
    info: Any, parent: Parent | None, started: dt.datetime, ended: dt.datetime, error: BaseException | None
) -> Normalized:
    """A snapshot of dlt's `NormalizeInfo`."""
    packages = {load_id: dict(one["job_metrics"]) for load_id, many in info.metrics.items() for one in many}
    made = Normalized(packages, parent, started, ended)
    for one in chain(error) if not is_stop(error) else ():
        if type(one).__name__ == "NormalizeJobFailed":
            table = str(getattr(one, "job_id", "")).partition(".")[0]
            made.broken, made.failure = (str(getattr(one, "load_id", "")), table), failure_of(error or one)
    return made


def gave_up(error: BaseException | None) -> str:
    """The package whose jobs failed for good, so that dlt's loader has stopped; empty if a server was just away."""
    found = [one for one in chain(error) if type(one).__name__ in _FAILED_JOBS] if not is_stop(error) else []
    return str(getattr(found[0], "load_id", "")) if found else ""


def jobs_of(info: Any, package: Any) -> dict[str, Done]:
    """What dlt's loader did in this process, and the jobs that have failed for good."""
    found: dict[str, Done] = {}
    for metrics in info.metrics.get(package.load_id, ()) if info is not None else ():
        for job, one in metrics["job_metrics"].items():
            followups = [str(name) for name in getattr(one, "followup_jobs", None) or ()]
            found[str(job)] = Done(table=str(one.table_name), state=str(one.state), followups=followups)
    for folder in ("failed_jobs", "new_jobs"):
        for one in package.jobs.get(folder, ()):
            job, table = str(one.job_file_info.job_id()), str(one.job_file_info.table_name)
            known = found.get(job)
            if folder == "new_jobs" and (known is None or known.state != "failed"):
                continue  # only those that dlt has put back after they failed for good
            message = without_secrets(last_line(str(one.failed_message or "")))
            found[job] = Done(table=table, state="failed", followups=known.followups if known else [], message=message)
    for one in package.jobs.get("completed_jobs", ()):
        job, table = str(one.job_file_info.job_id()), str(one.job_file_info.table_name)
        if job not in found:
            found[job] = Done(table=table, state="completed")
    return found


def loaded(package: Any) -> Loaded:
    """A snapshot of dlt's `LoadPackageInfo`; its schema was read for the info alone and is nobody else's."""
    schema = package.schema
    return Loaded(
        state=str(package.state),
        tables=dict(schema.tables),
        schema_version=int(schema.version or 0),
        schema_hash=str(schema.version_hash or ""),
        update=dict(package.schema_update or {}),
        dropped=[str(name) for name in getattr(package, "dropped_tables", None) or ()],
        truncated=[str(name) for name in getattr(package, "truncated_tables", None) or ()],
        refresh=str(getattr(package, "refresh", None) or ""),
    )


def loaded_package(
    package: Any,
    info: Any,
    goal: Target | None,
    parent: Parent | None,
    started: dt.datetime,
    ended: dt.datetime,
    parameters: list[tuple[str, str]],
) -> LoadedPackage:
    """A snapshot of how a package was loaded.

    Args:
        package: dlt's `LoadPackageInfo`.
        info: dlt's `LoadInfo`; None when another process has loaded it.
        goal: Where its tables are.
        parent: The invocation.
        started: When the step began.
        ended: When it ended.
        parameters: Of the pipeline.
    """
    return LoadedPackage(
        load_id=str(package.load_id),
        schema=str(package.schema.name),
        loaded=loaded(package),
        jobs=jobs_of(info, package),
        target=goal,
        normalize=package.schema.naming.normalize_identifier,
        parent=parent,
        started=started,
        ended=ended,
        parameters=parameters,
    )


# ---- errors ----------------------------------------------------------------------------------------------------------


def chain(error: BaseException | None) -> list[BaseException]:
    """An error and what it came from, innermost last."""
    found: list[BaseException] = []
    while error is not None and error not in found and len(found) < _DEEP:
        found.append(error)
        error = error.__cause__ or getattr(error, "exception", None) or error.__context__
        error = error if isinstance(error, BaseException) else None
    return found


def last_line(message: str) -> str:
    """What a traceback says in the end; a message that is none as it is."""
    if not message.startswith("Traceback "):
        return message
    lines = message.rstrip().splitlines()
    at = [number for number, line in enumerate(lines) if line[:1].isalpha() or line[:1] == "_"]
    return "\n".join(lines[at[-1] :]) if at else message


def is_stop(error: BaseException | None) -> bool:
    """Whether a run was stopped from outside: Ctrl-C, a signal, an end of the process."""
    return any(base.__name__ in _STOPS for one in chain(error) for base in type(one).__mro__)


def culprit_of(error: BaseException | None) -> str:
    """The resource that an error of extract tells of."""
    for one in reversed(chain(error)):
        for name in ("pipe_name", "resource_name"):
            if isinstance(value := getattr(one, name, None), str) and value != STATE_RESOURCE:
                return value
    return ""


def failure_of(error: BaseException) -> Failure:
    """The error without secrets, with its traceback."""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 # code of the user, and it may fail as well
        message = ""
    return Failure(message=without_secrets(message or type(error).__name__), trace=without_secrets(text))
