"""What tests of the undo need: pipelines on two databases, and a dataset as content hashes."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import headrace

Hashes = dict[str, tuple[Any, ...]]


class DuckDb:
    """Pipelines into a DuckDB file."""

    kind = "duckdb"

    def __init__(self, folder: Path) -> None:
        self.path = folder / "undo.duckdb"

    def destination(self, **settings: Any) -> Any:
        return headrace.destinations.duckdb(str(self.path), **settings)

    @contextlib.contextmanager
    def session(self) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
        """Runs SQL as a stranger."""
        import duckdb

        with duckdb.connect(str(self.path)) as connection:
            yield lambda sql: connection.execute(sql).fetchall()

    def columns(self, dataset: str) -> str:
        return (
            "SELECT table_name, column_name, data_type, is_nullable, comment FROM duckdb_columns() "
            f"WHERE schema_name = '{dataset}' ORDER BY table_name, column_index"
        )


class Postgres:
    """Pipelines into a PostgreSQL database."""

    kind = "postgres"

    def __init__(self, url: str) -> None:
        self.url = url

    def destination(self, **settings: Any) -> Any:
        return headrace.destinations.postgres(self.url, **settings)

    @contextlib.contextmanager
    def session(self) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
        """Runs SQL as a stranger."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:

            def run(sql: str) -> list[tuple[Any, ...]]:
                cursor = connection.execute(sql.encode())
                return cursor.fetchall() if cursor.description else []

            yield run

    def columns(self, dataset: str) -> str:
        return (
            "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, "
            "col_description(c.oid, a.attnum) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
            "AND c.relkind = 'r' JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
            f"WHERE n.nspname = '{dataset}' ORDER BY 1, a.attnum"
        )


World = DuckDb | Postgres


def hashes(world: World, dataset: str) -> Hashes:
    """Of every table of a dataset: its columns with types and comments, and a hash of its rows, sorted."""
    with world.session() as run:
        columns: dict[str, list[tuple[Any, ...]]] = {}
        for table, *facts in run(world.columns(dataset)):
            columns.setdefault(table, []).append(tuple(facts))
        found: Hashes = {}
        for table, known in columns.items():
            rows = sorted(repr(row) for row in run(f'SELECT * FROM "{dataset}"."{table}"'))
            digest = hashlib.sha256("\n".join(rows).encode()).hexdigest()[:12]
            found[table] = (tuple(known), len(rows), digest)
        return found


def rows(world: World, dataset: str, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    """Rows of a table, sorted."""
    with world.session() as run:
        return sorted(run(f'SELECT {columns} FROM "{dataset}"."{table}"'), key=repr)


def state(pipeline: Any) -> dict[str, Any]:
    """The cursors and whatever else sources keep."""
    return dict(pipeline.state.get("sources") or {})


def kept_tables(world: World, dataset: str) -> list[str]:
    """Before-images that are there."""
    with world.session() as run:
        found = run(
            f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{dataset}_undo' "
            "AND table_name LIKE 'u!_%' ESCAPE '!'"
        )
    return sorted(name for (name,) in found)
