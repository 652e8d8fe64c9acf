"""Where the shop is loaded to: how to make the destination, and how to read all rows back without headrace."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.shop import RESOURCES, Rows

DATASET = "raw"
Tables = dict[str, Rows]


@dataclass(frozen=True)
class Target:
    """A destination under test. A *place* is its address, a plain string: a path or a url.

    Attributes:
        name: For people; `TARGETS` has it by this name.
        kind: The destination's name in `headrace.destinations`: tests are skipped until it is there.
        destination: Makes the destination of a place, in the child.
        tables: Reads all tables of a place.
        resources: What of the shop it can take.
        table_format: Of all tables.
        run_settings: Given to ``pipeline.run``.
        server: The fixture whose ``database()`` gives new places; "" for a folder of the test's own.
        modules: Drivers it needs.
    """

    name: str
    kind: str
    destination: Callable[[str], Any]
    tables: Callable[[str], Tables]
    resources: Sequence[str] = RESOURCES
    table_format: str | None = None
    run_settings: dict[str, Any] = field(default_factory=dict)
    server: str = ""
    modules: Sequence[str] = ()


# ---- databases -----------------------------------------------------------------------------------------------------


def _records(cursor: Any) -> Rows:
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _duckdb(place: str, **settings: Any) -> Any:
    from headrace.destinations import duckdb

    return duckdb(place, **settings)


def _duckdb_tables(place: str) -> Tables:
    import duckdb

    if not Path(place).exists():
        return {}
    with duckdb.connect(place) as db:
        sql = "select table_schema, table_name from information_schema.tables where table_schema like ?"
        names = db.execute(sql, [f"{DATASET}%"]).fetchall()
        return {name: _records(db.execute(f"select * from {schema}.{name}")) for schema, name in names}


def _postgres(place: str, **settings: Any) -> Any:
    from headrace import destinations

    return destinations.postgres(place, **settings)


def _postgres_tables(place: str) -> Tables:
    import psycopg

    with psycopg.connect(place) as db:
        sql = "select table_schema, table_name from information_schema.tables where table_schema like %s"
        names = db.execute(sql, [f"{DATASET}%"]).fetchall()
        return {name: _records(db.execute(f"select * from {schema}.{name}".encode())) for schema, name in names}


def _sqlite(place: str, **settings: Any) -> Any:
    from headrace import destinations

    return destinations.sqlalchemy(f"sqlite:///{place}", **settings)


def _sqlite_tables(place: str) -> Tables:
    found: Tables = {}
    # a dataset is a file of its own beside the one of the url
    for path in Path(place).parent.glob(f"{Path(place).name}*{DATASET}*"):
        if path.suffix == ".lock" or path.name.endswith(("-journal", "-wal", "-shm")):
            continue
        with closing(sqlite3.connect(path)) as db:
            names = [name for (name,) in db.execute("select name from sqlite_master where type = 'table'")]
            found |= {name: _records(db.execute(f"select * from {name}")) for name in names}
    return found


# ---- files ---------------------------------------------------------------------------------------------------------


def _filesystem(place: str, **settings: Any) -> Any:
    from headrace import destinations

    return destinations.filesystem(place, **settings)


def _folders(place: str) -> list[Path]:
    # files on their way to their names are no table's yet
    return [path for path in (Path(place) / DATASET).glob("*") if path.is_dir() and path.name != "_headrace_tmp"]


def _folder_tables(place: str) -> Tables:
    return {folder.name: _folder_rows(folder) for folder in _folders(place)}


def _folder_rows(folder: Path) -> Rows:
    import pyarrow.parquet as pq

    rows: Rows = []
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".parquet":
            rows += pq.ParquetFile(path).read().to_pylist()
        elif path.suffix in (".jsonl", ".gz"):
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            rows += [json.loads(line) for line in data.splitlines()]
        elif path.is_file() and path.name != "init":
            raise AssertionError(f"a file that nobody understands: {path}")
    return rows


def _files(file_format: str) -> Target:
    return Target(
        f"filesystem-{file_format}",
        "filesystem",
        _filesystem,
        _folder_tables,
        # without tables of a format of their own there is nothing to merge into
        resources=("events", "snapshot"),
        run_settings={"loader_file_format": file_format},
        modules=("fsspec",),
    )


def _delta_tables(place: str) -> Tables:
    import deltalake

    found: Tables = {}
    for folder in _folders(place):
        if (folder / "_delta_log").exists():
            found[folder.name] = deltalake.DeltaTable(str(folder)).to_pyarrow_table().to_pylist()
        else:
            found[folder.name] = _folder_rows(folder)
    return found


# ---- all -----------------------------------------------------------------------------------------------------------

TARGETS = {
    target.name: target
    for target in (
        Target("duckdb", "duckdb", _duckdb, _duckdb_tables),
        Target(
            "duckdb-truncate",
            "duckdb",
            lambda place: _duckdb(place, replace_strategy="truncate-and-insert"),
            _duckdb_tables,
        ),
        Target(
            "postgres",
            "postgres",
            _postgres,
            _postgres_tables,
            server="postgres_server",
            modules=("psycopg",),
        ),
        Target("sqlite", "sqlalchemy", _sqlite, _sqlite_tables, modules=("sqlalchemy", "adbc_driver_sqlite")),
        _files("parquet"),
        _files("jsonl"),
        Target(
            "delta",
            "filesystem",
            _filesystem,
            _delta_tables,
            resources=("events", "snapshot", "accounts", "prices"),
            table_format="delta",
            modules=("fsspec", "deltalake"),
        ),
    )
}
