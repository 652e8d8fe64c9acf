"""What the databases behind SQLAlchemy can do, known by the name of the dialect before any driver is loaded."""

from __future__ import annotations

from typing import Any

import msgspec

from headrace.model.capabilities import Capabilities

GENERIC = Capabilities(
    preferred_loader_file_format="arrow",
    supported_loader_file_formats=("arrow", "parquet"),
    max_identifier_length=63,
    max_column_identifier_length=63,
    has_case_sensitive_identifiers=True,
    decimal_precision=(38, 9),
    wei_precision=(38, 0),
    timestamp_precision=6,
    max_timestamp_precision=6,
    supported_merge_strategies=(),
    supported_replace_strategies=("insert-from-staging", "truncate-and-insert"),
    max_parallel_load_jobs=1,
    idempotency="transaction",
)
"""Of a database that nothing is known of."""

_MERGES = ("delete-insert", "upsert", "scd2", "insert-only", "cdc")
_MYSQL: dict[str, Any] = {
    "sqlglot_dialect": "mysql",
    "supported_loader_file_formats": ("arrow", "parquet", "model"),
    "max_identifier_length": 64,
    "max_column_identifier_length": 64,
    "has_case_sensitive_identifiers": False,
    "supports_ddl_transactions": False,
    "supported_merge_strategies": _MERGES,
    "max_parallel_load_jobs": 4,
}
_BY_BACKEND: dict[str, dict[str, Any]] = {
    "sqlite": {
        "sqlglot_dialect": "sqlite",
        "supported_loader_file_formats": ("arrow", "parquet", "model"),
        "max_identifier_length": 9999,
        "max_column_identifier_length": 9999,
        "has_case_sensitive_identifiers": False,
        "supported_merge_strategies": _MERGES,
    },
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "postgresql": {
        "sqlglot_dialect": "postgres",
        "supported_loader_file_formats": ("arrow", "parquet", "model"),
        "supported_merge_strategies": _MERGES,
        "max_parallel_load_jobs": 4,
    },
    "mssql": {"sqlglot_dialect": "tsql", "max_identifier_length": 128, "max_column_identifier_length": 128},
    "oracle": {"sqlglot_dialect": "oracle", "max_identifier_length": 128, "max_column_identifier_length": 128},
    "trino": {
        "sqlglot_dialect": "trino",
        "max_identifier_length": 127,
        "max_column_identifier_length": 127,
        "supports_ddl_transactions": False,
    },
    "snowflake": {"sqlglot_dialect": "snowflake", "max_identifier_length": 255, "max_column_identifier_length": 255},
    "redshift": {"sqlglot_dialect": "redshift", "max_identifier_length": 127, "max_column_identifier_length": 127},
}


def capabilities_of(backend: str) -> Capabilities:
    """What a database can do.

    Args:
        backend: SQLAlchemy's name of the dialect without the driver: ``sqlite``, ``mysql``, …; empty when unknown.
    """
    return msgspec.structs.replace(GENERIC, **_BY_BACKEND.get(backend, {}))
