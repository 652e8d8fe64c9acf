"""Packages that dlt keeps although jobs failed for good: their runs have ended, and a later try has new ones."""

from __future__ import annotations

import datetime as dt

import msgspec

from headrace.observers.lineage.dlt_facts import OpenPackage
from headrace.observers.lineage.dlt_steps import Scope
from headrace.observers.lineage.facts import Parent, ResourceRun, RunRef
from headrace.observers.lineage.ids import static_run_id


def successors(package: OpenPackage, scope: Scope, parent: Parent | None, at: dt.datetime) -> list[ResourceRun]:
    """A new run for each that has ended: an ended run cannot go on. Every process finds the same ids.

    Args:
        package: Its `ended_at` is set.
        scope: The pipeline.
        parent: Of the new runs; the old ones' where it is not known.
        at: When the new try began.
    """
    assert package.ended_at is not None
    runs = []
    for run in package.runs:
        name = f"{scope.namespace}.{scope.pipeline}.{run.source}.{run.resource}.{package.load_id}.{package.attempt}"
        runs.append(
            msgspec.structs.replace(
                run,
                run_id=static_run_id(package.ended_at, name),
                started_at=max(at, package.ended_at),
                parent=parent or run.parent,
                depends_on=[RunRef(run_id=run.run_id, job=run.job.id, facets={"continues": True})],
                outputs=[],
                failure=None,
                custom={},
                lineage_errors=[one for one in run.lineage_errors if one[0] == "inputs"],
            )
        )
    return runs


def end_all(package: OpenPackage, at: dt.datetime) -> None:
    """Note that the runs have ended, and what they have told."""
    package.attempt, package.ended_at = package.attempt + 1, at
    package.told = [job for job, done in package.jobs.items() if done.state == "completed"]


def has_news(package: OpenPackage) -> bool:
    """Whether a job has completed since the runs ended."""
    return any(done.state == "completed" and job not in package.told for job, done in package.jobs.items())
