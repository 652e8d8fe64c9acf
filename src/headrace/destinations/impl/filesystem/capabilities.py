"""What folders of files can do."""

from __future__ import annotations

from headrace.model.capabilities import Capabilities, TableFormatFacts

CAPABILITIES = Capabilities(
    sqlglot_dialect="duckdb",
    preferred_loader_file_format="jsonl",
    supported_loader_file_formats=("jsonl", "parquet", "csv"),
    supported_table_formats=("delta", "iceberg"),
    table_formats={
        "delta": TableFormatFacts(
            loader_file_format="parquet", supported_merge_strategies=("upsert", "insert-only", "delete-insert")
        ),
        "iceberg": TableFormatFacts(
            loader_file_format="parquet", supported_merge_strategies=("upsert", "insert-only", "delete-insert")
        ),
    },
    compresses_text=True,
    has_case_sensitive_identifiers=True,
    # Parquet could hold twice as many digits, but few programs read more
    wei_precision=(38, 0),
    timestamp_precision=6,
    max_timestamp_precision=6,
    supports_ddl_transactions=False,
    supports_transactions=False,
    supported_replace_strategies=("insert-from-staging", "truncate-and-insert"),
    idempotency="object",
)
