"""Rows whose load is not in ``_dlt_loads``: none after a rerun; and if the working folder is lost, it is said."""

from __future__ import annotations

import logging
import os
import shutil
import signal
from pathlib import Path

import pytest

import headrace
from tests.concurrency.world import DATASET, DuckDbWorld
from tests.crash import forks

SCRIPT = f"""
import sys, headrace
pipeline = headrace.pipeline(
    "p", destination=headrace.destinations.duckdb(sys.argv[1]), dataset_name="{DATASET}", pipelines_dir=sys.argv[2]
)
merged = headrace.resource([{{"id": 1}}], name="merged", primary_key="id", write_disposition="merge")
pipeline.run([headrace.resource([{{"n": 1}}], name="plain"), merged])
"""
UNKNOWN = "SELECT count(*) FROM plain WHERE _dlt_load_id NOT IN (SELECT load_id FROM _dlt_loads)"


def run(world: DuckDbWorld, folder: Path, failpoint: str = "") -> int:
    environment = {**os.environ, "HEADRACE_FAILPOINT": failpoint}
    return forks.python(SCRIPT, world.path, folder, env=environment).returncode


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_killed_before_the_load_is_recorded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    world, folder = DuckDbWorld(tmp_path / "world.duckdb"), tmp_path / "work"
    assert run(world, folder, "complete.before") == -signal.SIGKILL
    # a crash leaves rows without a record ...
    assert world.query(UNKNOWN) == [(1,)]
    ((load_id,),) = world.query("SELECT DISTINCT _dlt_load_id FROM plain")
    shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(folder)
    # ... of which a machine that has never seen the package can only tell
    with caplog.at_level(logging.WARNING, logger="headrace"):
        headrace.pipeline(
            "p", destination=world.destination(), dataset_name=DATASET, pipelines_dir=str(folder)
        ).sync_destination()
    assert load_id in caplog.text and "never completed" in caplog.text
    # and a rerun where the package is puts it right: the load of the crash is recorded, its rows are not doubled
    assert run(world, tmp_path / "copy") == 0
    assert world.query(UNKNOWN) == [(0,)]
    assert world.query("SELECT count(*) FROM plain") == [(2,)]
    assert world.query("SELECT count(*), count(DISTINCT load_id) FROM _dlt_loads") == [(2, 2)]
    caplog.clear()
    headrace.pipeline(
        "p", destination=world.destination(), dataset_name=DATASET, pipelines_dir=str(tmp_path / "third")
    ).sync_destination()
    assert "never completed" not in caplog.text
