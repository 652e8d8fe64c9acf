"""Statements that make, widen and drop tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace.destinations.sql.dialect import SqlDialect
from headrace.typing import TColumnSchema


def is_complete(column: Mapping[str, Any]) -> bool:
    """Whether the column has a name and a type, so that it can be made."""
    return bool(column.get("name")) and bool(column.get("data_type"))


def column_clause(dialect: SqlDialect, column: TColumnSchema, *, unique: bool = False, added: bool = False) -> str:
    """One column of a CREATE or ALTER TABLE.

    Args:
        dialect: The database.
        column: The column as the schema has it.
        unique: Enforce the ``unique`` hint.
        added: The column goes into an existing table, whose rows have no value for it.
    """
    clause = f"{dialect.quote(column['name'])} {dialect.column_type(column)}"
    loose = added and dialect.alter_may_fail_on_not_null
    if column.get("nullable") is False and not loose:
        clause += " NOT NULL"
    if unique and column.get("unique") and not added:
        clause += " UNIQUE"
    return clause


def alter_column(
    dialect: SqlDialect,
    table: str,
    column: TColumnSchema,
    present: TColumnSchema,
    *,
    new_type: bool,
    drop_not_null: bool,
) -> list[str]:
    """Widen a column, or let it be NULL; ``table`` is already qualified."""
    statements = dialect.widen_column(table, column, present) if new_type else []
    return [*statements, *(dialect.drop_not_null(table, column) if drop_not_null else [])]


def comments(
    dialect: SqlDialect, table: str, description: str | None, columns: Mapping[str, TColumnSchema]
) -> list[str]:
    """Put descriptions into comments.

    Args:
        dialect: The database.
        table: Qualified.
        description: Of the table; None leaves its comment.
        columns: Those of them that have a description; an empty one removes the comment.
    """
    own = [] if description is None else dialect.comment_on_table(table, description)
    described = (c for c in columns.values() if c.get("description") is not None and is_complete(c))
    return [*own, *(s for c in described for s in dialect.comment_on_column(table, c, str(c["description"])))]


def create_table(dialect: SqlDialect, table: str, columns: Mapping[str, TColumnSchema], *, unique: bool = False) -> str:
    """CREATE TABLE IF NOT EXISTS; ``table`` is already qualified."""
    clauses = ",\n  ".join(column_clause(dialect, c, unique=unique) for c in columns.values() if is_complete(c))
    return f"CREATE TABLE IF NOT EXISTS {table} (\n  {clauses}\n)"


def add_columns(dialect: SqlDialect, table: str, columns: Mapping[str, TColumnSchema]) -> list[str]:
    """One ALTER TABLE for each column; safe to repeat where the database knows IF NOT EXISTS."""
    test = "IF NOT EXISTS " if dialect.adds_if_missing else ""
    return [
        f"ALTER TABLE {table} ADD COLUMN {test}{column_clause(dialect, column, added=True)}"
        for column in columns.values()
        if is_complete(column)
    ]


def drop_table(table: str) -> str:
    """DROP TABLE IF EXISTS."""
    return f"DROP TABLE IF EXISTS {table}"
