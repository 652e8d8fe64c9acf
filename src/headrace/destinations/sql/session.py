"""A session with a SQL database: what `pipeline.sql_client()` hands to people, and what the load writes through."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from headrace.destinations.sql.cursor import SqlCursor
from headrace.destinations.sql.dialect import SqlDialect
from headrace.errors.destination import LoadClientNotConnected
from headrace.model.capabilities import Capabilities

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pyarrow as pa
    from typing_extensions import Self

DEFAULT_STAGING_LAYOUT = "%s_staging"


class SqlClient(ABC):
    """A connection to one dataset. Not for two threads at once.

    Args:
        dataset_name: The dataset; statements may name its tables without it.
        dialect: The database's SQL.
        capabilities: What the destination can do.
        staging_dataset_name: Where people expect staged rows; not every destination makes it.

    Attributes:
        doing: What is going on, for the text of errors: ``loading table `t` (job …)``.
        queries: Ids that the database gave to what it ran for the job that is going on; destinations whose database
            gives such ids add them, and lineage tells them.
    """

    def __init__(
        self,
        dataset_name: str,
        dialect: SqlDialect,
        capabilities: Capabilities,
        staging_dataset_name: str | None = None,
    ) -> None:
        self.dataset_name = dataset_name
        self.staging_dataset_name = staging_dataset_name or DEFAULT_STAGING_LAYOUT % dataset_name
        self.dialect, self.capabilities = dialect, capabilities
        self.doing = ""
        self.queries: list[str] = []

    # ---- connection -----------------------------------------------------------------------------------------------

    @abstractmethod
    def open_connection(self) -> Any:
        """Connect, unless connected.

        Raises:
            DestinationConnectionError: The database cannot be reached or opened.
        """

    @abstractmethod
    def close_connection(self) -> None:
        """Disconnect; safe to repeat."""

    @property
    @abstractmethod
    def _native(self) -> Any | None:
        """The driver's connection, None when closed."""

    @property
    def native_connection(self) -> Any:
        """The driver's connection.

        Raises:
            LoadClientNotConnected: The session is not open.
        """
        native = self._native
        if native is None:
            raise LoadClientNotConnected(type(self).__name__, self.dataset_name)
        return native

    def __enter__(self) -> Self:
        self.open_connection()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_connection()

    # ---- statements -----------------------------------------------------------------------------------------------

    @abstractmethod
    def execute_query(self, sql: str, *params: Any, **named: Any) -> AbstractContextManager[SqlCursor]:
        """Run a statement and read its rows inside ``with``, before the next statement of the session.

        Args:
            sql: The statement.
            params: Values for the marks ``?`` or ``%s``, in order.
            named: Values for the marks ``$name`` or ``%(name)s``.

        Raises:
            DatabaseUndefinedRelation: A table or dataset does not exist.
            DatabaseTerminalException: The database refused, and would again.
            DatabaseTransientException: The database could not for now.
        """

    @abstractmethod
    def run(self, sql: str, *params: Any) -> int:
        """Run a statement of ours and return the rows it touched, -1 when the database does not tell.

        Args:
            sql: The statement, parameters marked ``?``.
            params: Plain values.
        """

    @contextmanager
    def stream_query(self, sql: str, chunk_size: int) -> Iterator[pa.RecordBatchReader]:
        """Run a query and read its rows as Arrow batches of ``chunk_size`` rows inside ``with``."""
        import pyarrow as pa

        with self.execute_query(sql) as cursor:
            tables = cursor.iter_arrow(chunk_size)
            first = next(tables, None)
            if first is None:
                first = pa.table({name: pa.nulls(0) for name in cursor.column_names})
            rest = (batch for table in tables for batch in table.to_batches())
            yield pa.RecordBatchReader.from_batches(first.schema, itertools.chain(first.to_batches(), rest))

    @contextmanager
    def beside(self) -> Iterator[Self]:
        """A session on which a query can be read while this one goes on; here itself, where a connection bears that."""
        yield self

    def fetch(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Run a query of ours and return its rows; parameters as in `run`."""
        return self.execute_sql(sql, *params) or []

    def execute_sql(self, sql: str, *params: Any, **named: Any) -> list[tuple[Any, ...]] | None:
        """Run a statement and return its rows; None when it has none to give. Parameters as in `execute_query`."""
        with self.execute_query(sql, *params, **named) as cursor:
            return None if cursor.description is None else cursor.fetchall()

    def execute_many(self, statements: Sequence[str], *params: Any, **named: Any) -> list[tuple[Any, ...]] | None:
        """Run statements one after the other; return the rows of the last."""
        result = None
        for statement in statements:
            result = self.execute_sql(statement, *params, **named)
        return result

    def execute_fragments(self, fragments: Sequence[str], *params: Any, **named: Any) -> list[tuple[Any, ...]] | None:
        """Run the statement that the fragments make together."""
        return self.execute_sql("".join(fragments), *params, **named)

    # ---- transactions ---------------------------------------------------------------------------------------------

    @contextmanager
    def begin_transaction(self) -> Iterator[Self]:
        """Commit what happens inside ``with`` at once; roll it back when the block raises."""
        self.run("BEGIN TRANSACTION")
        try:
            yield self
        except BaseException:
            self.rollback_transaction()
            raise
        try:
            self.commit_transaction()
        except BaseException:
            self.rollback_transaction()
            raise

    def commit_transaction(self) -> None:
        """Commit."""
        self.run("COMMIT")

    @abstractmethod
    def rollback_transaction(self) -> None:
        """Roll back; quiet when there is nothing to roll back."""

    @property
    def place(self) -> str:
        """A hash of the open database, by which queries that were written for it are told; empty when unknown."""
        return ""

    # ---- names ----------------------------------------------------------------------------------------------------

    def catalog_name(self, quote: bool = True, casefold: bool = True) -> str | None:
        """The database above the dataset where names need it, else None."""
        return None

    def make_qualified_table_name_path(
        self,
        table_name: str | None,
        quote: bool = True,
        casefold: bool = True,
        dataset_name: str | None = None,
        catalog: str | None = None,
    ) -> list[str]:
        """The parts of a table's name; without a table those of the dataset."""
        parts = [
            part
            for part in (catalog or self.catalog_name(quote=False), dataset_name or self.dataset_name, table_name)
            if part
        ]
        return [self.dialect.quote(part) for part in parts] if quote else parts

    def make_qualified_table_name(self, table_name: str, quote: bool = True, casefold: bool = True) -> str:
        """A table's name with its dataset, ready for a statement."""
        return ".".join(self.make_qualified_table_name_path(table_name, quote))

    def fully_qualified_dataset_name(self, quote: bool = True, staging: bool = False, casefold: bool = True) -> str:
        """The dataset's name, or that of the staging dataset, ready for a statement."""
        name = self.staging_dataset_name if staging else self.dataset_name
        return ".".join(self.make_qualified_table_name_path(None, quote, dataset_name=name))

    def get_qualified_table_names(self, table_name: str, quote: bool = True, casefold: bool = True) -> tuple[str, str]:
        """A table's name in the dataset and in the staging dataset."""
        staging = self.make_qualified_table_name_path(table_name, quote, dataset_name=self.staging_dataset_name)
        return self.make_qualified_table_name(table_name, quote), ".".join(staging)

    def escape_column_name(self, column_name: str, quote: bool = True, casefold: bool = True) -> str:
        """A column's name, ready for a statement."""
        return self.dialect.quote(column_name) if quote else column_name

    @contextmanager
    def with_alternative_dataset_name(self, dataset_name: str) -> Iterator[Self]:
        """Work in another dataset inside ``with``."""
        current, self.dataset_name = self.dataset_name, dataset_name
        try:
            yield self
        finally:
            self.dataset_name = current

    def with_staging_dataset(self) -> AbstractContextManager[Self]:
        """Work in the staging dataset inside ``with``."""
        return self.with_alternative_dataset_name(self.staging_dataset_name)

    @property
    def is_staging_dataset_active(self) -> bool:
        """Whether the session works in the staging dataset."""
        return self.dataset_name == self.staging_dataset_name

    # ---- datasets and tables --------------------------------------------------------------------------------------

    @abstractmethod
    def has_dataset(self) -> bool:
        """Whether the dataset exists."""

    @abstractmethod
    def describe_tables(self, tables: Sequence[str] | None = None) -> dict[str, list[tuple[str, str, bool]]]:
        """Columns of the dataset's tables that exist: name, database type, nullable; asked in one query.

        Args:
            tables: Names to ask for; None asks for all.

        Returns:
            By the names that were asked for; tables that do not exist are left out.
        """

    def has_default(self, table: str, column: str) -> bool:
        """Whether a column of a table has a default value."""
        sql = (
            "SELECT 1 FROM information_schema.columns WHERE table_schema = ? AND table_name = ? AND column_name = ? "
            "AND column_default IS NOT NULL"
        )
        return bool(self.fetch(sql, self.dataset_name, table, column))

    def describe_comments(self, tables: Sequence[str]) -> dict[str, tuple[str, dict[str, str]]]:
        """Comments of tables that exist: the table's own (empty if none), and those of columns that have one."""
        return {}

    def is_there(self) -> bool:
        """Whether there is a database; False where connecting would make its file. May be asked when closed."""
        return True

    def dataset_statements(self, there: bool) -> list[str]:
        """What `create_dataset` runs.

        Args:
            there: Whether the dataset exists.
        """
        return [f"CREATE SCHEMA IF NOT EXISTS {self.fully_qualified_dataset_name()}"]

    def create_dataset(self) -> None:
        """Make the dataset if it is missing."""
        for statement in self.dataset_statements(False):
            self.run(statement)

    def drop_dataset(self) -> None:
        """Drop the dataset with all its tables; quiet when there is none."""
        self.run(f"DROP SCHEMA IF EXISTS {self.fully_qualified_dataset_name()} CASCADE")

    def drop_tables(self, *tables: str) -> None:
        """Drop tables that exist, at once."""
        if tables:
            with self.begin_transaction():
                for table in tables:
                    self.run(f"DROP TABLE IF EXISTS {self.make_qualified_table_name(table)}")

    def truncate_tables(self, *tables: str) -> None:
        """Empty tables, at once.

        Raises:
            DatabaseUndefinedRelation: One of them does not exist.
        """
        if tables:
            with self.begin_transaction():
                for table in tables:
                    self.run(self.dialect.empty_table(self.make_qualified_table_name(table)))

    @staticmethod
    def is_dbapi_exception(error: BaseException) -> bool:
        """Whether the error comes from the database driver."""
        return False
