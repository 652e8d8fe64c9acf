"""The port: what a destination must do for headrace.

A `Destination` is a description (what it can do, how it is configured); `Destination.open` gives a `Client`, one a
thread. The promise of `Client.apply` is: *called twice with one job key, the effect of once*. How it keeps that promise
is the destination's affair and is declared as ``capabilities.idempotency``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from headrace.errors.destination import DestinationNoStagingMode
from headrace.load.clientapi import ClientApi
from headrace.load.foresight import Foresight
from headrace.load.staging import StagingPlace
from headrace.load.undoing import UndoApi
from headrace.model.capabilities import Capabilities
from headrace.model.changes import RowChanges
from headrace.model.effects import Partition, TableVersion
from headrace.model.jobs import AnyJob
from headrace.model.location import Location
from headrace.model.migrate import (
    AddColumns,
    AlterColumn,
    AnyChange,
    Change,
    CreateTable,
    DropTable,
    SetComments,
    TableComments,
    type_name,
)
from headrace.model.schema import Schema
from headrace.model.undo import UndoPlan
from headrace.typing import TColumnSchema, TTableSchemaColumns

if TYPE_CHECKING:
    from typing_extensions import Self


__all__ = [
    "AddColumns",
    "AlterColumn",
    "AnyChange",
    "Applied",
    "Change",
    "Client",
    "CreateTable",
    "Destination",
    "DropTable",
    "LoadContext",
    "PipelineFacts",
    "SetComments",
    "StoredSchema",
    "StoredState",
    "TableComments",
]


class StateClaim(msgspec.Struct, frozen=True, kw_only=True):
    """The pipeline's state in a package, and which states it grew out of.

    Attributes:
        pipeline_name: Whose state it is.
        document: The state.
        known: Hashes of earlier states; the newest at the destination is one of them, unless another process of the
            same pipeline has loaded meanwhile.
    """

    pipeline_name: str
    document: dict[str, Any]
    known: list[str]


class LoadContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a client must know of the package whose jobs it runs.

    Attributes:
        load_id: The package.
        path: The package folder: files of jobs are relative to it.
        schema: The package's schema, frozen.
        created_at: The package's instant as unix seconds: the boundary of slowly changing dimensions.
        renames: By table: columns of the files that go to another column of the table.
        state: The state that the package brings, if it brings one.
        staging: The staging place, if the pipeline has one: files with ``remote`` set are there.
        undo: What has to be kept so that the load can be undone; None keeps nothing.
    """

    load_id: str
    path: Path
    schema: Schema
    created_at: float = 0.0
    renames: dict[str, dict[str, str]] = {}
    state: StateClaim | None = None
    staging: StagingPlace | None = None
    undo: UndoPlan | None = None

    def key(self, job: AnyJob) -> str:
        """The job's key at the destination."""
        return f"{self.load_id}.{job.id}"


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What applying a job came to.

    Attributes:
        rows: Rows moved in this call; 0 when the destination knew the job's key already.
        changes: What the job did to its tables, now or when it was first applied; tables it does not name are unknown.
        versions: Of tables that keep versions: the one that the job made.
        partitions: Of tables that are partitioned: those it wrote. Tables whose partitions are not known stay out.
        queries: Ids that the destination gave to what it ran for the job, in their order: by these people find it in
            its console. By table; those that concern all tables of the job are under the empty name. No secrets.
    """

    rows: int = 0
    changes: dict[str, RowChanges] = {}
    versions: dict[str, TableVersion] = {}
    partitions: dict[str, list[Partition]] = {}
    queries: dict[str, list[str]] = {}


def joined(parts: Iterable[Applied]) -> Applied:
    """What several calls came to, each of which was about tables of its own."""
    found = list(parts)
    return Applied(
        rows=sum(part.rows for part in found),
        changes={table: changes for part in found for table, changes in part.changes.items()},
        versions={table: version for part in found for table, version in part.versions.items()},
        partitions={table: parts for part in found for table, parts in part.partitions.items()},
        queries={table: queries for part in found for table, queries in part.queries.items()},
    )


class StoredSchema(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``_dlt_version``."""

    version: int
    engine_version: int
    inserted_at: Any
    schema_name: str
    version_hash: str
    schema: str


class StoredState(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``_dlt_pipeline_state``."""

    version: int
    engine_version: int
    pipeline_name: str
    state: str
    created_at: Any
    version_hash: str | None = None
    dlt_load_id: str | None = None


class Client(ClientApi, Foresight, UndoApi, ABC):
    """A session with a destination's dataset; a context manager. One a thread.

    Attributes:
        with_comments: Whether descriptions of tables and columns become comments at the destination.
        described: Columns of tables as `describe` told them before the last migration, for those who watch.
    """

    with_comments: bool = True
    described: Mapping[str, TTableSchemaColumns | None] = {}

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @abstractmethod
    def has_dataset(self) -> bool:
        """Whether the dataset exists at the destination."""

    @abstractmethod
    def create_dataset(self) -> None:
        """Make the dataset if it is missing."""

    @abstractmethod
    def drop_dataset(self) -> None:
        """Drop the dataset with all its tables."""

    @abstractmethod
    def describe(self, tables: Sequence[str]) -> dict[str, TTableSchemaColumns | None]:
        """Say which columns each table has; None for a table that does not exist."""

    def type_of(self, column: TColumnSchema) -> str:
        """The destination's word for a column's type: types of one word are not told apart there."""
        return type_name(column)

    def has_default(self, table: str, column: str) -> bool:
        """Whether rows may leave out a column that must have a value; True where that is not known."""
        return True

    def describe_comments(self, tables: Sequence[str]) -> dict[str, TableComments]:
        """The comments of tables that exist and of their columns; empty where there are no comments."""
        return {}

    @abstractmethod
    def migrate(self, changes: Sequence[AnyChange]) -> None:
        """Apply changes; safe to repeat, and safe against another process doing the same."""

    def exclusive(self) -> AbstractContextManager[object]:
        """Keep other writers of the dataset from changing tables and stored schemas inside ``with``.

        Here it keeps off nobody; that is enough where a second writer cannot be.
        """
        return nullcontext()

    @abstractmethod
    def apply(self, job: AnyJob, context: LoadContext) -> Applied:
        """Run a job, once by its key.

        Returns:
            What it did; no rows moved when the key was known already, and the changes that were kept with the key.

        Raises:
            DestinationTerminalException: Running it again cannot help.
            DestinationTransientException: Running it again may help.
        """

    @abstractmethod
    def complete(self, context: LoadContext) -> dict[str, Any] | None:
        """Make the load visible in ``_dlt_loads`` and forget its job keys; safe to repeat.

        Returns:
            The pipeline's state, if it had to be joined with that of another process, else None.
        """

    @abstractmethod
    def is_complete(self, load_id: str) -> bool:
        """Whether ``_dlt_loads`` has the load with status 0."""

    @abstractmethod
    def store_schema(self, schema: Schema) -> None:
        """Write the schema into ``_dlt_version`` unless its hash is there."""

    @abstractmethod
    def read_schema(self, schema_name: str | None = None, version_hash: str | None = None) -> StoredSchema | None:
        """The newest stored schema of a name, or the one with a hash; None when there is none."""

    def newest_schema_hash(self, schema_name: str) -> str | None:
        """The hash of the newest stored schema of a name; None when there is none."""
        stored = self.read_schema(schema_name)
        return stored.version_hash if stored is not None else None

    @abstractmethod
    def read_state(self, pipeline_name: str) -> StoredState | None:
        """The newest pipeline state that belongs to a completed load; None when there is none."""

    def prune_states(self, pipeline_name: str, keep: int) -> None:
        """Delete rows of state of a pipeline, but for the newest ones that belong to completed loads.

        Args:
            pipeline_name: The pipeline.
            keep: How many states to keep.
        """

    def unfinished_loads(self) -> list[str]:
        """Loads with rows in the dataset that were never completed: at work now, or broken off; as far as is known."""
        return []

    def drop_schema_history(self, schema_name: str) -> None:
        """Delete stored versions of a schema (refresh with ``drop_sources`` and ``drop_resources``)."""
        raise NotImplementedError(f"{type(self).__name__} keeps no schema history that could be dropped")


class Destination(ABC):
    """A kind of place where tables live, with its settings.

    Attributes:
        destination_name: The name used in configuration (``destination.<name>``).
        destination_type: The kind, as it is kept in pipeline state.
    """

    destination_name: str

    @property
    @abstractmethod
    def destination_type(self) -> str:
        """For example ``dlt.destinations.duckdb``."""

    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What it can do."""

    @abstractmethod
    def open(self, dataset_name: str, schema: Schema, pipeline: Any = None) -> Client:
        """A client for a dataset; resolves the configuration, so this is where a missing credential shows.

        Args:
            dataset_name: The dataset (a schema, a database, a folder), already normalized.
            schema: The schema whose naming and system tables apply.
            pipeline: Facts of the pipeline that paths may depend on (`PipelineFacts`).
        """

    @property
    def is_staging_place(self) -> bool:
        """Whether it can hold files for other destinations."""
        return False

    def open_staging(self, dataset_name: str, schema: Schema, pipeline: Any = None) -> StagingPlace:
        """A place for files on their way to another destination; arguments as of `open`.

        Raises:
            DestinationNoStagingMode: It cannot hold files for others.
        """
        raise DestinationNoStagingMode(self.destination_name)

    def describe_location(self) -> str:
        """Where it is, for people, without secrets."""
        return self.destination_name

    def fingerprint(self) -> str:
        """A hash of where it is, without secrets; empty when unknown."""
        return ""

    def location(self, dataset_name: str, pipeline: PipelineFacts | None = None) -> Location | None:
        """Where a dataset is, in parts, from the configuration; nothing is opened for it.

        Args:
            dataset_name: The dataset, already normalized.
            pipeline: Facts of the pipeline that paths may depend on.

        Returns:
            None where nothing is known to be kept, as of functions that take rows.

        Raises:
            ConfigFieldMissingException: A setting it needs is nowhere.
        """
        return None


class PipelineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a destination may need to know of the pipeline to find its files."""

    pipeline_name: str
    working_dir: str
    local_dir: str
    dev_mode: bool = False
