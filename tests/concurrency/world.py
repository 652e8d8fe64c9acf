"""Where writers meet: a dataset that several processes load into, and how a test looks at it.

A world is a small value that travels to child processes. Another database joins the tests by one more class here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

DATASET = "shared"


class World(Protocol):
    """A place for one dataset.

    Attributes:
        one_at_a_time: Loads never overlap there: who ends last has written last.
    """

    @property
    def one_at_a_time(self) -> bool: ...

    def destination(self) -> Any:
        """A destination for it, made anew in each process."""

    def query(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Rows of a query; tables are named without the dataset."""

    def columns(self) -> dict[str, dict[str, str]]:
        """Tables, and their columns with the database's types."""


@dataclass(frozen=True)
class DuckDbWorld:
    """A DuckDB file: one process at a time has it open."""

    path: Path
    one_at_a_time: bool = True
    lock_timeout: float = 300.0

    def destination(self) -> Any:
        from headrace.destinations import duckdb

        return duckdb(str(self.path), lock_timeout=self.lock_timeout)

    def query(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        import duckdb

        with duckdb.connect(str(self.path)) as connection:
            connection.execute(f"USE {DATASET}")
            return connection.execute(sql, params).fetchall()

    def columns(self) -> dict[str, dict[str, str]]:
        rows = self.query(
            "SELECT table_name, column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = ? ORDER BY ordinal_position",
            DATASET,
        )
        found: dict[str, dict[str, str]] = {}
        for table, column, kind in rows:
            found.setdefault(table, {})[column] = kind
        return found


@dataclass(frozen=True)
class PostgresWorld:
    """A PostgreSQL database: loads overlap, and each statement sees what is committed before it."""

    url: str
    one_at_a_time: bool = False

    def destination(self) -> Any:
        from headrace.destinations import postgres

        return postgres(self.url)

    def query(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(self.url, options=f"-csearch_path={DATASET}") as connection:
            return connection.execute(sql.replace("?", "%s").encode(), params).fetchall()

    def columns(self) -> dict[str, dict[str, str]]:
        rows = self.query(
            "SELECT table_name, column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = ? ORDER BY ordinal_position",
            DATASET,
        )
        found: dict[str, dict[str, str]] = {}
        for table, column, kind in rows:
            found.setdefault(table, {})[column] = kind
        return found
