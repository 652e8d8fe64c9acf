"""Where the benchmark loads to beside DuckDB: how each place is named, checked, and filled without any engine."""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

DATASET = "data"
PIECE = 128 * 1024  # what libpq takes best at once
Checks = dict[str, tuple[int, int]]
"""For each table the number of its rows and a sum over them."""


class Target:
    """A place to load to, in a folder of one measurement.

    Args:
        folder: Where files may lie.
    """

    joined = "concat_ws('|', {})"
    digest = "hash({})"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def destination(self, dlt: Any) -> Any:
        """The destination of an engine's."""
        raise NotImplementedError

    def raw(self) -> Callable[[], None]:
        """What writes the rows that were loaded once more, by nothing but the driver. They are read before."""
        raise NotImplementedError

    def cpu(self) -> float:
        """Seconds of CPU that a server has used so far."""
        return 0.0

    # ---- check ----------------------------------------------------------------------------------------------------

    def tables(self) -> dict[str, list[str]]:
        """The loaded tables with their columns."""
        raise NotImplementedError

    def fetch(self, sql: str) -> tuple[Any, ...]:
        """The first row of a query."""
        raise NotImplementedError

    def source(self, table: str) -> str:
        """What stands after FROM."""
        return f'"{DATASET}"."{table}"'

    def text(self, column: str) -> str:
        """A column's value as a text that no engine writes in its own way."""
        return f"coalesce(CAST({column} AS varchar), '~')"

    def check(self) -> Checks:
        """Rows of each table, and a sum over their values and those of their parents: ids of rows differ, all else
        must not.
        """
        tables = self.tables()
        found: Checks = {}
        for table, columns in sorted(tables.items()):
            names = [f'c."{n}"' for n in sorted(columns) if not n.startswith("_dlt") or n == "_dlt_list_idx"]
            source = f"{self.source(table)} AS c"
            if "_dlt_parent_id" in columns:
                parent = max((t for t in tables if table.startswith(f"{t}__")), key=len)
                names += [f'p."{n}"' for n in sorted(tables[parent]) if not n.startswith("_dlt")]
                source += f' JOIN {self.source(parent)} AS p ON c."_dlt_parent_id" = p."_dlt_id"'
            texts = self.joined.format(", ".join(self.text(name) for name in names))
            rows, total = self.fetch(f"SELECT count(*), sum({self.digest.format(texts)}) FROM {source}")
            found[table] = (int(rows), int(total or 0))
        return found


class Postgres(Target):
    """A database of the server that run.py starts."""

    digest = "CAST(CAST('x' || md5({}) AS bit(32)) AS bigint)"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.url, self.server = os.environ["BENCH_POSTGRES"], int(os.environ["BENCH_POSTGRES_PID"])

    def destination(self, dlt: Any) -> Any:
        return dlt.destinations.postgres(self.url)

    def _connection(self) -> Any:
        import psycopg

        return psycopg.connect(self.url, autocommit=True)

    def tables(self) -> dict[str, list[str]]:
        sql = (
            "SELECT table_name, array_agg(CAST(column_name AS text)) FROM information_schema.columns "
            f"WHERE table_schema = '{DATASET}' AND left(table_name, 1) <> '_' GROUP BY 1"
        )
        with self._connection() as connection:
            return dict(connection.execute(sql).fetchall())

    def fetch(self, sql: str) -> tuple[Any, ...]:
        with self._connection() as connection:
            found: tuple[Any, ...] = connection.execute(sql).fetchone()
            return found

    def raw(self) -> Callable[[], None]:
        """``COPY`` of the same rows, in PostgreSQL's binary format as the server itself wrote it."""
        dumps = {}
        with self._connection() as connection:
            connection.execute("CREATE SCHEMA raw")
            for table in self.tables():
                with connection.cursor().copy(f"COPY {self.source(table)} TO STDOUT (FORMAT BINARY)") as copy:
                    dumps[table] = b"".join(copy)
                connection.execute(f'CREATE TABLE raw."{table}" (LIKE {self.source(table)})')

        def write() -> None:
            with self._connection() as connection, connection.transaction():
                for table, dump in dumps.items():
                    with connection.cursor().copy(f'COPY raw."{table}" FROM STDIN (FORMAT BINARY)') as copy:
                        for start in range(0, len(dump), PIECE):
                            copy.write(dump[start : start + PIECE])

        return write

    def cpu(self) -> float:
        """The server's processes: those alive, and those that ended.

        One that ends between two looks is missed, so that the larger of two counts.
        """
        return max(self._cpu(), self._cpu())

    def _cpu(self) -> float:
        ticks = os.sysconf("SC_CLK_TCK")
        total = 0
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                pid, parent, times = _process(folder)
            except OSError:
                continue
            if pid == self.server:
                total += sum(times)
            elif parent == self.server:
                total += sum(times[:2])
        return total / ticks


def _process(folder: Path) -> tuple[int, int, list[int]]:
    """Its id, its parent, and its times: own in user and system mode, of ended children in both."""
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    return int(folder.name), int(fields[1]), [int(field) for field in fields[11:15]]


class Sqlite(Target):
    """A SQLite database; the dataset is a file beside it."""

    joined, digest = "{}", "digest({})"

    def destination(self, dlt: Any) -> Any:
        return dlt.destinations.sqlalchemy(f"sqlite:///{self.folder}/bench.db")

    def _connection(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.folder / f"bench__{DATASET}.db", isolation_level=None)
        connection.create_function("digest", -1, _digest, deterministic=True)
        return connection

    def source(self, table: str) -> str:
        return f'"{table}"'

    def text(self, column: str) -> str:
        # an instant is text here, and engines write it with and without microseconds
        value = f"strftime('%s', {column})" if column.endswith('_at"') else f"CAST({column} AS TEXT)"
        return f"coalesce({value}, '~')"

    def tables(self) -> dict[str, list[str]]:
        connection = self._connection()
        names = [n for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: [row[1] for row in connection.execute(f'PRAGMA table_info("{name}")')]
            for name in names
            if not name.startswith(("_", "sqlite_"))
        }

    def fetch(self, sql: str) -> tuple[Any, ...]:
        found: tuple[Any, ...] = self._connection().execute(sql).fetchone()
        return found

    def raw(self) -> Callable[[], None]:
        """``executemany`` of the same rows in one transaction."""
        loaded = self._connection()
        make = dict(loaded.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        tables = {name: loaded.execute(f'SELECT * FROM "{name}"').fetchall() for name in self.tables()}

        def write() -> None:
            connection = sqlite3.connect(self.folder / "raw.db", isolation_level=None)
            connection.execute("BEGIN")
            for name, rows in tables.items():
                connection.execute(make[name])
                marks = ", ".join("?" * len(rows[0]))
                connection.executemany(f'INSERT INTO "{name}" VALUES ({marks})', rows)
            connection.execute("COMMIT")
            connection.close()

        return write


def _digest(*texts: str) -> int:
    return zlib.crc32("|".join(texts).encode())


class Files(Target):
    """Parquet files in a folder."""

    def destination(self, dlt: Any) -> Any:
        return dlt.destinations.filesystem(f"file://{self.folder}/files")

    def _folders(self) -> list[Path]:
        return [f for f in (self.folder / "files" / DATASET).iterdir() if f.is_dir() and f.name[0] not in "_."]

    def tables(self) -> dict[str, list[str]]:
        import pyarrow.parquet as pq

        return {f.name: pq.read_schema(next(f.glob("*.parquet"))).names for f in self._folders()}

    def source(self, table: str) -> str:
        return f"read_parquet('{self.folder}/files/{DATASET}/{table}/*.parquet', union_by_name = true)"

    def fetch(self, sql: str) -> tuple[Any, ...]:
        import duckdb

        found = duckdb.execute(sql).fetchone()
        assert found is not None
        return found

    def raw(self) -> Callable[[], None]:
        """pyarrow's writer on the same rows."""
        import pyarrow.parquet as pq

        tables = {f.name: pq.ParquetDataset(f).read() for f in self._folders()}

        def write() -> None:
            for name, table in tables.items():
                pq.write_table(table, self.folder / f"{name}.parquet")

        return write


TARGETS: dict[str, type[Target]] = {"postgres": Postgres, "sqlite": Sqlite, "files": Files}
