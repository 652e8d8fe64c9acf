"""Packages that are loaded again: what failed in them, what was put back, what is left to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.model.events import JobDone, JobFailed, Loaded, Planned, Reopened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headrace.model.jobs import PlannedJob
    from headrace.package.package import Package


def failed_jobs(package: Package) -> dict[str, JobFailed]:
    """Jobs that failed for good, by id: neither done by a later attempt nor put back."""
    failed: dict[str, JobFailed] = {}
    for fact in package.journal.facts:
        match fact:
            case JobFailed():
                failed[fact.job_id] = fact
            case JobDone():
                failed.pop(fact.job_id, None)
            case Reopened():
                for job_id in fact.jobs or list(failed):
                    failed.pop(job_id, None)
    return failed


def finished_jobs(package: Package) -> frozenset[str]:
    """Ids of jobs that are not to run: done ones, and in a package that was loaded before those not put back."""
    done = {fact.job_id for fact in package.journal.all(JobDone)}
    if not package.was_loaded:
        return frozenset(done)
    return frozenset({job.id for job in planned_jobs(package)} - (set(_put_back(package)) - done))


def _put_back(package: Package) -> list[str]:
    """Jobs put back since the package was loaded last."""
    found: list[str] = []
    for fact in package.journal.facts:
        if isinstance(fact, Loaded):
            found = []
        elif isinstance(fact, Reopened):
            found += fact.jobs
    return found


def planned_jobs(package: Package) -> Sequence[PlannedJob]:
    """The plan; empty before there is one."""
    planned = package.fact(Planned)
    return planned.jobs if planned is not None else ()


def reopen(package: Package, jobs: Sequence[str] = ()) -> None:
    """Commit: the package waits to be loaded again.

    Args:
        package: Loaded with failed jobs, or set aside.
        jobs: What to run again, for a package that was loaded.
    """
    package.record(Reopened(load_id=package.load_id, jobs=list(jobs)), sync=True)
