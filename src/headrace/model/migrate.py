"""Changes to a destination's tables, as data, and how they are found: pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from headrace.model.tables import is_complete_column
from headrace.typing import TTableSchema, TTableSchemaColumns


class Change(msgspec.Struct, frozen=True, kw_only=True, tag_field="change"):
    """A change to the destination's tables, as data."""

    table: str


class CreateTable(Change, frozen=True, tag=True):
    """Make the table with these columns, in this order."""

    schema: dict[str, Any]


class AddColumns(Change, frozen=True, tag=True):
    """Add columns behind the existing ones."""

    columns: dict[str, Any]


class DropTable(Change, frozen=True, tag=True):
    """Drop the table if it exists."""


AnyChange = CreateTable | AddColumns | DropTable


def plan_changes(
    wanted: Mapping[str, TTableSchema],
    present: Mapping[str, TTableSchemaColumns | None],
    case_sensitive: bool = True,
) -> list[AnyChange]:
    """What has to change so that every wanted table has every wanted column.

    Columns without a type are not wanted yet; tables without any typed column are left out. Types of present columns
    are never changed, and nothing is ever dropped.

    Args:
        wanted: Tables of the schema by name.
        present: What the destination has, by the same names; None (or no entry) for a table that does not exist.
        case_sensitive: Whether the destination tells ``Id`` from ``id``.

    Returns:
        One change for each table that lacks something, in the order of ``wanted``.
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
        known = set(existing) if case_sensitive else {n.casefold() for n in existing}
        missing = {n: c for n, c in columns.items() if (n if case_sensitive else n.casefold()) not in known}
        if missing:
            changes.append(AddColumns(table=name, columns=missing))
    return changes


def applied_changes(changes: list[AnyChange]) -> dict[str, Any]:
    """Changes as partial tables by name: what `SchemaMigrated` keeps and load infos show."""
    applied: dict[str, Any] = {}
    for change in changes:
        if isinstance(change, CreateTable):
            applied[change.table] = change.schema
        elif isinstance(change, AddColumns):
            applied[change.table] = {"name": change.table, "columns": change.columns}
    return applied
