"""A session with a PostgreSQL database."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from headrace.base.lazy import need
from headrace.base.strings import digest128
from headrace.destinations.impl.postgres.cursor import PostgresCursor, stream
from headrace.destinations.impl.postgres.dialect import PostgresDialect
from headrace.destinations.impl.postgres.errors import translate
from headrace.destinations.sql.session import SqlClient
from headrace.errors.destination import DestinationConnectionError, DestinationTerminalException
from headrace.model.capabilities import Capabilities

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa
    from typing_extensions import Self

_FEATURE = "the PostgreSQL destination"
# quoted text, a quoted name, or a mark of ours
_OWN_MARKS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\?|%")
_NAMED_MARKS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$(?P<name>[A-Za-z_]\w*)|%")
# the journal believes in commits: with synchronous_commit = off a crash of the server takes the last ones back
_SETTINGS = (
    "SET TimeZone = 'UTC'; SET standard_conforming_strings = on; SET client_min_messages = warning; "
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)


def driver() -> Any:
    """psycopg.

    Raises:
        MissingDependencyException: It is not installed.
    """
    return need("psycopg", _FEATURE, "postgres")


def to_driver_marks(sql: str, named: Mapping[str, Any]) -> str:
    """Write the marks ``?`` as ``%s`` and ``$name`` as ``%(name)s``; a statement that has psycopg's marks is left."""
    if "%(" in sql if named else "%s" in sql:
        return sql

    def mark(match: re.Match[str]) -> str:
        found = match[0]
        if found == "?":
            return "%s"
        if named and match["name"]:
            return f"%({match['name']})s"
        return found.replace("%", "%%")

    return (_NAMED_MARKS if named else _OWN_MARKS).sub(mark, sql)


class PostgresSqlClient(SqlClient):
    """A session with one dataset of a PostgreSQL database.

    Statements run at once by themselves unless `begin_transaction` is open. A connection that broke outside of a
    transaction is made anew.

    Args:
        dataset_name: The dataset, a schema of the database.
        connection_arguments: What libpq is given.
        dialect: Its SQL.
        capabilities: What the destination can do.
        location: Where the database is, for errors; without secrets.
        staging_dataset_name: Name of the staging dataset.
    """

    def __init__(
        self,
        dataset_name: str,
        connection_arguments: Mapping[str, Any],
        dialect: PostgresDialect,
        capabilities: Capabilities,
        *,
        location: str = "",
        staging_dataset_name: str | None = None,
    ) -> None:
        super().__init__(dataset_name, dialect, capabilities, staging_dataset_name)
        self._arguments, self._location = dict(connection_arguments), location
        self._connection: psycopg.Connection[Any] | None = None
        self._path: str | None = None  # the dataset that bare names mean
        self._depth = 0  # transactions in one another: the inner ones are savepoints
        self._locks: list[int] = []  # to be taken when the next transaction begins
        self._streams = itertools.count()

    # ---- connection -----------------------------------------------------------------------------------------------

    def open_connection(self) -> psycopg.Connection[Any]:
        """Connect, unless connected."""
        if self._connection is None:
            self._connect()
        assert self._connection is not None
        return self._connection

    def _connect(self) -> None:
        psycopg = driver()
        self._path, self._depth = None, 0
        try:
            self._connection = psycopg.Connection.connect(
                **self._arguments, autocommit=True, prepare_threshold=None, cursor_factory=psycopg.ClientCursor
            )
            self._connection.execute(_SETTINGS)
        except psycopg.ProgrammingError as error:
            raise DestinationTerminalException(
                f"The options of the connection to {self._location} are wrong.",
                why=str(error).strip(),
                fix="correct them under `destination.postgres.credentials`",
            ) from error
        except psycopg.Error as error:
            self.close_connection()
            raise self._no_connection(error) from error

    def _no_connection(self, error: Exception) -> DestinationConnectionError:
        why = " ".join(str(error).split())
        made = DestinationConnectionError("PostgreSQL", self.dataset_name, why, error)
        made.what = f"PostgreSQL at {self._location} could not be reached for dataset `{self.dataset_name}`."
        return made

    def close_connection(self) -> None:
        """Disconnect; safe to repeat."""
        connection, self._connection = self._connection, None
        self._depth, self._path = 0, None
        if connection is not None:
            with suppress(driver().Error):
                connection.close()

    @property
    def _native(self) -> psycopg.Connection[Any] | None:
        return self._connection

    @property
    def place(self) -> str:
        """A hash of the database."""
        return digest128(self._location)

    def _alive(self) -> psycopg.Connection[Any]:
        """The connection; made anew if it broke where nothing hangs on it."""
        connection: psycopg.Connection[Any] = self.native_connection
        if connection.closed and self._depth == 0:
            self._connect()
            connection = self.native_connection
        return connection

    # ---- statements -----------------------------------------------------------------------------------------------

    @contextmanager
    def translated(self, doing: str = "") -> Iterator[psycopg.Connection[Any]]:
        """Give the connection; turn psycopg's errors inside ``with`` into headrace's."""
        connection = self._alive()
        try:
            yield connection
        except driver().Error as error:
            raise translate(error, doing) from error

    def run(self, sql: str, *params: Any) -> int:
        """Run a statement of ours and return the rows it touched, -1 when PostgreSQL does not tell."""
        with self.translated(self.doing) as connection:
            text = to_driver_marks(sql, {}) if params else sql
            cursor = connection.execute(text.encode(), params or None)
            return cursor.rowcount if cursor.statusmessage and cursor.statusmessage[-1:].isdigit() else -1

    def fetch(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Run a query of ours and return its rows; when it fails inside a transaction, that can go on."""
        text = to_driver_marks(sql, {}) if params else sql
        with self.translated(self.doing) as connection:
            if self._depth == 0:
                return connection.execute(text.encode(), params or None).fetchall()
            try:
                cursor = connection.execute(f"SAVEPOINT _hr_fetch; {text}; RELEASE _hr_fetch".encode(), params or None)
            except driver().Error:
                with suppress(driver().Error):
                    connection.execute("ROLLBACK TO _hr_fetch; RELEASE _hr_fetch")
                raise
            cursor.nextset()
            return cursor.fetchall()

    @contextmanager
    def execute_query(self, sql: str, *params: Any, **named: Any) -> Iterator[PostgresCursor]:
        """Run a statement and read its rows inside ``with``.

        Args:
            sql: The statement.
            params: Values for the marks ``%s`` or ``?``, in order.
            named: Values for the marks ``%(name)s`` or ``$name``.
        """
        values: Any = named or params
        text = to_driver_marks(sql, named) if values else sql
        with self.translated() as connection:
            self.use_dataset()
            cursor = PostgresCursor(connection.execute(text.encode(), values or None))
            try:
                yield cursor
            finally:
                cursor.close()

    @contextmanager
    def stream_query(self, sql: str, chunk_size: int) -> Iterator[pa.RecordBatchReader]:
        """Run a query and read its rows as Arrow batches of ``chunk_size`` rows inside ``with``; the server keeps the
        rest.
        """
        name = f"_hr_stream_{next(self._streams)}"
        with self.begin_transaction(), self.translated() as connection:
            self.use_dataset()
            with stream(connection, name, sql, chunk_size) as reader:
                yield reader

    @contextmanager
    def beside(self) -> Iterator[PostgresSqlClient]:
        """A session on which a query can be read while this one goes on; in a transaction, which only this one sees,
        itself.
        """
        if self._depth:
            yield self
            return
        made = PostgresSqlClient(
            self.dataset_name,
            self._arguments,
            self.dialect,  # type: ignore[arg-type]
            self.capabilities,
            location=self._location,
            staging_dataset_name=self.staging_dataset_name,
        )
        with made:
            yield made

    def use_dataset(self) -> None:
        """Let statements name the dataset's tables without it."""
        connection = self._alive()
        if self._path != self.dataset_name:
            connection.execute(f"SET search_path TO {self.dialect.quote(self.dataset_name)}, public".encode())
            self._path = self.dataset_name

    # ---- transactions -----------------------------------------------------------------------------------------------

    @contextmanager
    def begin_transaction(self) -> Iterator[Self]:
        """Commit what happens inside ``with`` at once; roll it back when the block raises.

        Inside of another one it is a part of it, which can be rolled back by itself.
        """
        if self._depth:
            with self._savepoint():
                self.run(self._with_locks("SELECT 1"))
                yield self
            return
        try:
            # whatever the database's default is: a statement must see what others have committed before it
            self.run(self._with_locks("BEGIN ISOLATION LEVEL READ COMMITTED"))
            self._depth = 1
            yield self
            self.commit_transaction()
        except BaseException:
            self.rollback_transaction()
            raise
        finally:
            self._depth = 0

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        name = f"_hr_{self._depth}"
        self.run(f"SAVEPOINT {name}")
        self._depth += 1
        try:
            yield
            self.run(f"RELEASE {name}")
        except BaseException:
            self._path = None
            with suppress(driver().Error):
                if self._connection is not None:
                    self._connection.execute(f"ROLLBACK TO {name}".encode())
            raise
        finally:
            self._depth -= 1

    def commit_transaction(self) -> None:
        """Commit.

        Raises:
            DatabaseTransientException: A statement had failed, so that there was nothing to commit.
        """
        with self.translated(self.doing) as connection:
            if connection.execute("COMMIT").statusmessage == "ROLLBACK":
                raise driver().errors.InFailedSqlTransaction("the transaction was rolled back instead of committed")

    def rollback_transaction(self) -> None:
        """Roll back; quiet when there is nothing to roll back."""
        self._path = None  # settings go back as well
        if self._connection is not None and not self._connection.closed:
            with suppress(driver().Error):
                self._connection.execute("ROLLBACK")

    @contextmanager
    def locked(self, names: Sequence[str]) -> Iterator[None]:
        """Let the transactions that begin inside ``with`` wait for others that asked for one of the names.

        The locks are those of https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS. They end
        with the transaction, whatever becomes of the process, and also where a pooler changes connections.
        """
        kept = self._locks
        self._locks = sorted({_lock_number(f"{self.dataset_name}\0{name}") for name in names})
        try:
            yield
        finally:
            self._locks = kept

    def _with_locks(self, statement: str) -> str:
        # in one order everywhere, so that two do not wait for each other
        return "; ".join([statement, *(f"SELECT pg_advisory_xact_lock({number})" for number in self._locks)])

    # ---- datasets and tables ----------------------------------------------------------------------------------------

    def has_dataset(self) -> bool:
        """Whether the dataset exists."""
        return bool(self.fetch("SELECT 1 FROM pg_namespace WHERE nspname = ?", self.dataset_name))

    def create_dataset(self) -> None:
        """Make the dataset if it is missing; asked first, because a user may lack the right to make one."""
        if not self.has_dataset():
            super().create_dataset()

    def dataset_statements(self, there: bool) -> list[str]:
        """What `create_dataset` runs."""
        return [] if there else super().dataset_statements(there)

    def describe_tables(self, tables: Sequence[str] | None = None) -> dict[str, list[tuple[str, str, bool]]]:
        """Columns of the dataset's tables that exist: name, database type, nullable; asked in one query."""
        sql = (
            "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull "
            f"FROM {_COLUMNS} WHERE n.nspname = ?"
        )
        found: dict[str, list[tuple[str, str, bool]]] = {}
        some = "" if tables is None else " AND c.relname = ANY(?)"
        params = (self.dataset_name, *([] if tables is None else [list(tables)]))
        for table, column, kind, nullable in self.fetch(f"{sql}{some} ORDER BY c.relname, a.attnum", *params):
            found.setdefault(table, []).append((column, kind, nullable))
        return found

    def column_kinds(self, table: str) -> dict[str, tuple[str, str]]:
        """The columns of a table, ready for a statement or temporary, each with the short and the full name of its
        type: ``("int8", "bigint")``.
        """
        rows = self.fetch(
            "SELECT a.attname, t.typname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute AS a "
            "JOIN pg_type AS t ON t.oid = a.atttypid "
            "WHERE a.attrelid = CAST(? AS regclass) AND a.attnum > 0 AND NOT a.attisdropped",
            table,
        )
        return {name: (kind, full) for name, kind, full in rows}

    def has_default(self, table: str, column: str) -> bool:
        """Whether a column gets a value by itself: by a default, an identity, or because it is generated."""
        sql = (
            f"SELECT 1 FROM {_COLUMNS} WHERE n.nspname = ? AND c.relname = ? AND a.attname = ? "
            "AND (a.atthasdef OR a.attidentity <> '')"
        )
        return bool(self.fetch(sql, self.dataset_name, table, column))

    def describe_comments(self, tables: Sequence[str]) -> dict[str, tuple[str, dict[str, str]]]:
        """Comments of tables that exist: the table's own (empty if none), and those of columns that have one."""
        rows = self.fetch(
            "SELECT c.relname, a.attname, obj_description(c.oid, 'pg_class'), col_description(c.oid, a.attnum) "
            f"FROM {_COLUMNS} WHERE n.nspname = ? AND c.relname = ANY(?)",
            self.dataset_name,
            list(tables),
        )
        found: dict[str, tuple[str, dict[str, str]]] = {}
        for table, column, own, text in rows:
            columns = found.setdefault(table, (own or "", {}))[1]
            if text:
                columns[column] = text
        return found

    @staticmethod
    def is_dbapi_exception(error: BaseException) -> bool:
        """Whether the error comes from psycopg."""
        return isinstance(error, driver().Error)


_COLUMNS = (
    "pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f') "
    "JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
)


def _lock_number(name: str) -> int:
    import hashlib

    digest = hashlib.shake_128(f"headrace\0{name}".encode()).digest(8)
    return int.from_bytes(digest, "big", signed=True)
