"""What gates decided of a package, read from its journal."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.model.decisions import SKIPPED
from headrace.model.events import DurableEvent, GateDecided, JobDone, Loaded, Normalized, Planned, Reopened
from headrace.model.rejected import RejectedCount, add_counts

if TYPE_CHECKING:
    from headrace.model.jobs import LoadFile
    from headrace.package.package import Package


def decided(package: Package) -> dict[str, GateDecided]:
    """The newest decision of each gate, by its name.

    A package that was set aside and put back is decided on anew: somebody wanted it.
    """
    return decisions(package.journal.facts)


def decisions(facts: Iterable[DurableEvent]) -> dict[str, GateDecided]:
    """The same, by the facts of a journal, oldest first."""
    found: dict[str, GateDecided] = {}
    loaded = False
    for fact in facts:
        if isinstance(fact, GateDecided):
            found[fact.gate] = fact
        elif isinstance(fact, Loaded):
            loaded = True
        elif isinstance(fact, Reopened) and not loaded:
            found.clear()
    return found


def skipped_files(package: Package) -> set[str]:
    """Paths of loader files that gates keep from being loaded, relative to the package's folder."""
    return {path for fact in decided(package).values() for path in fact.files}


def left_files(package: Package) -> list[LoadFile]:
    """The loader files that are to be loaded: all but the skipped ones."""
    skipped, normalized = skipped_files(package), package.fact(Normalized)
    return [file for file in normalized.files if file.path not in skipped] if normalized is not None else []


def skipped_tables(package: Package) -> set[str]:
    """Tables that gates leave as they are."""
    return {name for fact in decided(package).values() for name in fact.tables}


def skipped_rows(package: Package) -> list[RejectedCount]:
    """The rows of these files, as counts of what was let go."""
    paths, normalized = skipped_files(package), package.fact(Normalized)
    return skipped_counts(f for f in normalized.files if f.path in paths) if paths and normalized else []


def skipped_counts(files: Iterable[LoadFile]) -> list[RejectedCount]:
    """Rows of files as counts of what was let go, by table."""
    return add_counts(RejectedCount(file.table, SKIPPED, count=file.rows) for file in files)


def files_to_keep(package: Package) -> set[Path]:
    """Loader files whose rows are not at the destination: of jobs that failed, and of skipped ones."""
    planned, loaded = package.fact(Planned), package.fact(Loaded)
    skipped = {package.path / path for path in skipped_files(package)}
    if planned is None or loaded is None or not loaded.failed_jobs:
        return skipped
    done = {fact.job_id for fact in package.journal.all(JobDone)}
    return {package.path / f.path for job in planned.jobs if job.id not in done for f in job.files} | skipped
