"""State: kept with the data, rolled back with it, restored on a fresh machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.pipeline import CannotRestorePipelineException, PipelineStepFailed, StateTooLarge
from tests.e2e.project import rows


def pipeline(**settings: Any) -> headrace.Pipeline:
    return headrace.pipeline("shop", **{"destination": "duckdb", "dataset_name": "raw", **settings})


@headrace.resource(name="counter")
def counter(fail: bool = False) -> Any:
    state = headrace.current.resource_state()
    state["n"] = state.get("n", 0) + 1
    yield {"n": state["n"]}
    if fail:
        raise ValueError("no more")


@headrace.resource(name="events", primary_key="id")
def events(upto: int, at: Any = headrace.sources.incremental("id", initial_value=0)) -> Any:
    yield [{"id": n} for n in range(1, upto + 1) if n > (at.last_value or 0) - 1]


def test_state_goes_on_from_run_to_run(project: Path) -> None:
    p = pipeline()
    for _ in range(3):
        p.run(counter())
    assert rows(p, "counter", "n") == [(1,), (2,), (3,)]
    assert p.state["sources"]["shop"]["resources"]["counter"] == {"n": 3}
    assert rows(p, "_dlt_pipeline_state", "version") == [(1,), (2,), (3,)]


def test_a_failed_extract_leaves_no_trace_in_the_state(project: Path) -> None:
    p = pipeline()
    p.run(counter())
    with pytest.raises(PipelineStepFailed) as caught:
        p.run(counter(fail=True))
    assert caught.value.step == "extract"
    assert not caught.value.has_pending_data
    assert p.state["sources"]["shop"]["resources"]["counter"] == {"n": 1}
    p.run(counter())
    assert rows(p, "counter", "n") == [(1,), (2,)]


def test_a_fresh_machine_goes_on_where_the_other_was(project: Path) -> None:
    p = pipeline()
    p.run(counter())
    p.run(events(3))
    shutil.rmtree(p.working_dir)
    again = pipeline()
    assert again.first_run
    info = again.run(counter())
    assert info is not None
    assert not info.first_run
    again.run(events(5))
    assert rows(again, "counter", "n") == [(1,), (2,)]
    assert rows(again, "events", "id") == [(1,), (2,), (3,), (4,), (5,)]
    assert again.default_schema.tables["events"]["columns"]["id"]["primary_key"]


def test_restoring_brings_all_schemas(project: Path) -> None:
    @headrace.source
    def other() -> Any:
        yield headrace.resource([{"a": 1}], name="x")

    p = pipeline()
    p.run(counter())
    p.run(other())
    names, hashes = p.schema_names, [s.stored_version_hash for s in p.schemas.values()]
    shutil.rmtree(p.working_dir)
    again = pipeline()
    again.sync_destination()
    assert again.schema_names == names == ["other", "shop"]
    assert again.default_schema_name == "shop"
    assert [s.stored_version_hash for s in again.schemas.values()] == hashes


def test_attach_restores_from_the_destination(project: Path) -> None:
    p = pipeline()
    p.run(counter())
    shutil.rmtree(p.working_dir)
    again = headrace.attach("shop", destination="duckdb", dataset_name="raw")
    assert again.default_schema_name == "shop"
    assert again.state["sources"]["shop"]["resources"]["counter"] == {"n": 1}


def test_attach_to_nothing_leaves_nothing(project: Path) -> None:
    with pytest.raises(CannotRestorePipelineException):
        headrace.attach("nobody", destination="duckdb", dataset_name="raw")
    with pytest.raises(CannotRestorePipelineException, match="there is no pipeline"):
        headrace.attach("nobody")
    assert not (project / "data" / "pipelines" / "nobody").exists()


def test_a_lost_dataset_starts_from_the_beginning(project: Path) -> None:
    p = pipeline()
    p.run(counter())
    (project / "shop.duckdb").unlink()
    again = pipeline()
    info = again.run(counter())
    assert info is not None
    assert info.first_run
    assert rows(again, "counter", "n") == [(1,)]


def test_dropped_tables_start_from_the_beginning(project: Path) -> None:
    p = pipeline()
    p.run(counter())
    with p.destination_client() as client:
        client.drop_dataset()
        client.create_dataset()
    again = pipeline()
    again.run(counter())
    assert rows(again, "counter", "n") == [(1,)]


def test_a_newer_state_at_the_destination_wins(project: Path) -> None:
    """Two machines in turn: the second one sees what the first one read."""
    here, there = (pipeline(pipelines_dir=str(project / place)) for place in ("here", "there"))
    here.run(counter())
    there.run(counter())
    headrace.pipeline("shop", pipelines_dir=str(project / "here"), destination="duckdb", dataset_name="raw").run(
        counter()
    )
    assert rows(here, "counter", "n") == [(1,), (2,), (3,)]


def test_without_restoring_no_state_is_written(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTORE_FROM_DESTINATION", "false")
    p = pipeline()
    p.run(counter())
    assert "_dlt_pipeline_state" not in p.default_schema.tables


def test_managed_state_is_kept_or_rolled_back(project: Path) -> None:
    p = pipeline()
    p.run(counter())
    with p.managed_state(extract_state=True) as state:
        state["sources"]["mine"] = {"a": 1}
    assert p.has_pending_data
    with pytest.raises(KeyError), p.managed_state() as state:
        state["sources"]["mine"] = {"a": 2}
        raise KeyError
    assert p.state["sources"]["mine"] == {"a": 1}
    p.run()
    assert len(rows(p, "_dlt_pipeline_state")) == 2


def test_local_values_stay_here(project: Path) -> None:
    p = pipeline()
    p.set_local_state_val("x", [1])
    assert pipeline().get_local_state_val("x") == [1]
    with pytest.raises(KeyError):
        p.get_local_state_val("y")
    with p.managed_state() as state:
        assert state["_local"]["x"] == [1]


def test_sync_of_another_pipelines_name_is_no_match(project: Path) -> None:
    pipeline().run(counter())
    other = headrace.pipeline("else", destination=headrace.destinations.duckdb("shop.duckdb"), dataset_name="raw")
    other.sync_destination()
    assert other.default_schema_name is None


def test_the_state_copy_can_be_changed_at_will(project: Path) -> None:
    p = pipeline()
    p.state["sources"] = {"x": 1}
    assert "sources" not in p.state


def test_a_failed_step_takes_back_local_values_too(project: Path) -> None:
    @headrace.resource(name="counter")
    def noted(fail: bool) -> Any:
        state = headrace.current.resource_state()
        state["n"] = state.get("n", 0) + 1
        headrace.current.pipeline().set_local_state_val("seen", state["n"])
        yield {"n": state["n"]}
        if fail:
            raise ValueError("no more")

    p = pipeline()
    p.run(noted(fail=False))
    with pytest.raises(PipelineStepFailed):
        p.run(noted(fail=True))
    assert p.get_local_state_val("seen") == 1
    assert p.state["sources"]["shop"]["resources"]["counter"] == {"n": 1}, "nothing of a failed extract was saved"
    p.run(noted(fail=False))
    assert pipeline().get_local_state_val("seen") == 2
    assert rows(p, "counter", "n") == [(1,), (2,)]


def test_local_values_do_not_undo_what_another_object_did(project: Path) -> None:
    early = pipeline()
    pipeline().run(counter())
    early.set_local_state_val("x", 1)
    again = pipeline()
    again.run(counter())
    assert rows(again, "counter", "n") == [(1,), (2,)]


def test_each_dataset_has_its_own_cursors(project: Path) -> None:
    """Back in the first dataset, cursors go on from there, though the other one was loaded more often."""
    pipeline().run(events(3))
    for upto in (4, 5, 6):
        pipeline(dataset_name="other").run(events(upto))
    p = pipeline()
    p.run(events(7))
    assert rows(p, "events", "id") == [(n,) for n in range(1, 8)]


def test_a_dataset_that_others_use_is_begun_from_the_start(project: Path) -> None:
    headrace.pipeline("else", destination=headrace.destinations.duckdb("shop.duckdb"), dataset_name="shared").run(
        [{"a": 1}], table_name="a"
    )
    pipeline().run(events(3))
    p = pipeline(dataset_name="shared")
    p.run(events(5))
    assert rows(p, "events", "id") == [(n,) for n in range(1, 6)]


def test_the_state_has_a_size_it_may_not_pass(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_STATE_SIZE", "20000")

    @headrace.resource(name="hoarder")
    def hoarder(count: int) -> Any:
        headrace.current.resource_state()["seen"] = [os.urandom(12).hex() for _ in range(count)]
        yield {"n": count}

    p = pipeline()
    p.run(hoarder(10))
    with pytest.raises(PipelineStepFailed) as caught:
        p.run(hoarder(5000))
    assert isinstance(caught.value.exception, StateTooLarge)
    assert caught.value.exception.largest[0][::2] == ("sources.shop.resources.hoarder.seen", 5000)
    assert "`sources.shop.resources.hoarder.seen`: 5,000 items" in str(caught.value)
    assert "pipelines.shop.max_state_size" in str(caught.value)
    assert not p.has_pending_data
    assert len(p.state["sources"]["shop"]["resources"]["hoarder"]["seen"]) == 10
    monkeypatch.setenv("MAX_STATE_SIZE", "0")
    pipeline().run(hoarder(5000))
    assert rows(p, "hoarder", "n") == [(10,), (5000,)]


def test_old_states_go(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = headrace.pipeline("else", destination=headrace.destinations.duckdb("shop.duckdb"), dataset_name="raw")
    other.run([{"a": 1}], table_name="a")
    monkeypatch.setenv("KEEP_STATES", "3")
    p = pipeline()
    for _ in range(6):
        p.run(counter())
    assert rows(p, "_dlt_pipeline_state", "pipeline_name, version", "ALL") == [
        ("else", 1),
        *(("shop", version) for version in (4, 5, 6)),
    ]
    shutil.rmtree(p.working_dir)
    pipeline().run(counter())
    assert rows(p, "counter", "n")[-1] == (7,)


def test_rows_of_state_and_schema_come_with_changes_only(project: Path) -> None:
    for fresh in (False, False, True, False):
        p = pipeline()
        if fresh:
            shutil.rmtree(p.working_dir)
            p = pipeline()
        p.run(events(3))
    assert len(rows(p, "_dlt_loads")) >= 1
    assert len(rows(p, "_dlt_version")) == 1
    assert len(rows(p, "_dlt_pipeline_state")) <= 2, "of four runs the first has rows, the second moves the start"


def test_the_state_travels_behind_the_data_of_all_sources(project: Path) -> None:
    """A machine that is lost between the packages of a run leaves no cursor that is ahead of the data."""

    def source(name: str) -> Any:
        @headrace.resource(name=f"rows_of_{name}")
        def numbers(at: Any = headrace.sources.incremental("id", initial_value=0)) -> Any:
            yield {"id": at.last_value + 1}

        return headrace.source(lambda: numbers, name=name)()

    p = pipeline()
    p.extract([source("one"), source("two"), source("three")])
    packages = [p.get_load_package_info(load_id) for load_id in p.list_extracted_load_packages()]
    assert {package.schema_name for package in packages} == {"one", "two", "three"}
    tables = [{job.job_file_info.table_name for jobs in package.jobs.values() for job in jobs} for package in packages]
    assert ["_dlt_pipeline_state" in names for names in tables] == [False, False, True]
    p.normalize()
    p.load()
    assert not p.has_pending_data
    again = headrace.pipeline(
        "shop", pipelines_dir=str(project / "elsewhere"), destination="duckdb", dataset_name="raw"
    )
    again.run([source("one"), source("two"), source("three")])
    for name in ("one", "two", "three"):
        assert [n for (n,) in rows(again, f"rows_of_{name}", "id", "id")] == [1, 2], name
