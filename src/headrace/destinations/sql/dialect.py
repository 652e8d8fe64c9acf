"""What sets one SQL database apart from another, as values and small functions.

A destination gives one subclass. The rest of `destinations.sql` writes its statements through it, so that the text a
database receives is made in one place. Rendering is by hand and not through sqlglot: importing sqlglot costs more than
a small run. A destination whose statements need translation uses sqlglot in its own subclass.
"""

from __future__ import annotations

import datetime as dt
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from headrace.typing import TColumnSchema

# a quoted text, a quoted name, or a parameter mark
_MARKS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\?")


class SqlDialect(ABC):
    """Facts about one database's SQL.

    Attributes:
        name: sqlglot's name of it.
        row_address: A pseudo column that numbers the rows of a temporary table in the order they came, or the column
            that `temp_like` adds for it.
        alter_may_fail_on_not_null: Whether columns added to a table must stay nullable.
        adds_if_missing: Whether the database knows ADD COLUMN IF NOT EXISTS; else it is asked what is there.
        null_safe_equal: The operator that takes two NULLs as equal.
        timestamp_type: The type of an instant.
        adds_unique: Whether ``ALTER TABLE … ADD UNIQUE (…)`` is known, so that tables can be filled before.
        no_table: What stands behind a select list that reads no table.
        reopens_temp: Whether a statement may read a temporary table twice.
        alters_after_changes: Whether columns can be dropped, narrowed and made NOT NULL in the transaction that has
            changed rows of the table.
    """

    name: ClassVar[str]
    row_address: ClassVar[str]
    alter_may_fail_on_not_null: ClassVar[bool] = True
    adds_if_missing: ClassVar[bool] = True
    null_safe_equal: ClassVar[str] = "IS NOT DISTINCT FROM"
    timestamp_type: ClassVar[str] = "TIMESTAMP WITH TIME ZONE"
    adds_unique: ClassVar[bool] = False
    no_table: ClassVar[str] = ""
    reopens_temp: ClassVar[bool] = True
    alters_after_changes: ClassVar[bool] = True

    @abstractmethod
    def column_type(self, column: TColumnSchema) -> str:
        """The database's type for a column of the schema.

        Raises:
            DestinationTerminalException: The column has no type the database knows.
        """

    @abstractmethod
    def column_facts(self, name: str, db_type: str, nullable: bool) -> TColumnSchema:
        """A column as the schema would describe it, from the database's own words."""

    def quote(self, name: str) -> str:
        """A name as an identifier."""
        return '"' + name.replace('"', '""') + '"'

    def path(self, *names: str | None) -> str:
        """A qualified name; missing parts are left out."""
        return ".".join(self.quote(name) for name in names if name)

    def columns(self, names: Iterable[str], prefix: str = "") -> str:
        """A comma list of identifiers, each behind ``prefix.`` when there is one."""
        lead = f"{prefix}." if prefix else ""
        return ", ".join(lead + self.quote(name) for name in names)

    def text(self, value: str) -> str:
        """A text literal."""
        return "'" + value.replace("'", "''") + "'"

    def timestamp(self, value: dt.datetime) -> str:
        """A literal of an instant; without an offset it is taken as UTC."""
        aware = value if value.tzinfo else value.replace(tzinfo=dt.timezone.utc)
        return f"CAST({self.text(aware.isoformat(' '))} AS {self.timestamp_type})"

    def temp_name(self, name: str) -> str:
        """The name of a temporary table of the session, ready for a statement."""
        return self.quote(name)

    def temp_like(self, table: str, columns: Iterable[str], source: str) -> str:
        """Make an empty temporary table (named by `temp_name`) with the types of some columns of a table.

        Where rows have no address, the table gets a column that numbers them, by the name in `row_address`.
        """
        return f"CREATE TEMPORARY TABLE {table} AS SELECT {self.columns(columns)} FROM {source} LIMIT 0"

    def temp_as(self, table: str, query: str) -> str:
        """Make a temporary table (named by `temp_name`) of a query's rows."""
        return f"CREATE TEMPORARY TABLE {table} AS {query}"

    def keyed_temp(self, create: str, table: str, keys: Sequence[Mapping[str, str]]) -> list[str]:
        """Statements that make a temporary table of which rows will be looked for by keys.

        Args:
            create: The statement of `temp_like` or `temp_as`.
            table: As named there.
            keys: Groups of columns, each column with its type in the database.
        """
        return [create]

    def has_row(self, table: str, alias: str, condition: str, stage: str, stage_alias: str) -> str:
        """A predicate of rows ``stage_alias`` of a temporary table: another table has a row that meets a condition.

        Where the database would go through the whole table for each row of the stage, a dialect turns it round.
        """
        return f"EXISTS (SELECT 1 FROM {table} AS {alias} WHERE {condition})"

    def first_rows(self, query: str, count: int, skip: int = 0) -> str:
        """The query with no more than its first rows."""
        return f"{query} LIMIT {count}" + (f" OFFSET {skip}" if skip else "")

    def drop_temp(self, table: str) -> str:
        """Drop a temporary table."""
        return f"DROP TABLE {table}"

    def delete(self, table: str, where: str) -> str:
        """Delete the rows ``d`` of a table that meet a condition."""
        return f"DELETE FROM {table} AS d WHERE {where}"

    def update(self, table: str, sets: Mapping[str, str], where: str = "") -> str:
        """Set columns of the rows ``d`` of a table to expressions."""
        clauses = ", ".join(f"{self.quote(column)} = {value}" for column, value in sets.items())
        return f"UPDATE {table} AS d SET {clauses}" + (f" WHERE {where}" if where else "")

    def update_from(self, table: str, source: str, sets: Mapping[str, str], where: str) -> str:
        """Set columns of the rows ``d`` of a table to expressions of rows ``s`` of another."""
        clauses = ", ".join(f"{self.quote(column)} = {value}" for column, value in sets.items())
        return f"UPDATE {table} AS d SET {clauses} FROM {source} AS s WHERE {where}"

    def equal(self, left: str, right: str, nullable: bool = False) -> str:
        """A predicate that an index or a hash join can serve; two NULLs are equal where there may be any."""
        return f"{left} {self.null_safe_equal if nullable else '='} {right}"

    def differs(self, left: str, right: str) -> str:
        """A predicate: two expressions of one type differ; two NULLs do not."""
        return f"{left} IS DISTINCT FROM {right}"

    def is_true(self, expression: str) -> str:
        """A predicate: a boolean is true, and not NULL."""
        return f"{expression} IS TRUE"

    def order(self, expression: str, direction: str) -> str:
        """A term of ORDER BY, ``asc`` or ``desc``, with NULLs last in both."""
        return f"{expression} {direction.upper()} NULLS LAST"

    def widen_column(self, table: str, column: TColumnSchema, present: TColumnSchema) -> list[str]:
        """Give a column of a table (qualified) another type, which holds all its values.

        Args:
            table: Ready for a statement.
            column: As it shall be.
            present: As it is, with the name it has in the database.
        """
        name, kind = self.quote(present.get("name") or column["name"]), self.column_type(column)
        using = self.widened(name, column, present)
        return [f"ALTER TABLE {table} ALTER COLUMN {name} TYPE {kind}{f' USING {using}' if using else ''}"]

    def widened(self, name: str, column: TColumnSchema, present: TColumnSchema) -> str:
        """The expression that makes the new values of a widened column; empty where a plain cast does."""
        is_instant = column.get("data_type") == "timestamp" and column.get("timezone") is not False
        if present.get("data_type") == "date" and is_instant:
            return f"CAST({name} AS TIMESTAMP) AT TIME ZONE 'UTC'"  # whatever the session's zone is
        return ""

    def drop_not_null(self, table: str, column: TColumnSchema) -> list[str]:
        """Let a column be NULL."""
        return [f"ALTER TABLE {table} ALTER COLUMN {self.quote(column['name'])} DROP NOT NULL"]

    def narrowed(self, name: str, present: str, before: str) -> str:
        """The expression that makes the old values of a column that was widened.

        Args:
            name: The column, quoted.
            present: Its type as the database has it.
            before: The type it had.
        """
        if before.casefold() == "date" and present.casefold() == "timestamp with time zone":
            return f"CAST({name} AT TIME ZONE 'UTC' AS DATE)"
        return f"CAST({name} AS {before})"

    def restore_column(self, table: str, column: str, present: tuple[str, bool], before: tuple[str, bool]) -> list[str]:
        """Give a column of a table (qualified) the type it had and say again whether it may be NULL."""
        name, made = self.quote(column), []
        if present[0] != before[0]:
            using = self.narrowed(name, present[0], before[0])
            made.append(f"ALTER TABLE {table} ALTER COLUMN {name} TYPE {before[0]} USING {using}")
        if present[1] and not before[1]:
            made.append(f"ALTER TABLE {table} ALTER COLUMN {name} SET NOT NULL")
        return made

    def comment_on_table(self, table: str, text: str) -> list[str]:
        """Set a table's comment; an empty text removes it. No statement where the database has no comments."""
        return [f"COMMENT ON TABLE {table} IS {self.text(text) if text else 'NULL'}"]

    def comment_on_column(self, table: str, column: TColumnSchema, text: str) -> list[str]:
        """Set a column's comment; an empty text removes it. No statement where the database has no comments."""
        return [f"COMMENT ON COLUMN {table}.{self.quote(column['name'])} IS {self.text(text) if text else 'NULL'}"]

    def swap_table(self, table: str, new: str, name: str) -> list[str]:
        """Drop a table and give its name to another one, in a way that takes part in the transaction.

        Args:
            table: The table, ready for a statement.
            new: The other one, ready for a statement.
            name: The table's bare name.
        """
        return [f"DROP TABLE IF EXISTS {table}", f"ALTER TABLE {new} RENAME TO {self.quote(name)}"]

    def empty_table(self, table: str) -> str:
        """Delete all rows in a way that takes part in the transaction."""
        return f"DELETE FROM {table}"

    def truncate_table(self, table: str) -> str:
        """Delete all rows, for a replace that readers may see half done; ``TRUNCATE`` where that is part of the
        transaction.
        """
        return self.empty_table(table)

    def instant(self, expression: str) -> str:
        """An expression that reads an instant in the form that `to_instant` takes."""
        return expression

    def to_instant(self, value: Any) -> dt.datetime | None:
        """An instant from what the database gave for `instant`."""
        if value is None:
            return None
        made: dt.datetime = value
        return made if made.tzinfo else made.replace(tzinfo=dt.timezone.utc)

    def inline(self, sql: str, params: Sequence[Any]) -> str:
        """A statement with literals in the place of its marks ``?``."""
        left = iter(params)
        return _MARKS.sub(lambda match: self.literal(next(left)) if match[0] == "?" else match[0], sql)

    def literal(self, value: Any) -> str:
        """A literal of a plain value.

        Raises:
            TypeError: The value has no literal form here.
        """
        if value is None:
            return "NULL"
        if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        if isinstance(value, (int, float)):
            return repr(value)
        if isinstance(value, dt.datetime):
            return self.timestamp(value)
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (list, tuple)):
            return f"[{', '.join(map(self.literal, value))}]"
        raise TypeError(f"a {type(value).__name__} has no literal in {self.name}")
