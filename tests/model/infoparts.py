"""A small run's infos, made by hand, as the steps would hand them back."""

from __future__ import annotations

import copy
import datetime as dt
from typing import Any

from headrace.model.infos import (
    DataWriterAndCustomMetrics,
    DataWriterMetrics,
    ExtractDataInfo,
    ExtractInfo,
    LoadInfo,
    LoadJobInfo,
    LoadJobMetrics,
    LoadPackageInfo,
    NormalizeInfo,
    ParsedLoadJobFileName,
    PipelineRef,
)
from headrace.model.schema import Schema

LOAD_ID = "1795265869.36"
START = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.timezone.utc)
END = START + dt.timedelta(seconds=1.5)

USERS: dict[str, Any] = {
    "name": "users",
    "columns": {
        "id": {"name": "id", "data_type": "bigint", "nullable": False, "primary_key": True},
        "_dlt_id": {"name": "_dlt_id", "data_type": "text", "nullable": False, "row_key": True},
    },
    "write_disposition": "append",
    "resource": "users",
    "x-normalizer": {"seen-data": True},
}


def job(table: str, file_id: str, state: Any = "completed_jobs", message: str | None = None) -> LoadJobInfo:
    name = ParsedLoadJobFileName(table, file_id, 0, "arrow")
    return LoadJobInfo(state, f"/srv/files/{name.file_name()}", 2048, START, 0.25, name, message)


def package(state: Any = "loaded", update: dict[str, Any] | None = None, **jobs: Any) -> LoadPackageInfo:
    schema = Schema("shop")
    schema.update_table(copy.deepcopy(USERS))
    schema.bump_version()
    done = END if state in ("loaded", "aborted") else None
    jobs = jobs or {"completed_jobs": [job("users", "aa"), job("_dlt_pipeline_state", "bb")]}
    return LoadPackageInfo(LOAD_ID, "/srv/p", state, schema, update or {}, done, jobs)


def extract_info() -> ExtractInfo:
    written = DataWriterMetrics("/srv/users.aa.arrow", 3, 2048, 1.0, 2.0)
    resource = DataWriterAndCustomMetrics.extended(written._replace(file_path=""), {"n": 1, "incremental": [{"x": 1}]})
    metrics: Any = {
        "started_at": START,
        "finished_at": END,
        "schema_name": "shop",
        "job_metrics": {"users.aa.arrow": written},
        "table_metrics": {"users": written._replace(file_path="")},
        "resource_metrics": {"users": resource},
        "dag": [("users", "users")],
        "hints": {"users": {"write_disposition": "append", "columns": {"id": {"name": "id"}}}},
        "inputs": [],
    }
    data = [ExtractDataInfo(name="users", data_type="resource")]
    return ExtractInfo(PipelineRef("shop"), {LOAD_ID: [metrics]}, data, [LOAD_ID], [package("extracted")], True)


def normalize_info() -> NormalizeInfo:
    written = DataWriterMetrics("/srv/users.aa.arrow", 3, 2048, 1.0, 2.0)
    metrics: Any = {
        "started_at": START,
        "finished_at": END,
        "job_metrics": {"users.aa.arrow": written},
        "table_metrics": {"users": written, "users__tags": written._replace(items_count=6)},
    }
    return NormalizeInfo(PipelineRef("shop"), {LOAD_ID: [metrics]}, [LOAD_ID], [package("normalized")], True)


def load_info(one: LoadPackageInfo | None = None, credentials: str = "duckdb:///shop.duckdb") -> LoadInfo:
    one = one or package(update={"users": USERS})
    done = LoadJobMetrics("users.aa.arrow", "/srv/f", "users", START, END, "completed", None, 1, ())
    metrics: Any = {
        "started_at": START,
        "finished_at": END,
        "job_metrics": {"users.aa.arrow": done},
        "table_metrics": {"users": DataWriterMetrics("", 3, 2048, 1.0, 2.0)},
        "dataset_name": "raw",
        "outputs": [{"kind": "dataset", "resource_name": "users", "tables": ["users"]}],
    }
    where = ("dlt.destinations.duckdb", credentials, "duckdb", None, None, None, None, "", "raw")
    return LoadInfo(PipelineRef("shop"), {LOAD_ID: [metrics]}, *where, [LOAD_ID], [one], True)
