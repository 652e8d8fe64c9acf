"""The factory of filesystem destinations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from headrace.config.known import DestinationConfiguration
from headrace.destinations.base import ConfiguredDestination
from headrace.destinations.impl.filesystem.capabilities import CAPABILITIES
from headrace.destinations.impl.filesystem.catalogsettings import catalog_facts
from headrace.destinations.impl.filesystem.configuration import FilesystemConfiguration
from headrace.load.destination import PipelineFacts
from headrace.model.capabilities import Capabilities
from headrace.model.location import Location

if TYPE_CHECKING:
    from headrace.destinations.impl.filesystem.client import FilesystemClient
    from headrace.load.staging import StagingPlace
    from headrace.model.schema import Schema


class filesystem(ConfiguredDestination):
    """Tables as folders of files: on a disk, in an object store, on a server.

    Args:
        bucket_url: Where: a path, ``file:///…``, ``s3://…``, ``gs://…``, ``az://…``, ``abfss://…``, ``sftp://…``,
            ``memory://…``, or any other place that fsspec knows.
        credentials: Of the kind that the place takes, or a mapping; None looks in the configuration.
        destination_name: The name it is configured under.
        environment: A word to tell installations apart.
        **settings: Other fields of `FilesystemConfiguration` (``layout``, ``extra_placeholders``, ``current_datetime``,
            ``kwargs``, …) or `Capabilities`.
    """

    short_name: ClassVar[str] = "filesystem"
    spec: ClassVar[type[DestinationConfiguration]] = FilesystemConfiguration

    def __init__(
        self,
        bucket_url: str | None = None,
        credentials: Any = None,
        destination_name: str | None = None,
        environment: str | None = None,
        **settings: Any,
    ) -> None:
        self._location = self._fingerprint = ""
        super().__init__(
            destination_name=destination_name,
            environment=environment,
            bucket_url=str(bucket_url) if bucket_url is not None else None,
            credentials=credentials,
            **settings,
        )

    def raw_capabilities(self) -> Capabilities:
        """What folders of files can do."""
        return CAPABILITIES

    def open(self, dataset_name: str, schema: Schema, pipeline: PipelineFacts | None = None) -> FilesystemClient:
        """A client for a dataset; the store itself is opened when it is first used."""
        from headrace.destinations.impl.filesystem.client import FilesystemClient
        from headrace.destinations.impl.filesystem.layout import Layout

        settings: FilesystemConfiguration = self.configuration()
        root = settings.local_path(pipeline) if settings.is_local else ""
        self._location = f"file://{root}" if settings.is_local else settings.display_url()
        self._fingerprint = settings.fingerprint()
        layout = Layout(settings.layout, settings.extra_placeholders, settings.current_datetime)
        return FilesystemClient(settings, self.capabilities(), schema, dataset_name, layout, root)

    @property
    def is_staging_place(self) -> bool:
        """It can hold files for other destinations."""
        return True

    def open_staging(self, dataset_name: str, schema: Schema, pipeline: PipelineFacts | None = None) -> StagingPlace:
        """A place for files on their way to another destination, in the folder of a dataset."""
        from headrace.destinations.impl.filesystem.staging import FilesystemStaging

        return FilesystemStaging(self.open(dataset_name, schema, pipeline))

    def describe_location(self) -> str:
        """The place as a url without secrets, once a client was opened."""
        return self._location or self.destination_name

    def location(self, dataset_name: str, pipeline: PipelineFacts | None = None) -> Location:
        """The folder of a dataset, and the folder of a table in it."""
        from headrace.destinations.impl.filesystem.layout import Layout

        settings: FilesystemConfiguration = self.seen_configuration()
        layout = Layout(settings.layout, settings.extra_placeholders, settings.current_datetime)
        found = settings.location(dataset_name, pipeline, layout.table_folder)
        catalog = catalog_facts()
        return msgspec.structs.replace(found, catalogs={"iceberg": catalog}) if catalog else found

    def fingerprint(self) -> str:
        """A hash of the bucket, once a client was opened."""
        return self._fingerprint
