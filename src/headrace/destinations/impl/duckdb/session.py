"""A session with a DuckDB database."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.base.strings import digest128
from headrace.destinations.impl.duckdb.connections import Database
from headrace.destinations.impl.duckdb.cursor import DuckDbCursor, arrow_reader
from headrace.destinations.impl.duckdb.dialect import DuckDbDialect
from headrace.destinations.impl.duckdb.errors import translate
from headrace.destinations.impl.duckdb.turn import holder_of, is_locked
from headrace.destinations.sql.session import SqlClient
from headrace.errors.destination import DestinationConnectionError
from headrace.model.capabilities import Capabilities

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from typing_extensions import Self

Opener = Callable[[], "tuple[Database, duckdb.DuckDBPyConnection]"]

# a quoted text, a quoted name, or a parameter mark
_MARKS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|%s|%%|%\((?P<name>\w+)\)s")


def to_own_marks(sql: str) -> str:
    """Write the marks ``%s`` as ``?`` and ``%(name)s`` as ``$name``, outside of quotes; ``%%`` becomes ``%``."""
    if "%" not in sql:
        return sql
    own = {"%s": "?", "%%": "%"}
    return _MARKS.sub(lambda match: f"${match['name']}" if match["name"] else own.get(match[0], match[0]), sql)


class DuckDbSqlClient(SqlClient):
    """A session with one dataset of a DuckDB database.

    Args:
        dataset_name: The dataset, a schema of the database.
        opener: Opens the database.
        dialect: Its SQL.
        capabilities: What the destination can do.
        location: Where the database is, for errors.
        session_settings: Statements that every session starts with.
        staging_dataset_name: Name of the staging dataset.
    """

    def __init__(
        self,
        dataset_name: str,
        opener: Opener,
        dialect: DuckDbDialect,
        capabilities: Capabilities,
        *,
        location: str = "",
        session_settings: Sequence[str] = ("SET TimeZone = 'UTC'",),
        staging_dataset_name: str | None = None,
    ) -> None:
        super().__init__(dataset_name, dialect, capabilities, staging_dataset_name)
        self._duckdb_dialect = dialect
        self._opener, self._location = opener, location
        self._session_settings = tuple(session_settings)
        self._database: Database | None = None
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._in_use: str | None = None
        self._in_transaction = False
        self.statements = 0  # how many ran: a cursor knows by it whether its rows are still there

    # ---- connection -----------------------------------------------------------------------------------------------

    def open_connection(self) -> duckdb.DuckDBPyConnection:
        """Connect, unless connected."""
        if self._cursor is None:
            import duckdb

            try:
                self._database, self._cursor = self._opener()
                for statement in self._session_settings:
                    self._cursor.execute(statement)
            except duckdb.Error as error:
                self.close_connection()
                raise self._no_connection(error) from error
        return self._cursor

    def _no_connection(self, error: Exception) -> DestinationConnectionError:
        made = DestinationConnectionError("DuckDB", self.dataset_name, str(error), error)
        made.what = f"The DuckDB database {self._location} could not be opened for dataset `{self.dataset_name}`."
        if is_locked(error):
            pid = holder_of(error)
            made.fix = (
                f"{f'process {pid}' if pid else 'another process'} has the file open, and DuckDB lets one process "
                "write at a time: end it, or wait longer (`destination.duckdb.lock_timeout`, in seconds)"
            )
        else:
            made.fix = (
                "check the path under `destination.duckdb.credentials`, that its folder exists and may be written"
            )
        return made

    def close_connection(self) -> None:
        """Disconnect; safe to repeat."""
        database, cursor = self._database, self._cursor
        self._database = self._cursor = self._in_use = None
        if database is not None and cursor is not None:
            database.release(cursor)

    @property
    def _native(self) -> duckdb.DuckDBPyConnection | None:
        return self._cursor

    @property
    def database(self) -> Database:
        """The open database."""
        assert self.native_connection is not None and self._database is not None
        return self._database

    @property
    def place(self) -> str:
        """A hash of the open database: of its path, or of the very object when it has none."""
        return digest128(self._location if Path(self._location).is_absolute() else f"object {id(self.database)}")

    # ---- statements -----------------------------------------------------------------------------------------------

    @contextmanager
    def translated(self, doing: str = "") -> Iterator[duckdb.DuckDBPyConnection]:
        """Give the connection; turn DuckDB's errors inside ``with`` into headrace's."""
        import duckdb

        connection: duckdb.DuckDBPyConnection = self.native_connection
        self.statements += 1
        try:
            yield connection
        except duckdb.Error as error:
            if isinstance(error, duckdb.FatalException) and self._database is not None:
                self._database.discard()
            raise translate(error, doing) from error

    def run(self, sql: str, *params: Any) -> int:
        """Run a statement of ours and return the rows it touched, -1 when DuckDB does not tell."""
        with self.translated(self.doing) as connection:
            connection.execute(self._inlined(sql, params))
            described = connection.description
            if not described or described[0][0] != "Count":
                return -1
            row = connection.fetchone()
            return int(row[0]) if row else 0

    def fetch(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Run a query of ours and return its rows; parameters as in `run`."""
        with self.translated(self.doing) as connection:
            rows: list[tuple[Any, ...]] = connection.execute(self._inlined(sql, params)).fetchall()
            return rows

    def _inlined(self, sql: str, params: Sequence[Any]) -> str:
        # DuckDB imports pandas (half a second) with the first parameter that it converts, so we give it none
        return self.dialect.inline(sql, params) if params else sql

    @contextmanager
    def execute_query(self, sql: str, *params: Any, **named: Any) -> Iterator[DuckDbCursor]:
        """Run a statement and read its rows inside ``with``, before the next statement of the session.

        Args:
            sql: The statement.
            params: Values for the marks ``?`` or ``%s``, in order.
            named: Values for the marks ``$name`` or ``%(name)s``.
        """
        self.use_dataset()
        values: Any = named or params
        with self.translated() as connection:
            connection.execute(to_own_marks(sql), values) if values else connection.execute(sql)
            cursor = DuckDbCursor(connection, self)
            try:
                yield cursor
            finally:
                cursor.close()

    @contextmanager
    def stream_query(self, sql: str, chunk_size: int) -> Iterator[pa.RecordBatchReader]:
        """Run a query and read its rows as Arrow batches of ``chunk_size`` rows inside ``with``."""
        self.use_dataset()
        with self.translated() as connection:
            # not `execute`: DuckDB 2 would hold the whole result
            found: Any = connection.sql(sql)
            reader = arrow_reader(found if found is not None else connection.sql("SELECT 1 WHERE FALSE"), chunk_size)
            try:
                yield reader
            finally:
                reader.close()

    @contextmanager
    def beside(self) -> Iterator[DuckDbSqlClient]:
        """A session on which a query can be read while this one goes on; in a transaction, which only this one sees,
        itself.
        """
        if self._in_transaction:
            yield self
            return
        made = DuckDbSqlClient(
            self.dataset_name,
            self._opener,
            self._duckdb_dialect,
            self.capabilities,
            location=self._location,
            session_settings=self._session_settings,
            staging_dataset_name=self.staging_dataset_name,
        )
        with made:
            yield made

    @contextmanager
    def begin_transaction(self) -> Iterator[Self]:
        """Commit what happens inside ``with`` at once; roll it back when the block raises."""
        with super().begin_transaction():
            self._in_transaction = True
            try:
                yield self
            finally:
                self._in_transaction = False

    def use_dataset(self) -> None:
        """Let statements name the dataset's tables without it, if it exists."""
        if self._in_use == self.dataset_name:
            return
        if self.has_dataset():
            self._use(self.dataset_name)
        elif self._in_use is not None:
            self._use(None)  # or bare names would mean the tables of another dataset

    def _use(self, dataset_name: str | None) -> None:
        self.run(f"USE {self.dialect.path(self.database.name, dataset_name or 'main')}")
        self._in_use = dataset_name

    def rollback_transaction(self) -> None:
        """Roll back; quiet when there is nothing to roll back."""
        import duckdb

        if self._cursor is not None:
            with suppress(duckdb.Error):  # a failed commit has rolled back already
                self._cursor.execute("ROLLBACK")

    # ---- names, datasets and tables -------------------------------------------------------------------------------

    def catalog_name(self, quote: bool = True, casefold: bool = True) -> str | None:
        """The database's name where a dataset has the same, which DuckDB could not tell apart; else None."""
        if self._database is not None:
            name = self._database.name
        else:
            # DuckDB calls a database after its file, also one that is still to be made
            name = "" if self.is_there() else Path(self._location).stem
        if not name or name.casefold() != self.dataset_name.casefold():
            return None
        return self.dialect.quote(name) if quote else name

    def is_there(self) -> bool:
        """Whether there is a database; False where connecting would make its file."""
        return not Path(self._location).is_absolute() or Path(self._location).exists()

    def has_dataset(self) -> bool:
        """Whether the dataset exists."""
        sql = "SELECT 1 FROM duckdb_schemas() WHERE database_name = ? AND lower(schema_name) = lower(?)"
        return bool(self.fetch(sql, self.database.name, self.dataset_name))

    def drop_dataset(self) -> None:
        """Drop the dataset with all its tables; quiet when there is none."""
        if self._in_use == self.dataset_name:
            self._use(None)
        super().drop_dataset()

    def describe_tables(self, tables: Sequence[str] | None = None) -> dict[str, list[tuple[str, str, bool]]]:
        """Columns of the dataset's tables that exist: name, database type, nullable; asked in one query."""
        sql = (
            "SELECT table_name, column_name, data_type, is_nullable FROM duckdb_columns() "
            "WHERE database_name = ? AND lower(schema_name) = lower(?)"
        )
        params: list[Any] = [self.database.name, self.dataset_name]
        if tables is not None:
            sql += " AND list_contains(?, lower(table_name))"
            params.append([table.lower() for table in tables])
        rows = self.fetch(f"{sql} ORDER BY table_name, column_index", *params)
        asked = {table.lower(): table for table in tables or ()}
        found: dict[str, list[tuple[str, str, bool]]] = {}
        for table, column, kind, nullable in rows:
            found.setdefault(asked.get(table.lower(), table), []).append((column, kind, bool(nullable)))
        return found

    def describe_comments(self, tables: Sequence[str]) -> dict[str, tuple[str, dict[str, str]]]:
        """Comments of tables that exist: the table's own (empty if none), and those of columns that have one."""
        where = "database_name = ? AND lower(schema_name) = lower(?) AND list_contains(?, lower(table_name))"
        params = (self.database.name, self.dataset_name, [table.lower() for table in tables])
        asked = {table.lower(): table for table in tables}
        found: dict[str, tuple[str, dict[str, str]]] = {
            asked[name.lower()]: (text or "", {})
            for name, text in self.fetch(f"SELECT table_name, comment FROM duckdb_tables() WHERE {where}", *params)
        }
        columns = f"SELECT table_name, column_name, comment FROM duckdb_columns() WHERE {where} AND comment IS NOT NULL"
        for table, column, text in self.fetch(columns, *params):
            if asked[table.lower()] in found:
                found[asked[table.lower()]][1][column] = text
        return found

    def has_default(self, table: str, column: str) -> bool:
        """Whether a column of a table has a default value."""
        sql = (
            "SELECT 1 FROM duckdb_columns() WHERE database_name = ? AND lower(schema_name) = lower(?) "
            "AND lower(table_name) = lower(?) AND column_name = ? AND column_default IS NOT NULL"
        )
        return bool(self.fetch(sql, self.database.name, self.dataset_name, table, column))

    @staticmethod
    def is_dbapi_exception(error: BaseException) -> bool:
        """Whether the error comes from DuckDB."""
        import duckdb

        return isinstance(error, duckdb.Error)
