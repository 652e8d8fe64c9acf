"""The factory of destinations that keep nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from headrace.config.known import DestinationConfiguration
from headrace.destinations.base import ConfiguredDestination
from headrace.destinations.impl.dummy.configuration import DummyClientConfiguration
from headrace.model.capabilities import Capabilities

if TYPE_CHECKING:
    from headrace.destinations.impl.dummy.client import DummyClient
    from headrace.model.schema import Schema

CAPABILITIES = Capabilities(
    preferred_loader_file_format="jsonl",
    supported_loader_file_formats=("jsonl", "arrow", "parquet", "csv"),
    max_identifier_length=127,
    max_column_identifier_length=127,
    max_query_length=8 * 1024 * 1024,
    has_case_sensitive_identifiers=True,
    supports_ddl_transactions=False,
    max_timestamp_precision=6,
    supported_merge_strategies=("delete-insert", "upsert"),
    # jobs of one table decide their own fate
    max_files_per_job=1,
    # what is not kept cannot be there twice
    idempotency="upsert",
)


class dummy(ConfiguredDestination):
    """Keeps nothing; accepts, refuses or fails on demand. For tests, and to see what a load would do.

    Args:
        credentials: Without meaning.
        destination_name: The name it is configured under.
        environment: A word to tell installations apart.
        **settings: Fields of `DummyClientConfiguration` (``completed_prob=1.0`` lets all jobs succeed), or of
            `Capabilities`.
    """

    short_name: ClassVar[str] = "dummy"
    spec: ClassVar[type[DestinationConfiguration]] = DummyClientConfiguration

    def __init__(
        self,
        credentials: Any = None,
        destination_name: str | None = None,
        environment: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(
            destination_name=destination_name, environment=environment, credentials=credentials, **settings
        )

    def raw_capabilities(self) -> Capabilities:
        """What it claims to do."""
        # the configuration may name the format, and normalize must know it before anything is opened
        wanted: Any = self.configuration().loader_file_format
        if wanted not in CAPABILITIES.supported_loader_file_formats:
            return CAPABILITIES  # formats of SQL text travel as the default does
        return msgspec.structs.replace(CAPABILITIES, preferred_loader_file_format=wanted)

    def open(self, dataset_name: str, schema: Schema, pipeline: Any = None) -> DummyClient:
        """A client."""
        from headrace.destinations.impl.dummy.client import DummyClient

        return DummyClient(schema, self.capabilities(), self.configuration())

    def describe_location(self) -> str:
        """Nowhere."""
        return "/dev/null"
