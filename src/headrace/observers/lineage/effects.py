"""What destinations have said of jobs besides rows: versions, partitions, ids of queries; and missing values."""

from __future__ import annotations

from typing import Any, NamedTuple

from headrace.model.effects import Partition, TableVersion, distinct, newest
from headrace.model.jobs import Copy, Job, LoadFile, Merge, Replace, Truncate, Upload
from headrace.observers.lineage.view import PackageView

MOST_QUERIES = 100
"""Ids of queries that are told of a run."""


class Effects(NamedTuple):
    """What the jobs of a table have come to in this run.

    Attributes:
        version: The table's; None where it keeps none, or the destination did not say.
        partitions: Those that were written; None where that is not known of all of it.
    """

    version: TableVersion | None
    partitions: list[Partition] | None


def effects_of(view: PackageView, table: str, resource: str | None = None) -> Effects:
    """The version and the partitions of a table.

    Args:
        view: The package.
        table: The table.
        resource: Only what jobs with its rows did.
    """
    versions: list[TableVersion] = []
    partitions: list[Partition] | None = []
    for job_id, job in view.jobs.items():
        done = view.done_now.get(job_id)
        if done is None or isinstance(job, Upload) or table not in job.tables:
            continue
        if resource is not None and resource not in view.whose(job, table):
            continue
        if (version := done.versions.get(table)) is not None:
            versions.append(version)
        if isinstance(job, Truncate) or (isinstance(job, Copy) and not _files(job, table)):
            continue  # it put rows nowhere
        told = done.partitions.get(table)
        partitions = [*partitions, *told] if told is not None and partitions is not None else None
    return Effects(newest(versions), distinct(partitions) or None if partitions else None)


def version_facet(view: PackageView, version: TableVersion | None) -> dict[str, Any]:
    """Fields of the facet ``version``: what the destination calls it, else the load."""
    found: dict[str, Any] = {"datasetVersion": version.id if version is not None else view.load_id}
    if version is not None:
        found["loadId"] = view.load_id
    number, digest = view.schema.get("version"), view.schema.get("version_hash")
    if number is not None:
        found["schemaVersion"] = str(number)
    if digest:
        found["schemaHash"] = digest
    return found


def subset_of(partitions: list[Partition] | None) -> dict[str, Any] | None:
    """The condition of the output's subset."""
    if not partitions:
        return None
    return {"type": "partition", "partitions": [{"dimensions": one} for one in partitions]}


def null_counts(view: PackageView, table: str, rows: int) -> dict[str, int]:
    """How many values are missing in each column of a table that this package has filled alone.

    Args:
        view: The package.
        table: The table.
        rows: How many it has, as the jobs have told.

    Returns:
        Nothing where that is not known of all rows: rows that were merged may not be those of the files, and files
        that normalize did not write were not counted.
    """
    files: list[LoadFile] = []
    for job_id, job in view.jobs.items():
        if job_id in view.done and table in job.tables:
            if isinstance(job, Merge):
                return {}
            files += _files(job, table) if isinstance(job, (Copy, Replace)) else []
    if sum(file.rows for file in files) != rows or any(len(f.nulls) != len(f.columns) or not f.columns for f in files):
        return {}
    names = dict.fromkeys(name for file in files for name in file.columns)
    columns = view.tables.get(table, {}).get("columns") or {}
    if any(column.get("variant") and name not in names for name, column in columns.items()):
        return {}  # where another writer was first, values may have been diverted to that column on their way
    counts = [(file.rows, dict(zip(file.columns, file.nulls, strict=True))) for file in files]
    # a file that lacks the column has no value of it
    return {name: sum(nulls.get(name, rows) for rows, nulls in counts) for name in names}


def queries_of(view: PackageView, tables: set[str]) -> list[str]:
    """Ids of what the destination ran for some tables, in the order in which the jobs were done."""
    found: dict[str, None] = {}
    for job_id, done in view.done_now.items():
        job = view.jobs.get(job_id)
        if job is not None and done.queries and tables & set(job.tables):
            # what a job runs for all of its tables comes behind what it runs for each
            for table in (*(name for name in job.tables if name in tables), ""):
                found.update(dict.fromkeys(done.queries.get(table, ())))
    return list(found)


def _files(job: Job, table: str) -> list[LoadFile]:
    return [file for file in job.files if file.table == table]
