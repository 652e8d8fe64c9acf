"""A destination in one file: a folder of SQLite databases, one a dataset, through Python's own sqlite3."""

from __future__ import annotations

import datetime as dt
import decimal
import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.base.strings import digest128
from headrace.config.known import DwhConfiguration
from headrace.config.spec import configspec
from headrace.destinations.base import ConfiguredDestination
from headrace.destinations.sql.client import SqlJobClient
from headrace.destinations.sql.dbapi import DbApiClient
from headrace.destinations.sql.dialect import SqlDialect
from headrace.errors import destination as errors
from headrace.model.capabilities import Capabilities

CAPABILITIES = Capabilities(
    sqlglot_dialect="sqlite",
    supported_loader_file_formats=("arrow",),
    supported_merge_strategies=("delete-insert", "upsert", "insert-only", "scd2"),
    supported_replace_strategies=("insert-from-staging", "truncate-and-insert"),
    idempotency="transaction",
    max_parallel_load_jobs=1,
    max_timestamp_precision=6,
)
# the declared type of a column decides how SQLite stores it: names with TEXT in them keep what they are given
TYPES = {"text": "TEXT", "bigint": "INTEGER", "double": "REAL", "bool": "BOOLEAN", "binary": "BLOB"}
TYPES |= {name: f"TEXT_{name.upper()}" for name in ("date", "time", "json", "decimal", "wei", "timestamp")}


# ---- 1. the facts of the database ----------------------------------------------------------------------------------


class PocketDialect(SqlDialect):
    name, row_address, null_safe_equal = "sqlite", "rowid", "IS"
    timestamp_type, adds_if_missing = "TEXT", False

    def column_type(self, column: Any) -> str:
        return "TEXT_NAIVE" if column.get("timezone") is False else TYPES[column["data_type"]]

    def column_facts(self, name: str, db_type: str, nullable: bool) -> Any:
        kind = next((kind for kind, word in TYPES.items() if word == db_type), "timestamp")
        naive = {"timezone": False} if db_type == "TEXT_NAIVE" else {}
        return {"name": name, "data_type": kind, "nullable": nullable, **naive}

    def timestamp(self, value: dt.datetime) -> str:
        return self.text(to_text(value))

    def to_instant(self, value: Any) -> Any:
        return value and dt.datetime.fromisoformat(value)

    def differs(self, left: str, right: str) -> str:
        return f"{left} IS NOT {right}"

    def widen_column(self, table: str, column: Any, present: Any) -> list[str]:
        raise errors.DestinationSchemaWillNotUpdate(table, [column["name"]], "SQLite cannot change a column")

    def drop_not_null(self, table: str, column: Any) -> list[str]:
        return self.widen_column(table, column, column)

    def comment_on_table(self, *told: Any) -> list[str]:
        return []  # SQLite has no comments

    comment_on_column = comment_on_table


# ---- 2. the session ------------------------------------------------------------------------------------------------


def to_text(value: Any) -> Any:
    """A value as SQLite keeps it; instants of one length, so that their texts sort like they do."""
    if isinstance(value, dt.datetime):
        value = value.astimezone(dt.timezone.utc) if value.tzinfo else value
        return value.isoformat(" ", "microseconds")
    return str(value) if isinstance(value, (dt.date, dt.time, decimal.Decimal)) else value


class PocketSession(DbApiClient):
    begin = "BEGIN IMMEDIATE"  # whoever begins is the only writer: no other lock is needed
    bind = staticmethod(to_text)
    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / f"{self.dataset_name}.db"

    def connect(self) -> Any:
        self.folder.mkdir(exist_ok=True)
        # statements commit by themselves; another thread may close what this one opened
        connection = sqlite3.connect(":memory:", timeout=60, isolation_level=None, check_same_thread=False)
        if self.file.exists():
            self.attach(connection)
        return connection

    def attach(self, connection: Any) -> None:
        connection.execute(f"ATTACH ? AS {self.dialect.quote(self.dataset_name)}", [str(self.file)])

    def translate(self, error: Exception) -> Any:
        if "no such table" in str(error) or "unknown database" in str(error):
            return errors.DatabaseUndefinedRelation(error)
        busy = isinstance(error, sqlite3.OperationalError) and "syntax" not in str(error)
        return (errors.DatabaseTransientException if busy else errors.DatabaseTerminalException)(error)

    def has_dataset(self) -> bool:
        return self.dataset_name in [name for _, name, _ in self.fetch("PRAGMA database_list")]

    def create_dataset(self) -> None:
        if not self.has_dataset():
            with self.translated() as connection:
                self.attach(connection)
                self.run(f"PRAGMA {self.dialect.quote(self.dataset_name)}.user_version = 1")  # makes the file

    def drop_dataset(self) -> None:
        if self.has_dataset():
            self.run(f"DETACH {self.dialect.quote(self.dataset_name)}")
            self.file.unlink(missing_ok=True)

    def describe_tables(self, tables: Any = None) -> dict[str, list[tuple[str, str, bool]]]:
        if not self.has_dataset():
            return {}
        schema = self.dialect.quote(self.dataset_name)
        names = [name for (name,) in self.fetch(f"SELECT name FROM {schema}.sqlite_master WHERE type = 'table'")]
        asked = {name.lower(): name for name in (names if tables is None else tables)}
        found = {}
        for name in (name for name in names if name.lower() in asked):
            columns = self.fetch(f"PRAGMA {schema}.table_info({self.dialect.quote(name)})")
            found[asked[name.lower()]] = [(column[1], column[2], not column[3]) for column in columns]
        return found

    @staticmethod
    def is_dbapi_exception(error: BaseException) -> bool:
        return isinstance(error, sqlite3.Error)


# ---- 3. bringing rows in, and the destination ------------------------------------------------------------------------


class PocketClient(SqlJobClient):
    def exclusive(self) -> Any:
        return self._session.begin_transaction()

    def exclusive_tables(self, tables: Any) -> Any:
        return self._session.begin_transaction()

    def insert_file(self, file: Any, context: Any, target: str, columns: Any) -> int:
        session: Any = self._session
        renames = context.renames.get(file.table, {})
        with pa.OSFile(str(context.path / file.path)) as source, pa.ipc.open_stream(source) as batches:
            names = self._dialect.columns(renames.get(name, name) for name in batches.schema.names)
            marks = ", ".join("?" for _ in batches.schema.names)
            insert = f"INSERT INTO {target} ({names}) VALUES ({marks})"
            return sum(
                session.run_many(insert, list(zip(*batch.to_pydict().values(), strict=True))) for batch in batches
            )


@configspec
class PocketConfiguration(DwhConfiguration):
    folder: str = "pocket"


class pocket(ConfiguredDestination):
    short_name, spec = "pocket", PocketConfiguration

    def raw_capabilities(self) -> Capabilities:
        return CAPABILITIES

    def describe_location(self) -> str:
        return str(Path(self.configuration().folder).absolute())

    def fingerprint(self) -> str:
        return digest128(self.describe_location())

    def open(self, dataset_name: str, schema: Any, pipeline: Any = None) -> PocketClient:
        session = PocketSession(dataset_name, PocketDialect(), self.capabilities())
        session.folder = Path(pipeline.local_dir if pipeline else "", self.configuration().folder)
        return PocketClient(session, schema)
