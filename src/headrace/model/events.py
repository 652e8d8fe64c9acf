# size: one closed union, and who matches on it wants to see all of it
"""Everything that can happen in a run, as one closed union of frozen values.

Durable events are the facts of a package's journal; the others are only published. Add a field with a default to change
an event: old journals must stay readable.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from headrace.base.time import now
from headrace.model.changes import RowChanges
from headrace.model.decisions import ColumnDecision
from headrace.model.effects import Partition, TableVersion
from headrace.model.jobs import LoadFile, PlannedJob, SpoolFile
from headrace.model.location import ResourceInputs
from headrace.model.rejected import RejectedCount


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", omit_defaults=True):
    """A fact, with the run that brought it about and the instant it happened."""

    run_id: str = ""
    at: dt.datetime = msgspec.field(default_factory=now)


# ---- durable: facts of one package's journal -------------------------------------------------------------------------


class PackageCreated(Event, frozen=True, tag=True):
    """A package folder exists. The first fact of a journal."""

    load_id: str
    schema_name: str
    pipeline_name: str = ""


class Extracted(Event, frozen=True, tag=True):
    """Commit point 1: data, schema and state of the package are complete.

    ``declared`` are the columns, by table, that hints and Arrow data added to tables which had columns before.
    """

    load_id: str
    files: list[SpoolFile]
    schema_hash: str
    state_hash: str | None = None
    id_seed: int = 0
    row_counts: dict[str, int] = {}
    rejected: list[RejectedCount] = []
    inputs: list[ResourceInputs] = []
    declared: dict[str, list[str]] = {}


class Normalized(Event, frozen=True, tag=True):
    """Commit point 2: the loader files and the schema they follow are complete."""

    load_id: str
    files: list[LoadFile]
    schema_hash: str
    schema_update: dict[str, Any] = {}
    row_counts: dict[str, int] = {}
    rejected: list[RejectedCount] = []


class Planned(Event, frozen=True, tag=True):
    """The whole job graph of the package."""

    load_id: str
    jobs: list[PlannedJob]


class SchemaMigrating(Event, frozen=True, tag=True):
    """The destination's tables are about to be changed: after a crash in between this tells whose change it was."""

    load_id: str
    applied: dict[str, Any] = {}
    altered: dict[str, Any] = {}


class SchemaMigrated(Event, frozen=True, tag=True):
    """The destination's tables follow the package's schema now.

    ``applied`` has the tables and columns that were created, and only those; ``altered`` the columns that were there
    and got a wider type, and the descriptions that changed.
    """

    load_id: str
    applied: dict[str, Any] = {}
    altered: dict[str, Any] = {}


class JobDone(Event, frozen=True, tag=True):
    """A job's effect is in the destination. Not synced: losing it costs a question to the destination.

    ``versions``, ``partitions`` and ``queries`` are what the destination said of it (`load.destination.Applied`).
    """

    load_id: str
    job_id: str
    seconds: float = 0.0
    rows: int = 0
    changes: dict[str, RowChanges] = {}
    versions: dict[str, TableVersion] = {}
    partitions: dict[str, list[Partition]] = {}
    queries: dict[str, list[str]] = {}


class JobRetried(Event, frozen=True, tag=True):
    """A job ended with an error that may pass; it will run again."""

    load_id: str
    job_id: str
    attempt: int
    message: str
    seconds: float = 0.0


class JobFailed(Event, frozen=True, tag=True):
    """A job ended with an error that will not pass; ``files`` are relative to the package's folder."""

    load_id: str
    job_id: str
    message: str
    seconds: float = 0.0
    tables: list[str] = []
    files: list[str] = []


class Loaded(Event, frozen=True, tag=True):
    """Commit point 3: everything is in the destination and its loads table says so."""

    load_id: str
    failed_jobs: int = 0


class Aborted(Event, frozen=True, tag=True):
    """The package was given up; its load id is not in the destination's loads table."""

    load_id: str
    reason: str


class RolledBack(Aborted, frozen=True, tag=True):
    """The load was undone: ``tables`` are again what they were before it, cursor and schema too."""

    tables: list[str] = []


class Reopened(Event, frozen=True, tag=True):
    """The package waits to be loaded again: after it was set aside, or for jobs that had failed when it was loaded.

    ``jobs`` are those that were put back; none for a package that was set aside, all of which is to be loaded.
    """

    load_id: str
    jobs: list[str] = []


class ColumnsDecided(Event, frozen=True, tag=True):
    """Gates were asked about new columns: these they let go, or gave other types, the others they accepted.

    A ``normalize`` that begins anew follows it, and asks nobody.
    """

    load_id: str
    step: str
    decisions: list[ColumnDecision] = []


class GateDecided(Event, frozen=True, tag=True):
    """What a gate said of a package before it was loaded: it is asked once, and a later process follows this.

    ``decision`` is ``pass``, ``park`` or ``skip``; ``files`` are the loader files that are not loaded, relative to the
    package's folder, and ``tables`` those whose emptying is left out too.
    """

    load_id: str
    gate: str
    decision: str
    reason: str = ""
    tables: list[str] = []
    files: list[str] = []


# ---- passing: published only ---------------------------------------------------------------------------------------


class RunStarted(Event, frozen=True, tag=True):
    """`Pipeline.run`, or a single step called on its own, begins."""

    pipeline_name: str


class RunEnded(Event, frozen=True, tag=True):
    """The run is over; ``error`` is the text of what ended it, None when it went well."""

    pipeline_name: str
    error: str | None = None


class StepStarted(Event, frozen=True, tag=True):
    """One of sync, extract, normalize, load (or run itself) begins."""

    step: str


class StepEnded(Event, frozen=True, tag=True):
    """The step is over."""

    step: str
    error: str | None = None


class StepRetried(Event, frozen=True, tag=True):
    """The step failed for the ``attempt``-th time and begins again in ``wait`` seconds (settings ``retries``)."""

    step: str
    attempt: int
    wait: float
    error: str


class Progress(Event, frozen=True, tag=True):
    """A counter moved: ``name`` is what is counted, ``inc`` by how much, ``total`` how many are expected."""

    step: str
    name: str
    inc: int = 1
    total: int | None = None
    message: str | None = None
    label: str = ""


class JobStarted(Event, frozen=True, tag=True):
    """An attempt at a job begins; `JobDone`, `JobRetried` or `JobFailed` tell how it ended."""

    load_id: str
    job_id: str
    tables: list[str] = []
    attempt: int = 1


class JobSkipped(Event, frozen=True, tag=True):
    """A gate let a loader file go: its rows are not loaded. Told once, when `GateDecided` is written.

    ``job_id`` is the file's, as infos name jobs: table, file id, format.
    """

    load_id: str
    job_id: str
    table: str
    rows: int = 0
    gate: str = ""
    reason: str = ""


class TableAdded(Event, frozen=True, tag=True):
    """Normalize sealed a package that brings a new table. Its columns are told behind it, by `ColumnAdded`.

    ``path`` is where nested rows stand in an item (empty for root tables), ``columns`` has the data type of each.
    ``resources`` are all whose rows brought it, ``resource`` is the first of them; so it is in the events below.
    """

    load_id: str
    schema_name: str
    table: str
    resource: str = ""
    resources: list[str] = []
    parent: str = ""
    path: list[str] = []
    columns: dict[str, str] = {}


class ColumnAdded(Event, frozen=True, tag=True):
    """Normalize sealed a package that brings a new column, of a new table or of one that was there.

    ``path`` is the path of the first value in a row of the table, and ``first`` that row's number among those of the
    package's rows of the table, from 0; None where nobody looked at values (declared columns, keys, Arrow).
    """

    load_id: str
    schema_name: str
    table: str
    column: str
    data_type: str
    nullable: bool = True
    resource: str = ""
    resources: list[str] = []
    path: list[str] = []
    first: int | None = None
    is_new_table: bool = False


class VariantAdded(Event, frozen=True, tag=True):
    """Values that the type of ``of`` cannot take got a column of their own."""

    load_id: str
    schema_name: str
    table: str
    column: str
    of: str
    data_type: str
    resource: str = ""
    resources: list[str] = []


class CastFailed(Event, frozen=True, tag=True):
    """Values did not fit a column's type; told once for each column and outcome.

    ``outcome`` is ``variant`` (kept in a column of their own; told for the package that makes that column),
    ``discard_value``, ``discard_row``, ``freeze``, or ``error``: the step failed. ``data_type`` is the column's, where
    it is known; ``count`` is 0 where nobody counted.
    """

    load_id: str
    table: str
    column: str
    outcome: str
    data_type: str = ""
    count: int = 0
    resource: str = ""
    resources: list[str] = []


class ContractViolated(Event, frozen=True, tag=True):
    """Data broke a frozen contract (or a gate froze a column): the step fails, the package is given up or set aside."""

    load_id: str
    step: str
    schema_name: str
    table: str
    entity: str
    column: str = ""
    mode: str = "freeze"
    reason: str = ""


class StateCommitted(Event, frozen=True, tag=True):
    """The pipeline's state, cursors included, was committed.

    ``place`` is ``package`` when it was sealed with the data it belongs to, ``destination`` when that data is loaded
    and the state is stored beside it.
    """

    load_id: str
    place: str
    version: int = 0
    version_hash: str = ""


class TablesChanged(Event, frozen=True, tag=True):
    """Tables were changed by hand: by `Pipeline.sync_schema`, or through a client of `Pipeline.destination_client`.

    ``changes`` has what happened to each: ``CREATE``, ``ALTER``, ``TRUNCATE`` or ``DROP``. What loads, refreshes and
    rollbacks do is told by their own events. Outside of a run there is no run id.
    """

    schema_name: str
    dataset_name: str
    changes: dict[str, str]


class SourceStarted(Event, frozen=True, tag=True):
    """The resources of a source are about to be read into a package; ``run.extras["source"]`` is the live source."""

    load_id: str
    schema_name: str
    source: str
    resources: list[str] = []


class SourceEnded(Event, frozen=True, tag=True):
    """The source was read, to its end or to an error; ``rows``: what its resources gave since the last checkpoint."""

    load_id: str
    source: str
    rows: dict[str, int] = {}


class PackageMoved(Event, frozen=True, tag=True):
    """A package in the making went on under another load id, so that it comes behind those it builds on."""

    load_id: str
    was: str


class SchemaEvolved(Event, frozen=True, tag=True):
    """Normalize added tables or columns; `TableAdded`, `ColumnAdded` and `VariantAdded` tell the same one by one."""

    load_id: str
    schema_name: str
    update: dict[str, Any]


class Rejected(Event, frozen=True, tag=True):
    """A contract let rows or values go: told once a step is sealed, for each table, column and rule.

    The facts `Extracted` and `Normalized` hold the same numbers for good.
    """

    load_id: str
    step: str
    table: str
    rule: str
    column: str = ""
    count: int = 0
    resource: str = ""


class PackageParked(Event, frozen=True, tag=True):
    """A package failed for good, or a gate parked it, and it was set aside, so that it blocks nothing."""

    load_id: str
    reason: str


DurableEvent = (
    PackageCreated
    | Extracted
    | Normalized
    | Planned
    | SchemaMigrating
    | SchemaMigrated
    | JobDone
    | JobRetried
    | JobFailed
    | Loaded
    | Aborted
    | RolledBack
    | Reopened
    | ColumnsDecided
    | GateDecided
)
AnyEvent = (
    DurableEvent
    | RunStarted
    | RunEnded
    | StepStarted
    | StepEnded
    | StepRetried
    | Progress
    | JobStarted
    | JobSkipped
    | TableAdded
    | ColumnAdded
    | VariantAdded
    | CastFailed
    | ContractViolated
    | StateCommitted
    | TablesChanged
    | SourceStarted
    | SourceEnded
    | PackageMoved
    | SchemaEvolved
    | Rejected
    | PackageParked
)
