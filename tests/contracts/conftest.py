"""Pipelines into DuckDB files of the test's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import headrace as hr

Project = Callable[..., "hr.Pipeline"]


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Makes a pipeline; the same working folder and database with every call."""
    monkeypatch.setenv("HEADRACE_DATA_DIR", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def make(name: str = "work", **settings: Any) -> hr.Pipeline:
        destination = hr.destinations.duckdb(str(tmp_path / "data.duckdb"))
        folder = str(tmp_path / "pipelines")
        return hr.pipeline(name, destination=destination, dataset_name="d", pipelines_dir=folder, **settings)

    return make


@pytest.fixture
def keep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NORMALIZE__KEEP_REJECTED", "true")


def rows(p: hr.Pipeline, table: str) -> list[dict[str, Any]]:
    """Rows of a table, without system columns and nulls, in the order of their ids."""
    with p.sql_client() as client, client.execute_query(f"SELECT * FROM {table}") as cursor:
        names = [column[0] for column in cursor.description]
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    plain = [{k: v for k, v in row.items() if not k.startswith("_dlt") and v is not None} for row in found]
    return sorted(plain, key=lambda row: str(row.get("id", row.get("path"))))


def tables(p: hr.Pipeline) -> set[str]:
    with p.sql_client() as client:
        found = client.execute_sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'd'")
    return {name for (name,) in found}
