"""DuckDB's client: what the SQL family leaves open, which is bringing files into tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from headrace.destinations.impl.duckdb import files
from headrace.destinations.impl.duckdb.dialect import DuckDbDialect
from headrace.destinations.impl.duckdb.session import DuckDbSqlClient
from headrace.destinations.sql.client import SqlJobClient
from headrace.destinations.sql.models import insert_model
from headrace.errors.destination import DatabaseException, DestinationInvalidFileFormat
from headrace.formats.sqlmodel import FORMAT
from headrace.load.destination import Applied, LoadContext
from headrace.model.jobs import AnyJob, Copy, LoadFile, Replace
from headrace.model.schema import Schema
from headrace.typing import TTableSchemaColumns

_INCOMING = "_hr_incoming"


class DuckDbClient(SqlJobClient):
    """Loads packages into a DuckDB database."""

    _session: DuckDbSqlClient
    _dialect: DuckDbDialect

    def __init__(self, session: DuckDbSqlClient, schema: Schema, *, create_indexes: bool = False) -> None:
        super().__init__(session, schema, create_indexes=create_indexes)
        self._copying, self._is_copying = ExitStack(), False

    def exclusive(self) -> AbstractContextManager[object]:
        """Keep other threads of this process from changing tables inside ``with``; other processes cannot anyway."""
        return self._session.database.ddl_lock

    def exclusive_tables(self, tables: Sequence[str]) -> AbstractContextManager[object]:
        """Let no other thread's merge or replace into these tables inside ``with``."""
        return self._session.database.locked([f"{self._session.dataset_name}.{name}" for name in tables])

    def apply(self, job: AnyJob, context: LoadContext) -> Applied:
        """Run a job, once by its key; tells what it did."""
        if isinstance(job, (Copy, Replace)) and all(f.format == "arrow" for f in job.files):
            if not self._is_copying:
                self._copying.enter_context(self._session.database.copying())
                self._is_copying = True
        else:
            # text needs large buffers, and merges are work for all threads
            self._end_copying()
        try:
            return super().apply(job, context)
        except DatabaseException as error:
            # what the database learns from the error holds from the next attempt on
            self._copying.__exit__(type(error), error, error.__traceback__)
            self._is_copying = False
            raise

    def _end_copying(self) -> None:
        self._copying.close()
        self._is_copying = False

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session."""
        self._end_copying()
        super().__exit__(kind, value, trace)

    def insert_file(self, file: LoadFile, context: LoadContext, target: str, columns: Sequence[str] | None) -> int:
        """Append a file's rows to a table inside the open transaction, columns matched by name."""
        path = context.path / file.path
        if not path.is_file():
            raise DestinationInvalidFileFormat("DuckDB", file.format, file.path, f"there is no file {path}")
        renames = context.renames.get(file.table, {})
        if file.format == "arrow":
            return self._insert_arrow(file, path, target, columns, renames)
        if file.format == FORMAT:
            return insert_model(self._session, path.read_text(), file.table, context, target)
        known = context.schema.tables.get(file.table, {}).get("columns", {})
        # the file's values are of the type of the column that they go to
        typed = {**known, **{name: known[new] for name, new in renames.items()}}
        return self._insert_selection(file, path, target, columns, typed, renames)

    def _insert_arrow(
        self, file: LoadFile, path: Path, target: str, columns: Sequence[str] | None, renames: Mapping[str, str]
    ) -> int:
        rows = 0
        with self._session.database.copying(), files.closing(path) as (schema, batches):
            names = self._wanted(file, list(schema.names), columns)
            listed = self._dialect.columns(names)
            targets = self._dialect.columns([renames.get(name, name) for name in names])
            for reader in files.statements_of(schema, batches):
                # the bare stream: given a reader, DuckDB imports pyarrow.dataset and pandas, and reads far ahead
                with self._incoming(reader.__arrow_c_stream__()):
                    rows += self._session.run(f"INSERT INTO {target} ({targets}) SELECT {listed} FROM {_INCOMING}")
        return rows

    @contextmanager
    def _incoming(self, stream: Any) -> Iterator[None]:
        """Give a stream a table's name inside ``with``."""
        import duckdb

        with self._session.translated(self._session.doing) as connection:
            connection.register(_INCOMING, stream)
            try:
                yield
            except BaseException:
                # DuckDB 2 takes the name away with the transaction that failed, and refuses to be asked for it
                with suppress(duckdb.Error):
                    connection.unregister(_INCOMING)
                raise
            connection.unregister(_INCOMING)

    def _insert_selection(
        self,
        file: LoadFile,
        path: Path,
        target: str,
        columns: Sequence[str] | None,
        schema: TTableSchemaColumns,
        renames: Mapping[str, str],
    ) -> int:
        selection = files.select_file(self._dialect, file, path, schema)
        names = self._wanted(file, list(selection.columns), columns)
        targets = self._dialect.columns([renames.get(name, name) for name in names])
        return self._session.run(
            f"INSERT INTO {target} ({targets}) SELECT {files.expressions(selection, names)} FROM {selection.source}"
        )

    def _wanted(self, file: LoadFile, found: list[str], columns: Sequence[str] | None) -> list[str]:
        """The file's columns; each must be one of the table's."""
        if columns is not None:
            known = {name.casefold() for name in columns}
            strange = [name for name in found if name.casefold() not in known]
            if strange:
                raise DestinationInvalidFileFormat(
                    "DuckDB", file.format, file.path, f"table `{file.table}` has no column {', '.join(strange)}"
                )
        return found
