"""What a plan says, as values, and how it is read off what a load would do: pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from headrace.model.jobs import Job, Merge, PlannedJob, Replace, Truncate, Upload
from headrace.model.migrate import AddColumns, AlterColumn, AnyChange, CreateTable, DropTable
from headrace.model.schema import Schema
from headrace.model.tables import is_complete_column
from headrace.model.widening import type_text

_HINTS = ("primary_key", "merge_key", "unique", "hard_delete", "dedup_sort", "partition", "cluster", "sort")
_WORDS = {
    "append": "rows are added",
    "replace": "all rows give way to those of the load",
    "merge": "rows are merged by key",
    "delete-insert": "rows of the keys in the load give way to those of the load",
    "upsert": "rows of known keys are updated, others are added",
    "insert-only": "rows of unknown keys are added, others are left out",
    "scd2": "changed rows are retired and their new versions added",
    "cdc": "the table becomes a mirror of the load: rows that it lacks are deleted",
    "truncate-and-insert": "the table is emptied, then filled; readers may see it empty",
    "insert-from-staging": "all rows give way to those of the load, at once",
    "staging-optimized": "a new table takes the place of the old one, which is dropped",
}


class PlannedTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table that a plan is about.

    Attributes:
        name: As the schema spells it.
        schema_name: The schema.
        status: ``new``, ``changed``, ``unchanged`` or ``dropped`` (by a refresh, and not made again).
        columns: Those that are made; all of them for a new table.
        altered: Types before and after, by column.
        variants: New columns for values that do not fit the type of another one.
        hints: Columns by hint, as ``primary_key``.
        disposition: Of its root table.
        resource: Whose rows it takes, None for tables of the system.
        parent: The table it is nested in.
        table_format: ``delta``, ``iceberg``, …
        rows: Of the load, None for those of the system.
        is_system: headrace keeps records in it.
    """

    name: str
    schema_name: str
    status: str
    columns: dict[str, dict[str, Any]] = {}
    altered: dict[str, dict[str, str]] = {}
    variants: list[str] = []
    hints: dict[str, list[str]] = {}
    disposition: str | None = None
    resource: str | None = None
    parent: str | None = None
    table_format: str | None = None
    rows: int = 0
    is_system: bool = False


class Disposition(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the rows of a root table and those nested in it.

    Attributes:
        disposition: ``append``, ``replace`` or ``merge``.
        strategy: Of replace or merge.
        does: The same in words.
    """

    disposition: str
    strategy: str | None = None
    does: str = ""


class Destructive(msgspec.Struct, frozen=True, kw_only=True):
    """A step after which something that was there is not there any more.

    Attributes:
        table: What it befalls.
        kind: ``drop``, ``empty``, ``replace``, ``delete`` (some rows), ``rewrite`` (a type) or ``forget`` (records).
        why: What asks for it.
        load_id: The package.
    """

    table: str
    kind: str
    why: str
    load_id: str = ""


class StateChange(msgspec.Struct, frozen=True, kw_only=True):
    """A value of the state, a cursor for example, before and after; None where there is none."""

    path: str
    before: Any = None
    after: Any = None


class PlannedStep(msgspec.Struct, frozen=True, kw_only=True):
    """A job, told for people and scripts.

    Attributes:
        load_id: The package.
        id: The job's id in it.
        kind: ``copy``, ``merge``, ``replace``, ``truncate`` or ``upload``.
        tables: What it writes.
        after: Ids of jobs before it.
        rows: Of its files.
        files: How many.
        strategy: Of replace and merge.
    """

    load_id: str
    id: str
    kind: str
    tables: list[str] = []
    after: list[str] = []
    rows: int = 0
    files: int = 0
    strategy: str | None = None


def told_jobs(load_id: str, jobs: Iterable[PlannedJob]) -> list[PlannedStep]:
    """Jobs of a package as a plan shows them."""
    return [
        PlannedStep(
            load_id=load_id,
            id=job.id,
            kind=job.kind,
            tables=list(job.tables),
            after=list(job.after),
            rows=sum(file.rows for file in job.files),
            files=len(job.files),
            strategy=getattr(job, "strategy", None),
        )
        for job in jobs
    ]


def told_tables(
    schema: Schema, changes: Sequence[AnyChange], jobs: Sequence[PlannedJob], rows: Mapping[str, int]
) -> list[PlannedTable]:
    """The tables that changes and jobs of a package touch, in the order of the schema; dropped ones first."""
    made, altered, dropped = _by_table(changes)
    new = {c.table for c in changes if isinstance(c, CreateTable)}
    touched = {name for job in jobs for name in job.tables} | made.keys() | altered.keys() | rows.keys()
    system = set(schema.dlt_table_names())
    found = [
        PlannedTable(name=name, schema_name=schema.name, status="dropped") for name in dropped if name not in touched
    ]
    for name in (n for n in schema.tables if n in touched):
        columns, is_system = made.get(name, {}), name in system
        found.append(
            PlannedTable(
                name=name,
                schema_name=schema.name,
                status="new" if name in new else "changed" if columns or name in altered else "unchanged",
                columns=columns,
                altered=altered.get(name, {}),
                variants=[n for n, c in columns.items() if c.get("variant")],
                hints={} if is_system else _hints(schema, name),
                disposition=None if is_system else schema.write_disposition(name) or "append",
                resource=None if is_system else schema.get_root_table(name).get("resource"),
                parent=schema.tables[name].get("parent"),
                table_format=schema.get_root_table(name).get("table_format"),
                rows=rows.get(name, 0),
                is_system=is_system,
            )
        )
    return found


def _by_table(
    changes: Iterable[AnyChange],
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, dict[str, str]]], list[str]]:
    made: dict[str, dict[str, Any]] = {}
    altered: dict[str, dict[str, dict[str, str]]] = {}
    dropped: list[str] = []
    for change in changes:
        if isinstance(change, CreateTable):
            made.setdefault(change.table, {}).update(change.schema.get("columns", {}))
        elif isinstance(change, AddColumns):
            made.setdefault(change.table, {}).update(change.columns)
        elif isinstance(change, AlterColumn):
            was, will = _typed(change.present), _typed(change.column)
            altered.setdefault(change.table, {})[change.column["name"]] = {"before": was, "after": will}
        elif isinstance(change, DropTable):
            dropped.append(change.table)
    return made, altered, dropped


def _typed(column: Mapping[str, Any]) -> str:
    return type_text(column) + (" not null" if column.get("nullable") is False else "")


def _hints(schema: Schema, table: str) -> dict[str, list[str]]:
    columns = schema.tables[table].get("columns", {}).items()
    found = {hint: [n for n, c in columns if c.get(hint) and is_complete_column(c)] for hint in _HINTS}
    return {hint: names for hint, names in found.items() if names}


def dispositions_of(schema: Schema, jobs: Iterable[PlannedJob], system: Iterable[str]) -> dict[str, Disposition]:
    """What jobs do to the rows of each root table."""
    found: dict[str, Disposition] = {}
    hidden = set(system)
    for job in jobs:
        strategy = getattr(job, "strategy", None)
        if isinstance(job, Upload):
            continue
        for name in job.tables:
            root = schema.get_root_table(name).get("name") or name
            if root in hidden or (root in found and not strategy):
                continue
            kind = (
                "replace" if isinstance(job, (Replace, Truncate)) else "merge" if isinstance(job, Merge) else "append"
            )
            how = "truncate-and-insert" if isinstance(job, Truncate) else strategy
            found[root] = Disposition(disposition=kind, strategy=how, does=_WORDS.get(how or kind, _WORDS[kind]))
    return found


def destructive_steps(
    schema: Schema,
    changes: Iterable[AnyChange],
    jobs: Iterable[PlannedJob],
    present: Mapping[str, Mapping[str, Any]],
    *,
    load_id: str = "",
) -> list[Destructive]:
    """Steps of a package after which something is gone, but for those of a refresh that empties tables.

    Args:
        schema: Of the package.
        changes: Of tables.
        jobs: Of the package.
        present: By job id: tables of the job that exist by then.
        load_id: The package.
    """
    found: list[tuple[str, str, str]] = []
    for change in changes:
        if isinstance(change, DropTable):
            found.append((change.table, "drop", "refresh drops the table with all its rows"))
        elif isinstance(change, AlterColumn) and change.new_type:
            before, after = type_text(change.present), type_text(change.column)
            name = change.column["name"]
            found.append(
                (change.table, "rewrite", f"column `{name}` becomes {after}, it was {before}: no value is lost")
            )
    for job in jobs:
        there = [name for name in job.tables if name in present.get(job.id, {})]
        if isinstance(job, (Replace, Truncate)):
            how = "truncate-and-insert" if isinstance(job, Truncate) else job.strategy
            why = f"its write disposition is `replace` ({how}): {_WORDS.get(how, _WORDS['replace'])}"
            found += [(name, "replace", why) for name in there]
        elif isinstance(job, Merge) and there and (reason := _deletes(schema, job)):
            found += [(name, "delete", reason) for name in there]
    return [Destructive(table=table, kind=kind, why=why, load_id=load_id) for table, kind, why in found]


def _deletes(schema: Schema, job: Job) -> str:
    """Why a merge deletes rows whose records do not come again; empty when it does not."""
    root, strategy = schema.tables[job.tables[0]], getattr(job, "strategy", "")
    columns = root.get("columns", {}).items()

    def with_hint(hint: str) -> str:
        return ", ".join(f"`{n}`" for n, c in columns if c.get(hint) and is_complete_column(c))

    if strategy == "cdc":
        return "merge strategy `cdc`: rows that the load does not have are deleted"
    if marked := with_hint("hard_delete"):
        return f"rows that {marked} marks as deleted (hint `hard_delete`) are deleted"
    if strategy == "delete-insert" and root.get("x-merge-destination-scope"):
        return "merge strategy `delete-insert`: rows in the `destination_scope` are deleted"
    if strategy == "delete-insert" and (keys := with_hint("merge_key")):
        return f"merge strategy `delete-insert`: all rows whose merge key {keys} is in the load are deleted"
    return ""


def state_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[StateChange]:
    """Values that differ in two states by source, by their dotted paths; hashes of rows are left out."""
    was, will = dict(_leaves(before)), dict(_leaves(after))
    return [
        StateChange(path=path, before=was.get(path), after=will.get(path))
        for path in dict.fromkeys([*was, *will])
        if was.get(path) != will.get(path)
    ]


def _leaves(document: Mapping[str, Any], path: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in document.items():
        here = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, here)
        elif key != "unique_hashes" and value != {}:
            yield here, value
