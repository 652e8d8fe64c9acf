"""Names of the types that the public API speaks of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

from typing_extensions import NotRequired, TypedDict

TDataType: TypeAlias = Literal[
    "text", "double", "bool", "timestamp", "bigint", "binary", "json", "decimal", "wei", "date", "time"
]
TWriteDisposition: TypeAlias = Literal["skip", "append", "replace", "merge"]
TMergeStrategy: TypeAlias = Literal["delete-insert", "upsert", "scd2", "insert-only", "cdc"]
TReplaceStrategy: TypeAlias = Literal["truncate-and-insert", "insert-from-staging", "staging-optimized"]
TSchemaEvolutionMode: TypeAlias = Literal["evolve", "discard_value", "freeze", "discard_row"]
TSchemaContractEntities: TypeAlias = Literal["tables", "columns", "data_type"]
TLoaderFileFormat: TypeAlias = Literal[
    "arrow", "parquet", "jsonl", "typed-jsonl", "insert_values", "csv", "model", "reference", "sql"
]
TTableFormat: TypeAlias = Literal["iceberg", "delta", "hive", "native"]
TRefreshMode: TypeAlias = Literal["drop_sources", "drop_resources", "drop_data"]
TSortOrder: TypeAlias = Literal["asc", "desc"]
TDataItem: TypeAlias = Any
TDataItems: TypeAlias = Any
TColumnNames: TypeAlias = str | Sequence[str]


class TSchemaContractDict(TypedDict, total=False):
    """What may change: new tables, new columns, other types."""

    tables: TSchemaEvolutionMode
    columns: TSchemaEvolutionMode
    data_type: TSchemaEvolutionMode


TSchemaContract: TypeAlias = TSchemaEvolutionMode | TSchemaContractDict


class TWriteDispositionDict(TypedDict, total=False):
    """A disposition with its strategy and options."""

    disposition: TWriteDisposition
    strategy: str
    deduplicated: bool
    validity_column_names: list[str]
    active_record_timestamp: Any
    boundary_timestamp: Any
    row_version_column_name: str


TWriteDispositionConfig: TypeAlias = TWriteDisposition | TWriteDispositionDict


# free ``x-`` hints are allowed too, which a TypedDict cannot say: see `tables.py` for how they are kept
class TColumnSchema(TypedDict):
    """A column of a table, and its hints."""

    name: NotRequired[str]
    data_type: NotRequired[TDataType]
    nullable: NotRequired[bool]
    precision: NotRequired[int | None]
    scale: NotRequired[int | None]
    timezone: NotRequired[bool | None]
    description: NotRequired[str | None]
    partition: NotRequired[bool]
    cluster: NotRequired[bool]
    unique: NotRequired[bool]
    sort: NotRequired[bool]
    primary_key: NotRequired[bool]
    merge_key: NotRequired[bool]
    row_key: NotRequired[bool]
    parent_key: NotRequired[bool]
    root_key: NotRequired[bool]
    variant: NotRequired[bool]
    hard_delete: NotRequired[bool]
    dedup_sort: NotRequired[TSortOrder]
    incremental: NotRequired[bool]


TTableSchemaColumns: TypeAlias = dict[str, TColumnSchema]


class TTableReference(TypedDict):
    """Columns of a table that hold keys of another one."""

    referenced_table: str
    columns: Sequence[str]
    referenced_columns: Sequence[str]
    table: NotRequired[str]
    label: NotRequired[str | None]
    cardinality: NotRequired[str]


TTableSchema = TypedDict(
    "TTableSchema",
    {
        "name": NotRequired[str],
        "columns": NotRequired[TTableSchemaColumns],
        "write_disposition": NotRequired[TWriteDisposition],
        "resource": NotRequired[str],
        "parent": NotRequired[str],
        "description": NotRequired[str],
        "schema_contract": NotRequired[TSchemaContract],
        "filters": NotRequired[dict[str, Any]],
        "table_format": NotRequired[TTableFormat],
        "file_format": NotRequired[str],
        "references": NotRequired[list[TTableReference]],
        "x-normalizer": NotRequired[dict[str, Any]],
        "x-merge-strategy": NotRequired[str],
        "x-replace-strategy": NotRequired[str],
        "x-stage-data-deduplicated": NotRequired[bool],
        "x-merge-source-filter": NotRequired[str | None],
        "x-merge-destination-scope": NotRequired[str | None],
        "x-merge-skip-unchanged-rows": NotRequired[bool | None],
        "x-valid-from": NotRequired[str],
        "x-valid-to": NotRequired[str],
        "x-active-record-timestamp": NotRequired[Any],
        "x-boundary-timestamp": NotRequired[Any],
        "x-row-version": NotRequired[bool],
    },
)
TSchemaTables: TypeAlias = dict[str, TTableSchema]
TStoredSchema: TypeAlias = dict[str, Any]
TAnySchemaColumns: TypeAlias = Any
TTableHintTemplate: TypeAlias = Any
TFileHintTemplate: TypeAlias = Callable[[TDataItem], Any]
