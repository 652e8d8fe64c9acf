"""The factory of SQLAlchemy destinations."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar

from headrace.base.strings import digest128
from headrace.config.known import DestinationConfiguration
from headrace.destinations.base import ConfiguredDestination
from headrace.destinations.impl.sqlalchemy.capabilities import capabilities_of
from headrace.destinations.impl.sqlalchemy.configuration import (
    MEMORY,
    SqlalchemyClientConfiguration,
    SqlalchemyCredentials,
    dataset_path,
    missing_driver,
    sqlite_path,
)
from headrace.destinations.impl.sqlalchemy.configuration import (
    sqlalchemy as _library,
)
from headrace.errors.config import ConfigurationException
from headrace.load.destination import PipelineFacts
from headrace.model.capabilities import Capabilities
from headrace.model.location import Location

if TYPE_CHECKING:
    from headrace.destinations.impl.sqlalchemy.client import SqlalchemyJobClient
    from headrace.destinations.impl.sqlalchemy.session import SqlalchemyClient
    from headrace.model.schema import Schema


class sqlalchemy(ConfiguredDestination):
    """Tables in a database that SQLAlchemy speaks to: SQLite, MySQL, MariaDB, and others by their dialects.

    Args:
        credentials: A url (``sqlite:///my.db``, ``mysql+pymysql://user:password@host/database``), an ``Engine``, a
            mapping of the parts of a url, or `SqlalchemyCredentials`. None looks under
            ``destination.<name>.credentials``.
        create_unique_indexes: Enforce ``unique`` hints by constraints. Loading gets slower.
        create_primary_keys: Give new tables their primary keys. Loading gets slower.
        engine_kwargs: More arguments for ``sqlalchemy.create_engine``.
        destination_name: The name it is configured under.
        environment: A word to tell installations apart.
        **settings: Other fields of `SqlalchemyClientConfiguration` or `Capabilities`.
    """

    short_name: ClassVar[str] = "sqlalchemy"
    spec: ClassVar[type[DestinationConfiguration]] = SqlalchemyClientConfiguration

    def __init__(
        self,
        credentials: Any = None,
        create_unique_indexes: bool | None = None,
        create_primary_keys: bool | None = None,
        engine_kwargs: dict[str, Any] | None = None,
        destination_name: str | None = None,
        environment: str | None = None,
        **settings: Any,
    ) -> None:
        self._engines: dict[str, Any] = {}
        self._shared = threading.RLock()
        self._location = ""
        self._backend: str | None = None
        super().__init__(
            destination_name=destination_name,
            environment=environment,
            credentials=credentials,
            create_unique_indexes=create_unique_indexes or None,
            create_primary_keys=create_primary_keys or None,
            engine_kwargs=engine_kwargs,
            **settings,
        )

    def __getstate__(self) -> dict[str, Any]:
        """Engines and locks stay in this process."""
        return {k: v for k, v in super().__getstate__().items() if k not in ("_engines", "_shared")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _engines={}, _shared=threading.RLock())

    def raw_capabilities(self) -> Capabilities:
        """What the database can do, as far as the credentials tell which one it is."""
        if self._backend is None:
            try:
                credentials: SqlalchemyCredentials | None = self.configuration().credentials
            except ConfigurationException:
                return capabilities_of("")
            self._backend = credentials.backend if credentials is not None else ""
        return capabilities_of(self._backend)

    def open(self, dataset_name: str, schema: Schema, pipeline: Any = None) -> SqlalchemyJobClient:
        """A client for a dataset."""
        settings: SqlalchemyClientConfiguration = self.configuration()
        credentials = settings.credentials
        _library(credentials.backend)
        from headrace.destinations.impl.sqlalchemy.client import SqlalchemyJobClient

        main = sqlite_path(credentials.database, pipeline) if credentials.backend == "sqlite" else ""
        engine = credentials.given_engine or self._engine(settings, main)
        self._location = f"sqlite:///{main}" if main else credentials.data_location()
        session = self._session(dataset_name, engine, settings, main)
        return SqlalchemyJobClient(
            session,
            schema,
            create_indexes=settings.create_unique_indexes,
            create_primary_keys=settings.create_primary_keys,
        )

    def _session(
        self, dataset_name: str, engine: Any, settings: SqlalchemyClientConfiguration, main: str
    ) -> SqlalchemyClient:
        from headrace.destinations.impl.sqlalchemy.dialects import dialect_of
        from headrace.destinations.impl.sqlalchemy.mysql import MySqlClient
        from headrace.destinations.impl.sqlalchemy.postgresql import PostgreSqlClient
        from headrace.destinations.impl.sqlalchemy.session import SqlalchemyClient
        from headrace.destinations.impl.sqlalchemy.sqlite import SqliteClient

        kinds: dict[str, type[SqlalchemyClient]] = {
            "sqlite": SqliteClient,
            "mysql": MySqlClient,
            "mariadb": MySqlClient,
            "postgresql": PostgreSqlClient,
        }
        capabilities = self.capabilities()
        session = kinds.get(engine.dialect.name, SqlalchemyClient)(
            dataset_name,
            engine,
            dialect_of(engine.dialect, capabilities),
            capabilities,
            lock_timeout=settings.lock_timeout,
            staging_dataset_name=settings.staging_dataset_name_layout % dataset_name,
        )
        if isinstance(session, SqliteClient):
            session.main = main
            session.shared = self._shared if main == MEMORY else None
        return session

    def _engine(self, settings: SqlalchemyClientConfiguration, main: str) -> Any:
        """One engine for each url; connections are closed with their clients, so nothing is left to dispose of."""
        import sqlalchemy as sa

        credentials = settings.credentials
        given = {**(credentials.engine_kwargs or {}), **(settings.engine_kwargs or {})}
        url = sa.engine.make_url(credentials.to_native_representation())
        # errors would repeat the rows of a statement that failed
        options: dict[str, Any] = {"poolclass": sa.pool.NullPool, "hide_parameters": True}
        if main:
            url = url.set(database=main)
            options["connect_args"] = {"check_same_thread": False}
        if main == MEMORY:
            options.update(poolclass=sa.pool.StaticPool, pool_reset_on_return=None)
        if credentials.backend in ("mysql", "mariadb") and url.get_driver_name() in ("pymysql", "mysqldb"):
            on = True if url.get_driver_name() == "pymysql" else 1
            url = url.difference_update_query(["local_infile"])
            options["connect_args"] = {"local_infile": on}
        options["connect_args"] = {**options.get("connect_args", {}), **given.pop("connect_args", {})}
        key = f"{url.render_as_string(hide_password=False)} {given!r}"
        if key not in self._engines:
            try:
                self._engines[key] = sa.create_engine(url, **{**options, **given})
            except (ImportError, sa.exc.NoSuchModuleError) as error:
                raise missing_driver(credentials, error) from error
        return self._engines[key]

    def describe_location(self) -> str:
        """The database as a url without user and password, once a client was opened."""
        return self._location or self.destination_name

    def location(self, dataset_name: str, pipeline: PipelineFacts | None = None) -> Location:
        """Where a dataset is: a file for SQLite, else a schema (or database) of a server."""
        credentials: SqlalchemyCredentials = self.seen_configuration().credentials
        if credentials.backend != "sqlite":
            return credentials.location(schema=dataset_name)
        main = sqlite_path(credentials.database, pipeline)
        if main == MEMORY or main.startswith("file:"):
            owner = pipeline.pipeline_name if pipeline else ""
            return Location(scheme="sqlite", private=True, owner=owner, database="memory", schema=dataset_name)
        return Location(scheme="sqlite", path=dataset_path(main, dataset_name), schema="main")

    def fingerprint(self) -> str:
        """A hash of where the database is, once a client was opened."""
        return digest128(self._location) if self._location and not self._location.endswith(MEMORY) else ""
