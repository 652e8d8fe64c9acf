"""The factory of DuckDB destinations."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from headrace.base.strings import digest128
from headrace.config.known import DestinationConfiguration
from headrace.destinations.base import ConfiguredDestination
from headrace.destinations.impl.duckdb.capabilities import CAPABILITIES
from headrace.destinations.impl.duckdb.configuration import (
    EXTERNAL,
    MEMORY,
    MOTHERDUCK,
    DuckDbClientConfiguration,
    DuckDbCredentials,
    database_path,
)
from headrace.load.destination import PipelineFacts
from headrace.model.capabilities import Capabilities
from headrace.model.location import Location

if TYPE_CHECKING:
    from headrace.destinations.impl.duckdb.client import DuckDbClient
    from headrace.destinations.impl.duckdb.connections import Database
    from headrace.destinations.impl.duckdb.session import Opener
    from headrace.model.schema import Schema

logger = logging.getLogger("headrace")


class duckdb(ConfiguredDestination):
    """Tables in a DuckDB database: a file, or memory.

    Args:
        credentials: A path; ``":memory:"`` (lives as long as this object); ``":pipeline:"`` (a file in the pipeline's
            working folder); an open DuckDB connection; a ``duckdb:///path`` url; a mapping or `DuckDbCredentials`. None
            looks under ``destination.<name>.credentials`` and else takes ``<name>.duckdb`` in the local folder, named
            after the destination if it has a name of its own, else after the pipeline.
        create_indexes: Enforce ``unique`` hints by constraints. Loading gets slower.
        destination_name: The name it is configured under.
        environment: A word to tell installations apart.
        **settings: Other fields of `DuckDbClientConfiguration` or `Capabilities`.
    """

    short_name: ClassVar[str] = "duckdb"
    spec: ClassVar[type[DestinationConfiguration]] = DuckDbClientConfiguration

    def __init__(
        self,
        credentials: Any = None,
        create_indexes: bool | None = None,
        destination_name: str | None = None,
        environment: str | None = None,
        **settings: Any,
    ) -> None:
        self._held: Database | None = None
        self._location = ""
        super().__init__(
            destination_name=destination_name,
            environment=environment,
            credentials=credentials,
            create_indexes=create_indexes or None,
            **settings,
        )

    def raw_capabilities(self) -> Capabilities:
        """What DuckDB can do."""
        return CAPABILITIES

    def open(self, dataset_name: str, schema: Schema, pipeline: Any = None) -> DuckDbClient:
        """A client for a dataset."""
        from headrace.destinations.impl.duckdb.client import DuckDbClient
        from headrace.destinations.impl.duckdb.dialect import DuckDbDialect
        from headrace.destinations.impl.duckdb.session import DuckDbSqlClient

        settings: DuckDbClientConfiguration = self.configuration()
        capabilities = self.capabilities()
        credentials = settings.credentials
        session = DuckDbSqlClient(
            dataset_name,
            self._opener(credentials, pipeline, settings.lock_timeout),
            DuckDbDialect(capabilities.decimal_precision, capabilities.wei_precision),
            capabilities,
            location=self._location,
            session_settings=_session_settings(credentials),
            staging_dataset_name=settings.staging_dataset_name_layout % dataset_name,
        )
        return DuckDbClient(session, schema, create_indexes=settings.create_indexes)

    def _opener(self, credentials: DuckDbCredentials, pipeline: PipelineFacts | None, wait: float) -> Opener:
        from headrace.destinations.impl.duckdb import connections

        if credentials.connection is not None:
            self._location = EXTERNAL
            held = self._held = self._held or connections.adopt(credentials.connection)
            return lambda: (held, held.cursor())
        path = database_path(credentials.database, self.destination_name if self.is_named else None, pipeline)
        self._location = path
        config, setup = credentials.global_config, _setup(credentials)
        if path == MEMORY:
            memory = self._held = self._held or connections.open_memory(config, setup)
            return lambda: (memory, memory.cursor())
        return lambda: connections.open_database(
            path, read_only=credentials.read_only, config=config, setup=setup, wait=wait
        )

    def describe_location(self) -> str:
        """The database as a url, once a client was opened."""
        return f"duckdb:///{self._location}" if self._location else self.destination_name

    def location(self, dataset_name: str, pipeline: PipelineFacts | None = None) -> Location:
        """The schema of a dataset in the file, in memory, or at MotherDuck."""
        credentials: DuckDbCredentials = self.seen_configuration().credentials
        path = _path_of(credentials.connection) if credentials.connection is not None else credentials.database or ""
        if credentials.connection is None and not path.startswith(MOTHERDUCK):
            name = self.destination_name if self.is_named else None
            path = database_path(credentials.database, name, pipeline)
        if path in ("", MEMORY):
            owner = pipeline.pipeline_name if pipeline else ""
            return Location(scheme="duckdb", private=True, owner=owner, database="memory", schema=dataset_name)
        if path.startswith(MOTHERDUCK):
            database = path.partition(":")[2].partition("?")[0] or "my_db"
            return Location(scheme="duckdb", path=f"md:{database}", database=database, schema=dataset_name)
        return Location(scheme="duckdb", path=path, database=Path(path).stem, schema=dataset_name)

    def fingerprint(self) -> str:
        """A hash of the file's path, once a client was opened."""
        return digest128(self._location) if self._location not in ("", MEMORY, EXTERNAL) else ""


def _path_of(connection: Any) -> str:
    """The file of an open connection; empty for a database in memory."""
    try:
        query = "SELECT path FROM duckdb_databases() WHERE database_name = current_database()"
        row = connection.cursor().execute(query).fetchone()
    except Exception as error:  # noqa: BLE001 (closed, or broken: loading will tell)
        logger.debug("the file of a DuckDB connection is unknown: %s", error)
        return ""
    path = str(row[0] or "") if row else ""
    return path if path.startswith(MOTHERDUCK) or not path else str(Path(path).absolute())


def _setup(credentials: DuckDbCredentials) -> list[str]:
    """Statements to run when the database is opened."""
    loads = [f"LOAD {name}" for name in credentials.extensions or ()]
    return [*loads, *(credentials.statements or ())]


def _session_settings(credentials: DuckDbCredentials) -> list[str]:
    """Statements to run in each session."""
    settings = {"TimeZone": credentials.session_timezone, **(credentials.local_config or {})}
    statements = [f"SET {name} = {_text(value)}" for name, value in settings.items()]
    return [*statements, *(f"PRAGMA {pragma}" for pragma in credentials.pragmas or ())]


def _text(value: Any) -> str:
    return "'" + str(value).replace("'", "''") + "'"
