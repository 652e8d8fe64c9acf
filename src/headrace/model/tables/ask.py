"""Questions about tables and columns; nothing here changes what it is given."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from headrace.errors.schema import TableNotFound
from headrace.model.tables.names import (
    DEFAULT_WRITE_DISPOSITION,
    PROCESSING_HINTS,
    X_NORMALIZER,
)
from headrace.typing import (
    TColumnSchema,
    TSchemaTables,
    TTableSchema,
    TWriteDisposition,
)


def is_complete_column(column: Mapping[str, Any]) -> bool:
    """Whether the column has a name and a data type."""
    return bool(column.get("name")) and bool(column.get("data_type"))


def is_nullable_column(column: Mapping[str, Any]) -> bool:
    """Whether the column may be NULL, which it may unless it says otherwise."""
    nullable = column.get("nullable")
    return True if nullable is None else bool(nullable)


def is_default_prop(prop: str, value: Any) -> bool:
    """Whether a property's value says the same as its absence."""
    if prop in ("nullable", "timezone"):
        return value is None or value is True
    return value is None or value is False


def has_seen_data(table: Mapping[str, Any]) -> bool:
    """Whether rows of the table were ever normalized; only such tables exist at a destination."""
    return bool((table.get(X_NORMALIZER) or {}).get("seen-data"))


def is_nested_table(table: Mapping[str, Any]) -> bool:
    """Whether the table has a parent."""
    return bool(table.get("parent"))


def get_columns_names_with_prop(
    table: Mapping[str, Any], column_prop: str, include_incomplete: bool = False
) -> list[str]:
    """Names of the columns whose property is set to something other than its default, in column order."""
    return [
        name
        for name, column in (table.get("columns") or {}).items()
        if column_prop in column
        and not is_default_prop(column_prop, column[column_prop])
        and (include_incomplete or is_complete_column(column))
    ]


def get_first_column_name_with_prop(
    table: Mapping[str, Any], column_prop: str, include_incomplete: bool = False
) -> str | None:
    """The first of `get_columns_names_with_prop`; None when there is none."""
    names = get_columns_names_with_prop(table, column_prop, include_incomplete)
    return names[0] if names else None


def has_column_with_prop(table: Mapping[str, Any], column_prop: str, include_incomplete: bool = False) -> bool:
    """Whether any column has the property."""
    return bool(get_columns_names_with_prop(table, column_prop, include_incomplete))


def get_dedup_sort_tuple(table: Mapping[str, Any], include_incomplete: bool = False) -> tuple[str, str] | None:
    """The column that decides which of several rows with one key is kept, and its order (``asc`` or ``desc``)."""
    name = get_first_column_name_with_prop(table, "dedup_sort", include_incomplete)
    return None if name is None else (name, table["columns"][name]["dedup_sort"])


def find_incomplete_columns(table: Mapping[str, Any]) -> Iterator[tuple[TColumnSchema, bool]]:
    """Columns without a type, each with whether it is nullable."""
    for column in (table.get("columns") or {}).values():
        if not is_complete_column(column):
            yield column, is_nullable_column(column)


def get_root_table(tables: TSchemaTables, table_name: str) -> TTableSchema:
    """The table at the top of the chain; a table without a parent is its own root."""
    table = tables[table_name]
    while table.get("parent"):
        table = tables[table["parent"]]
    return table


def get_nested_tables(tables: TSchemaTables, table_name: str, include_self: bool = True) -> list[TTableSchema]:
    """The table and everything nested in it, parents before children, depth first in the order of the schema."""
    children: dict[str, list[str]] = {}
    for name, table in tables.items():
        if table.get("parent"):
            children.setdefault(table["parent"], []).append(name)
    chain: list[TTableSchema] = []
    todo = [table_name]
    while todo:
        name = todo.pop()
        chain.append(tables[name])
        todo.extend(reversed(children.get(name, ())))
    return chain if include_self else chain[1:]


def get_inherited_table_hint(tables: TSchemaTables, table_name: str, hint: str) -> Any:
    """A table's hint, or that of the nearest table above it; None when none has it."""
    table: Mapping[str, Any] = tables[table_name]
    while table.get(hint) is None and table.get("parent"):
        table = tables[table["parent"]]
    return table.get(hint)


def get_write_disposition(tables: TSchemaTables, table_name: str) -> TWriteDisposition:
    """The disposition; nested tables have that of their root, ``append`` where nothing is said."""
    found = get_inherited_table_hint(tables, table_name, "write_disposition")
    return cast(TWriteDisposition, found or DEFAULT_WRITE_DISPOSITION)


def group_tables_by_resource(
    tables: TSchemaTables, pattern: re.Pattern[str] | None = None
) -> dict[str, list[TTableSchema]]:
    """Table chains by the resource that fills them.

    Args:
        tables: All tables of a schema.
        pattern: Only resources whose name it matches from the start.
    """
    groups: dict[str, list[TTableSchema]] = {}
    for name, table in tables.items():
        resource = table.get("resource")
        if resource and not table.get("parent") and (pattern is None or pattern.match(resource)):
            groups.setdefault(resource, []).extend(get_nested_tables(tables, name))
    return groups


def remove_column_defaults(column: Mapping[str, Any]) -> TColumnSchema:
    """The column without properties that say what their absence says."""
    return cast(TColumnSchema, {k: v for k, v in column.items() if not is_default_prop(k, v)})


def remove_processing_hints(tables: TSchemaTables) -> TSchemaTables:
    """The tables without the marks that the rooms leave on them."""
    return {
        name: cast(TTableSchema, {k: v for k, v in table.items() if k not in PROCESSING_HINTS})
        for name, table in tables.items()
    }


def table_of(tables: TSchemaTables, schema_name: str, table_name: str) -> TTableSchema:
    """A table by name.

    Raises:
        TableNotFound: There is none.
    """
    try:
        return tables[table_name]
    except KeyError:
        raise TableNotFound(schema_name, table_name) from None
