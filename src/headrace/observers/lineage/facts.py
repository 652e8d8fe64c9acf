"""What lineage knows of a run, as plain values: made from the engine (or from upstream dlt), turned into events.

Everything here is a snapshot: no live object of the pipeline is held, every value can be written as JSON and read back,
in another process too. `collect` makes them, `events` turns them into OpenLineage, `graph` keeps what they say.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import msgspec

RunState = Literal["planned", "extracted", "normalized", "loaded", "failed", "aborted"]


class Value(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Base of all facts."""


class DatasetId(msgspec.Struct, frozen=True, order=True):
    """The identity of a dataset, as https://openlineage.io/docs/spec/naming has it."""

    namespace: str
    name: str


class JobId(msgspec.Struct, frozen=True, order=True):
    """The identity of a job."""

    namespace: str
    name: str


class Field(Value, kw_only=True, omit_defaults=True):
    """A column, or a field of a nested document.

    Attributes:
        type: In the words of the store it is in.
        fields: What a struct holds; an array has one field ``_element``.
        tags: For example ``("primary_key", "true")``, ``("pii", "true")``.
    """

    name: str
    type: str | None = None
    description: str | None = None
    fields: list[Field] = []
    tags: list[tuple[str, str]] = []


class Transformation(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a value came from another: type ``DIRECT`` or ``INDIRECT``, subtype as in the columnLineage facet."""

    type: str
    subtype: str
    description: str = ""
    masking: bool = False


class FieldRef(Value, kw_only=True, omit_defaults=True):
    """A field of an input that a column, or a whole output, depends on."""

    dataset: DatasetId
    field: str
    transformations: list[Transformation] = []


class Dataset(Value, kw_only=True, omit_defaults=True):
    """A dataset and what is true of it between runs.

    Attributes:
        source_name: The connection or source by the name its user knows.
        source_uri: Where it is, a URI without anything secret.
        type: ``TABLE``, ``VIEW``, ``FILE``, ``API_ENDPOINT``, …
        hierarchy: (type, name), outermost first.
        symlinks: (namespace, name, ``TABLE`` or ``LOCATION``): other names of the same data.
        catalog: Fields of the catalog facet; None without a catalog.
        storage: Fields of the storage facet.
        owners: (name, type).
        tags: (key, value).
        version: ``datasetVersion`` and what else is known of it.
    """

    id: DatasetId
    fields: list[Field] = []
    source_name: str | None = None
    source_uri: str | None = None
    type: str | None = None
    subtype: str | None = None
    hierarchy: list[tuple[str, str]] = []
    symlinks: list[tuple[str, str, str]] = []
    catalog: dict[str, Any] | None = None
    storage: dict[str, Any] | None = None
    description: str | None = None
    owners: list[tuple[str, str]] = []
    tags: list[tuple[str, str]] = []
    version: dict[str, Any] | None = None


class Input(Dataset, kw_only=True, omit_defaults=True):
    """What a resource read.

    Attributes:
        rows: Items it yielded, before filters; None when unknown.
        bytes: Bytes read.
        files: Files or pages read.
        subset: The condition of the subset facet (``inputCondition``): the incremental window, files, partitions.
    """

    rows: int | None = None
    bytes: int | None = None
    files: int | None = None
    subset: dict[str, Any] | None = None


class Output(Dataset, kw_only=True, omit_defaults=True):
    """A table that a resource writes.

    Attributes:
        table: Its name in the schema.
        parent: The table it is nested in.
        written: The destination holds it (else it is only planned).
        rows: Rows written, as the destination counted them; None when it does not say.
        bytes: Size of the loader files that were written.
        files: Their number.
        lifecycle: All changes of its life in this run: ``CREATE``, ``OVERWRITE``, ``TRUNCATE``, ``ALTER``, ``DROP``.
        columns: By column of the table: the fields it came from; empty for a column without a source (generated).
        indirect: What the whole table depends on: cursors, keys, filters.
        write: Disposition, strategy, keys: the facet ``headrace_write``.
        changes: Inserted, updated, unchanged, deleted, where the destination told them.
        assertions: Fields of ``dataQualityAssertions``.
        metrics: Fields of ``dataQualityMetrics``.
        schema_change: Columns added, variants, contract decisions.
        subset: Condition of the output subset: files or partitions written.
    """

    table: str = ""
    parent: str | None = None
    written: bool = False
    rows: int | None = None
    bytes: int | None = None
    files: int | None = None
    lifecycle: list[str] = []
    columns: dict[str, list[FieldRef]] = {}
    indirect: list[FieldRef] = []
    write: dict[str, Any] = {}
    changes: dict[str, int] | None = None
    assertions: list[dict[str, Any]] = []
    metrics: dict[str, Any] | None = None
    schema_change: dict[str, Any] | None = None
    subset: dict[str, Any] | None = None


class Failure(Value, kw_only=True, omit_defaults=True):
    """What went wrong, masked; ``trace`` is a real traceback or None."""

    message: str
    trace: str | None = None


class Job(Value, kw_only=True, omit_defaults=True):
    """What is true of a job between runs.

    Attributes:
        kind: ``PIPELINE`` or ``RESOURCE``.
        code: Fields of ``sourceCodeLocation``; None when the code is not under version control.
        source_code: (language, text), only when asked for.
        sql: (query, dialect).
        integration: What runs it, for the facet ``jobType``; empty for headrace.
    """

    id: JobId
    kind: str
    description: str | None = None
    owners: list[tuple[str, str]] = []
    tags: list[tuple[str, str]] = []
    code: dict[str, Any] | None = None
    source_code: tuple[str, str] | None = None
    sql: tuple[str, str] | None = None
    integration: str = ""


class RunRef(Value, kw_only=True, omit_defaults=True):
    """A run of a job, to be pointed at."""

    run_id: str
    job: JobId
    facets: dict[str, Any] = {}


class Parent(RunRef, kw_only=True, omit_defaults=True):
    """The run that a run is part of, and the one at the top."""

    root: RunRef


class Run(Value, kw_only=True, omit_defaults=True):
    """One run of a job.

    Attributes:
        run_id: UUIDv7.
        parent: None for an invocation that nobody started.
        parameters: (key, value): what is worth knowing and no secret.
        tags: (key, value).
        nominal: Start and end of the interval that an orchestrator asked for.
        depends_on: Runs it follows on.
        tests: Entries of the test facet.
        external_query: (id, source) in the destination.
        lineage_errors: (task, message): what lineage itself could not find out.
        unknown_inputs: Nobody knows what it read: that there are no inputs says nothing.
        custom: Facets of our own, by key.
        engine: Name and version of what ran; None for headrace itself.
    """

    run_id: str
    job: Job
    started_at: dt.datetime
    ended_at: dt.datetime | None = None
    state: RunState = "planned"
    parent: Parent | None = None
    inputs: list[Input] = []
    outputs: list[Output] = []
    failure: Failure | None = None
    parameters: list[tuple[str, str]] = []
    tags: list[tuple[str, str]] = []
    nominal: tuple[dt.datetime, dt.datetime | None] | None = None
    depends_on: list[RunRef] = []
    tests: list[dict[str, Any]] = []
    external_query: tuple[str, str] | None = None
    lineage_errors: list[tuple[str, str]] = []
    unknown_inputs: bool = False
    environment: list[tuple[str, str]] = []
    custom: dict[str, dict[str, Any]] = {}
    engine: tuple[str, str] | None = None


class ResourceRun(Run, kw_only=True, omit_defaults=True):
    """The run of one resource in one load package."""

    load_id: str = ""
    source: str = ""
    resource: str = ""


class Invocation(Run, kw_only=True, omit_defaults=True):
    """`pipeline.run`, or a step called on its own: the parent of the resource runs it began. It holds no datasets."""

    pipeline_name: str = ""
