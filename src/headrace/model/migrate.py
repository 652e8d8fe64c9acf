"""Changes to a destination's tables, as data, and how they are found: pure functions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from headrace.model.capabilities import Capabilities
from headrace.model.tables import is_complete_column, is_nullable_column
from headrace.model.widening import compare_types, type_text, why_unsafe
from headrace.typing import TColumnSchema, TTableSchema, TTableSchemaColumns


class Change(msgspec.Struct, frozen=True, kw_only=True, tag_field="change"):
    """A change to the destination's tables, as data."""

    table: str


class CreateTable(Change, frozen=True, tag=True):
    """Make the table with these columns, in this order."""

    schema: dict[str, Any]


class AddColumns(Change, frozen=True, tag=True):
    """Add columns behind the existing ones."""

    columns: dict[str, Any]


class AlterColumn(Change, frozen=True, tag=True):
    """Give a column a type that holds all its values, or let it be NULL.

    Attributes:
        column: As it shall be.
        present: As the destination has it.
        new_type: Whether the type changes.
        drop_not_null: Whether it may be NULL from now on.
    """

    column: dict[str, Any]
    present: dict[str, Any]
    new_type: bool = False
    drop_not_null: bool = False


class SetComments(Change, frozen=True, tag=True):
    """Put descriptions into the database's comments.

    Attributes:
        description: Of the table; None leaves it, an empty one removes it.
        columns: Descriptions by column; empty ones are removed.
    """

    description: str | None = None
    columns: dict[str, str] = {}


class DropTable(Change, frozen=True, tag=True):
    """Drop the table if it exists."""


AnyChange = CreateTable | AddColumns | AlterColumn | SetComments | DropTable


class Misfit(NamedTuple):
    """A column at the destination that rows cannot be brought into, and that no change makes fit without loss.

    Attributes:
        wanted: The column of the schema; None when the schema does not know it.
        present: The column at the destination.
        why: The reason, for people.
    """

    table: str
    column: str
    wanted: Mapping[str, Any] | None
    present: Mapping[str, Any]
    why: str


class TableComments(NamedTuple):
    """What the destination has for descriptions: of the table, and of its columns that have one."""

    table: str
    columns: Mapping[str, str]


def type_name(column: Mapping[str, Any]) -> str:
    """A column's type as a destination without words of its own tells types apart."""
    return type_text(column)


def plan_changes(
    wanted: Mapping[str, TTableSchema],
    present: Mapping[str, TTableSchemaColumns | None],
    case_sensitive: bool = True,
    capabilities: Capabilities | None = None,
    type_of: Callable[[TColumnSchema], str] = type_name,
) -> list[AnyChange]:
    """What has to change so that every wanted table has every wanted column, wide enough for its type.

    Columns without a type are not wanted yet; tables without any typed column are left out. A present column is
    widened where that loses nothing and may be NULL where the schema says so; it is never narrowed, and nothing is ever
    dropped. What cannot be widened is left as it is: `find_misfits` has it.

    Args:
        wanted: Tables of the schema by name.
        present: What the destination has, by the same names; None (or no entry) for a table that does not exist.
        case_sensitive: Whether the destination tells ``Id`` from ``id``.
        capabilities: Of the destination; without them columns that exist are left alone.
        type_of: The destination's word for a column's type: types of one word are not told apart there.

    Returns:
        Changes in the order of ``wanted``: a new table, or what the table lacks and then what has to be wider.
    """
    changes: list[AnyChange] = []
    for name, table in wanted.items():
        columns = {n: c for n, c in table.get("columns", {}).items() if is_complete_column(c)}
        existing = present.get(name)
        if not columns:
            continue
        if existing is None:
            changes.append(CreateTable(table=name, schema={**table, "columns": columns}))
            continue
        known = existing if case_sensitive else {n.casefold(): c for n, c in existing.items()}
        missing = {n: c for n, c in columns.items() if (n if case_sensitive else n.casefold()) not in known}
        if missing:
            changes.append(AddColumns(table=name, columns=missing))
        if capabilities is not None:
            there = ((c, known.get(n if case_sensitive else n.casefold())) for n, c in columns.items())
            changes += [a for c, old in there if old and (a := _alter(name, c, old, capabilities, type_of))]
    return changes


def _alter(
    table: str,
    column: TColumnSchema,
    present: TColumnSchema,
    capabilities: Capabilities,
    type_of: Callable[[TColumnSchema], str],
) -> AlterColumn | None:
    loose = present.get("nullable") is False and is_nullable_column(column)
    wider = compare_types(present, column, capabilities) == "widen" and type_of(column) != type_of(present)
    if not (loose or wider):
        return None
    return AlterColumn(table=table, column={**column}, present={**present}, new_type=wider, drop_not_null=loose)


def find_misfits(
    wanted: Mapping[str, TTableSchema],
    present: Mapping[str, TTableSchemaColumns | None],
    filled: Mapping[str, Collection[str] | None],
    case_sensitive: bool,
    capabilities: Capabilities,
    type_of: Callable[[TColumnSchema], str] = type_name,
) -> list[Misfit]:
    """Columns at the destination that stand in the way of a load.

    Args:
        wanted: Tables of the schema by name.
        present: What the destination has.
        filled: Tables that get rows, each with the columns the rows have; None when that is not known.
        case_sensitive: Whether the destination tells ``Id`` from ``id``.
        capabilities: Of the destination.
        type_of: See `plan_changes`.
    """

    def fold(name: str) -> str:
        return name if case_sensitive else name.casefold()

    found: list[Misfit] = []
    for name, table in wanted.items():
        existing = present.get(name)
        if not existing or name not in filled:
            continue
        columns = {fold(n): c for n, c in table.get("columns", {}).items() if is_complete_column(c)}
        brought = filled[name]
        used = columns.keys() if brought is None else {fold(n) for n in brought}
        for key, old in ((fold(n), c) for n, c in existing.items()):
            column = columns.get(key)
            if column is None:
                if old.get("nullable") is False:
                    found.append(Misfit(name, old["name"], None, old, "it must have a value and has no default"))
            elif key in used and _loses(old, column, capabilities) and type_of(column) != type_of(old):
                found.append(Misfit(name, column["name"], column, old, why_unsafe(old, column)))
    return found


def _loses(present: Mapping[str, Any], wanted: Mapping[str, Any], capabilities: Capabilities) -> bool:
    """Whether values of the schema's type may be lost in the column; an unlimited text takes them all, as text."""
    if present.get("data_type") == "text" and present.get("precision") is None:
        return False
    return compare_types(present, wanted, capabilities) == "unsafe"


def plan_comments(wanted: Mapping[str, TTableSchema], present: Mapping[str, TableComments]) -> list[AnyChange]:
    """Descriptions of the schema that differ from what the destination has; what the schema does not describe stays.

    Args:
        wanted: Tables of the schema by name.
        present: Comments of tables that exist.
    """
    changes: list[AnyChange] = []
    for name, table in wanted.items():
        there = present.get(name)
        if there is None:
            continue
        described: str | None = table.get("description")
        new = {
            n: str(c["description"])
            for n, c in table.get("columns", {}).items()
            if is_complete_column(c)
            and c.get("description") is not None
            and c["description"] != there.columns.get(n, "")
        }
        own = described if described is not None and described != there.table else None
        if new or own is not None:
            changes.append(SetComments(table=name, description=own, columns=new))
    return changes


def has_descriptions(table: Mapping[str, Any]) -> bool:
    """Whether the schema describes the table or one of its columns."""
    return "description" in table or any("description" in c for c in (table.get("columns") or {}).values())


def kinds_of_changes(changes: Iterable[AnyChange]) -> dict[str, str]:
    """By table what changes come to: ``CREATE``, ``ALTER`` or ``DROP``."""
    found: dict[str, str] = {}
    for change in changes:
        if isinstance(change, CreateTable):
            found[change.table] = "CREATE"
        elif isinstance(change, DropTable):
            found[change.table] = "DROP"
        else:  # also of a table that was just made: its comments
            found.setdefault(change.table, "ALTER")
    return found


def applied_changes(changes: list[AnyChange]) -> dict[str, Any]:
    """Tables and columns that changes create, as partial tables by name: ``schema_update`` of load infos."""
    applied: dict[str, Any] = {}
    for change in changes:
        if isinstance(change, CreateTable):
            applied[change.table] = change.schema
        elif isinstance(change, AddColumns):
            _applied(applied, change.table).update(change.columns)
    return applied


def altered_columns(changes: list[AnyChange]) -> dict[str, Any]:
    """What changes do to columns and tables that are there already, as partial tables by name."""
    altered: dict[str, Any] = {}
    for change in changes:
        if isinstance(change, AlterColumn):
            _applied(altered, change.table)[change.column["name"]] = change.column
        elif isinstance(change, SetComments):
            columns = _applied(altered, change.table)
            for name, text in change.columns.items():
                columns[name] = {"name": name, **columns.get(name, {}), "description": text}
            if change.description is not None:
                altered[change.table]["description"] = change.description
    return altered


def join_updates(updates: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Partial tables of several changes as one; later facts of a table or column win."""
    joined: dict[str, Any] = {}
    for update in updates:
        for name, table in update.items():
            before = joined.get(name, {})
            joined[name] = {**before, **table, "columns": {**before.get("columns", {}), **table.get("columns", {})}}
    return joined


def _applied(applied: dict[str, Any], table: str) -> dict[str, Any]:
    columns: dict[str, Any] = applied.setdefault(table, {"name": table, "columns": {}})["columns"]
    return columns
