"""References between tables: those that users declare, and those that follow from the system columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from headrace.model import tables as tb
from headrace.typing import TTableReference, TTableSchema

if TYPE_CHECKING:
    from headrace.model.schema_lookup import SchemaLookup

PARENT, ROOT, LOAD = "_dlt_parent", "_dlt_root", "_dlt_load"
SCHEMA_VERSION, SCHEMA_NAME = "_dlt_schema_version", "_dlt_schema_name"
"""Labels of the references that nobody declares."""


def references_of(schema: SchemaLookup) -> list[TTableReference]:
    """All references, table by table: each with its table, columns, what they point to, label and cardinality."""
    found: list[TTableReference] = []
    for name, table in schema.tables.items():
        if schema.is_dlt_table(name):
            continue
        found += _generated(schema, table)
        found += (cast(TTableReference, {**declared, "table": name}) for declared in table.get("references") or ())
    version, loads = schema.version_table_name, schema.loads_table_name
    for label, cardinality, here, there in (
        (SCHEMA_VERSION, "one_to_many", "version_hash", "schema_version_hash"),
        (SCHEMA_NAME, "many_to_many", "schema_name", "schema_name"),
    ):
        spell = schema.normalize_column_name
        found.append(_reference(label, cardinality, version, spell(here), loads, spell(there)))
    return found


def _generated(schema: SchemaLookup, table: TTableSchema) -> Iterator[TTableReference]:
    name, parent = table["name"], table.get("parent")
    load_id = schema.normalize_column_name(tb.C_DLT_LOAD_ID)
    if load_id in table.get("columns", {}):
        column = schema.normalize_column_name(tb.C_DLT_LOADS_TABLE_LOAD_ID)
        yield _reference(LOAD, "many_to_one", name, load_id, schema.loads_table_name, column)
    if not parent or parent not in schema.tables:
        return
    root = schema.get_root_table(name)["name"]
    for label, prop, target in ((PARENT, "parent_key", parent), (ROOT, "root_key", root)):
        here = tb.get_first_column_name_with_prop(table, prop)
        there = tb.get_first_column_name_with_prop(schema.get_table(target), "row_key")
        if here and there:
            yield _reference(label, "many_to_one", name, here, target, there)


def _reference(label: str, cardinality: str, table: str, column: str, to_table: str, to_column: str) -> TTableReference:
    found: dict[str, Any] = {
        "label": label,
        "cardinality": cardinality,
        "table": table,
        "columns": [column],
        "referenced_table": to_table,
        "referenced_columns": [to_column],
    }
    return cast(TTableReference, found)
