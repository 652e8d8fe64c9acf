"""What sets one SQL database apart from another, as values and small functions.

A destination gives one subclass. The rest of `destinations.sql` writes its statements through it, so that the text a
database receives is made in one place. Rendering is by hand and not through sqlglot: importing sqlglot costs more than
a small run. A destination whose statements need translation uses sqlglot in its own subclass.
"""

from __future__ import annotations

import datetime as dt
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from headrace.typing import TColumnSchema

# a quoted text, a quoted name, or a parameter mark
_MARKS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\?")


class SqlDialect(ABC):
    """Facts about one database's SQL.

    Attributes:
        name: sqlglot's name of it.
        row_address: A pseudo column that numbers the rows of a temporary table in the order they came; None when there
            is none.
        alter_may_fail_on_not_null: Whether columns added to a table must stay nullable.
        null_safe_equal: The operator that takes two NULLs as equal.
        timestamp_type: The type of an instant.
    """

    name: ClassVar[str]
    row_address: ClassVar[str | None] = None
    alter_may_fail_on_not_null: ClassVar[bool] = True
    null_safe_equal: ClassVar[str] = "IS NOT DISTINCT FROM"
    timestamp_type: ClassVar[str] = "TIMESTAMP WITH TIME ZONE"

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

    def temp_like(self, name: str, columns: Iterable[str], source: str) -> str:
        """Make an empty temporary table with the types of some columns of a table."""
        return f"CREATE TEMPORARY TABLE {self.quote(name)} AS SELECT {self.columns(columns)} FROM {source} LIMIT 0"

    def temp_as(self, name: str, query: str) -> str:
        """Make a temporary table of a query's rows."""
        return f"CREATE TEMPORARY TABLE {self.quote(name)} AS {query}"

    def empty_table(self, table: str) -> str:
        """Delete all rows in a way that takes part in the transaction."""
        return f"DELETE FROM {table}"

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
