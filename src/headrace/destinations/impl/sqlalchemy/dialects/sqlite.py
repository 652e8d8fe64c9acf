"""SQLite's SQL."""

from __future__ import annotations

import datetime as dt
import decimal
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from headrace.destinations.impl.sqlalchemy.dialects.base import SqlalchemyDialect
from headrace.errors.destination import DestinationCapabilitiesException
from headrace.typing import TColumnSchema

if TYPE_CHECKING:
    from headrace.destinations.impl.sqlalchemy.session import SqlalchemyClient

_PLAIN = re.compile(r"\W")


def instant_text(value: dt.datetime) -> str:
    """An instant as SQLite tables of dlt and of SQLAlchemy have it: UTC, without an offset, six digits."""
    if value.tzinfo is not None:
        value = value.astimezone(dt.timezone.utc).replace(tzinfo=None)
    return value.isoformat(" ", "microseconds")


class SqliteDialect(SqlalchemyDialect):
    """Facts about SQLite.

    Types are words that give a column its affinity (https://sqlite.org/datatype3.html): a declared length, precision or
    size of an integer means nothing there.
    """

    name = "sqlite"
    row_address = "rowid"
    if_not_exists = True
    typed_reads = False
    null_safe_equal: ClassVar[str] = "IS"
    timestamp_type: ClassVar[str] = "DATETIME"

    def column_type(self, column: TColumnSchema) -> str:
        """SQLite's type for a column of the schema; a wei is text, since a number would keep 15 of its digits."""
        return "TEXT" if column.get("data_type") == "wei" else super().column_type(column)

    def storage_class(self, column: TColumnSchema) -> str:
        """The type as far as it makes a difference: columns of one storage class hold the same values."""
        kind = str(column.get("data_type"))
        # a column declared as integer takes fractions as they are
        number = dict.fromkeys(("bigint", "decimal", "double"), "NUMBER")
        return {"text": "TEXT", "timestamp": "DATETIME", **number}.get(kind) or self.column_type(column)

    def _timestamp_facts(self, facts: dict[str, Any], digits: int | None, rest: str, word: str) -> None:
        """All instants are text in UTC; the zone is the schema's to know."""

    def temp_name(self, name: str) -> str:
        """The name of a temporary table of the session, ready for a statement."""
        return f"temp.{self.quote(name)}"

    def keyed_temp(self, create: str, table: str, keys: Sequence[Mapping[str, str]]) -> list[str]:
        """Statements that make a temporary table and an index for each of its keys."""
        bare = table.removeprefix("temp.")
        name = _PLAIN.sub("", bare)
        return [
            create,
            *(f"CREATE INDEX temp.{name}_{i} ON {bare} ({self.columns(key)})" for i, key in enumerate(keys)),
        ]

    def has_row(self, table: str, alias: str, condition: str, stage: str, stage_alias: str) -> str:
        """A predicate of staged rows; the table is read once and the stage looked up by its index.

        CROSS JOIN keeps SQLite from turning the order round (https://sqlite.org/optoverview.html).
        """
        address = f"{stage_alias}.{self.row_address}"
        return (
            f"{address} IN (SELECT {address} FROM {table} AS {alias} CROSS JOIN {stage} AS {stage_alias} "
            f"WHERE {condition})"
        )

    def differs(self, left: str, right: str) -> str:
        """A predicate: two expressions of one type differ; two NULLs do not."""
        return f"{left} IS NOT {right}"

    def is_true(self, expression: str) -> str:
        """A predicate: a boolean is true, and not NULL."""
        return f"{expression} IS TRUE"

    def timestamp(self, value: dt.datetime) -> str:
        """A literal of an instant."""
        return self.text(instant_text(value))

    def literal(self, value: Any) -> str:
        """A literal of a plain value."""
        if isinstance(value, bool):
            return "1" if value else "0"
        return super().literal(value)

    def bind(self, value: Any) -> Any:
        """A value as the driver takes it: instants, dates, times and decimals are text."""
        if isinstance(value, dt.datetime):
            return instant_text(value)
        if isinstance(value, (dt.date, dt.time)):
            return value.isoformat()
        return str(value) if isinstance(value, decimal.Decimal) else value

    def widen_column(self, table: str, column: TColumnSchema, present: TColumnSchema) -> list[str]:
        """SQLite cannot change a column."""
        raise DestinationCapabilitiesException(
            f"Column `{column['name']}` of table {table} is {self.column_type(present)} and would have to become "
            f"{self.column_type(column)}, and SQLite cannot change the type of a column.",
            fix='load the values under another name; or load the table anew with `refresh="drop_resources"`',
        )

    def drop_not_null(self, table: str, column: TColumnSchema) -> list[str]:
        """SQLite cannot change a column."""
        raise DestinationCapabilitiesException(
            f"Column `{column['name']}` of table {table} is NOT NULL and would have to take NULL, and SQLite cannot "
            "change a column.",
            fix='have the resource always yield it; or load the table anew with `refresh="drop_resources"`',
        )

    def comment_on_table(self, table: str, text: str) -> list[str]:
        """SQLite has no comments."""
        return []

    def comment_on_column(self, table: str, column: TColumnSchema, text: str) -> list[str]:
        """SQLite has no comments."""
        return []

    def bulk(self) -> Any:
        """The module with SQLite's way to insert Arrow batches."""
        from headrace.destinations.impl.sqlalchemy.bulk import sqlite

        return sqlite

    def describe(
        self, session: SqlalchemyClient, tables: Sequence[str] | None
    ) -> dict[str, list[tuple[str, str, bool]]]:
        """Columns of tables that exist: name, type, nullable. One query."""
        if not session.has_dataset():
            return {}
        asked = {table.lower(): table for table in tables or ()}
        where = f" AND lower(m.name) IN ({', '.join(map(self.text, asked))})" if tables is not None else ""
        rows = session.fetch(
            f'SELECT m.name, p.name, p.type, p."notnull" FROM {self.quote(session.dataset_name)}.sqlite_master AS m, '
            f"pragma_table_info(m.name, {self.text(session.dataset_name)}) AS p WHERE m.type = 'table'{where} "
            "AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY m.name, p.cid"
        )
        found: dict[str, list[tuple[str, str, bool]]] = {}
        for table, column, kind, not_null in rows:
            found.setdefault(asked.get(table.lower(), table), []).append((column, kind, not not_null))
        return found
