"""What extract tells of itself: metrics of sources, and what kind of data it was given."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import msgspec

from headrace.base.time import now
from headrace.formats.sqlmodel import FORMAT as MODEL_FORMAT
from headrace.model.infos import ExtractDataInfo
from headrace.model.metrics import DataWriterAndCustomMetrics, DataWriterMetrics, ExtractMetrics, add_metrics
from headrace.model.tables import pipeline_state_table

if TYPE_CHECKING:
    from headrace.extract.stage import SourceExtractResult
    from headrace.model.jobs import SpoolFile
    from headrace.pipeline.work import Work

STATE_RESOURCE = "_dlt_pipeline_state"


def work_metrics(work: Work) -> list[ExtractMetrics]:
    """Metrics of a package: one entry for each source, and one for the pipeline's state if it is in it."""
    found = [source_metrics(work, *source) for source in work.sources]
    state = [file for file in work.files if file.resource == STATE_RESOURCE and file.path]
    return [*found, _state_metrics(work, state)] if state else found


def _state_metrics(work: Work, files: list[SpoolFile]) -> ExtractMetrics:
    moment = now()
    written = {PurePath(file.path).name: _written(work, file, moment, moment) for file in files}
    total = _sum(sum(file.rows for file in files), written.values(), moment, moment)
    hints = {key: value for key, value in pipeline_state_table().items() if key in ("write_disposition", "file_format")}
    return {
        "started_at": moment,
        "finished_at": moment,
        "schema_name": work.schema.name,
        "job_metrics": written,
        "table_metrics": {work.schema.state_table_name: total},
        "resource_metrics": {STATE_RESOURCE: DataWriterAndCustomMetrics.extended(total, None)},
        "dag": [(STATE_RESOURCE, STATE_RESOURCE)],
        "hints": {STATE_RESOURCE: hints},
        "inputs": [],
    }


def source_metrics(
    work: Work, result: SourceExtractResult, started: dt.datetime, finished: dt.datetime
) -> ExtractMetrics:
    """Metrics of one source of a package."""
    rejected = [one for one in work.rejected() if one.resource in result.hints]
    own = [file for file in work.files if file.resource in result.resource_rows]
    jobs: dict[str, DataWriterMetrics] = {}
    by_table: dict[str, list[DataWriterMetrics]] = {}
    by_resource: dict[str, list[DataWriterMetrics]] = {}
    for file in own:
        if file.path:
            one, name = _written(work, file, started, finished), PurePath(file.path).name
            by_table.setdefault(file.table, []).append(one)
            by_resource.setdefault(file.resource, []).append(one)
            # several resources of a table may have their rows in one file
            jobs[name] = (jobs[name] + one)._replace(file_path=one.file_path) if name in jobs else one
    tables = {name: _sum(rows, by_table.get(name, ()), started, finished) for name, rows in result.table_rows.items()}
    resources: dict[str, DataWriterMetrics] = {
        name: DataWriterAndCustomMetrics.extended(
            _sum(rows, by_resource.get(name, ()), started, finished), result.custom_metrics.get(name)
        )
        for name, rows in result.resource_rows.items()
    }
    return {
        "started_at": started,
        "finished_at": finished,
        "schema_name": work.schema.name,
        "job_metrics": jobs,
        "table_metrics": tables,
        "resource_metrics": resources,
        "dag": list(result.dag),
        "hints": dict(result.hints),
        "inputs": [{**place, "resource_name": name} for name, places in result.inputs.items() for place in places],
        "rejected": [msgspec.to_builtins(one) for one in rejected],
        "counted_later": sorted({file.resource for file in own if file.format == MODEL_FORMAT}),
    }


def _written(work: Work, file: SpoolFile, started: dt.datetime, finished: dt.datetime) -> DataWriterMetrics:
    return DataWriterMetrics(
        str(work.package.path / file.path), file.rows, file.size, started.timestamp(), finished.timestamp()
    )


def _sum(
    rows: int, files: Iterable[DataWriterMetrics], started: dt.datetime, finished: dt.datetime
) -> DataWriterMetrics:
    size = add_metrics(files).file_size
    return DataWriterMetrics("", rows, size, started.timestamp(), finished.timestamp())


def data_info(data: Any) -> list[ExtractDataInfo]:
    """Name and kind of what was given to extract."""
    items = data if isinstance(data, (list, tuple)) and data and _is_named(data[0]) else [data]
    found = dict.fromkeys((str(getattr(item, "name", "") or ""), _kind(item)) for item in items)
    return [{"name": name, "data_type": kind} for name, kind in found]


def _is_named(item: Any) -> bool:
    return _kind(item) in ("source", "resource")


def _kind(item: Any) -> str:
    module, name = type(item).__module__, type(item).__name__
    if module.startswith("headrace.extract"):
        return {"DltSource": "source", "DltResource": "resource"}.get(name, name)
    return name
