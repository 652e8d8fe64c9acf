"""What DuckDB can do."""

from __future__ import annotations

import os

from headrace.model.capabilities import Capabilities

CAPABILITIES = Capabilities(
    max_parallel_load_jobs=min(4, os.cpu_count() or 1),
    sqlglot_dialect="duckdb",
    preferred_loader_file_format="arrow",
    supported_loader_file_formats=("arrow", "parquet", "jsonl", "csv", "model"),
    preferred_staging_file_format="parquet",
    supported_staging_file_formats=("parquet", "jsonl", "csv"),
    max_identifier_length=65536,
    max_column_identifier_length=65536,
    has_case_sensitive_identifiers=False,
    decimal_precision=(38, 9),
    wei_precision=(38, 0),
    timestamp_precision=6,
    max_timestamp_precision=9,
    supported_merge_strategies=("delete-insert", "upsert", "scd2", "insert-only", "cdc"),
    supported_replace_strategies=("insert-from-staging", "truncate-and-insert", "staging-optimized"),
    idempotency="transaction",
    supports_undo=True,
)
