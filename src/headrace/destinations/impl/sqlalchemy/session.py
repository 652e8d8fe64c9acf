"""A session with a database behind SQLAlchemy."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.base.strings import digest128
from headrace.destinations.impl.sqlalchemy.cursor import SqlalchemyCursor
from headrace.destinations.impl.sqlalchemy.dialects.base import SqlalchemyDialect
from headrace.destinations.impl.sqlalchemy.errors import translate
from headrace.destinations.impl.sqlalchemy.marks import to_driver
from headrace.destinations.sql.session import SqlClient
from headrace.errors.destination import DestinationConnectionError
from headrace.model.capabilities import Capabilities
from headrace.typing import TTableSchemaColumns

if TYPE_CHECKING:
    import pyarrow as pa
    from typing_extensions import Self

_QUERY = re.compile(r"[\s(]*(SELECT|WITH|VALUES)\b", re.IGNORECASE)


class SqlalchemyClient(SqlClient):
    """A session with one dataset, which is a schema of the database.

    Args:
        dataset_name: The dataset.
        engine: SQLAlchemy's engine; never disposed of here.
        dialect: The database's SQL.
        capabilities: What the destination can do.
        lock_timeout: Seconds to wait at most for other writers.
        staging_dataset_name: Name of the staging dataset.

    Attributes:
        facts: What the session has learned of the server.
    """

    dialect: SqlalchemyDialect

    def __init__(
        self,
        dataset_name: str,
        engine: Any,
        dialect: SqlalchemyDialect,
        capabilities: Capabilities,
        *,
        lock_timeout: float = 60.0,
        staging_dataset_name: str | None = None,
    ) -> None:
        super().__init__(dataset_name, dialect, capabilities, staging_dataset_name)
        self.own_dialect = dialect
        self.engine, self.lock_timeout = engine, lock_timeout
        self.facts: dict[str, Any] = {}
        self.scratches = 0
        self._connection: Any = None
        self._depth = 0
        self._later: list[str | Path] = []
        self._expected: TTableSchemaColumns | None = None
        self._in_use: str | None = None

    @property
    def backend(self) -> str:
        """SQLAlchemy's name of the dialect."""
        return self.own_dialect.backend

    # ---- connection -----------------------------------------------------------------------------------------------

    def open_connection(self) -> Any:
        """Connect, unless connected."""
        if self._connection is None:
            import sqlalchemy as sa

            try:
                self._connection = self.engine.connect()
                self._opened()
            except sa.exc.SQLAlchemyError as error:
                self.close_connection()
                reason = str(getattr(error, "orig", None) or error)
                raise DestinationConnectionError(
                    f"SQLAlchemy ({self.backend})", self.dataset_name, reason, error
                ) from error
        return self._connection

    def _opened(self) -> None:
        """Make a new connection ready."""
        for statement in self.own_dialect.session_settings():
            self._connection.exec_driver_sql(statement)
        self._connection.commit()

    def close_connection(self) -> None:
        """Disconnect; safe to repeat."""
        connection, self._connection, self._in_use, self._depth = self._connection, None, None, 0
        if connection is not None:
            import sqlalchemy as sa

            with suppress(sa.exc.SQLAlchemyError):
                connection.close()

    @property
    def _native(self) -> Any | None:
        return self._connection

    @property
    def driver_connection(self) -> Any:
        """The connection of the driver below SQLAlchemy."""
        return self.native_connection.connection.driver_connection

    @property
    def place(self) -> str:
        """A hash of where the database is."""
        return digest128(self.engine.url.render_as_string(hide_password=True))

    # ---- statements -----------------------------------------------------------------------------------------------

    @contextmanager
    def translated(self, doing: str = "") -> Iterator[Any]:
        """Give the connection; turn errors of SQLAlchemy and the driver inside ``with`` into headrace's."""
        import sqlalchemy as sa

        connection = self.native_connection
        try:
            yield connection
        except (sa.exc.SQLAlchemyError, self.engine.dialect.dbapi.Error) as error:
            if self._depth == 0:
                self.rollback_transaction()  # the one that SQLAlchemy began by itself, which may be broken
            raise translate(error, self.backend, doing) from error

    def _execute(self, connection: Any, sql: str, params: Sequence[Any], named: dict[str, Any], **options: Any) -> Any:
        if not params and not named:
            return connection.exec_driver_sql(sql, execution_options={"no_parameters": True, **options})
        bind = self.own_dialect.bind
        values = {name: bind(value) for name, value in named.items()}
        style = connection.dialect.paramstyle
        made, given = to_driver(sql, [bind(value) for value in params], values, style)
        return connection.exec_driver_sql(made, given, execution_options=options)

    def _settle(self) -> None:
        """End the transaction that SQLAlchemy has begun by itself."""
        if self._depth == 0 and self._connection is not None:
            self._connection.commit()

    def run(self, sql: str, *params: Any) -> int:
        """Run a statement of ours and return the rows it touched, -1 when the driver does not tell."""
        with self.translated(self.doing) as connection:
            result = self._execute(connection, self.own_dialect.final(sql), params, {})
            count = -1 if result.returns_rows else int(result.rowcount)
            result.close()
            self._settle()
            return count

    def fetch(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Run a query of ours and return its rows; parameters as in `run`."""
        with self.translated(self.doing) as connection:
            result = self._execute(connection, self.own_dialect.final(sql), params, {})
            rows = [tuple(row) for row in result.fetchall()]
            self._settle()
            return rows

    def expect(self, columns: TTableSchemaColumns) -> None:
        """Say what the columns of the next query are: the driver may not know it."""
        self._expected = columns

    @contextmanager
    def execute_query(self, sql: str, *params: Any, **named: Any) -> Iterator[SqlalchemyCursor]:
        """Run a statement and read its rows inside ``with``, before the next statement of the session.

        Args:
            sql: The statement.
            params: Values for the marks ``?`` or ``%s``, in order.
            named: Values for the marks ``$name``, ``:name`` or ``%(name)s``.
        """
        expected, self._expected = self._expected, None
        self.use_dataset()
        with self.translated() as connection:
            # a cursor of the server is for queries alone
            is_query = _QUERY.match(sql) is not None
            result = self._execute(connection, sql, params, named, stream_results=is_query)
            cursor = SqlalchemyCursor(result, self.capabilities, expected)
            try:
                yield cursor
            finally:
                cursor.close()
            self._settle()

    @contextmanager
    def stream_query(self, sql: str, chunk_size: int) -> Iterator[pa.RecordBatchReader]:
        """Run a query and read its rows as Arrow batches of ``chunk_size`` rows inside ``with``."""
        import pyarrow as pa

        with self.execute_query(sql) as cursor:
            tables = cursor.iter_arrow(chunk_size)
            first = next(tables, None)
            if first is None:
                first = cursor.empty()
            rest = (batch for table in tables for batch in table.to_batches())
            yield pa.RecordBatchReader.from_batches(first.schema, itertools.chain(first.to_batches(), rest))

    @contextmanager
    def beside(self) -> Iterator[Self]:
        """A session on which a query can be read while this one goes on; in a transaction itself."""
        if self._depth:
            yield self
            return
        made = type(self)(
            self.dataset_name,
            self.engine,
            self.own_dialect,
            self.capabilities,
            lock_timeout=self.lock_timeout,
            staging_dataset_name=self.staging_dataset_name,
        )
        with made:
            yield made

    # ---- transactions ---------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Begin the database's transaction."""

    @contextmanager
    def begin_transaction(self) -> Iterator[Self]:
        """Commit what happens inside ``with`` at once; roll it back when the block raises. A second joins the first."""
        if self._depth:
            yield self
            return
        self._settle()
        with self.translated(self.doing):
            self._begin()
        self._depth = 1
        try:
            yield self
            self.commit_transaction()
        except BaseException:
            self.rollback_transaction()
            raise
        finally:
            self._depth = 0
            self._do_later()

    def commit_transaction(self) -> None:
        """Commit."""
        with self.translated(self.doing) as connection:
            connection.commit()

    def rollback_transaction(self) -> None:
        """Roll back; quiet when there is nothing to roll back."""
        if self._connection is not None:
            with suppress(Exception):  # a connection that is lost has rolled back
                self._connection.rollback()

    def later(self, what: str | Path) -> None:
        """Run a statement, or delete a file, when the transaction has ended."""
        self._later.append(what)

    def _do_later(self) -> None:
        todo, self._later, self.scratches = self._later, [], 0
        for what in todo:
            if isinstance(what, str):
                with suppress(Exception):
                    self.run(what)
        for what in todo:
            if isinstance(what, Path):
                what.unlink(missing_ok=True)

    @contextmanager
    def lock(self, names: Sequence[str]) -> Iterator[None]:
        """Keep other sessions that ask for the same names waiting inside ``with``; here nobody waits."""
        yield

    # ---- datasets and tables --------------------------------------------------------------------------------------

    def use_dataset(self) -> None:
        """Let statements of the user's name the dataset's tables without it, where the database can."""

    def has_dataset(self) -> bool:
        """Whether the dataset exists."""
        import sqlalchemy as sa

        with self.translated(self.doing) as connection:
            found = bool(sa.inspect(connection).has_schema(self.dataset_name))
            self._settle()
            return found

    def dataset_statements(self, there: bool) -> list[str]:
        """What `create_dataset` runs."""
        import sqlalchemy as sa

        made = sa.schema.CreateSchema(self.dataset_name)
        return [] if there else [str(made.compile(dialect=self.engine.dialect)).strip()]

    def create_dataset(self) -> None:
        """Make the dataset if it is missing."""
        if not self.has_dataset():
            super().create_dataset()

    def drop_dataset(self) -> None:
        """Drop the dataset with all its tables; quiet when there is none."""
        import sqlalchemy as sa

        if self.has_dataset():
            self.drop_tables(*self.describe_tables())
            with self.translated(self.doing) as connection:
                connection.execute(sa.schema.DropSchema(self.dataset_name))
                self._settle()

    def describe_tables(self, tables: Sequence[str] | None = None) -> dict[str, list[tuple[str, str, bool]]]:
        """Columns of the dataset's tables that exist: name, database type, nullable."""
        with self.translated(self.doing):
            found = self.own_dialect.describe(self, tables)
            self._settle()
            return found

    def drop_tables(self, *tables: str) -> None:
        """Drop tables that exist."""
        present = self.describe_tables(tables)
        with self.begin_transaction():
            for table in present:
                self.run(f"DROP TABLE {self.make_qualified_table_name(table)}")

    def has_default(self, table: str, column: str) -> bool:
        """Whether a column of a table has a default value."""
        import sqlalchemy as sa

        with self.translated(self.doing) as connection:
            columns = sa.inspect(connection).get_columns(table, schema=self.dataset_name)
            self._settle()
        return any(
            c["name"] == column and (c.get("default") is not None or c.get("autoincrement") is True) for c in columns
        )

    @staticmethod
    def is_dbapi_exception(error: BaseException) -> bool:
        """Whether the error comes from SQLAlchemy or a driver below it."""
        import sqlalchemy as sa

        return isinstance(error, sa.exc.SQLAlchemyError)
