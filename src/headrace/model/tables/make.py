"""Making tables and columns, those of the system among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from headrace.model.tables.names import (
    C_DLT_ID,
    C_DLT_LOAD_ID,
    C_DLT_LOADS_TABLE_LOAD_ID,
    DEFAULT_WRITE_DISPOSITION,
    LOADS_TABLE_NAME,
    PIPELINE_STATE_TABLE_NAME,
    VERSION_TABLE_NAME,
)
from headrace.typing import (
    TColumnSchema,
    TDataType,
    TSchemaContract,
    TTableReference,
    TTableSchema,
    TWriteDisposition,
)


def new_column(
    column_name: str,
    data_type: TDataType | None = None,
    nullable: bool = True,
    precision: int | None = None,
    scale: int | None = None,
) -> TColumnSchema:
    """A column; without a data type it is *incomplete* and gets its type from data."""
    column: TColumnSchema = {"name": column_name, "nullable": nullable}
    if data_type:
        column["data_type"] = data_type
    if precision is not None:
        column["precision"] = precision
    if scale is not None:
        column["scale"] = scale
    return column


def new_table(
    table_name: str,
    parent_table_name: str | None = None,
    write_disposition: TWriteDisposition | None = None,
    columns: Sequence[TColumnSchema] | None = None,
    resource: str | None = None,
    schema_contract: TSchemaContract | None = None,
    table_format: str | None = None,
    file_format: str | None = None,
    references: Sequence[TTableReference] | None = None,
) -> TTableSchema:
    """A table; a nested one has a parent and neither disposition nor resource of its own."""
    table: dict[str, Any] = {"name": table_name, "columns": {c["name"]: c for c in columns or ()}}
    if parent_table_name:
        table["parent"] = parent_table_name
    else:
        table["write_disposition"] = write_disposition or DEFAULT_WRITE_DISPOSITION
        table["resource"] = resource or table_name
    optional = {
        "schema_contract": schema_contract,
        "table_format": table_format,
        "file_format": file_format,
        "references": list(references) if references else None,
    }
    table.update({k: v for k, v in optional.items() if v is not None})
    return cast(TTableSchema, table)


def partial_of(table: TTableSchema, columns: Mapping[str, TColumnSchema]) -> TTableSchema:
    """A change that adds columns to a table and says nothing else of it."""
    partial: TTableSchema = {"name": table["name"], "columns": dict(columns)}
    if table.get("parent"):
        partial["parent"] = table["parent"]
    return partial


def _system_table(name: str, columns: Sequence[tuple[Any, ...]], description: str, **props: Any) -> TTableSchema:
    table = new_table(
        name, columns=[new_column(c, t, nullable=n, precision=p[0] if p else None) for c, t, n, *p in columns]
    )
    # dlt writes a system column's type before its nullability; equal dictionaries, equal text for people
    for column_name, column in table["columns"].items():
        ordered = {"name": column_name, "data_type": column["data_type"], "nullable": column["nullable"], **column}
        table["columns"][column_name] = cast(TColumnSchema, ordered)
    return cast(TTableSchema, {**table, "write_disposition": "skip", "description": description, **props})


def version_table() -> TTableSchema:
    """``_dlt_version``: one row for each content of a schema."""
    columns = [
        ("version", "bigint", False),
        ("engine_version", "bigint", False),
        ("inserted_at", "timestamp", False),
        ("schema_name", "text", False),
        ("version_hash", "text", False),
        ("schema", "text", False),
    ]
    return _system_table(VERSION_TABLE_NAME, columns, "Created by DLT. Tracks schema updates")


def loads_table() -> TTableSchema:
    """``_dlt_loads``: one row for each completed load."""
    columns = [
        (C_DLT_LOADS_TABLE_LOAD_ID, "text", False, 64),
        ("schema_name", "text", True),
        ("status", "bigint", False),
        ("inserted_at", "timestamp", False),
        ("schema_version_hash", "text", True),
    ]
    return _system_table(LOADS_TABLE_NAME, columns, "Created by DLT. Tracks completed loads")


def pipeline_state_table(add_dlt_id: bool = False) -> TTableSchema:
    """``_dlt_pipeline_state``: an ordinary append table that travels with the data."""
    columns = [
        ("version", "bigint", False),
        ("engine_version", "bigint", False),
        ("pipeline_name", "text", False),
        ("state", "text", False),
        ("created_at", "timestamp", False),
        ("version_hash", "text", True),
        (C_DLT_LOAD_ID, "text", False, 64),
    ]
    table = _system_table(
        PIPELINE_STATE_TABLE_NAME,
        columns,
        "Created by DLT. Tracks pipeline state",
        write_disposition="append",
        file_format="preferred",
    )
    if add_dlt_id:
        table["columns"][C_DLT_ID] = dlt_id_column()
    return table


def dlt_id_column() -> TColumnSchema:
    """The row key that normalize adds."""
    return {"name": C_DLT_ID, "data_type": "text", "nullable": False, "unique": True, "row_key": True}


def dlt_load_id_column() -> TColumnSchema:
    """The load id that normalize adds to root tables."""
    return {"name": C_DLT_LOAD_ID, "data_type": "text", "nullable": False}
