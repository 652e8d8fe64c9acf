"""Putting changes into tables and columns, and finding out what a change would change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from headrace.errors.schema import (
    CannotCoerceColumnException,
    TablePropertiesConflictException,
)
from headrace.model.tables.ask import (
    is_complete_column,
    is_default_prop,
    remove_column_defaults,
)
from headrace.model.tables.names import COMPOUND_PROPS
from headrace.typing import (
    TColumnSchema,
    TTableReference,
    TTableSchema,
    TTableSchemaColumns,
)


def merge_column(col_a: TColumnSchema, col_b: TColumnSchema, merge_defaults: bool = True) -> TColumnSchema:
    """A column with the properties of both; those of ``col_b`` win.

    Args:
        col_a: The stored column.
        col_b: The change.
        merge_defaults: Whether defaults of ``col_b`` win too; else they leave ``col_a`` as it is.
    """
    return cast(TColumnSchema, {**col_a, **(col_b if merge_defaults else remove_column_defaults(col_b))})


def merge_columns(
    columns_a: TTableSchemaColumns, columns_b: TTableSchemaColumns, merge_compound_props: bool = True
) -> TTableSchemaColumns:
    """Put columns into others, changing ``columns_a``, which is returned.

    A column that becomes complete moves to the end: it is where its destination will add it.

    Args:
        columns_a: The stored columns.
        columns_b: The changes.
        merge_compound_props: Whether keys add up; else a key set in ``columns_b`` replaces the stored one.
    """
    if not merge_compound_props:
        _remove_replaced_props(columns_a, columns_b)
    for name, column in columns_b.items():
        stored = columns_a.get(name)
        if stored is None:
            columns_a[name] = cast(TColumnSchema, {**column})
        else:
            merged = merge_column(stored, column)
            if is_complete_column(merged) and not is_complete_column(stored):
                del columns_a[name]
            columns_a[name] = merged
    return columns_a


def _remove_replaced_props(columns_a: TTableSchemaColumns, columns_b: TTableSchemaColumns) -> None:
    replaced = {p for column in columns_b.values() for p in COMPOUND_PROPS.intersection(column) if column.get(p)}
    for name, column in columns_a.items():
        if not replaced.isdisjoint(column):
            columns_a[name] = cast(TColumnSchema, {k: v for k, v in column.items() if k not in replaced})


def ensure_compatible_tables(
    schema_name: str, table: Mapping[str, Any], partial: Mapping[str, Any], ensure_columns: bool = True
) -> None:
    """Check that a change can be merged into a table.

    Args:
        schema_name: For the error.
        table: The stored table.
        partial: The change.
        ensure_columns: Whether complete columns must keep their types.

    Raises:
        TablePropertiesConflictException: Name or parent differ.
        CannotCoerceColumnException: A column's types differ.
    """
    for prop in ("name", "parent"):
        if (table.get(prop) or None) != (partial.get(prop) or None):
            raise TablePropertiesConflictException(
                schema_name, str(table.get("name")), prop, table.get(prop), partial.get(prop)
            )
    if not ensure_columns:
        return
    stored = table.get("columns") or {}
    for name, column in (partial.get("columns") or {}).items():
        old, new = stored.get(name, {}).get("data_type"), column.get("data_type")
        if old and new and old != new:
            raise CannotCoerceColumnException(schema_name, str(table.get("name")), name, new, old)


def merge_table(
    schema_name: str, table: TTableSchema, partial: TTableSchema, merge_compound_props: bool = True
) -> TTableSchema:
    """Put a change into a table, changing the table.

    Args:
        schema_name: For errors.
        table: The stored table.
        partial: The change; its columns win over the stored ones, its references are added by their target.
        merge_compound_props: See `merge_columns`.

    Returns:
        The change.

    Raises:
        TablePropertiesConflictException: Name or parent differ.
    """
    ensure_compatible_tables(schema_name, table, partial, ensure_columns=False)
    if partial.get("columns"):
        merge_columns(table.setdefault("columns", {}), partial["columns"], merge_compound_props)
    stored = cast("dict[str, Any]", table)
    for prop, value in partial.items():
        if prop == "references" and value and stored.get(prop):
            stored[prop] = merge_references(stored[prop], cast(Any, value))
        elif prop != "columns" and stored.get(prop) != value:
            stored[prop] = value
    return partial


def merge_references(stored: Iterable[TTableReference], new: Iterable[TTableReference]) -> list[TTableReference]:
    """References of both; a new one replaces the stored one to the same table."""
    by_target = {r["referenced_table"]: r for r in stored}
    by_target.update({r["referenced_table"]: r for r in new})
    return list(by_target.values())


def diff_table(table: TTableSchema, partial: TTableSchema) -> TTableSchema:
    """What of a change is not in a table already.

    Returns:
        A partial table with the name, the parent, and only those columns and properties that differ.
    """
    stored = table.get("columns") or {}
    columns = {
        name: column
        for name, column in (partial.get("columns") or {}).items()
        if name not in stored or any(_differs(p, stored[name], v) for p, v in column.items())
    }
    diff: dict[str, Any] = {"name": table.get("name") or partial.get("name"), "columns": columns}
    diff.update(
        (prop, value)
        for prop, value in partial.items()
        if prop == "parent" or (prop not in ("name", "columns") and table.get(prop) != value)
    )
    return cast(TTableSchema, diff)


def _differs(prop: str, stored: Mapping[str, Any], value: Any) -> bool:
    old = stored.get(prop)
    return old != value and not (is_default_prop(prop, old) and is_default_prop(prop, value))
