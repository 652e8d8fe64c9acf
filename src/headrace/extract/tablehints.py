"""From hints to tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from headrace.errors.extract import DataItemRequiredForDynamicTableHints
from headrace.extract.dispositions import apply_disposition
from headrace.extract.hints import NOT_TABLE_HINTS, TResourceHints, as_columns, check_nested, is_dynamic
from headrace.model.naming import NamingConvention
from headrace.model.tables import X_NORMALIZER
from headrace.typing import TTableSchema

_HANDLED = NOT_TABLE_HINTS | {
    "table_name",
    "parent_table_name",
    "columns",
    "primary_key",
    "merge_key",
    "write_disposition",
}


def resolve_hints(resource_name: str, hints: Mapping[str, Any], item: Any) -> TResourceHints:
    """Hints with functions replaced by what they give for an item.

    Raises:
        DataItemRequiredForDynamicTableHints: There are functions and no item.
    """
    resolved: TResourceHints = {}
    for name, value in hints.items():
        if is_dynamic(hints, name) or (name == "nested_hints" and callable(value)):
            if item is None:
                raise DataItemRequiredForDynamicTableHints(resource_name, name)
            value = value(item)
        resolved[name] = value
    return resolved


def table_of_hints(
    resource_name: str, hints: TResourceHints, table_name: str, *, cursor_column: str | None = None
) -> TTableSchema:
    """The table that resolved hints describe, with names as they were given.

    Args:
        resource_name: Owner of the table.
        hints: Without functions.
        table_name: Of the table.
        cursor_column: The column that an incremental reads.
    """
    table: dict[str, Any] = {"columns": {n: dict(c) for n, c in (hints.get("columns") or {}).items()}}
    _add_keys(table["columns"], "primary_key", hints.get("primary_key"))
    _add_keys(table["columns"], "merge_key", hints.get("merge_key"))
    apply_disposition(table, hints.get("write_disposition") or "append")
    if cursor_column:
        table["columns"].setdefault(cursor_column, {"name": cursor_column})["incremental"] = True
    table.update({k: v for k, v in hints.items() if k not in _HANDLED and v is not None})
    table["name"] = table_name
    if hints.get("parent_table_name"):
        table["parent"] = hints["parent_table_name"]
        table.pop("write_disposition", None)
    else:
        table["resource"] = resource_name
    if hints.get("max_table_nesting") is not None:
        table[X_NORMALIZER] = {"max_nesting": hints["max_table_nesting"]}
    return cast(TTableSchema, table)


def nested_tables_of_hints(
    resource_name: str, hints: TResourceHints, root_table_name: str, naming: NamingConvention, item: Any = None
) -> Iterator[TTableSchema]:
    """The tables that ``nested_hints`` describe, parents before children.

    A table with a key of its own is no longer nested: it has the resource and a disposition instead of a parent.

    Args:
        resource_name: Owner of the tables.
        hints: Of the resource, resolved.
        root_table_name: Normalized or not.
        naming: Makes the names.
        item: For hints that are functions.

    Raises:
        DataItemRequiredForDynamicTableHints: There are functions and no item.
        DltResourceException: A nested table has a hint that it cannot have.
    """
    nested = {_as_path(path): h for path, h in (hints.get("nested_hints") or {}).items()}
    for path in sorted(nested, key=len):
        given = resolve_hints(resource_name, nested[path], item)
        check_nested(resource_name, given)
        yield _nested_table(resource_name, given, root_table_name, path, naming)


def _nested_table(
    resource_name: str,
    given: TResourceHints,
    root_table_name: str,
    path: tuple[str, ...],
    naming: NamingConvention,
) -> TTableSchema:
    has_key = bool(given.get("primary_key") or given.get("merge_key"))
    columns = {"columns": as_columns(given["columns"])} if given.get("columns") else {}
    table = cast(
        "dict[str, Any]", table_of_hints(resource_name, {**given, **columns}, naming.make_path(root_table_name, *path))
    )
    if not has_key:
        table.pop("resource", None)
        table.pop("write_disposition", None)
        table["parent"] = naming.make_path(root_table_name, *path[:-1]) if path[:-1] else root_table_name
    return cast(TTableSchema, table)


def _as_path(path: Any) -> tuple[str, ...]:
    return (path,) if isinstance(path, str) else tuple(path)


def _add_keys(columns: dict[str, Any], hint: str, keys: Any) -> None:
    """Mark columns as keys; a key is not null unless its column says so."""
    if not keys:
        return
    for key in (keys,) if isinstance(keys, str) else cast("Sequence[str]", keys):
        column = columns.setdefault(key, {"name": key})
        column.setdefault("nullable", False)
        column[hint] = True
