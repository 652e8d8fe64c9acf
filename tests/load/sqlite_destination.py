"""A small, honest destination for tests: JSON lines into SQLite, the ledger row in the same transaction as the rows.

It keeps the port's whole promise in some two hundred lines, and can be told to fail at chosen moments.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from typing_extensions import Self

from headrace.base import failpoints
from headrace.errors.destination import DatabaseTransientException, DatabaseUndefinedRelation
from headrace.load.destination import (
    AddColumns,
    AnyChange,
    Applied,
    Client,
    CreateTable,
    Destination,
    DropTable,
    LoadContext,
    StoredSchema,
    StoredState,
)
from headrace.model.capabilities import Capabilities
from headrace.model.jobs import AnyJob, Copy, LoadFile, Merge, Replace, Truncate
from headrace.model.schema import Schema
from headrace.typing import TTableSchemaColumns

Hook = Callable[[AnyJob], None]

CAPABILITIES = Capabilities(
    sqlglot_dialect="sqlite",
    preferred_loader_file_format="jsonl",
    supported_loader_file_formats=("jsonl",),
    supported_merge_strategies=("delete-insert",),
    supported_replace_strategies=("insert-from-staging", "truncate-and-insert"),
    idempotency="transaction",
    max_parallel_load_jobs=4,
)


class SqliteDestination(Destination):
    """SQLite in one file.

    Args:
        path: The database.
        before: Called with each job inside its transaction, before the commit: raise to fail it.
        after: Called after the commit: raise to make the outcome unknown.
        capabilities: To plan by.
        ledger: False leaves the ledger out, to prove that the tests notice.
    """

    destination_name = "sqlite_test"
    destination_type = "tests.sqlite"

    def __init__(
        self,
        path: Path,
        before: Hook | None = None,
        after: Hook | None = None,
        capabilities: Capabilities = CAPABILITIES,
        ledger: bool = True,
    ) -> None:
        self.path, self.before, self.after, self.ledger = path, before, after, ledger
        self._capabilities = capabilities
        self.calls: list[str] = []
        self.threads: set[str] = set()
        self.opened = 0

    def capabilities(self) -> Capabilities:
        return self._capabilities

    def open(self, dataset_name: str, schema: Schema, pipeline: Any = None) -> SqliteClient:
        self.opened += 1
        return SqliteClient(self)

    def rows(self, table: str, columns: str = "*", order: str = "1") -> list[tuple[Any, ...]]:
        """What a reader sees."""
        with sqlite3.connect(self.path) as db:
            return db.execute(f"select {columns} from {table} order by {order}").fetchall()


class SqliteClient(Client):
    def __init__(self, destination: SqliteDestination) -> None:
        self.destination = destination
        self._db: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        self._db = sqlite3.connect(self.destination.path, isolation_level=None, timeout=60, check_same_thread=False)
        # a kill is no power loss: the operating system keeps what was written
        self._db.execute("pragma synchronous=off")
        return self

    def __exit__(self, *args: object) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    @property
    def db(self) -> sqlite3.Connection:
        assert self._db is not None, "used outside its with"
        return self._db

    def _execute(self, sql: str, args: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            return self.db.execute(sql, args).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                raise DatabaseUndefinedRelation(error) from error
            raise DatabaseTransientException(error) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._execute("begin immediate")
        try:
            yield
        except BaseException:
            self.db.execute("rollback")
            raise
        self._execute("commit")

    # ---- tables ----------------------------------------------------------------------------------------------------

    def has_dataset(self) -> bool:
        return bool(self._execute("select 1 from sqlite_master limit 1"))

    def create_dataset(self) -> None:
        self.destination.calls.append("create_dataset")
        self._execute("create table if not exists _headrace_jobs (job_key text primary key, load_id text)")

    def drop_dataset(self) -> None:
        for (name,) in self._execute("select name from sqlite_master where type = 'table'"):
            self._execute(f'drop table "{name}"')

    def describe(self, tables: Sequence[str]) -> dict[str, TTableSchemaColumns | None]:
        self.destination.calls.append("describe")
        found: dict[str, TTableSchemaColumns | None] = {}
        for table in tables:
            columns = self._execute(f'pragma table_info("{table}")')
            found[table] = {c[1]: {"name": c[1]} for c in columns} or None
        return found

    def migrate(self, changes: Sequence[AnyChange]) -> None:
        self.destination.calls.append("migrate")
        for change in changes:
            # one statement at a time, as where DDL knows no transactions
            failpoints.hit("ddl")
            match change:
                case CreateTable(table=table, schema=schema):
                    columns = ", ".join(f'"{name}"' for name in schema["columns"])
                    self._execute(f'create table if not exists "{table}" ({columns})')
                case AddColumns(table=table, columns=columns):
                    present = self.describe([table])[table] or {}
                    for name in columns:
                        if name not in present:
                            self._execute(f'alter table "{table}" add column "{name}"')
                case DropTable(table=table):
                    self._execute(f'drop table if exists "{table}"')

    # ---- jobs ------------------------------------------------------------------------------------------------------

    def apply(self, job: AnyJob, context: LoadContext) -> Applied:
        self.destination.calls.append(job.id)
        self.destination.threads.add(threading.current_thread().name)
        with self._transaction():
            if not self._enter_ledger(job, context):
                return Applied()
            rows = self._run(job, context)
            if self.destination.before:
                self.destination.before(job)
            failpoints.hit("in.job")
        failpoints.hit("job.committed")
        if self.destination.after:
            self.destination.after(job)
        return Applied(rows=rows)

    def _enter_ledger(self, job: AnyJob, context: LoadContext) -> bool:
        if not self.destination.ledger:
            return True
        entry = "insert or ignore into _headrace_jobs values (?, ?) returning 1"
        return bool(self._execute(entry, (context.key(job), context.load_id)))

    def _run(self, job: AnyJob, context: LoadContext) -> int:
        match job:
            case Copy():
                pass
            case Truncate() | Replace():
                for table in job.tables:
                    self._execute(f'delete from "{table}"')
            case Merge():
                self._delete_matching(job, context)
        return sum(self._insert(file, context) for file in job.files)

    def _read(self, file: LoadFile, context: LoadContext) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (context.path / file.path).read_text().splitlines()]

    def _insert(self, file: LoadFile, context: LoadContext) -> int:
        rows = self._read(file, context)
        for row in rows:
            columns = ", ".join(f'"{name}"' for name in row)
            marks = ", ".join("?" * len(row))
            self.db.execute(f'insert into "{file.table}" ({columns}) values ({marks})', list(row.values()))
        return len(rows)

    def _delete_matching(self, job: Merge, context: LoadContext) -> None:
        root = job.tables[0]
        (key,) = context.schema.hint_columns(root, "primary_key")
        keys = {row[key] for file in job.files if file.table == root for row in self._read(file, context)}
        ids = self._ids(f'select _dlt_id from "{root}" where "{key}" in', keys)
        for child in job.tables[1:]:
            self._delete(f'delete from "{child}" where _dlt_root_id in', ids)
        self._delete(f'delete from "{root}" where "{key}" in', keys)

    def _ids(self, sql: str, keys: Iterable[Any]) -> list[Any]:
        values = list(keys)
        return [row[0] for row in self._execute(f"{sql} ({', '.join('?' * len(values))})", values)]

    def _delete(self, sql: str, keys: Iterable[Any]) -> None:
        values = list(keys)
        self._execute(f"{sql} ({', '.join('?' * len(values))})", values)

    # ---- records ---------------------------------------------------------------------------------------------------

    def complete(self, context: LoadContext) -> None:
        self.destination.calls.append("complete")
        with self._transaction():
            if not self._knows(context.load_id):
                self._execute(
                    "insert into _dlt_loads (load_id, schema_name, status) values (?, ?, 0)",
                    (context.load_id, context.schema.name),
                )
            self._execute("delete from _headrace_jobs where load_id = ?", (context.load_id,))

    def is_complete(self, load_id: str) -> bool:
        self.destination.calls.append("is_complete")
        return self._knows(load_id)

    def _knows(self, load_id: str) -> bool:
        return bool(self._execute("select 1 from _dlt_loads where load_id = ? and status = 0", (load_id,)))

    def store_schema(self, schema: Schema) -> None:
        known = self._execute("select 1 from _dlt_version where version_hash = ?", (schema.version_hash,))
        if not known:
            self._execute(
                "insert into _dlt_version (schema_name, version_hash) values (?, ?)", (schema.name, schema.version_hash)
            )

    def read_schema(self, schema_name: str | None = None, version_hash: str | None = None) -> StoredSchema | None:
        return None

    def read_state(self, pipeline_name: str) -> StoredState | None:
        return None
