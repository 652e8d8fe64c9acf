"""What a package of dlt has put into the destination, by table: only what its jobs, and those behind them, did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from headrace.observers.lineage import naming
from headrace.observers.lineage.dlt_facts import Done, File, OpenPackage
from headrace.observers.lineage.dlt_places import Target
from headrace.observers.lineage.facts import Field, Output

SYSTEM = "_dlt"
Tables = Mapping[str, Mapping[str, Any]]


class Loaded(msgspec.Struct):
    """How loading a package went, as plain data.

    Attributes:
        state: Of the package: ``loaded``, ``aborted``, or what dlt calls one that is not finished.
        tables: Of its schema.
        schema_version: Of its schema.
        schema_hash: Of its schema.
        update: Tables and columns that the destination did not have before.
        dropped: Tables dropped before.
        truncated: Tables emptied before.
        refresh: dlt's refresh mode.
    """

    state: str
    tables: dict[str, Any]
    schema_version: int = 0
    schema_hash: str = ""
    update: dict[str, Any] = {}
    dropped: list[str] = []
    truncated: list[str] = []
    refresh: str = ""


def root_of(tables: Tables, name: str) -> str:
    """The table at the root of a nested one."""
    while name in tables and tables[name].get("parent"):
        name = str(tables[name]["parent"])
    return name


def owner_of(tables: Tables, name: str) -> str:
    """The resource of a table, as the table at its root says it."""
    root = root_of(tables, name)
    return str(tables.get(root, {}).get("resource") or root)


def tables_of(tables: Tables, resource: str, own_table: str = "") -> list[str]:
    """All tables of a resource, nested ones behind their parents."""
    return [
        name
        for name in tables
        if not name.startswith(SYSTEM)
        and (owner_of(tables, name) == resource or (own_table and root_of(tables, name) == own_table))
    ]


def failed(package: OpenPackage, tables: Iterable[str]) -> list[tuple[str, Done]]:
    """Jobs of tables that have failed for good."""
    wanted = set(tables)
    return [
        (job, done) for job, done in sorted(package.jobs.items()) if done.table in wanted and done.state == "failed"
    ]


def written(package: OpenPackage, tables: Tables, name: str) -> list[str]:
    """The jobs whose rows of a table are in the destination.

    Where dlt loads into a staging dataset first, the rows are there only when the job behind has moved them: a job
    names those it asked for, and a merge asks for none while a table of its chain has failed.
    """
    jobs = [job for job, done in package.jobs.items() if done.table == name and done.state == "completed"]
    jobs = [job for job in jobs if job in package.files]
    return [job for job in jobs if _arrived(package, tables, name, job)]


def _arrived(package: OpenPackage, tables: Tables, name: str, job: str) -> bool:
    behind = [package.jobs.get(_job_id(one)) for one in package.jobs[job].followups]
    if any(one is None or one.state != "completed" for one in behind):
        return False
    if behind:
        return True
    root = root_of(tables, name)
    chain = [done for done in package.jobs.values() if root_of(tables, done.table) == root]
    moved = [done for job_id, done in package.jobs.items() if _is_followup(package, job_id) and done in chain]
    # all of the chain went to the staging dataset, and what moves it was never made or did not succeed
    staged = any(done.followups for done in chain) or bool(moved)
    return not staged or any(done.state == "completed" for done in moved)


def unmeasured(jobs: Mapping[str, Done]) -> dict[str, File]:
    """Files of jobs where nobody has watched normalize: their rows are not known."""
    names = [job for job in jobs if job.rpartition(".")[2] not in ("sql", "reference")]
    return {job: File(table=jobs[job].table, rows=-1, size=-1) for job in names}


def _is_followup(package: OpenPackage, job: str) -> bool:
    return job not in package.files


def _job_id(name: str) -> str:
    """The id of a job: dlt names follow-ups by it, or by their file."""
    parts = name.rpartition("/")[2].split(".")
    # table.file_id.retry.format: the number of the attempt is no part of the id
    return ".".join([*parts[:2], *parts[3:]]) if len(parts) > 3 and parts[2].isdigit() else ".".join(parts)


def output(
    package: OpenPackage, loaded: Loaded, name: str, target: Target | None, shared: bool = False
) -> Output | None:
    """A table of a package as an output; None when the destination holds nothing of it, or none of its tables.

    Args:
        package: It.
        loaded: How it went.
        name: The table.
        target: Where it is.
        shared: Several resources have written into it: nobody knows how many rows each.
    """
    if target is None or target.place is None:
        return None
    emptied = name in loaded.truncated
    jobs = written(package, loaded.tables, name)
    if not jobs and not emptied:
        return None
    table = loaded.tables[name]
    root = loaded.tables[root_of(loaded.tables, name)]
    made = naming.output(
        target.place,
        name,
        source_name=target.name,
        table_format=root.get("table_format"),
        parent=str(table["parent"]) if table.get("parent") else None,
    )
    before = bool(jobs) and any(job in package.told for job in jobs)
    files = [package.files[job] for job in jobs if job not in package.told]
    made.written = True
    made.fields = fields(table, target)
    made.description = table.get("description")
    made.version = {"datasetVersion": package.load_id, "schemaVersion": str(loaded.schema_version)}
    made.version |= {"schemaHash": loaded.schema_hash} if loaded.schema_hash else {}
    disposition = str(root.get("write_disposition") or "append")
    made.write = _write(made, table, root, disposition)
    if jobs and not shared and all(file.rows >= 0 for file in files):
        made.bytes, made.files = sum(file.size for file in files), len(files)
        # of a merge dlt knows the rows it handed over, not those that the table got
        made.rows = sum(file.rows for file in files) if disposition in ("append", "replace") or not files else None
    if before:
        return made  # what became of the table was told with the first of its files
    made.lifecycle = lifecycle(loaded, name, disposition)
    if made.rows is not None and ("CREATE" in made.lifecycle or disposition == "replace"):
        made.metrics = {"rowCount": made.rows}  # the table holds these rows and no others
    change = _change(loaded, name, made.lifecycle)
    made.schema_change = change if change else None
    return made


def fields(table: Mapping[str, Any], target: Target) -> list[Field]:
    """Columns that the destination has: those whose type is known."""
    return [_field(column, table, target) for column in table["columns"].values() if column.get("data_type")]


def _field(column: Mapping[str, Any], table: Mapping[str, Any], target: Target) -> Field:
    tags = [(hint, "true") for hint in ("primary_key", "merge_key", "unique") if column.get(hint)]
    tags += [(key, str(value)) for key, value in column.items() if key.startswith("x-annotation") and value is not None]
    return Field(
        name=str(column["name"]), type=target.type_of(column, table), description=column.get("description"), tags=tags
    )


def _write(made: Output, table: Mapping[str, Any], root: Mapping[str, Any], disposition: str) -> dict[str, Any]:
    found: dict[str, Any] = {"writeDisposition": disposition}
    if disposition == "merge":
        found["mergeStrategy"] = str(root.get("x-merge-strategy") or "delete-insert")
    keys = [str(c["name"]) for c in table["columns"].values() if c.get("primary_key")]
    merge_keys = [str(c["name"]) for c in table["columns"].values() if c.get("merge_key")]
    found |= {"primaryKey": keys} if keys else {}
    found |= {"mergeKey": merge_keys} if merge_keys else {}
    found |= {"parentTable": made.parent} if made.parent else {}
    return found


def lifecycle(loaded: Loaded, name: str, disposition: str) -> list[str]:
    """What happened to a table in its life, as the package tells it."""
    found: list[str] = []
    if name in loaded.dropped:
        found.append("DROP")
    update = loaded.update.get(name)
    if update is not None:
        now = {column for column, hints in loaded.tables[name]["columns"].items() if hints.get("data_type")}
        found.append("CREATE" if now <= set(update.get("columns", {})) else "ALTER")
    if "CREATE" not in found and (disposition == "replace" or loaded.refresh):
        # dlt empties the table, or puts another in its place, and does not say in its infos which
        found.append("TRUNCATE" if name in loaded.truncated else "OVERWRITE")
    return found


def _change(loaded: Loaded, name: str, lifecycle: list[str]) -> dict[str, Any]:
    update = loaded.update.get(name)
    if update is None:
        return {}
    columns = [str(column) for column in update.get("columns", {})]
    return {"created": "CREATE" in lifecycle, "columnsAdded": columns}


def dispositions(outputs: Iterable[Output]) -> str:
    """How tables are written, each way once."""
    return ", ".join(sorted({str(one.write.get("writeDisposition")) for one in outputs}))


def package_facet(package: OpenPackage, schema: str, loaded: Loaded, tables: list[str]) -> dict[str, Any]:
    """The facet `headrace_loadPackage`: what some tables' part of a package came to."""
    mine = {job: done for job, done in package.jobs.items() if done.table in tables}
    states: dict[str, int] = {}
    for done in mine.values():
        states[done.state] = states.get(done.state, 0) + 1
    found: dict[str, Any] = {"loadId": package.load_id, "state": loaded.state, "schemaName": schema}
    found |= {"schemaVersion": loaded.schema_version, "schemaHash": loaded.schema_hash, "jobs": states}
    rows: dict[str, int] = {}
    for job, file in package.files.items():
        if file.table in tables and job in mine and file.rows >= 0:
            rows[file.table] = rows.get(file.table, 0) + file.rows
    # what dlt handed over: of a merge the table may have got fewer
    found |= {"rowCounts": rows} if rows else {}
    broken = [{"jobId": job, "table": d.table, "message": d.message[:500]} for job, d in failed(package, tables)]
    return {**found, **({"failedJobs": broken} if broken else {})}
