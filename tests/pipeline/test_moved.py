"""A pipeline that goes on in another folder with another dataset."""

from __future__ import annotations

from pathlib import Path

import pytest

import headrace


def test_one_run_uses_one_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """State of another dataset is dropped in the middle of the run; where the database file is must not be."""
    for dataset, folder in (("one", "a"), ("two", "b"), ("two", "b")):
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / folder)
        pipeline = headrace.pipeline(
            "moved", destination="duckdb", dataset_name=dataset, pipelines_dir=tmp_path / "pipelines"
        )
        pipeline.run([{"id": 1}], table_name="orders")
    assert pipeline.dataset().row_counts().fetchall() == [("orders", 2)]
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.duckdb")] == ["a/moved.duckdb"]
