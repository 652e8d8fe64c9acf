"""The SQL of each database behind SQLAlchemy."""

from __future__ import annotations

from typing import Any

from headrace.destinations.impl.sqlalchemy.dialects.base import SqlalchemyDialect
from headrace.model.capabilities import Capabilities


def dialect_of(sa_dialect: Any, capabilities: Capabilities) -> SqlalchemyDialect:
    """Our side of one of SQLAlchemy's dialects."""
    from headrace.destinations.impl.sqlalchemy.dialects.mysql import MySqlDialect
    from headrace.destinations.impl.sqlalchemy.dialects.others import (
        MsSqlDialect,
        OracleDialect,
        PostgreSqlDialect,
    )
    from headrace.destinations.impl.sqlalchemy.dialects.sqlite import SqliteDialect

    known: dict[str, type[SqlalchemyDialect]] = {
        "sqlite": SqliteDialect,
        "mysql": MySqlDialect,
        "mariadb": MySqlDialect,
        "postgresql": PostgreSqlDialect,
        "mssql": MsSqlDialect,
        "oracle": OracleDialect,
    }
    return known.get(sa_dialect.name, SqlalchemyDialect)(sa_dialect, capabilities)
