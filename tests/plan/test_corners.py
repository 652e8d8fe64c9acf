"""Plans beside what else pipelines do: checkpoints, staging, schema files, packages that cannot be loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.destination import DestinationTerminalException
from headrace.errors.pipeline import PipelineStepFailed
from headrace.model.events import Event
from tests.e2e.project import rows
from tests.plan.world import ORDERS, files_of, numbers, pipeline


def test_an_extract_with_checkpoints(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXTRACT__CHECKPOINT_ROWS", "2")

    @headrace.resource(name="t", primary_key="id")
    def t(at: Any = headrace.sources.incremental("id", initial_value=0, row_order="asc")) -> Any:
        for n in range(1, 7):
            yield [{"id": n}]

    p = pipeline()
    plan = p.plan(t())
    assert len(plan.load_ids) > 1
    assert plan.row_counts == {"t": 6}
    assert [c["table"] for c in plan.changes].count("t") == 1, "what one package makes is there for the next"
    p.run(plan)
    assert rows(p, "t", "id") == [(n,) for n in range(1, 7)]


def test_files_wait_for_the_run(project: Path) -> None:
    staging = headrace.destinations.filesystem(str(project / "bucket"))
    p = pipeline(staging=staging)
    plan = p.plan(ORDERS, table_name="orders", loader_file_format="parquet")
    assert not (project / "bucket").exists()
    assert "upload" in {job.kind for job in plan.jobs}
    p.run(plan)
    assert rows(p, "orders", "id") == [(1,), (2,)]


def test_schema_files_are_left_alone(project: Path) -> None:
    folders = {"import_schema_path": str(project / "in"), "export_schema_path": str(project / "out")}
    p = pipeline(**folders)
    plan = p.plan(ORDERS, table_name="orders")
    assert not (project / "in").exists()
    assert not (project / "out").exists()
    p.run(plan)
    assert (project / "out/shop.schema.yaml").exists()
    before = files_of(project / "in") | files_of(project / "out")
    p.plan([{"id": 1, "new": 1}], table_name="orders")
    assert files_of(project / "in") | files_of(project / "out") == before


def test_observers_hear_of_the_run_alone(project: Path) -> None:
    heard: list[Event] = []
    p = pipeline()
    p.observe(heard.append)
    plan = p.plan(ORDERS, table_name="orders")
    assert heard == []
    p.run(plan)
    kinds = [type(event).__name__ for event in heard]
    assert kinds.count("RunStarted") == kinds.count("RunEnded") == kinds.count("Loaded") == 1


def test_a_table_that_cannot_take_the_rows(project: Path) -> None:
    """What the load would raise before its first job, the plan raises."""
    p = pipeline()
    p.run([{"id": 1}], table_name="t")
    with p.sql_client() as client:
        client.execute_sql("ALTER TABLE t ADD COLUMN owner VARCHAR")
        client.execute_sql("UPDATE t SET owner = 'me'")
        client.execute_sql("ALTER TABLE t ALTER COLUMN owner SET NOT NULL")
    with pytest.raises(PipelineStepFailed, match="owner") as failed:
        p.plan([{"id": 2}], table_name="t")
    assert failed.value.step == "load"
    assert isinstance(failed.value.exception, DestinationTerminalException)
    assert not p.has_pending_data
    assert p.list_plans() == []


def test_a_source_that_fails_leaves_nothing(project: Path) -> None:
    @headrace.resource(name="t")
    def t() -> Any:
        yield {"id": 1}
        raise ValueError("the page is bad")

    p = pipeline()
    with pytest.raises(PipelineStepFailed, match="the page is bad"):
        p.plan(t())
    assert list((project / "data/pipelines/shop/plans").iterdir()) == []
    assert not (project / "shop.duckdb").exists()


def test_a_pending_package_that_can_never_be_loaded(project: Path) -> None:
    """It is set aside first, as every run does, and the plan is run nevertheless."""
    p = pipeline()
    p.run(numbers())
    p.extract([{"id": 7}], table_name="bad")
    [waiting] = p.list_extracted_load_packages()
    [spool] = [f for f in (project / "data/pipelines/shop/packages" / waiting / "spool").iterdir() if "bad" in f.name]
    spool.write_bytes(b"no frame")
    plan = p.plan(numbers())
    assert any(waiting in note for note in plan.notes)
    assert plan.pending_load_ids == []
    p.run(plan)
    assert [n for (n,) in rows(p, "numbers", "id")] == [1, 2, 3, 4, 5, 6]


def test_the_pipeline_goes_on_as_it_was(project: Path) -> None:
    """The active pipeline, destination and dataset are those of before."""
    other = headrace.pipeline("other", destination="duckdb", dataset_name="raw")
    p = pipeline()
    other.activate()
    seen: list[str] = []

    @headrace.resource(name="t")
    def t() -> Any:
        seen.append(headrace.current.pipeline().pipeline_name)
        headrace.current.resource_state()["n"] = 1
        yield {"id": 1}

    p.plan(t())
    assert seen == ["shop"]
    assert headrace.current.pipeline() is other
    assert p.state.get("sources") is None
