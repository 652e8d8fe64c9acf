"""SQL over files: an in-memory DuckDB database with a view for each table that a query names."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from headrace.destinations.impl.duckdb.connections import Database, adopt
from headrace.destinations.impl.duckdb.cursor import DuckDbCursor
from headrace.destinations.impl.duckdb.dialect import DuckDbDialect
from headrace.destinations.impl.duckdb.session import DuckDbSqlClient, to_own_marks
from headrace.destinations.impl.filesystem.door import Door
from headrace.destinations.impl.filesystem.errors import translated
from headrace.destinations.impl.filesystem.views import select_files
from headrace.load.converge import parse_stored

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from headrace.destinations.impl.filesystem.api import FilesystemApi
    from headrace.model.schema import Schema


class FilesystemSqlClient(DuckDbSqlClient):
    """A session that reads a dataset's files.

    A view is made when a statement first names its table, and shows the files that are there then; with
    ``always_refresh_views`` those that are there at each statement.

    Args:
        client: Of the dataset.
    """

    def __init__(self, client: FilesystemApi) -> None:
        self._client = client
        self._views: set[str] = set()
        self._others: list[Schema] | None = None
        capabilities = client.capabilities
        super().__init__(
            client.dataset_name,
            self._open,
            DuckDbDialect(capabilities.decimal_precision, capabilities.wei_precision),
            capabilities,
            location=client.config.display_url(),
        )

    def _open(self) -> tuple[Database, duckdb.DuckDBPyConnection]:
        import duckdb

        # no extension of the network's: other places are read through fsspec
        connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
        if (door := self._door()) is not None:
            connection.register_filesystem(door)
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {self.dialect.quote(self.dataset_name)}")
        connection.execute(f"USE {self.dialect.quote(self.dataset_name)}")
        self._views.clear()
        return adopt(connection), connection

    def _door(self) -> Any:
        store = self._client.store
        return None if store.protocol == "file" else Door(store.fs)

    def close_connection(self) -> None:
        """Forget the views; safe to repeat."""
        super().close_connection()
        self._views.clear()

    @property
    def _native(self) -> duckdb.DuckDBPyConnection | None:
        # a load has a client and reads nothing: DuckDB is opened when somebody asks
        return self.open_connection()

    def use_dataset(self) -> None:
        """The dataset is in use from the start."""

    def has_dataset(self) -> bool:
        """Whether the dataset was begun."""
        return self._client.has_dataset()

    @contextmanager
    def beside(self) -> Iterator[FilesystemSqlClient]:
        """A session on which a query can be read while this one goes on."""
        with FilesystemSqlClient(self._client) as made:
            yield made

    # ---- views ----------------------------------------------------------------------------------------------------

    def make_views(self, sql: str) -> None:
        """Make the views of the tables that a statement names."""
        for name in _names(sql, self._client.schema.tables):
            if name not in self._views or self._client.config.always_refresh_views:
                self.make_view(name)

    def _schema_of(self, table: str) -> Schema | None:
        """The schema that has a table: the client's, or another one that the dataset has stored."""
        client = self._client
        if table in client.schema.tables:
            return client.schema
        if self._others is None:
            stored = [client.read_schema(name) for name in client.records.schema_names()]
            self._others = [parse_stored(found.schema) for found in stored if found is not None]
        return next((schema for schema in self._others if table in schema.tables), None)

    def make_view(self, table: str) -> None:
        """Make, or make anew, the view of a table; none if no schema has it."""
        schema = self._schema_of(table)
        if schema is None:
            return
        with translated(f"looking for the files of table `{table}`", self._location):
            select = self._select(table, schema)
        view = f"{self.dialect.quote(self.dataset_name)}.{self.dialect.quote(table)}"
        with self.translated(f"reading table `{table}`") as connection:
            connection.execute(f"CREATE OR REPLACE VIEW {view} AS {select}")
        self._views.add(table)

    def _select(self, table: str, schema: Schema) -> str:
        client = self._client
        columns = schema.get_table_columns(table)
        if client.open_tables.format_of(table):
            opened = client.open_tables.table(table)
            if opened.describe() is None:
                return select_files(self, columns, [])
            if (scan := opened.duckdb_scan()) is not None:
                return f"SELECT * FROM {scan}"
            name = f"_open_{table}"
            found = opened.arrow_dataset()
            self.native_connection.register(name, opened.read().read_all() if found is None else found)
            return f"SELECT * FROM {self.dialect.quote(name)}"
        paths = client.files.of(table, schema.name)
        return select_files(self, columns, [self._door_path(path) for path in paths])

    def _door_path(self, path: str) -> str:
        return path if self._client.store.protocol == "file" else Door.path_of(path)

    def is_packed(self, path: str) -> bool:
        """Whether a file without ``.gz`` in its name is packed: in datasets of the first storage version."""
        client = self._client
        inner = path if client.store.protocol == "file" else Door._strip_protocol(path)
        return client.records.versions()[0] < 2 and bytes(client.store.fs.cat_file(inner, 0, 2)) == b"\x1f\x8b"

    def create_views_for_all_tables(self) -> None:
        """Make the views of all tables that had rows."""
        for name, table in self._client.schema.tables.items():
            if self._client.is_dlt_table(name) or table.get("x-normalizer"):
                self.make_view(name)

    # ---- statements -----------------------------------------------------------------------------------------------

    @contextmanager
    def execute_query(self, sql: str, *params: Any, **named: Any) -> Iterator[DuckDbCursor]:
        """Run a statement and read its rows inside ``with``; see `DuckDbSqlClient.execute_query`."""
        self.make_views(sql)
        with super().execute_query(sql, *params, **named) as cursor:
            yield cursor

    @contextmanager
    def stream_query(self, sql: str, chunk_size: int) -> Iterator[pa.RecordBatchReader]:
        """Run a query and read its rows as Arrow batches inside ``with``."""
        self.make_views(sql)
        with super().stream_query(sql, chunk_size) as reader:
            yield reader

    def fetch(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Run a query of ours and return its rows."""
        self.make_views(sql)
        return super().fetch(sql, *params)


def _names(sql: str, known: Collection[str]) -> list[str]:
    """Names of the tables that a statement reads, those that are known as they are spelled."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        trees = sqlglot.parse(to_own_marks(sql), dialect="duckdb")
    except SqlglotError:
        return [name for name in known if name in sql]
    found = dict.fromkeys(node.name for tree in trees if tree is not None for node in tree.find_all(exp.Table))
    spelled = {name.casefold(): name for name in known}
    return [name if name in known else spelled.get(name.casefold(), name) for name in found if name]
