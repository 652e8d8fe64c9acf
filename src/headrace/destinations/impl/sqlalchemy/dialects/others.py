"""Databases that are reached through SQLAlchemy alone: PostgreSQL, SQL Server, Oracle."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, ClassVar

from headrace.destinations.impl.sqlalchemy.dialects.base import SqlalchemyDialect
from headrace.typing import TColumnSchema

_TABLE_ALIAS = re.compile(r"(\b(?:FROM|JOIN|UPDATE)\s+\S+|\))\s+AS\s+(?=\w+\b)", re.IGNORECASE)


class PostgreSqlDialect(SqlalchemyDialect):
    """Facts about PostgreSQL; what the family of SQL destinations takes for granted is right for it."""

    name = "postgres"
    row_address = "ctid"
    if_not_exists = True
    most_digits: ClassVar[tuple[int, int]] = (1000, 1000)

    def session_settings(self) -> list[str]:
        """Statements that every session starts with."""
        return ["SET TIME ZONE 'UTC'"]

    def temp_as(self, table: str, query: str) -> str:
        """Make a temporary table of a query's rows."""
        return f"CREATE TEMPORARY TABLE {table} ON COMMIT DROP AS {query}"


class MsSqlDialect(SqlalchemyDialect):
    """Facts about SQL Server."""

    name = "tsql"
    timestamp_type: ClassVar[str] = "DATETIMEOFFSET(6)"

    def sa_type(self, column: TColumnSchema) -> Any:
        """Types of the present; SQLAlchemy's general ones depend on the version of a server that may be unknown yet."""
        import sqlalchemy as sa
        from sqlalchemy.dialects import mssql as dialect

        mssql: Any = dialect

        kind, precision = column.get("data_type"), column.get("precision")
        if kind in ("text", "json"):
            length = precision or (self.key_length(column) if self.is_key(column) else None)
            return mssql.NVARCHAR(length if kind == "text" else None)
        if kind == "timestamp":
            digits = 6 if precision is None else min(precision, 7)
            return mssql.DATETIME2(digits) if column.get("timezone") is False else mssql.DATETIMEOFFSET(digits)
        plain: dict[str, Any] = {"date": sa.DATE(), "time": mssql.TIME(6), "binary": mssql.VARBINARY("max")}
        return plain.get(str(kind)) or super().sa_type(column)

    def first_rows(self, query: str, count: int, skip: int = 0) -> str:
        """The query with no more than its first rows."""
        order = "" if re.search(r"\bORDER BY\b", query) else " ORDER BY (SELECT NULL)"
        return f"{query}{order} OFFSET {skip} ROWS FETCH NEXT {max(count, 1)} ROWS ONLY"

    def add_column(self, table: str, column: TColumnSchema) -> str:
        """Add a column that is missing."""
        return f"ALTER TABLE {table} ADD {self.column_clause(column, added=True)}"

    def widen_column(self, table: str, column: TColumnSchema, present: TColumnSchema) -> list[str]:
        """Give a column another type, which holds all its values."""
        null = "NOT NULL" if present.get("nullable") is False and column.get("nullable") is False else "NULL"
        name = self.quote(present.get("name") or column["name"])
        return [f"ALTER TABLE {table} ALTER COLUMN {name} {self.column_type(column)} {null}"]

    def drop_not_null(self, table: str, column: TColumnSchema) -> list[str]:
        """Let a column be NULL."""
        return [f"ALTER TABLE {table} ALTER COLUMN {self.quote(column['name'])} {self.column_type(column)} NULL"]

    def comment_on_table(self, table: str, text: str) -> list[str]:
        """Descriptions are extended properties there; they are left alone."""
        return []

    def comment_on_column(self, table: str, column: TColumnSchema, text: str) -> list[str]:
        """Descriptions are extended properties there; they are left alone."""
        return []


class OracleDialect(SqlalchemyDialect):
    """Facts about Oracle."""

    name = "oracle"
    no_table: ClassVar[str] = " FROM DUAL"

    def sa_type(self, column: TColumnSchema) -> Any:
        """Types that all versions have; a DATE has no fractions of seconds there, and there is no time of day."""
        import sqlalchemy as sa
        from sqlalchemy.dialects import oracle

        kind = column.get("data_type")
        if kind == "timestamp":
            return oracle.TIMESTAMP(timezone=column.get("timezone") is not False)
        plain: dict[str, Any] = {"bool": sa.Numeric(1, 0), "json": oracle.CLOB(), "time": sa.String(16)}
        return plain.get(str(kind)) or super().sa_type(column)

    def final(self, sql: str) -> str:
        """Oracle has no AS before the alias of a table."""
        return _TABLE_ALIAS.sub(r"\1 ", sql)

    def first_rows(self, query: str, count: int, skip: int = 0) -> str:
        """The query with no more than its first rows."""
        return f"{query} OFFSET {skip} ROWS FETCH NEXT {count} ROWS ONLY"

    def timestamp(self, value: dt.datetime) -> str:
        """A literal of an instant."""
        aware = value if value.tzinfo else value.replace(tzinfo=dt.timezone.utc)
        return f"TIMESTAMP '{aware.strftime('%Y-%m-%d %H:%M:%S.%f')} +00:00'"

    def add_column(self, table: str, column: TColumnSchema) -> str:
        """Add a column that is missing."""
        return f"ALTER TABLE {table} ADD ({self.column_clause(column, added=True)})"

    def widen_column(self, table: str, column: TColumnSchema, present: TColumnSchema) -> list[str]:
        """Give a column another type, which holds all its values."""
        name = self.quote(present.get("name") or column["name"])
        return [f"ALTER TABLE {table} MODIFY ({name} {self.column_type(column)})"]

    def drop_not_null(self, table: str, column: TColumnSchema) -> list[str]:
        """Let a column be NULL."""
        return [f"ALTER TABLE {table} MODIFY ({self.quote(column['name'])} NULL)"]

    def _integer(self, column: TColumnSchema, bits: int | None) -> Any:
        import sqlalchemy as sa

        # INTEGER is a number of 38 digits there, which reads back as a decimal
        digits = next((d for most, d in ((16, 5), (32, 10), (64, 19)) if (bits or 64) <= most), 38)
        return sa.Numeric(digits, 0)
