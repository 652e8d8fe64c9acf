"""A package's facts, told as `LoadPackageInfo`: what infos, the command line and users' code read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import msgspec

from headrace.model.events import Aborted, Extracted, JobDone, JobRetried, Loaded, Normalized, Planned
from headrace.model.events import SchemaMigrated as Migrated
from headrace.model.jobs import LoadFile, SpoolFile
from headrace.model.migrate import join_updates
from headrace.model.packages import (
    JOB_STATES,
    LoadJobInfo,
    LoadPackageInfo,
    ParsedLoadJobFileName,
    SchemaRef,
    TPackageJobState,
)
from headrace.package.again import failed_jobs, finished_jobs, planned_jobs
from headrace.package.decided import decided

if TYPE_CHECKING:
    from headrace.package.package import Package


def package_info(package: Package) -> LoadPackageInfo:
    """Tell a package; every loader file counts as a job, since that is how the field names them.

    Args:
        package: In any phase.

    Returns:
        Its state, its schema by name and hash, what changed at the destination and the fate of its files.
    """
    jobs: dict[TPackageJobState, list[LoadJobInfo]] = {state: [] for state in JOB_STATES}
    for job in _jobs(package):
        jobs.setdefault(job.state, []).append(job)
    ended = (package.fact(Loaded) or package.fact(Aborted)) if package.phase in ("loaded", "aborted") else None
    return LoadPackageInfo(
        package.load_id,
        str(package.path),
        package.phase,
        SchemaRef(package.schema_name, package.schema_version_hash),
        schema_update(package),
        ended.at if ended else None,
        jobs,
        schema_altered=join_updates(fact.altered for fact in package.journal.all(Migrated)),
    )


def schema_update(package: Package) -> dict[str, Any]:
    """Tables and columns that the package's load has created at the destination, as partial tables."""
    return join_updates(fact.applied for fact in package.journal.all(Migrated))


def _jobs(package: Package) -> list[LoadJobInfo]:
    normalized, extracted = package.fact(Normalized), package.fact(Extracted)
    if normalized:
        fate = _fates(package)
        return [_loader_job(package, file, normalized.at, *fate(file)) for file in normalized.files]
    return [_spool_job(package, file, extracted.at) for file in _spooled(extracted.files)] if extracted else []


def _spooled(files: Iterable[SpoolFile]) -> Iterable[SpoolFile]:
    """Each file of the spool once, though several resources may have rows in it."""
    found: dict[str, SpoolFile] = {}
    for file in files:
        if file.path:
            known = found.get(file.path)
            found[file.path] = msgspec.structs.replace(known, size=known.size + file.size) if known else file
    return found.values()


_Fate = tuple[TPackageJobState, dt.datetime | None, int, str | None]


def _fates(package: Package) -> Callable[[LoadFile], _Fate]:
    """A function that tells a file's state, when it ended, how often it was tried in vain and why it failed."""
    planned = package.fact(Planned)
    job_of = {file.id: job.id for job in planned.jobs for file in job.files} if planned else {}
    journal = package.journal
    done = {fact.job_id: fact.at for fact in journal.all(JobDone)}
    failed = failed_jobs(package)
    retried = {fact.job_id: fact.attempt for fact in journal.all(JobRetried)}
    skipped = {path: (fact.at, fact.reason) for fact in decided(package).values() for path in fact.files}
    loaded = package.fact(Loaded)
    waiting = {j.id for j in planned_jobs(package)} - finished_jobs(package) if package.was_loaded else frozenset()

    def fate(file: LoadFile) -> _Fate:
        if file.path in skipped:
            at, reason = skipped[file.path]
            return "skipped_jobs", at, 0, reason or None
        job = job_of.get(file.id, "")
        tries = retried.get(job, 0)
        if job in done:
            return "completed_jobs", done[job], tries, None
        if job in failed:
            return "failed_jobs", failed[job].at, tries, failed[job].message
        if loaded and job not in waiting:
            # the destination said so; the fact of the job itself was lost in a crash
            return "completed_jobs", loaded.at, tries, None
        return ("started_jobs" if tries else "new_jobs"), None, tries, None

    return fate


def _loader_job(
    package: Package,
    file: LoadFile,
    made: dt.datetime,
    state: TPackageJobState,
    ended: dt.datetime | None,
    tries: int,
    message: str | None,
) -> LoadJobInfo:
    name = ParsedLoadJobFileName(file.table, file.id, tries, file.format)
    seconds = ((ended or dt.datetime.now(dt.timezone.utc)) - made).total_seconds()
    return LoadJobInfo(state, str(package.path / file.path), file.size, made, seconds, name, message)


def _spool_job(package: Package, file: SpoolFile, made: dt.datetime) -> LoadJobInfo:
    stem = PurePath(file.path).name.removeprefix(f"{file.table}.").partition(".")[0]
    name = ParsedLoadJobFileName(file.table, stem, 0, file.format)
    seconds = (dt.datetime.now(dt.timezone.utc) - made).total_seconds()
    return LoadJobInfo("new_jobs", str(package.path / file.path), file.size, made, seconds, name, None)
