"""A dataset: the tables of a destination, read through the schemas that describe them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from headrace.dataset.catalog import Catalog
from headrace.dataset.relation import Relation
from headrace.errors.dataset import DatasetTableNotFound, did_you_mean
from headrace.model.tables import has_seen_data

if TYPE_CHECKING:
    from typing_extensions import Self

    from headrace.extract.incremental.step import Incremental
    from headrace.load.destination import Client, Destination, PipelineFacts
    from headrace.model.schema import Schema


class Dataset:
    """Tables that pipelines have loaded.

    ``dataset.users`` or ``dataset["users"]`` is a table, ``dataset("SELECT …")`` a query. Each reading opens a
    connection of its own; inside ``with dataset:`` they share one.

    Args:
        destination: A `Destination`, or what `pipeline(destination=…)` takes.
        dataset_name: The dataset, as it is called at the destination.
        schema: The schema or schemas; a name is looked up in the dataset; None takes the newest schema stored there.
        pipeline: Facts of the pipeline that paths may depend on.
    """

    def __init__(
        self,
        destination: Any,
        dataset_name: str,
        schema: Schema | str | Sequence[Schema] | None = None,
        *,
        pipeline: PipelineFacts | None = None,
    ) -> None:
        self._destination_given = destination
        self._destination: Destination | None = None
        self._dataset_name = dataset_name
        self._schema_given = schema
        self._schemas: tuple[Schema, ...] | None = None
        self._facts = pipeline
        self._catalog: Catalog | None = None
        self._catalog_of: tuple[Any, ...] = ()
        self._client: Client | None = None
        self._depth = 0

    # ---- what it is ----------------------------------------------------------------------------------------------

    @property
    def dataset_name(self) -> str:
        """The dataset's name at the destination."""
        return self._dataset_name

    @property
    def destination(self) -> Destination:
        """The destination."""
        if self._destination is None:
            self._destination = _resolve_destination(self._destination_given)
        return self._destination

    @property
    def destination_dialect(self) -> str | None:
        """The SQL of the destination (sqlglot's name of it)."""
        return self.destination.capabilities().sqlglot_dialect

    @property
    def schemas(self) -> tuple[Schema, ...]:
        """The schemas that describe the tables."""
        if self._schemas is None:
            from headrace.model.schema import Schema

            given = self._schema_given
            if isinstance(given, Schema):
                self._schemas = (given,)
            elif given is None or isinstance(given, str):
                self._schemas = (self._stored_schema(given),)
            else:
                self._schemas = tuple(given)
        return self._schemas

    @property
    def schema(self) -> Schema:
        """The first schema."""
        return self.schemas[0]

    def _stored_schema(self, name: str | None) -> Schema:
        from headrace.base.json import loads
        from headrace.base.strings import decompress_b64
        from headrace.model.schema import Schema

        empty = Schema(name or _as_schema_name(self._dataset_name))
        with self.destination.open(self._dataset_name, empty, self._facts) as client:
            stored = client.read_schema(name) if client.has_dataset() else None
        if stored is None:
            return empty
        try:
            text: str | bytes = decompress_b64(stored.schema)
        except ValueError:  # short schemas are stored as they are
            text = stored.schema
        return Schema.from_stored_schema(loads(text))

    @property
    def catalog(self) -> Catalog:
        """The tables that queries may name; made anew when a schema has grown."""
        # not the schema's hash: that costs milliseconds, and this is asked for at every turn
        current = tuple((id(s), *(len(t.get("columns", ())) for t in s.tables.values())) for s in self.schemas)
        if self._catalog is None or current != self._catalog_of:
            self._catalog, self._catalog_of = Catalog(self._dataset_name, self.schemas), current
        return self._catalog

    @property
    def tables(self) -> list[str]:
        """Names of the tables that have had rows, and then of the system tables."""
        return [table for table in self.catalog.table_names if self._is_own(table) or self._is_filled(table)]

    @property
    def sqlglot_schema(self) -> Any:
        """The tables as a sqlglot ``MappingSchema``."""
        from headrace.dataset.query import mapping_schema

        return mapping_schema(self.catalog, self.destination_dialect)

    def is_same_dataset(self, other: Dataset) -> bool:
        """Whether both are the same dataset in the same place."""
        return self._dataset_name == other._dataset_name and self.is_same_physical_destination(other)

    def is_same_physical_destination(self, other: Dataset) -> bool:
        """Whether one connection can read both."""
        mine, theirs = self.destination, other.destination
        return mine is theirs or (
            mine.destination_type == theirs.destination_type and self._location() == other._location()
        )

    def _location(self) -> tuple[str, str]:
        # making a client resolves the configuration, without which the place is not known
        _ = self.destination_client
        return self.destination.describe_location(), self.destination.fingerprint()

    # ---- connections ---------------------------------------------------------------------------------------------

    @property
    def destination_client(self) -> Client:
        """A client of the destination; open inside ``with dataset:``, else to be opened with ``with``."""
        if self._client is not None:
            return self._client
        return self.destination.open(self._dataset_name, self.schema, self._facts)

    @property
    def sql_client(self) -> Any:
        """The SQL session of `destination_client`.

        Raises:
            SqlClientNotAvailable: The destination speaks no SQL.
        """
        return self._session_of(self.destination_client)

    @property
    def sql_client_class(self) -> type[Any]:
        """The class of `sql_client`."""
        return type(self.sql_client)

    @property
    def open_table_client(self) -> Any:
        """The client of Delta and Iceberg tables.

        Raises:
            OpenTableClientNotAvailable: The destination has no such tables.
        """
        client = getattr(self.destination_client, "open_table_client", None)
        if client is None:
            from headrace.errors.destination import OpenTableClientNotAvailable

            raise OpenTableClientNotAvailable(self._dataset_name, self.destination.destination_name)
        return client

    @contextmanager
    def session(self) -> Iterator[Any]:
        """An open SQL session for one query: beside the shared one inside ``with dataset:``, else of its own."""
        if self._client is not None:
            with self._session_of(self._client).beside() as session:
                yield session
        else:
            with self.destination_client as client:
                yield self._session_of(client)

    def _session_of(self, client: Client) -> Any:
        session = getattr(client, "sql_client", None)
        if session is None:
            from headrace.errors.destination import SqlClientNotAvailable

            raise SqlClientNotAvailable("dataset", self._dataset_name, self.destination.destination_name)
        return session

    def table_path(self, table: str, session: Any = None) -> list[str]:
        """The parts of a table's name at the destination, the table last, without quotes.

        Args:
            table: Its spelling in the schema.
            session: An open session, which may know more than a closed one: DuckDB wants the database's name if the
                dataset has the same.
        """
        session = session if session is not None else self.sql_client
        path: Callable[..., list[str]] | None = getattr(session, "make_qualified_table_name_path", None)
        return path(table, quote=False) if path is not None else [self._dataset_name, table]

    def keep_open(self) -> Any:
        """Open the shared session and leave it open, for those who hold on to its connection."""
        if self._client is None:
            self.__enter__()
        return self.sql_client

    def __enter__(self) -> Self:
        if self._client is None:
            self._client = self.destination_client.__enter__()
        self._depth += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth == 0 and self._client is not None:
            client, self._client = self._client, None
            client.__exit__(kind, value, trace)

    # ---- relations -----------------------------------------------------------------------------------------------

    def table(
        self,
        table_name: str,
        *,
        load_ids: Collection[str] | None = None,
        incremental: Incremental[Any] | None = None,
    ) -> Relation:
        """A table.

        Args:
            table_name: Its name, as it is at the destination or as the source wrote it.
            load_ids: Only rows of these loads.
            incremental: Only rows in its range; see `Relation.incremental`.

        Raises:
            DatasetTableNotFound: The schemas have no such table.
        """
        found = Relation(dataset=self, table_name=table_name)
        if load_ids is not None:
            found = found.from_loads(load_ids)
        return found if incremental is None else found.incremental(incremental)

    def query(self, query: Any, query_dialect: str | None = None, *, _execute_raw_query: bool = False) -> Relation:
        """A query.

        Args:
            query: A SELECT as text, a sqlglot tree or an ibis expression. Tables are named without the dataset.
            query_dialect: The SQL it is written in (sqlglot's name of it); the destination's by default.
            _execute_raw_query: Send the text as it stands: for tables that the schemas do not know.
        """
        return Relation(dataset=self, query=query, query_dialect=query_dialect, _execute_raw_query=_execute_raw_query)

    def __call__(self, query: Any, query_dialect: str | None = None, *, _execute_raw_query: bool = False) -> Relation:
        """The same as `query`."""
        return self.query(query, query_dialect, _execute_raw_query=_execute_raw_query)

    def __getitem__(self, table_name: str) -> Relation:
        """A table; a `KeyError` says that there is none."""
        try:
            return self.table(table_name)
        except DatasetTableNotFound as error:
            raise KeyError(str(error)) from None

    def __getattr__(self, name: str) -> Relation:
        # private names are asked for by copy, pickle and notebooks
        if (name.startswith("_") and not name.startswith("_dlt")) or hasattr(type(self), name):
            raise AttributeError(name)
        if (spelled := self.catalog.find_table(name)) is None:
            hint = did_you_mean(name, self.tables, "table")
            raise AttributeError(f"dataset `{self._dataset_name}` has no table and no method `{name}`: {hint}")
        return self.table(spelled)

    def __contains__(self, table_name: object) -> bool:
        return isinstance(table_name, str) and self.catalog.find_table(table_name) is not None

    def row_counts(
        self,
        *,
        data_tables: bool = True,
        dlt_tables: bool = False,
        table_names: Sequence[str] | None = None,
        load_id: str | None = None,
    ) -> Relation:
        """How many rows each table has: columns ``table_name`` and ``row_count``.

        Args:
            data_tables: Count tables of data.
            dlt_tables: Count system tables.
            table_names: Count these instead.
            load_id: Count rows of one load, in tables that say of which load their rows are.
        """
        from headrace.dataset import build

        if table_names is not None:
            tables = [self.catalog.table(name) for name in table_names]
        else:
            tables = [table for table in self.tables if (dlt_tables if self._is_own(table) else data_tables)]
        if load_id is not None:
            tables = [table for table in tables if build.LOAD_ID in self.catalog.columns(table)]
        return self.query(build.row_counts(tables, load_id))

    def _is_own(self, table: str) -> bool:
        return self.catalog.schema_of(table).is_dlt_table(table)

    def _is_filled(self, table: str) -> bool:
        # a table that never had rows need not exist at the destination
        return has_seen_data(self.catalog.table_schema(table))

    def loads_table(self) -> Relation:
        """The table of completed loads."""
        return self.table(self.schema.loads_table_name)

    def load_ids(self, schema_name: str | None = None) -> list[str]:
        """Ids of all completed loads, oldest first.

        Args:
            schema_name: Only loads of one schema.
        """
        naming = self.schema.naming
        loads = self.loads_table().where(naming.normalize_identifier("status"), "eq", 0)
        if schema_name is not None:
            loads = loads.where(naming.normalize_identifier("schema_name"), "eq", schema_name)
        column = naming.normalize_identifier("load_id")
        return [row[0] for row in loads.select(column).order_by(column).fetchall()]

    def latest_load_id(self, schema_name: str | None = None) -> str | None:
        """Id of the newest completed load; None when there is none."""
        return max(self.load_ids(schema_name), default=None)

    def ibis(self, read_only: bool = False) -> Any:
        """The dataset as an ibis backend, over a connection that stays open: until the end of ``with dataset:``, else
        as long as the dataset object lives.

        Args:
            read_only: For the sake of dlt's signature. It is the dataset's own connection, which is read-only if the
                destination's credentials say so.

        Raises:
            MissingDependencyException: ibis is not installed.
        """
        from headrace.dataset.ibis import backend

        return backend(self)

    # ---- text ----------------------------------------------------------------------------------------------------

    def __str__(self) -> str:
        names = ", ".join(schema.name for schema in self.schemas)
        place = f"`{self._dataset_name}` in {self.destination.describe_location()}"
        data = [table for table in self.tables if not self._is_own(table)]
        return f"Dataset {place}, schema {names}:\n  {', '.join(data) or 'no tables yet'}"

    def __repr__(self) -> str:
        return f"<headrace.Dataset {self._dataset_name!r} in {self.destination.describe_location()}>"

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.tables})

    def _ipython_key_completions_(self) -> list[str]:
        return self.tables


def _resolve_destination(given: Any) -> Destination:
    from headrace.load.destination import Destination

    if isinstance(given, Destination):
        return given
    from headrace.destinations.reference import resolve_destination

    return resolve_destination(given)


def _as_schema_name(dataset_name: str) -> str:
    import re

    return re.sub(r"\W", "_", dataset_name)[:64] or "dataset"
