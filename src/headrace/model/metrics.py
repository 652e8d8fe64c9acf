"""Numbers that steps gather: rows and bytes of files, tables and resources, and the fate of load jobs.

Field names and orders are those of the field's trackers: they are stored in tables by users.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from typing_extensions import NotRequired, Self, TypedDict

from headrace.base.json import dumps
from headrace.base.strings import digest128
from headrace.model.changes import RowChanges
from headrace.model.jobs import LoadFile

# an instant later than all real ones, so that `+` with an empty metric keeps the other's instant
_NEVER_CREATED = float(2**32)


class DataWriterMetrics(NamedTuple):
    """What one or more files hold.

    Attributes:
        file_path: Where the file is; empty when the numbers belong to more than one file.
        items_count: Rows.
        file_size: Bytes.
        created: When the first row was written, in unix seconds.
        last_modified: When the last row was written, in unix seconds.
    """

    file_path: str
    items_count: int
    file_size: int
    created: float
    last_modified: float

    def __add__(self, other: object) -> DataWriterMetrics:
        """Sum rows and bytes and widen the time; the path is dropped, for there is no single file any more."""
        if not isinstance(other, DataWriterMetrics):
            return NotImplemented
        return type(self)(
            "",
            self.items_count + other.items_count,
            self.file_size + other.file_size,
            min(self.created, other.created),
            max(self.last_modified, other.last_modified),
        )


class DataWriterAndCustomMetrics(DataWriterMetrics):
    """Metrics of a resource, with what its steps have measured themselves in ``custom_metrics``."""

    custom_metrics: dict[str, Any]

    def __new__(
        cls,
        file_path: str,
        items_count: int,
        file_size: int,
        created: float,
        last_modified: float,
        custom_metrics: Mapping[str, Any] | None = None,
    ) -> Self:
        """Make the tuple of the five numbers; the custom part is no field of it."""
        made = super().__new__(cls, file_path, items_count, file_size, created, last_modified)
        made.custom_metrics = dict(custom_metrics or {})
        return made

    def __add__(self, other: object) -> DataWriterAndCustomMetrics:
        if not isinstance(other, DataWriterMetrics):
            return NotImplemented
        return self.extended(DataWriterMetrics(*self) + DataWriterMetrics(*other), self.custom_metrics)

    @classmethod
    def extended(cls, metrics: DataWriterMetrics, custom: Mapping[str, Any] | None) -> DataWriterAndCustomMetrics:
        """Give plain metrics their custom part."""
        return cls(*metrics, custom_metrics=custom)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (*self, self.custom_metrics))

    def _asdict(self) -> dict[str, Any]:
        """The fields, then what incremental cursors measured as ``incremental``, then ``custom_metrics``."""
        fields = super()._asdict()
        custom = dict(self.custom_metrics)
        incremental = custom.pop("incremental", None)
        if incremental is not None:
            fields["incremental"] = incremental
        if custom:
            fields["custom_metrics"] = custom
        return fields


EMPTY_METRICS = DataWriterMetrics("", 0, 0, _NEVER_CREATED, 0.0)


class LoadJobMetrics(NamedTuple):
    """The fate of one load job.

    Attributes:
        job_id: Table, file id and format.
        file_path: The loaded file.
        table_name: The table it went to.
        started_at: When its last attempt began.
        finished_at: When it ended, None while it runs.
        state: ``completed``, ``failed``, ``retry``, ``running``, ``ready``, or ``skipped`` by a gate.
        remote_url: Where the rows are, if the destination has such a thing.
        retry_count: How many attempts had failed before.
        followup_jobs: Jobs that this one caused.
        row_changes: What was done to the table, told with the first of its files where several share a job.
    """

    job_id: str
    file_path: str
    table_name: str
    started_at: dt.datetime | None = None
    finished_at: dt.datetime | None = None
    state: str | None = None
    remote_url: str | None = None
    retry_count: int = 0
    followup_jobs: Sequence[str] = ()
    row_changes: RowChanges | None = None


class StepMetrics(TypedDict):
    """What the metrics of every step have.

    ``rejected`` says what schema contracts let go: ``table``, ``column``, ``rule``, ``resource`` and ``count``. The
    metrics of a load have the sum of its package. ``counted_later`` names the resources (of extract) and tables (of
    normalize) that a query fills: how many rows it gives is only known at the destination, when it is loaded.
    """

    started_at: dt.datetime
    finished_at: dt.datetime
    rejected: NotRequired[list[dict[str, Any]]]
    counted_later: NotRequired[list[str]]


class ExtractMetrics(StepMetrics):
    """Metrics of one source's extraction into a package."""

    schema_name: str
    job_metrics: dict[str, DataWriterMetrics]
    table_metrics: dict[str, DataWriterMetrics]
    resource_metrics: dict[str, DataWriterMetrics]
    dag: list[tuple[str, str]]
    hints: dict[str, dict[str, Any]]
    inputs: NotRequired[list[dict[str, Any]]]


class NormalizeMetrics(StepMetrics):
    """Metrics of one package's normalization.

    ``schema_update`` are the tables and columns that the schema got, for the text; the destination gets them with the
    load.
    """

    schema_update: NotRequired[dict[str, Any]]
    job_metrics: dict[str, DataWriterMetrics]
    table_metrics: dict[str, DataWriterMetrics]


class LoadMetrics(StepMetrics):
    """Metrics of one package's load.

    ``outputs`` says which tables of which dataset each resource reached; ``table_metrics`` counts the rows and bytes
    that each table was given, for the text alone: the field's tables have no place for them. ``row_changes`` are what
    the destination did to the rows of each table.
    """

    job_metrics: dict[str, LoadJobMetrics]
    row_changes: NotRequired[dict[str, RowChanges]]
    table_metrics: NotRequired[dict[str, DataWriterMetrics]]
    dataset_name: NotRequired[str | None]
    outputs: NotRequired[list[dict[str, Any]]]


def add_metrics(metrics: Iterable[DataWriterMetrics]) -> DataWriterMetrics:
    """Sum metrics; none at all give `EMPTY_METRICS`."""
    total = EMPTY_METRICS
    for one in metrics:
        total = total + one
    return total


def table_metrics(files: Iterable[LoadFile]) -> dict[str, DataWriterMetrics]:
    """Rows and bytes that loader files hold, by table: the ``table_metrics`` of `LoadMetrics`.

    Args:
        files: Files of one package.
    """
    found: dict[str, DataWriterMetrics] = {}
    for file in files:
        written = EMPTY_METRICS._replace(items_count=file.rows, file_size=file.size)
        found[file.table] = found.get(file.table, EMPTY_METRICS) + written
    return found


def dataset_outputs(tables: Iterable[str], schema: Any, **place: Any) -> list[dict[str, Any]]:
    """Say which tables of a dataset each resource reached: the ``outputs`` of `LoadMetrics`.

    Args:
        tables: Tables that had files in the package.
        schema: The package's `Schema`.
        **place: ``location``, ``destination_type``, ``destination_name``, ``destination_fingerprint``,
            ``case_sensitive``, ``dataset_name``; none of them with a secret in it.

    Returns:
        One dictionary for each resource, in the order of the schema's tables.
    """
    reached: dict[str, list[str]] = {}
    had_files = set(tables)
    for name in schema.tables:
        if name in had_files:
            root = schema.get_root_table(name)
            reached.setdefault(root.get("resource") or root["name"], []).append(name)
    version = schema.stored_version_hash or schema.version_hash
    return [
        {
            "kind": "dataset",
            "resource_name": resource,
            "location": place.get("location"),
            "version": digest128(version),
            "schemas": [{"name": schema.name, "version_hash": version}],
            "tables": names,
            "destination_type": place.get("destination_type"),
            "destination_name": place.get("destination_name"),
            "destination_fingerprint": place.get("destination_fingerprint", ""),
            "casefold": "str",
            "case_sensitive": place.get("case_sensitive", False),
            "dataset_name": place.get("dataset_name"),
            "physical_dataset_name": place.get("dataset_name"),
        }
        for resource, names in reached.items()
    ]


def describe_hints(hints: Mapping[str, Any]) -> dict[str, Any]:
    """Make a resource's hints storable: functions become their names, column hints become text.

    Columns are written as text (JSON, which is YAML too) because their shape differs from resource to resource and
    would give a table of its own for each; ``original_columns`` tells what type they had. Calling it again changes
    nothing.

    Args:
        hints: Hints as they were given to ``apply_hints`` or the decorator.
    """
    said: dict[str, Any] = {}
    for name, value in hints.items():
        if name == "columns" and value is not None and not isinstance(value, str):
            said.update(_describe_columns(value))
        elif value is not None:
            said[name] = _describe_hint(value)
    return said


def _describe_columns(columns: Any) -> dict[str, Any]:
    if callable(columns) and not isinstance(columns, type):
        return {"columns": _name_of(columns), "original_columns": "callable"}
    if isinstance(columns, type):
        return {"columns": _name_of(columns), "original_columns": "model"}
    kind = type(columns).__name__
    if isinstance(columns, (list, tuple)):
        columns = {c.get("name", str(i)): c for i, c in enumerate(columns)}
    return {"columns": dumps(columns, pretty=True), "original_columns": kind}


def _describe_hint(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _describe_hint(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_describe_hint(v) for v in value]
    if value is None or isinstance(value, (str, int, float, bool, dt.datetime, dt.date)):
        return value
    return _name_of(value)


def _name_of(value: Any) -> str:
    return str(getattr(value, "__name__", None) or type(value).__name__)
