"""Destinations of the scenarios: what a pipeline is given, what a table is called in events, and what it really holds.

What is held is read with the stores' own libraries, never with headrace.
"""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

DATASET = "raw"


class Held(NamedTuple):
    """A table as it is in the destination.

    Attributes:
        columns: Types by name, in order; types are None where the store has none.
        rows: All of them.
    """

    columns: dict[str, str | None]
    rows: list[dict[str, Any]]


Tables = dict[str, Held]


class Place:
    """A destination.

    Args:
        folder: Where it may be.

    Attributes:
        name: For people.
        spec: What `shop.destination` makes it of.
        run: Settings of every run.
        hints: Of the resources.
    """

    name = ""
    run: dict[str, Any] = {}
    hints: dict[str, Any] = {}
    spec: list[Any]

    def identity(self, table: str, dataset: str = DATASET) -> tuple[str, str]:
        """The name of a table's dataset, by OpenLineage's rules."""
        raise NotImplementedError

    def look(self, dataset: str = DATASET) -> Tables:
        """All that it holds."""
        raise NotImplementedError


class DuckDb(Place):
    name = "duckdb"

    def __init__(self, folder: Path) -> None:
        self.path = folder / "warehouse.duckdb"
        self.spec = ["duckdb", str(self.path)]

    def identity(self, table: str, dataset: str = DATASET) -> tuple[str, str]:
        return f"duckdb://{self.path}", f"warehouse.{dataset}.{table}"

    def look(self, dataset: str = DATASET) -> Tables:
        import duckdb

        if not self.path.exists():
            return {}
        with duckdb.connect(str(self.path)) as db:
            return _of_information_schema(db.cursor(), dataset, "?")


class Postgres(Place):
    name = "postgres"

    def __init__(self, url: str) -> None:
        self.url = url
        self.spec = ["postgres", url]

    def identity(self, table: str, dataset: str = DATASET) -> tuple[str, str]:
        server, _, database = self.url.rpartition("@")[2].partition("/")
        return f"postgres://{server}", f"{database}.{dataset}.{table}"

    def look(self, dataset: str = DATASET) -> Tables:
        import psycopg

        with psycopg.connect(self.url) as db:
            return _of_information_schema(db.cursor(), dataset, "%s")


class MySql(Place):
    name = "mysql"

    def __init__(self, url: str) -> None:
        self.url = url
        self.spec = ["sqlalchemy", url]

    def identity(self, table: str, dataset: str = DATASET) -> tuple[str, str]:
        server = self.url.rpartition("@")[2].partition("/")[0]
        return f"mysql://{server}", f"{dataset}.{table}"

    def look(self, dataset: str = DATASET) -> Tables:
        import sqlalchemy

        engine = sqlalchemy.create_engine(self.url)
        with closing(engine.raw_connection()) as db:
            return _of_information_schema(db.cursor(), dataset, "%s")


class Sqlite(Place):
    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self.path = folder / "warehouse.db"
        self.spec = ["sqlalchemy", f"sqlite:///{self.path}"]

    def _file(self, dataset: str) -> Path:
        return self.path.with_name(f"{self.path.stem}__{dataset}{self.path.suffix}")

    def identity(self, table: str, dataset: str = DATASET) -> tuple[str, str]:
        return f"sqlite://{self._file(dataset)}", f"main.{table}"

    def look(self, dataset: str = DATASET) -> Tables:
        found: Tables = {}
        # a dataset is a file of its own beside the one of the url
        if not self._file(dataset).exists():
            assert not list(self.path.parent.glob("warehouse*.db")), list(self.path.parent.iterdir())
            return found
        with closing(sqlite3.connect(self._file(dataset))) as db:
            names = [name for (name,) in db.execute("select name from sqlite_master where type = 'table'")]
            for name in names:
                cursor = db.execute(f'select * from "{name}"')
                columns = [c[0] for c in cursor.description]
                rows = [dict(zip(columns, row, strict=True)) for row in cursor]
                types = {r[1]: r[2] for r in db.execute(f'pragma table_info("{name}")')}
                found[name] = Held({c: types[c] for c in columns}, rows)
        return found


class Files(Place):
    """Files in a folder.

    Args:
        folder: Where it may be.
        file_format: ``parquet`` or ``jsonl``.
    """

    def __init__(self, folder: Path, file_format: str) -> None:
        self.name = file_format
        self.bucket = folder / "bucket"
        self.bucket.mkdir(parents=True)
        self.spec = ["filesystem", str(self.bucket)]
        self.run = {"loader_file_format": file_format}

    def identity(self, table: str, dataset: str = DATASET) -> tuple[str, str]:
        return "file", f"{self.bucket}/{dataset}/{table}"

    def look(self, dataset: str = DATASET) -> Tables:
        folders = [p for p in (self.bucket / dataset).glob("*") if p.is_dir() and p.name != "_headrace_tmp"]
        return {p.name: self.table(p) for p in folders}

    def table(self, folder: Path) -> Held:
        """What the files of a table hold."""
        rows = [row for path in sorted(folder.rglob("*")) for row in _file_rows(path)]
        columns = dict.fromkeys(name for row in rows for name in row)
        return Held(columns, rows)


class Delta(Files):
    hints = {"table_format": "delta"}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "parquet")
        self.name, self.run = "delta", {}

    def table(self, folder: Path) -> Held:
        import deltalake

        if not (folder / "_delta_log").exists():
            return super().table(folder)
        found = deltalake.DeltaTable(str(folder)).to_pyarrow_table()
        return Held(dict.fromkeys(found.column_names), found.to_pylist())


class Iceberg(Files):
    hints = {"table_format": "iceberg"}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "parquet")
        self.name, self.run = "iceberg", {}

    def table(self, folder: Path) -> Held:
        from pyiceberg.table import StaticTable

        metadata = sorted((folder / "metadata").glob("*.metadata.json"), key=lambda p: p.stat().st_mtime_ns)
        if not metadata:
            return super().table(folder)
        found = StaticTable.from_metadata(str(metadata[-1])).scan().to_arrow()
        return Held(dict.fromkeys(found.column_names), found.to_pylist())


def _file_rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    if path.suffix == ".parquet":
        yield from pq.ParquetFile(path).read().to_pylist()
    elif path.suffix in (".jsonl", ".gz"):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        yield from map(json.loads, data.splitlines())


def _of_information_schema(cursor: Any, dataset: str, mark: str) -> Tables:
    sql = (
        "select table_name, column_name, data_type from information_schema.columns "
        f"where table_schema = {mark} order by table_name, ordinal_position"
    )
    cursor.execute(sql, [dataset])
    types: dict[str, dict[str, str | None]] = {}
    for table, column, kind in cursor.fetchall():
        types.setdefault(table, {})[column] = kind
    found: Tables = {}
    for table, columns in types.items():
        cursor.execute(f"select * from {dataset}.{table}")
        found[table] = Held(columns, [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()])
    return found
