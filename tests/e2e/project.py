"""A project in a folder of its own, for tests that run pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.config import registry
from headrace.pipeline import current


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Everything a pipeline writes lands in a temporary folder, and no pipeline is active."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_DATA_DIR", str(tmp_path / "data"))
    for name in ("DLT_DATA_DIR", "DLT_PROJECT_DIR", "DLT_LOCAL_DIR", "DLT_CONFIG_FOLDER"):
        monkeypatch.delenv(name, raising=False)
    registry.reset()
    current.reset()
    yield tmp_path
    current.reset()
    registry.reset()


def rows(pipeline: Any, table: str, columns: str = "*", order: str = "ALL") -> list[tuple[Any, ...]]:
    """Rows of a table of the pipeline's dataset."""
    with pipeline.sql_client() as client:
        found = client.execute_sql(f"SELECT {columns} FROM {table} ORDER BY {order}")
    return list(found or [])
