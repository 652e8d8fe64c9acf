"""The pipeline as an object: making, activating, attaching, dropping, locking."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.destination import UnknownDestinationModule
from headrace.errors.package import LoadPackageNotFound, PipelineLocked, SchemaNotFoundError
from headrace.errors.pipeline import (
    CannotRestorePipelineException,
    InvalidPipelineName,
    PipelineConfigMissing,
    PipelineNotActive,
    PipelineStepFailed,
)
from headrace.model.events import Loaded, RunEnded, RunStarted, StepEnded, StepStarted


def shop(**settings: Any) -> headrace.Pipeline:
    return headrace.pipeline("shop", **{"destination": "duckdb", "dataset_name": "raw", **settings})


def test_making_writes_the_state(project: Path) -> None:
    p = shop()
    assert p.working_dir == str(project / "data" / "pipelines" / "shop")
    assert p.state["destination_type"] == "dlt.destinations.duckdb"
    assert p.state["destination_name"] is None
    assert p.state["_state_version"] == 0
    assert p.get_local_state_val("initial_cwd") == str(project)
    assert (p.first_run, p.has_data, p.has_pending_data, p.last_trace) == (True, False, False, None)


def test_what_a_new_pipeline_has_not(project: Path) -> None:
    p = shop()
    with pytest.raises(SchemaNotFoundError):
        _ = p.default_schema
    with pytest.raises(LoadPackageNotFound):
        p.get_load_package_info("1.2")
    assert p.normalize() is None
    assert p.load() is None
    assert p.schema_names == []
    assert p.naming.name() == "snake_case"


def test_names_and_destinations_are_checked(project: Path) -> None:
    with pytest.raises(InvalidPipelineName):
        headrace.pipeline("a/b")
    with pytest.raises(UnknownDestinationModule):
        headrace.pipeline("shop", destination="no_such_thing")
    with pytest.raises(TypeError):
        headrace.pipeline("shop", colour="red")  # type: ignore[call-arg]


def test_without_a_destination_only_extract_works(project: Path) -> None:
    p = headrace.pipeline("shop")
    p.extract([{"id": 1}], table_name="t")
    for step in (p.normalize, p.load, p.dataset, p.sql_client, p.sync_schema):
        with pytest.raises(PipelineConfigMissing, match="`destination`"):
            step()
    with pytest.raises(PipelineConfigMissing):
        p.run([{"id": 1}], table_name="t")
    with pytest.raises(PipelineStepFailed) as caught:
        p.sync_destination()
    assert caught.value.step == "sync"
    assert isinstance(caught.value.__cause__, PipelineConfigMissing)


def test_one_pipeline_is_active(project: Path) -> None:
    first = shop()
    assert first.is_active
    assert headrace.pipeline() is first
    assert headrace.current.pipeline() is first
    second = headrace.pipeline("second")
    assert (first.is_active, second.is_active) == (False, True)
    with pytest.raises(PipelineNotActive):
        first.deactivate()
    first.activate()
    first.deactivate()
    assert not first.is_active


def test_each_thread_has_its_own(project: Path) -> None:
    p = shop()
    seen: list[Any] = []
    thread = threading.Thread(target=lambda: seen.append(headrace.pipeline("other").pipeline_name))
    thread.start()
    thread.join()
    assert seen == ["other"]
    assert p.is_active


def test_functions_of_a_run_see_their_pipeline(project: Path) -> None:
    p = shop()

    @headrace.resource(name="t")
    def numbers() -> Any:
        yield later()

    @headrace.defer
    def later() -> dict[str, str]:
        return {"name": headrace.current.pipeline().pipeline_name}

    p.run(numbers())
    assert p.dataset().t.select("name").fetchall() == [("shop",)]


def test_run_uses_the_active_pipeline(project: Path) -> None:
    p = shop()
    info = headrace.run([{"id": 1}], table_name="t")
    assert info is not None
    assert info.pipeline is p


def test_settings_come_from_the_configuration(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINES__SHOP__DATASET_NAME", "from_env")
    monkeypatch.setenv("PIPELINES__SHOP__DESTINATION_TYPE", "duckdb")
    monkeypatch.setenv("DATASET_NAME_LAYOUT", "bronze_%s")
    p = headrace.pipeline("shop")
    assert p.dataset_name == "bronze_from_env"
    p.run([{"id": 1}], table_name="t")
    assert p.dataset().dataset_name == "bronze_from_env"


def test_a_named_destination(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESTINATION__STORE__DESTINATION_TYPE", "duckdb")
    p = headrace.pipeline("shop", destination="store", dataset_name="raw")
    p.run([{"id": 1}], table_name="t")
    assert p.state["destination_name"] == "store"
    assert (project / "store.duckdb").is_file()
    again = headrace.attach("shop")
    assert again.destination is not None
    assert again.destination.destination_name == "store"


def test_attach_goes_on(project: Path) -> None:
    shop().run([{"id": 1}], table_name="t")
    p = headrace.attach("shop")
    assert (p.dataset_name, p.default_schema_name, p.first_run) == ("raw", "shop", False)
    assert p.last_trace is not None
    assert p.last_trace.last_load_info is not None
    p.run([{"id": 2}], table_name="t")
    assert p.dataset().row_counts().fetchall() == [("t", 2)]


def test_dev_mode_starts_from_nothing_in_a_dataset_of_its_own(project: Path) -> None:
    first = shop(dev_mode=True)
    first.run([{"id": 1}], table_name="t")
    assert first.dataset_name is not None
    assert first.dataset_name.startswith("raw_20")
    second = shop(dev_mode=True)
    assert second.first_run
    second.run([{"id": 1}], table_name="t")
    attached = headrace.attach("shop")
    assert attached.dev_mode
    assert attached.dataset_name == second.dataset_name
    regular = shop()
    assert (regular.first_run, regular.dataset_name) == (True, "raw")


def test_dropping_keeps_the_destination(project: Path) -> None:
    p = shop()
    p.run([{"id": 1}], table_name="t")
    assert p.drop() is p
    assert (p.first_run, p.schema_names, p.last_trace, p.dataset_name) == (True, [], None, "raw")
    p.run([{"id": 2}], table_name="t")
    assert p.dataset().row_counts().fetchall() == [("t", 2)]
    other = p.drop("copy")
    assert (other.pipeline_name, other.is_active) == ("copy", True)


def test_another_process_is_refused_by_name(project: Path) -> None:
    """While a run goes on, a second process cannot work on the same folder, and learns who does."""
    p = shop()
    said: list[str] = []

    @headrace.resource(name="t")
    def slow() -> Any:
        made = "headrace.pipeline('shop', destination='duckdb', dataset_name='raw')"
        code = f"import headrace; {made}.run([1], table_name='t')"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        said.append(done.stderr)
        yield {"id": 1}

    p.run(slow())
    assert PipelineLocked.__name__ in said[0]
    assert str(__import__("os").getpid()) in said[0]
    p.run([{"id": 2}], table_name="t")


def test_events_tell_the_run(project: Path) -> None:
    p, seen = shop(), []

    @p.on(RunStarted, StepStarted, StepEnded, RunEnded, Loaded)
    def note(event: Any) -> None:
        seen.append(f"{type(event).__name__}:{getattr(event, 'step', '')}")

    p.run([{"id": 1}], table_name="t")
    assert seen == [
        "RunStarted:",
        "StepStarted:run",
        *(f"{kind}:sync" for kind in ("StepStarted", "StepEnded")),
        *(f"{kind}:extract" for kind in ("StepStarted", "StepEnded")),
        *(f"{kind}:normalize" for kind in ("StepStarted", "StepEnded")),
        "StepStarted:load",
        "Loaded:",
        "StepEnded:load",
        "StepEnded:run",
        "RunEnded:",
    ]


def test_single_steps_make_one_trace(project: Path) -> None:
    p = shop()
    p.extract([{"id": 1}], table_name="t")
    p.normalize()
    shop().load()
    trace = headrace.attach("shop").last_trace
    assert trace is not None
    assert [step.step for step in trace.steps] == ["extract", "normalize", "load"]
    assert len(list((Path(p.working_dir) / "runs").iterdir())) == 1


def test_a_failed_run_is_in_the_trace(project: Path) -> None:
    p = shop()

    @headrace.resource(name="t")
    def bad() -> Any:
        yield {"id": 1}
        raise RuntimeError("secret of the day")

    with pytest.raises(PipelineStepFailed) as caught:
        p.run(bad())
    trace = shop().last_trace
    assert trace is not None
    step = trace.last_pipeline_step_trace("extract")
    assert step is not None
    assert "secret of the day" in (step.step_exception or "")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.step, str(again)) == (caught.value.step, str(caught.value))


def test_traces_can_be_loaded(project: Path) -> None:
    p = shop()
    info = p.run([{"id": 1}], table_name="t")
    p.run([info], table_name="_load_info")
    p.run([p.last_trace], table_name="_trace")
    assert p.dataset()["_load_info"].fetchall()
    assert p.dataset()["_trace"].fetchall()


def test_progress_is_shown(project: Path) -> None:
    from headrace.observers.collector import DictCollector

    collector = DictCollector()
    p = shop(progress=collector)
    assert p.collector is collector
    p.run([{"id": 1}], table_name="t")
    assert collector.counters


def test_a_package_keeps_a_state_of_its_own(project: Path) -> None:
    p = shop()

    @headrace.resource(name="t")
    def noting() -> Any:
        headrace.current.load_package_state()["seen"] = 1
        headrace.current.destination_state()["x"] = 2
        yield {"id": 1}

    info = p.run(noting())
    assert info is not None
    found = p.get_load_package_state(info.loads_ids[0])
    assert (found["seen"], found["destination_state"]) == (1, {"x": 2})


def test_restoring_needs_something_to_restore(project: Path) -> None:
    with pytest.raises(CannotRestorePipelineException):
        headrace.attach("nobody")
