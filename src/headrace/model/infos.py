"""What extract, normalize and load hand back: which packages they worked on, and the metrics.

`asdict` gives rows that can be loaded again (``pipeline.run([load_info], table_name="_load_info")``); `asstr` and `str`
are for people.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from typing_extensions import TypedDict

from headrace.model.changes import RowChanges, add_changes
from headrace.model.cleaning import cleaned
from headrace.model.infotext import extract_text, load_text, normalize_text
from headrace.model.metrics import (
    DataWriterAndCustomMetrics,
    DataWriterMetrics,
    ExtractMetrics,
    LoadJobMetrics,
    LoadMetrics,
    NormalizeMetrics,
    StepMetrics,
    add_metrics,
    describe_hints,
)
from headrace.model.packages import (
    LoadJobInfo,
    LoadPackageInfo,
    ParsedLoadJobFileName,
    SchemaRef,
    TLoadPackageStatus,
    TPackageJobState,
)
from headrace.model.rejected import by_table

__all__ = [
    "DataWriterAndCustomMetrics",
    "DataWriterMetrics",
    "ExtractDataInfo",
    "ExtractInfo",
    "ExtractMetrics",
    "LoadInfo",
    "LoadJobInfo",
    "LoadJobMetrics",
    "LoadMetrics",
    "LoadPackageInfo",
    "NormalizeInfo",
    "NormalizeMetrics",
    "ParsedLoadJobFileName",
    "PipelineRef",
    "RowChanges",
    "SchemaRef",
    "StepInfo",
    "StepMetrics",
    "TLoadPackageStatus",
    "TPackageJobState",
    "describe_hints",
]


class PipelineRef(NamedTuple):
    """A pipeline by name, where the pipeline itself is not at hand."""

    pipeline_name: str


class ExtractDataInfo(TypedDict):
    """What was given to extract: the name of a source or resource, and its kind."""

    name: str
    data_type: str


class StepInfo:
    """What the infos of all steps share."""

    __slots__ = ()

    # filled by the named tuple beside it
    pipeline: Any
    metrics: Mapping[str, Sequence[Any]]
    loads_ids: Sequence[str]
    load_packages: Sequence[LoadPackageInfo]
    first_run: bool

    @property
    def started_at(self) -> dt.datetime | None:
        """When the first package was begun; None when there was none."""
        return min((m["started_at"] for ms in self.metrics.values() for m in ms), default=None)

    @property
    def finished_at(self) -> dt.datetime | None:
        """When the last package was done; None when there was none."""
        return max((m["finished_at"] for ms in self.metrics.values() for m in ms), default=None)

    @property
    def rejected_counts(self) -> dict[str, int]:
        """Rows and values that schema contracts let go, by table; tables without any are not in it."""
        return by_table(one for ms in self.metrics.values() for m in ms for one in m.get("rejected", ()))

    @property
    def is_empty(self) -> bool:
        """Whether the step worked on no package."""
        return len(self.loads_ids) == 0

    def asdict(self) -> dict[str, Any]:
        """A dictionary that can be loaded as a row with nested packages and metrics; no secret is in it."""
        return cleaned(
            {
                **self.common_asdict(),
                **self.own_asdict(),
                **self.times_asdict(),
                **self.metrics_asdict(),
                **self.rejected_asdict(),
            }
        )

    def common_asdict(self) -> dict[str, Any]:
        """The part that infos of all steps have, without the times."""
        return {
            "pipeline": {"pipeline_name": self.pipeline.pipeline_name},
            "loads_ids": list(self.loads_ids),
            "load_packages": [package.asdict() for package in self.load_packages],
            "first_run": self.first_run,
        }

    def rejected_asdict(self) -> dict[str, Any]:
        """Rows of what contracts let go, if there is anything."""
        rows = [
            {"load_id": load_id, **_row_of(one)}
            for load_id, metrics in self.metrics.items()
            for m in metrics
            for one in m.get("rejected", ())
        ]
        return {"rejected": rows} if rows else {}

    def times_asdict(self) -> dict[str, Any]:
        """``started_at`` and ``finished_at``, if there were packages."""
        if self.started_at is None:
            return {}
        return {"started_at": self.started_at, "finished_at": self.finished_at}

    def own_asdict(self) -> dict[str, Any]:
        """Fields that only this step has."""
        return {}

    def metrics_asdict(self) -> dict[str, Any]:
        """The metrics as lists of rows."""
        raise NotImplementedError

    def asstr(self, verbosity: int = 0) -> str:
        """A text for people; ``verbosity`` from 0 (the outcome) to 2 (every job)."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.asstr(verbosity=0)


class _ExtractInfo(NamedTuple):
    pipeline: Any
    metrics: dict[str, list[ExtractMetrics]]
    extract_data_info: list[ExtractDataInfo]
    loads_ids: list[str]
    load_packages: list[LoadPackageInfo]
    first_run: bool


class ExtractInfo(StepInfo, _ExtractInfo):  # type: ignore[misc]
    """What extract did: packages, and metrics by resource, table and file."""

    def metrics_asdict(self) -> dict[str, Any]:
        """Rows of metrics by job, table and resource, the edges between resources, and the hints of each resource."""
        kinds = ("job_metrics", "table_metrics", "resource_metrics", "dag", "hints", "inputs")
        rows: dict[str, Any] = {kind: [] for kind in kinds}
        for load_id, metrics in self.metrics.items():
            for index, one in enumerate(metrics):
                where = {"load_id": load_id, "extract_idx": index}
                rows["job_metrics"] += _job_rows(one["job_metrics"], where)
                rows["table_metrics"] += _metric_rows(one["table_metrics"], where, "table_name")
                rows["resource_metrics"] += _metric_rows(one["resource_metrics"], where, "resource_name")
                rows["dag"] += [{**where, "parent_name": a, "resource_name": b} for a, b in one["dag"]]
                rows["hints"] += [{**where, "resource_name": r, **describe_hints(h)} for r, h in one["hints"].items()]
                rows["inputs"] += [{**where, **place} for place in one.get("inputs", [])]
        return rows

    @property
    def row_counts(self) -> dict[str, int]:
        """Rows by resource."""
        return _row_counts(self.metrics, "resource_metrics")

    def asstr(self, verbosity: int = 0) -> str:
        """Say which resources gave how many rows."""
        return extract_text(self, verbosity)


class _NormalizeInfo(NamedTuple):
    pipeline: Any
    metrics: dict[str, list[NormalizeMetrics]]
    loads_ids: list[str]
    load_packages: list[LoadPackageInfo]
    first_run: bool


class NormalizeInfo(StepInfo, _NormalizeInfo):  # type: ignore[misc]
    """What normalize did: packages, and metrics by table and file."""

    @property
    def row_counts(self) -> dict[str, int]:
        """Rows by table."""
        return _row_counts(self.metrics, "table_metrics")

    def metrics_asdict(self) -> dict[str, Any]:
        """Rows of metrics by job and table."""
        rows: dict[str, Any] = {"job_metrics": [], "table_metrics": []}
        for load_id, metrics in self.metrics.items():
            for index, one in enumerate(metrics):
                where = {"load_id": load_id, "extract_idx": index}
                rows["job_metrics"] += _job_rows(one["job_metrics"], where)
                rows["table_metrics"] += _metric_rows(one["table_metrics"], where, "table_name")
        return rows

    def asstr(self, verbosity: int = 0) -> str:
        """Say how many rows each table gets."""
        return normalize_text(self, verbosity)


class _LoadInfo(NamedTuple):
    pipeline: Any
    metrics: dict[str, list[LoadMetrics]]
    destination_type: str
    destination_displayable_credentials: str | None
    destination_name: str
    environment: str | None
    staging_type: str | None
    staging_name: str | None
    staging_displayable_credentials: str | None
    destination_fingerprint: str
    dataset_name: str | None
    loads_ids: list[str]
    load_packages: list[LoadPackageInfo]
    first_run: bool
    pending_loads_ids: Sequence[str] = ()


class LoadInfo(StepInfo, _LoadInfo):  # type: ignore[misc]
    """What load did: where to, which packages, and the fate of each job.

    ``pending_loads_ids`` names the packages among ``loads_ids`` that earlier runs had left: they were loaded first, and
    hold nothing of the data that the run was given.
    """

    @property
    def has_failed_jobs(self) -> bool:
        """Whether a job failed for good or a package was given up."""
        return any(package.state == "aborted" or package.failed_jobs for package in self.load_packages)

    def raise_on_failed_jobs(self) -> None:
        """Raise if a job failed for good.

        Raises:
            DestinationHasFailedJobs: Names the package and its failed jobs.
        """
        from headrace.errors.load import DestinationHasFailedJobs

        for package in self.load_packages:
            if package.state == "aborted" or package.failed_jobs:
                raise DestinationHasFailedJobs(self.destination_name, package.load_id, list(package.failed_jobs))

    @property
    def row_changes(self) -> dict[str, RowChanges]:
        """Rows inserted, updated, deleted and left unchanged by table, as the destination counted them."""
        return add_changes(one.get("row_changes", {}) for ms in self.metrics.values() for one in ms)

    def asdict(self) -> dict[str, Any]:
        """A dictionary that can be loaded as a row with nested packages, jobs and locations; no secret is in it."""
        common = self.common_asdict()
        pipeline = {"pipeline": common.pop("pipeline")}
        return cleaned(
            {
                **pipeline,
                **self.own_asdict(),
                **common,
                **self.times_asdict(),
                **self.metrics_asdict(),
                **self.rejected_asdict(),
            }
        )

    def own_asdict(self) -> dict[str, Any]:
        """Destination, staging and dataset."""
        names = self._fields[2:11]
        return {name: getattr(self, name) for name in names}

    def metrics_asdict(self) -> dict[str, Any]:
        """Rows of job metrics, of the tables reached, and of what was done to the rows of each."""
        rows: dict[str, Any] = {"job_metrics": [], "outputs": [], "row_changes": []}
        for load_id, metrics in self.metrics.items():
            for one in metrics:
                where = {"load_id": load_id, "dataset_name": one.get("dataset_name")}
                rows["job_metrics"] += [{**where, **_job_fields(job)} for job in one["job_metrics"].values()]
                changes = one.get("row_changes", {})
                rows["row_changes"] += [{**where, "table_name": name, **c._asdict()} for name, c in changes.items()]
                rows["outputs"] += [{"load_id": load_id, **place} for place in one.get("outputs", [])]
        return rows

    def asstr(self, verbosity: int = 0) -> str:
        """Say where the packages went, what is in them and what failed."""
        return load_text(self, verbosity)


def _job_fields(job: LoadJobMetrics) -> dict[str, Any]:
    fields = job._asdict()
    changes = fields.pop("row_changes")
    return {**fields, "row_changes": changes._asdict()} if changes is not None else fields


def _row_of(one: Mapping[str, Any]) -> dict[str, Any]:
    fields = dict(one)
    return {"table_name": fields.pop("table"), "column_name": fields.pop("column", ""), **fields}


def _job_rows(metrics: Mapping[str, DataWriterMetrics], where: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for job_id, one in metrics.items():
        table = ParsedLoadJobFileName.parse(job_id).table_name
        rows.append({**one._asdict(), **where, "job_id": job_id, "table_name": table})
    return rows


def _metric_rows(metrics: Mapping[str, DataWriterMetrics], where: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    return [{**one._asdict(), **where, key: name} for name, one in metrics.items()]


def _row_counts(metrics: Mapping[str, Sequence[Any]], kind: str) -> dict[str, int]:
    counts: dict[str, list[DataWriterMetrics]] = {}
    for one in (m for ms in metrics.values() for m in ms):
        for name, written in one[kind].items():
            counts.setdefault(name, []).append(written)
    return {name: add_metrics(written).items_count for name, written in counts.items()}
