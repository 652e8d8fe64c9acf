"""What PostgreSQL can do."""

from __future__ import annotations

from headrace.model.capabilities import Capabilities

CAPABILITIES = Capabilities(
    sqlglot_dialect="postgres",
    preferred_loader_file_format="arrow",
    supported_loader_file_formats=("arrow", "parquet", "jsonl", "csv", "model"),
    preferred_staging_file_format="parquet",
    supported_staging_file_formats=("parquet", "jsonl", "csv"),
    max_identifier_length=63,
    max_column_identifier_length=63,
    # names are always quoted; what is not quoted in people's own SQL is folded to lower case
    has_case_sensitive_identifiers=True,
    decimal_precision=(38, 9),
    wei_precision=(156, 78),
    timestamp_precision=6,
    max_timestamp_precision=6,
    supported_merge_strategies=("delete-insert", "upsert", "scd2", "insert-only", "cdc"),
    supported_replace_strategies=("insert-from-staging", "truncate-and-insert", "staging-optimized"),
    idempotency="transaction",
    supports_undo=True,
    # a connection keeps one core of the server busy, so larger loads are cut for several
    recommended_file_size=8 * 1024 * 1024,
    max_parallel_load_jobs=4,
)
