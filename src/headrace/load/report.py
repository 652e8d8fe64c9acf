"""What became of a package's jobs, read from its journal: the fate of each file, the changes of each table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from headrace.load.worker import Outcome
from headrace.model.changes import UNKNOWN_CHANGES, RowChanges, add_changes
from headrace.model.events import JobDone, JobRetried, Normalized, Planned
from headrace.model.jobs import LoadFile, PlannedJob, Upload
from headrace.model.metrics import LoadJobMetrics
from headrace.package.again import failed_jobs
from headrace.package.decided import skipped_files

if TYPE_CHECKING:
    from headrace.package.package import Package

_STATES = {"done": "completed", "failed": "failed", "again": "retry"}


def changes_by_job(package: Package) -> dict[str, dict[str, RowChanges]]:
    """What each job did to its tables, in this run or an earlier one, as the destination told.

    Jobs that did not succeed are left out. Of a job whose success only the destination knows, the tables are there with
    numbers unknown.
    """
    planned = package.fact(Planned)
    done = {fact.job_id: fact.changes for fact in package.journal.all(JobDone)}
    failed = failed_jobs(package)
    found: dict[str, dict[str, RowChanges]] = {}
    for job in planned.jobs if planned else ():
        if job.id in done or (package.phase == "loaded" and job.id not in failed):
            told = done.get(job.id) or dict.fromkeys(job.tables, UNKNOWN_CHANGES)
            found[job.id] = {table: told[table] for table in job.tables if table in told}
    return found


def row_changes(package: Package) -> dict[str, RowChanges]:
    """What the package did to each table."""
    return add_changes(changes_by_job(package).values())


def job_metrics(
    package: Package,
    jobs: Sequence[PlannedJob],
    outcomes: Mapping[str, Outcome],
    url_of: Callable[[LoadFile], str] = lambda file: "",
) -> dict[str, LoadJobMetrics]:
    """One entry for each loader file: files that shared a job share its fate.

    The changes of a table are told with the first of its files in a job. ``url_of`` says where a file was staged.
    """
    retries: dict[str, int] = {}
    for fact in package.journal.all(JobRetried):
        retries[fact.job_id] = fact.attempt
    changes, failed = changes_by_job(package), failed_jobs(package)
    metrics: dict[str, LoadJobMetrics] = {}
    for job in jobs:
        if isinstance(job, Upload):
            continue  # the job that loads its files tells of them
        outcome, told = outcomes.get(job.id), dict(changes.get(job.id, {}))
        for file in job.files:
            job_id = f"{file.table}.{file.id}.{file.format}"
            metrics[job_id] = LoadJobMetrics(
                job_id,
                str(package.path / file.path),
                file.table,
                outcome.started_at if outcome else None,
                outcome.started_at + dt.timedelta(seconds=outcome.seconds) if outcome else None,
                _STATES[outcome.result] if outcome else "failed" if job.id in failed else "completed",
                url_of(file) or None,
                retries.get(job.id, 0),
                row_changes=told.pop(file.table, None),
            )
    return {**metrics, **_skipped(package)}


def _skipped(package: Package) -> dict[str, LoadJobMetrics]:
    paths, normalized = skipped_files(package), package.fact(Normalized)
    files = [f for f in normalized.files if f.path in paths] if paths and normalized else []
    ids = {f.path: f"{f.table}.{f.id}.{f.format}" for f in files}
    return {
        ids[f.path]: LoadJobMetrics(ids[f.path], str(package.path / f.path), f.table, None, None, "skipped", None, 0)
        for f in files
    }
