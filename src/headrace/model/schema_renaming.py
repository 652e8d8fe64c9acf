"""Giving all tables of a schema the names of another naming convention."""

from __future__ import annotations

from headrace.errors.schema import (
    SchemaIdentifierNormalizationCollision,
    TableIdentifiersFrozen,
)
from headrace.model.schema_naming import SchemaNames
from headrace.model.tables import has_seen_data
from headrace.typing import TSchemaTables, TTableSchema


def rename(
    schema_name: str,
    tables: TSchemaTables,
    old: SchemaNames,
    new: SchemaNames,
    freeze_all: bool,
    allow: bool,
) -> TSchemaTables:
    """Tables with the names of a new convention.

    Args:
        schema_name: For errors.
        tables: The tables as they are; they are not changed.
        old: Names of the present convention.
        new: Names of the new one.
        freeze_all: Whether any table with data forbids the change, even if its names would stay.
        allow: Whether tables with data may be renamed.

    Raises:
        TableIdentifiersFrozen: A table with data stands against it.
        SchemaIdentifierNormalizationCollision: Two tables would get one name.
    """
    renamed: TSchemaTables = {}
    for name, table in tables.items():
        spelled = new.normalized(table)
        if has_seen_data(table) and not allow:
            details = _change(table, spelled) or ("names of new data would differ from it" if freeze_all else None)
            if details:
                raise TableIdentifiersFrozen(schema_name, name, new.naming, old.naming, details)
        if spelled["name"] in renamed:
            other = next(n for n, t in tables.items() if new.table(t["name"]) == spelled["name"])
            raise SchemaIdentifierNormalizationCollision(
                schema_name, name, "table", name, other, new.naming.name(), "no two tables may have one name"
            )
        renamed[spelled["name"]] = spelled
    return renamed


def _change(table: TTableSchema, spelled: TTableSchema) -> str | None:
    if table["name"] != spelled["name"]:
        return f"it would be called `{spelled['name']}`"
    changed = [n for n in table.get("columns", {}) if n not in spelled.get("columns", {})]
    return f"columns {', '.join(changed)} would be renamed" if changed else None
