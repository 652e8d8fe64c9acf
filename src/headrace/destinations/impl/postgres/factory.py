"""The factory of PostgreSQL destinations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from headrace.base.strings import digest128
from headrace.config.known import DestinationConfiguration
from headrace.destinations.base import ConfiguredDestination
from headrace.destinations.impl.postgres.capabilities import CAPABILITIES
from headrace.destinations.impl.postgres.configuration import PostgresClientConfiguration, PostgresCredentials
from headrace.load.destination import PipelineFacts
from headrace.model.capabilities import Capabilities
from headrace.model.location import Location

if TYPE_CHECKING:
    from headrace.destinations.impl.postgres.client import PostgresClient
    from headrace.model.schema import Schema


class postgres(ConfiguredDestination):
    """Tables in a PostgreSQL database; a dataset is a schema of it.

    Args:
        credentials: A url (``postgresql://user:password@host:5432/database``), a mapping or `PostgresCredentials`. None
            looks under ``destination.<name>.credentials``.
        create_indexes: Make unique indexes for ``unique`` hints (``_dlt_id``). True unless given.
        csv_format: How csv files are written: ``delimiter``, ``include_header``, ``encoding``.
        destination_name: The name it is configured under.
        environment: A word to tell installations apart.
        **settings: Other fields of `PostgresClientConfiguration` or `Capabilities`.
    """

    short_name: ClassVar[str] = "postgres"
    spec: ClassVar[type[DestinationConfiguration]] = PostgresClientConfiguration

    def __init__(
        self,
        credentials: Any = None,
        create_indexes: bool | None = None,
        csv_format: Any = None,
        destination_name: str | None = None,
        environment: str | None = None,
        **settings: Any,
    ) -> None:
        self._location = self._host = ""
        super().__init__(
            destination_name=destination_name,
            environment=environment,
            credentials=credentials,
            create_indexes=create_indexes,
            csv_format=csv_format,
            **settings,
        )

    def raw_capabilities(self) -> Capabilities:
        """What PostgreSQL can do."""
        return CAPABILITIES

    def open(self, dataset_name: str, schema: Schema, pipeline: Any = None) -> PostgresClient:
        """A client for a dataset."""
        from headrace.destinations.impl.postgres.client import PostgresClient
        from headrace.destinations.impl.postgres.dialect import PostgresDialect
        from headrace.destinations.impl.postgres.session import PostgresSqlClient, driver

        driver()
        settings: PostgresClientConfiguration = self.configuration()
        capabilities = self.capabilities()
        self._location, self._host = settings.credentials.data_location(), settings.credentials.host
        session = PostgresSqlClient(
            dataset_name,
            settings.credentials.connection_arguments(),
            PostgresDialect(capabilities.decimal_precision, capabilities.wei_precision),
            capabilities,
            location=self._location,
            staging_dataset_name=settings.staging_dataset_name_layout % dataset_name,
        )
        return PostgresClient(
            session,
            schema,
            create_indexes=settings.create_indexes,
            csv_format=settings.csv_format,
            remove_nul=settings.nul_characters == "remove",
        )

    def describe_location(self) -> str:
        """The database as a url without user and password, once a client was opened."""
        return self._location or self.destination_name

    def location(self, dataset_name: str, pipeline: PipelineFacts | None = None) -> Location:
        """The schema of a dataset."""
        credentials: PostgresCredentials = self.seen_configuration().credentials
        return credentials.location(schema=dataset_name)

    def fingerprint(self) -> str:
        """A hash of the server's name, as the field makes it, once a client was opened."""
        return digest128(self._host) if self._host else ""
