"""dlt's working folder: what is read from it, what is said about it, and that it is left as it was."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.continuity.engines import Engine
from tests.continuity.project import Project

EVENTS = """
import {engine} as dlt


@dlt.resource(name="events")
def events(n=dlt.sources.incremental("n", initial_value=0)):
    yield [{"n": n} for n in range(step * 3 + 3)]


pipeline = dlt.pipeline("shop", destination=dlt.destinations.duckdb("shop.duckdb"), dataset_name="raw")
"""
RUN = EVENTS + "pipeline.run(events())\n"
LOCAL = {"RESTORE_FROM_DESTINATION": "false"}


def read(project: Project) -> list[int]:
    return [n for (n,) in project.query("SELECT n FROM events ORDER BY n")]


def files(folder: Path) -> dict[str, str]:
    """What dlt has in its working folder, by content."""
    own = ("state.json", "schemas", "normalize", "load")
    found = [path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0] in own]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


@pytest.mark.parametrize("shared", [False, pytest.param(True, marks=pytest.mark.long)], ids=["apart", "shared"])
def test_packages_that_wait_are_named(shared: bool, engines: dict[str, Engine], tmp_path: Path) -> None:
    project = Project(tmp_path, engines, shared)
    project.run("d", RUN, step=0)
    load_id = project.run("d", EVENTS + "result = pipeline.extract(events()).loads_ids[0]", step=1)
    folder = tmp_path / ("work" if shared else "work_d") / "pipelines" / "shop"
    before = files(folder)
    project.run("h", RUN, step=2)
    assert read(project) == list(range(9)), "cursors go on from what is loaded"
    assert f"normalize/extracted/{load_id}" in project.log
    assert "NOT LOADED" in project.log
    assert files(folder) == before, "the folder is only read"
    project.run("d", "import shutil; shutil.rmtree(path)", path=str(folder / "normalize" / "extracted" / load_id))
    project.run("d", RUN, step=3)
    assert read(project) == list(range(12)), "dlt goes on with its own folder"


@pytest.mark.parametrize("shared", [False, pytest.param(True, marks=pytest.mark.long)], ids=["apart", "shared"])
def test_state_that_only_the_folder_has(shared: bool, engines: dict[str, Engine], tmp_path: Path) -> None:
    project = Project(tmp_path, engines, shared, LOCAL)
    project.run("d", RUN + "pipeline.set_local_state_val('mine', [1])", step=0)
    versions = project.versions()
    found = project.run("h", RUN + "result = pipeline.get_local_state_val('mine')", step=1)
    project.run("h", RUN, step=2)
    assert read(project) == list(range(9))
    assert found == [1]
    assert project.versions() == versions, "the schema is the one that dlt has stored"
    assert "_dlt_pipeline_state" not in project.columns()


def test_the_destination_lacks_a_state(engines: dict[str, Engine], tmp_path: Path) -> None:
    Project(tmp_path, engines, settings=LOCAL).run("d", RUN, step=0)
    project = Project(tmp_path, engines)
    project.run("h", RUN, step=1)
    assert read(project) == list(range(6))
    assert project.states()[-1]["sources"]["shop"]["resources"]["events"]["incremental"]["n"]["last_value"] == 5


def test_state_ahead_of_the_dataset(engines: dict[str, Engine], tmp_path: Path) -> None:
    project = Project(tmp_path, engines, settings=LOCAL)
    project.run("d", RUN, step=0)
    project.run("d", EVENTS + "pipeline.extract(events())", step=1)
    with pytest.raises(RuntimeError, match="rows that are not loaded"):
        project.run("h", RUN, step=2)
    project.run("d", EVENTS + "dlt.attach('shop', destination=dlt.destinations.duckdb('shop.duckdb')).run()", step=2)
    project.run("h", RUN, step=2)
    assert read(project) == list(range(9))


@pytest.mark.parametrize(
    "gone", [False, pytest.param(True, marks=pytest.mark.long)], ids=["another dataset", "a dataset that is gone"]
)
def test_a_folder_that_does_not_fit(gone: bool, engines: dict[str, Engine], tmp_path: Path) -> None:
    project = Project(tmp_path, engines, settings=LOCAL)
    project.run("d", RUN if gone else RUN.replace("raw", "other"), step=0)
    if gone:
        (tmp_path / "shop.duckdb").unlink()
    project.run("h", RUN, step=1)
    assert read(project) == list(range(6))
