"""Which later loads have written tables that an older package has not got its rows into."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from headrace.errors.base import HeadraceException
from headrace.model.events import JobDone, RolledBack, SchemaMigrated
from headrace.model.jobs import Copy, Merge, PlannedJob, Replace, Truncate
from headrace.package.again import failed_jobs, planned_jobs

if TYPE_CHECKING:
    from headrace.package.package import Package
    from headrace.pipeline.pipeline import Pipeline

WRITE = (Copy, Merge, Replace, Truncate)
OVERWRITE = (Merge, Replace, Truncate)


def newer_writer(p: Pipeline, package: Package, tables: set[str], kinds: tuple[type[PlannedJob], ...]) -> str | None:
    """A later load that has written some of the tables by a job of these kinds, in words; None when there is none."""
    for load_id in p._store.list("loaded", "aborted"):
        if load_id > package.load_id and has_written(p._store.get(load_id), tables, kinds):
            return f"load {load_id}"
    # of packages that were deleted only the names are left; those that overwrite what waits here are not deleted
    gone = p._store.gone_since(package.load_id) if Copy in kinds else []
    return f"load {gone[0]}, whose package is deleted, perhaps" if gone else None


def has_written(package: Package, tables: set[str], kinds: tuple[type[PlannedJob], ...]) -> bool:
    """Whether a package has written some of the tables by jobs of these kinds, or its refresh has cleared them."""
    if package.fact(RolledBack) is not None:
        return False
    done = {fact.job_id for fact in package.journal.all(JobDone)}
    failed = failed_jobs(package)
    for job in planned_jobs(package):
        went = job.id in done or (package.phase == "loaded" and job.id not in failed)
        if went and isinstance(job, kinds) and tables & set(job.tables):
            return True
    if package.phase != "loaded" and package.fact(SchemaMigrated) is None:
        return False
    order = (package.load_state() or {}).get("refresh") or {}
    return bool(tables & {*(order.get("dropped_tables") or []), *(order.get("truncated_tables") or [])})


def needed_for_retries(p: Pipeline, failed: Iterable[str], doomed: set[str]) -> set[str]:
    """Of packages that are to be deleted those that tell that rows which failed earlier must not come any more."""
    needed: set[str] = set()
    for load_id in failed:
        later = [other for other in doomed - needed if other > load_id]
        tables = _wanting(p, load_id) if later else set()
        needed |= {other for other in later if tables and has_written(p._store.get(other), tables, OVERWRITE)}
    return needed


def _wanting(p: Pipeline, load_id: str) -> set[str]:
    """Tables that a package with failures has not got all of its rows into."""
    try:
        package = p._store.get(load_id)
        bad, aside = failed_jobs(package), package.phase != "loaded"
        done = {fact.job_id for fact in package.journal.all(JobDone)}
        wanting = [job for job in planned_jobs(package) if job.id in bad or (aside and job.id not in done)]
        return {table for job in wanting for table in job.tables}
    except HeadraceException:
        return set()  # nobody can say what is in it, and so it can never be tried again
