"""What a load did to a table, from the package's journal: what jobs have reported, never what was planned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from headrace.formats.sqlmodel import FORMAT as MODEL
from headrace.model.changes import UNKNOWN_CHANGES, RowChanges
from headrace.model.jobs import Job, LoadFile, Merge, Replace, Truncate, Upload
from headrace.model.tables import is_complete_column
from headrace.observers.lineage.effects import effects_of, null_counts, subset_of, version_facet
from headrace.observers.lineage.facts import Field, Output
from headrace.observers.lineage.view import PackageView

_KEYS = ("primary_key", "merge_key", "unique", "cluster", "partition", "sort")
_PREFIX = "x-"
_OURS = ("x-normalizer", "x-merge", "x-replace", "x-loader", "x-stage", "x-row-version", "x-valid", "x-extractor")
_NOT_SAID = frozenset({"no", "false", ""})


class Written(msgspec.Struct):
    """What the jobs of a table have done.

    Attributes:
        written: Some job that writes it is done.
        rows: Rows written; None where the destination does not say.
        bytes: Of the files that were copied; None where rows of others are in them too.
        files: Their number.
        changes: What became of rows; None where nobody counted.
        lifecycle: What happened to the table.
        strategy: Of replace or merge.
    """

    written: bool = False
    rows: int | None = None
    bytes: int | None = 0
    files: int = 0
    changes: RowChanges | None = None
    lifecycle: list[str] = []
    strategy: str = ""


def lifecycle_of(view: PackageView, table: str, resource: str | None = None) -> Written:
    """What was done to a table by the jobs that are done.

    Args:
        view: The package.
        table: The table.
        resource: Count what its rows are only; what empties or replaces the table is done for all that write it.
    """
    found = Written()
    rows: list[int | None] = []
    sizes: list[int | None] = []
    for job_id, job in view.jobs.items():
        if table not in job.tables or isinstance(job, Upload) or job_id not in view.done_now:
            continue
        whose = view.whose(job, table)
        if resource is not None and resource not in whose:
            continue
        found.written = True
        alone = resource is None or whose == {resource}
        own = [file for file in job.files if file.table == table and (alone or resource in file.by_resource)]
        sizes.extend(file.size if alone or not file.shares else None for file in own)
        rows.append(_rows(view, job, table) if alone else _rows_among(job, own, str(resource)))
        if not alone:
            found.changes = UNKNOWN_CHANGES
        elif (changes := view.done[job_id].changes.get(table)) is not None:
            found.changes = found.changes + changes if found.changes is not None else changes
        if isinstance(job, (Replace, Merge)):
            found.strategy = job.strategy
        found.lifecycle += [change for change in _of_job(job) if change not in found.lifecycle]
    if found.written:
        found.rows, found.bytes, found.files = _sum(rows), _sum(sizes), len(sizes)
        found.lifecycle = [*_of_schema(view, table), *found.lifecycle]
    return found


def _sum(counts: list[int | None]) -> int | None:
    return None if None in counts else sum(one for one in counts if one is not None)


def _of_job(job: Job) -> list[str]:
    if isinstance(job, Truncate):
        return ["TRUNCATE"]
    return ["OVERWRITE"] if isinstance(job, Replace) else []


def _of_schema(view: PackageView, table: str) -> list[str]:
    applied = (view.migrated.applied.get(table) or {}).get("columns") or {}
    complete = [name for name, column in (view.tables.get(table, {}).get("columns") or {}).items() if _typed(column)]
    found: list[str] = []
    if table in view.told_before:
        return found
    if table in (view.refresh.get("dropped_tables") or ()):
        found.append("DROP")
    # a table that was there had columns before
    if applied and set(complete) <= set(applied):
        found.append("CREATE")
    elif applied or table in view.migrated.altered:
        found.append("ALTER")
    if table in (view.refresh.get("truncated_tables") or ()):
        found.append("TRUNCATE")
    return found


def _rows(view: PackageView, job: Job, table: str) -> int | None:
    """Rows that a job has written to a table."""
    if isinstance(job, Truncate):
        return 0
    done = view.done[job.id]
    changes = done.changes.get(table)
    if isinstance(job, Merge) and job.strategy == "scd2" and changes is not None:
        return changes.inserted  # what is updated are versions that end
    if changes is not None and changes.inserted is not None and changes.updated is not None:
        return changes.inserted + changes.updated
    held = sum(file.rows for file in job.files if file.table == table)
    if isinstance(job, Merge):
        return None if held else 0
    # of a query nobody knows before how many rows it gives
    return done.rows if len(job.tables) == 1 and done.rows > held else held


def _rows_among(job: Job, own: list[LoadFile], resource: str) -> int | None:
    """Rows that a job has written for one of several resources: what becomes of those of a merge is told of all."""
    if isinstance(job, Truncate):
        return 0
    if isinstance(job, Merge) or any(file.format == MODEL for file in own):
        return None
    return sum(file.by_resource[resource] for file in own)


def _typed(column: Mapping[str, Any]) -> bool:
    return bool(is_complete_column(column))


def described_output(output: Output, view: PackageView, table: str, resource: str) -> Output:
    """An output with what is true of the table after the load, and of the rows of a resource in it."""
    document, done = view.tables[table], lifecycle_of(view, table, resource)
    root = view.tables.get(view.root_of(table), document)
    whole = lifecycle_of(view, table) if len(view.owners(table)) > 1 else done
    output.written = done.written
    output.rows, output.bytes, output.files = done.rows, done.bytes, done.files
    output.lifecycle = done.lifecycle
    output.fields = fields_of(view, table)
    output.description = document.get("description") or None
    output.tags = _table_tags(root)
    told = effects_of(view, table, resource)
    output.version = version_facet(view, told.version)
    output.subset = subset_of(told.partitions)
    output.write = _write(view, root, document, done)
    output.changes = _told(done.changes)
    output.schema_change = _schema_change(view, table, done)
    output.assertions = _assertions(view, table, root, document)
    output.metrics = _metrics(view, root, whole)
    if output.metrics is not None and whole.rows is not None:
        nulls = null_counts(view, table, whole.rows)
        there = {field.name for field in output.fields}
        output.metrics["columnMetrics"] = {name: {"nullCount": n} for name, n in nulls.items() if name in there}
    return output


def fields_of(view: PackageView, table: str) -> list[Field]:
    """Columns as the destination has them, with its words for their types."""
    columns: dict[str, Any] = {
        name: column for name, column in (view.tables[table].get("columns") or {}).items() if _typed(column)
    }
    present = view.present.get(table) or {}
    spelled = {name if view.case_sensitive else name.casefold(): name for name in columns}
    found: dict[str, Field] = {}
    altered = (view.migrated.altered.get(table) or {}).get("columns") or {}
    for name, column in present.items():
        known = spelled.get(name if view.case_sensitive else name.casefold())
        own = columns.get(known or "")
        there = {**column, **altered.get(known or name, {})}
        found[known or name] = _field(known or name, there, own or {}, view)
    for name, column in columns.items():
        if name not in found:
            found[name] = _field(name, column, column, view)
    return list(found.values())


def _field(name: str, there: Mapping[str, Any], said: Mapping[str, Any], view: PackageView) -> Field:
    return Field(
        name=name, type=_type(there, view), description=said.get("description") or None, tags=_tags(said or there)
    )


def _type(column: Mapping[str, Any], view: PackageView) -> str | None:
    if view.type_of is not None:
        try:
            return view.type_of(column)
        except Exception:  # noqa: BLE001 - a type it has no word for is told in ours
            pass
    return str(column.get("data_type") or "") or None


def _tags(column: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Keys, and what users have said of a column: ``pii``, ``x-annotation``."""
    found = [(key, "true") for key in _KEYS if column.get(key) is True]
    if column.get("nullable") is False:
        found.append(("not_null", "true"))
    for key, value in column.items():
        if key.startswith(_PREFIX) and not key.startswith(_OURS) and isinstance(value, (str, bool, int)):
            text = str(value).lower() if isinstance(value, bool) else str(value)
            if text not in _NOT_SAID:
                found.append((key.removeprefix(_PREFIX), text))
    return found


def _table_tags(root: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [("write_disposition", str(root.get("write_disposition") or "append"))]
    if root.get("write_disposition") == "merge":
        found.append(("merge_strategy", str(root.get("x-merge-strategy") or "delete-insert")))
    return found


def _write(view: PackageView, root: Mapping[str, Any], document: Mapping[str, Any], done: Written) -> dict[str, Any]:
    disposition = str(root.get("write_disposition") or "append")
    found: dict[str, Any] = {"writeDisposition": disposition}
    if done.strategy:
        found["mergeStrategy" if disposition == "merge" else "replaceStrategy"] = done.strategy
    columns = document.get("columns") or {}
    for key, name in (("primary_key", "primaryKey"), ("merge_key", "mergeKey")):
        if names := [column for column, hints in columns.items() if hints.get(key)]:
            found[name] = names
    if document.get("parent"):
        found["parentTable"] = document["parent"]
    if any(isinstance(job, Upload) for job in view.jobs.values()):
        found["staged"] = True
    return found


def _told(changes: RowChanges | None) -> dict[str, int] | None:
    if changes is None:
        return None
    return {name: number for name, number in changes._asdict().items() if number is not None} or None


def _schema_change(view: PackageView, table: str, done: Written) -> dict[str, Any] | None:
    applied = (view.migrated.applied.get(table) or {}).get("columns") or {}
    altered = (view.migrated.altered.get(table) or {}).get("columns") or {}
    let_go = [one for one in view.rejected if one.table == table]
    if not (applied or altered or let_go) or table in view.told_before:
        return None
    variants = [name for name, column in applied.items() if column.get("variant")]
    found: dict[str, Any] = {"created": "CREATE" in done.lifecycle, "columnsAdded": list(applied)}
    if variants:
        found["variants"] = variants
    if altered:
        found["columnsAltered"] = list(altered)
    if let_go:
        found["rejected"] = [
            {"rule": one.rule, "count": one.count, **({"column": one.column} if one.column else {})} for one in let_go
        ]
    return found


def _assertions(
    view: PackageView, table: str, root: Mapping[str, Any], document: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """What the load has enforced: contracts, columns that must have a value, keys that are kept unique."""
    found: list[dict[str, Any]] = []
    typed = {name: column for name, column in (document.get("columns") or {}).items() if _typed(column)}
    contract = root.get("schema_contract") or (view.schema.get("settings") or {}).get("schema_contract")
    for entity, mode in _modes(contract):
        if mode == "evolve":
            continue
        hits = [one for one in view.rejected if one.table == table and one.rule.startswith(f"{entity}:")]
        count = sum(one.count for one in hits)
        one: dict[str, Any] = {"assertion": f"schema_contract.{entity}", "success": not count, "expected": mode}
        one |= {"severity": "warn", "actual": f"{count} let go"} if count else {"severity": "error"}
        found.append(one)
    for name, column in typed.items():
        if column.get("nullable") is False:
            found.append({"assertion": "not_null", "success": True, "column": name})
    if _keeps_keys(view, root):
        keys = [name for name, column in typed.items() if column.get("primary_key")]
        if len(keys) == 1:
            found.append({"assertion": "unique", "success": True, "column": keys[0]})
        elif keys:
            found.append({"assertion": "unique", "success": True, "params": {"columns": keys}})
    return found


def _keeps_keys(view: PackageView, root: Mapping[str, Any]) -> bool:
    """Whether the load has left one row a primary key."""
    if root.get("write_disposition") != "merge" or root.get("name") in view.appended:
        return False
    if root.get("x-stage-data-deduplicated"):
        return False  # the user vouches for it, nobody looked
    strategy = root.get("x-merge-strategy") or "delete-insert"
    scoped = strategy == "delete-insert" and root.get("x-merge-destination-scope")
    return strategy in ("delete-insert", "upsert") and not scoped


def _modes(contract: Any) -> list[tuple[str, str]]:
    if isinstance(contract, str):
        return [(entity, contract) for entity in ("tables", "columns", "data_type")]
    return [(str(entity), str(mode)) for entity, mode in contract.items()] if isinstance(contract, Mapping) else []


def _metrics(view: PackageView, root: Mapping[str, Any], done: Written) -> dict[str, Any] | None:
    """Numbers of the whole table: only where the load has made all of it."""
    whole = root.get("write_disposition") == "replace" and {"OVERWRITE", "TRUNCATE", "CREATE"} & set(done.lifecycle)
    if not (whole or "CREATE" in done.lifecycle) or done.rows is None:
        return None
    # elsewhere the table is not made of the files that were loaded
    files = {"fileCount": done.files, "bytes": done.bytes} if view.keeps_files(root) else {}
    return {"rowCount": done.rows, **files}
