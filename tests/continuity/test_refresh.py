"""Refresh and drop in a dataset that both engines load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.continuity.conftest import LONG
from tests.continuity.engines import Engine
from tests.continuity.project import Project

ZOO = """
import {engine} as dlt


@dlt.source(name="zoo")
def zoo():
    @dlt.resource(name="animals")
    def animals(n=dlt.sources.incremental("n", initial_value=0)):
        yield [{"n": n, f"seen_in_{step // 2}": True, "legs": [{"leg": n}]} for n in range(step * 2 + 2)]

    @dlt.resource(name="plants")
    def plants():
        state = dlt.current.resource_state()
        state["runs"] = state.get("runs", 0) + 1
        yield {"runs": state["runs"]}

    return animals, plants


pipeline = dlt.pipeline("shop", destination=dlt.destinations.duckdb("shop.duckdb"), dataset_name="raw")
source = zoo().with_resources("animals") if mode else zoo()
pipeline.run(source, refresh=mode or None)
"""


def history(project: Project, letters: str, mode: str) -> list[tuple[Any, ...]]:
    """Load, refresh some resources, load again; gives what each run left."""
    found = []
    for step, letter in enumerate(letters):
        project.run(letter, ZOO, step=step, mode=mode if step == 1 else "")
        tables = {name: columns for name, columns in project.columns().items() if not name.startswith("_dlt")}
        found.append((project.rows(), tables, project.states()[-1]["sources"]))
    return found


MODES = [("drop_sources", "dhd"), ("drop_resources", "hdh"), ("drop_data", "dhd")]


@pytest.mark.parametrize(("mode", "letters"), MODES if LONG else MODES[:1])
def test_refresh_in_turns(mode: str, letters: str, engines: dict[str, Engine], tmp_path: Path) -> None:
    by_dlt = history(Project(tmp_path / "dlt", engines), "ddd", mode)
    assert history(Project(tmp_path / letters, engines), letters, mode) == by_dlt


def test_drop_in_turns(engines: dict[str, Engine], tmp_path: Path) -> None:
    drop = ZOO.split("source =")[0] + (
        "from {engine}.pipeline.helpers import pipeline_drop\npipeline.sync_destination()\n"
        "pipeline_drop(pipeline, resources='animals')()\n"
    )
    found = []
    for letters in ("ddd", "dhd"):
        project = Project(tmp_path / letters, engines)
        project.run(letters[0], ZOO, step=0, mode="")
        project.run(letters[1], drop, step=1, mode="")
        assert "animals" not in project.columns()
        project.run(letters[2], ZOO, step=2, mode="")
        found.append((project.rows(), project.states()[-1]["sources"]))
    assert found[0] == found[1]
