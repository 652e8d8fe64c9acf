"""DuckDB's client: what the SQL family leaves open, which is bringing files into tables."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from headrace.destinations.impl.duckdb import files
from headrace.destinations.impl.duckdb.dialect import DuckDbDialect
from headrace.destinations.impl.duckdb.session import DuckDbSqlClient
from headrace.destinations.sql.client import SqlJobClient
from headrace.errors.destination import DestinationInvalidFileFormat
from headrace.load.destination import LoadContext
from headrace.model.jobs import LoadFile
from headrace.typing import TTableSchemaColumns

_INCOMING = "_hr_incoming"


class DuckDbClient(SqlJobClient):
    """Loads packages into a DuckDB database."""

    _session: DuckDbSqlClient
    _dialect: DuckDbDialect

    def exclusive_ddl(self) -> AbstractContextManager[object]:
        """Keep other threads of this process from changing tables inside ``with``."""
        return self._session.database.ddl_lock

    def insert_file(self, file: LoadFile, context: LoadContext, target: str, columns: Sequence[str] | None) -> int:
        """Append a file's rows to a table inside the open transaction, columns matched by name."""
        path = context.path / file.path
        if not path.is_file():
            raise DestinationInvalidFileFormat("DuckDB", file.format, file.path, f"there is no file {path}")
        table = context.schema.tables.get(file.table, {})
        if file.format == "arrow":
            return self._insert_arrow(file, path, target, columns)
        return self._insert_selection(file, path, target, columns, table.get("columns", {}))

    def _insert_arrow(self, file: LoadFile, path: Path, target: str, columns: Sequence[str] | None) -> int:
        rows = 0
        with self._session.database.one_thread(), files.closing(path) as (schema, batches):
            names = self._wanted(file, list(schema.names), columns)
            listed = self._dialect.columns(names)
            for reader in files.statements_of(schema, batches):
                with self._session.translated(self._session.doing) as connection:
                    # the bare stream: given a reader, DuckDB imports pyarrow.dataset and pandas, and reads far ahead
                    connection.register(_INCOMING, reader.__arrow_c_stream__())
                    try:
                        rows += self._session.run(f"INSERT INTO {target} ({listed}) SELECT {listed} FROM {_INCOMING}")
                    finally:
                        connection.unregister(_INCOMING)
        return rows

    def _insert_selection(
        self, file: LoadFile, path: Path, target: str, columns: Sequence[str] | None, schema: TTableSchemaColumns
    ) -> int:
        selection = files.select_file(self._dialect, file, path, schema)
        names = self._wanted(file, list(selection.columns), columns)
        return self._session.run(
            f"INSERT INTO {target} ({self._dialect.columns(names)}) "
            f"SELECT {files.expressions(selection, names)} FROM {selection.source}"
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
