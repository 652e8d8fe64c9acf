"""Names of system tables and columns, and the properties that tables and columns have."""

from __future__ import annotations

from headrace.typing import TWriteDisposition

DLT_NAME_PREFIX = "_dlt"
VERSION_TABLE_NAME = "_dlt_version"
LOADS_TABLE_NAME = "_dlt_loads"
PIPELINE_STATE_TABLE_NAME = "_dlt_pipeline_state"
C_DLT_ID = "_dlt_id"
C_DLT_LOAD_ID = "_dlt_load_id"
C_DLT_PARENT_ID = "_dlt_parent_id"
C_DLT_ROOT_ID = "_dlt_root_id"
C_DLT_LIST_IDX = "_dlt_list_idx"
C_DLT_LOADS_TABLE_LOAD_ID = "load_id"

X_NORMALIZER = "x-normalizer"
PROCESSING_HINTS = (X_NORMALIZER, "x-loader", "x-extractor")
COMPOUND_PROPS = frozenset({"partition", "cluster", "primary_key", "merge_key", "incremental"})
TYPE_PROPS = ("data_type", "nullable", "precision", "scale", "timezone")
HINT_PROPS = (
    *("partition", "cluster", "unique", "sort", "primary_key", "merge_key", "row_key", "parent_key", "root_key"),
    *("hard_delete", "dedup_sort", "incremental"),
)
COLUMN_PROPS = frozenset({"name", *TYPE_PROPS, "description", "variant", *HINT_PROPS})
DEFAULT_WRITE_DISPOSITION: TWriteDisposition = "append"
