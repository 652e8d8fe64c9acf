"""Killed anywhere in a run, the next one goes on: every row arrives once, and the cursor fits the rows."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import headrace
from tests.crash import forks
from tests.e2e.project import rows

SCRIPT = """
import headrace

@headrace.resource(name="t", primary_key="id")
def numbers(at=headrace.sources.incremental("id", initial_value=0)):
    begin = (at.last_value or 0) + 1
    yield [{"id": n, "l": [{"of": n}]} for n in range(begin, begin + 3)]

headrace.pipeline("shop", destination="duckdb", dataset_name="raw").run(numbers())
"""


GIVE_UP = """
p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
p.extract(numbers())
p.drop_pending_packages()
"""

SET_ASIDE = """
p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
p.extract(numbers())
p.abort_packages()
"""


def run(project: Path, failpoint: str = "", script: str = SCRIPT) -> int:
    environment = {**os.environ, "HEADRACE_DATA_DIR": str(project / "data")}
    if failpoint:
        environment["HEADRACE_FAILPOINT"] = failpoint
    return forks.python(script, cwd=project, env=environment).returncode


PLACES = [
    "PackageCreated:after",
    "Extracted:before",
    "Extracted:after",
    "Normalized:before",
    "Normalized:after",
    "Planned:after",
    "migrate.before",
    "migrate.after",
    "job.committed",
    "JobDone:after",
    "complete.before",
    "complete.after",
    "Loaded:before",
    "Loaded:after",
]


# the crash suite kills at all of them, too, under every disposition
FEW = ("Extracted:after", "Planned:after", "job.committed", "complete.before", "Loaded:after")


@pytest.mark.parametrize("place", [p if p in FEW else pytest.param(p, marks=pytest.mark.long) for p in PLACES])
def test_killed_once(project: Path, place: str) -> None:
    """One run goes well, the second is killed, the third finishes it and reads on."""
    assert run(project) == 0
    assert run(project, place) == -signal.SIGKILL
    assert run(project) == 0
    p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    found = [n for (n,) in rows(p, "t", "id")]
    lost_before_commit = place in ("PackageCreated:after", "Extracted:before")
    assert found == list(range(1, 7 if lost_before_commit else 10)), "no gap, no double"
    assert [n for (n,) in rows(p, "t__l", "of")] == found
    cursor = p.state["sources"]["shop"]["resources"]["t"]["incremental"]["id"]["last_value"]
    assert cursor == found[-1]
    assert not p.has_pending_data


@pytest.mark.parametrize("act", [GIVE_UP, SET_ASIDE], ids=["dropped", "set aside"])
def test_killed_while_a_package_is_given_up(project: Path, act: str) -> None:
    """Its rows are extracted again, and come once."""
    assert run(project) == 0
    assert run(project, "Aborted:after", SCRIPT.rpartition("\n\n")[0] + act) == -signal.SIGKILL
    assert run(project) == 0
    p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    assert [n for (n,) in rows(p, "t", "id")] == list(range(1, 7))
    assert not p.has_pending_data


def test_killed_between_seal_and_copy_of_the_state(project: Path) -> None:
    """The package is the truth: an old copy of the state, or none, does not bring the cursor back."""
    assert run(project) == 0
    kept = (project / "data/pipelines/shop/pipeline.json").read_bytes()
    assert run(project, "Normalized:before") == -signal.SIGKILL
    (project / "data/pipelines/shop/pipeline.json").write_bytes(kept)
    assert run(project) == 0
    p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    assert [n for (n,) in rows(p, "t", "id")] == list(range(1, 10))


def test_a_torn_state_file_is_healed(project: Path) -> None:
    assert run(project) == 0
    (project / "data/pipelines/shop/pipeline.json").write_bytes(b'{"_state')
    assert run(project) == 0
    p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    assert [n for (n,) in rows(p, "t", "id")] == list(range(1, 7))


@pytest.mark.long
def test_killed_at_random_instants(project: Path) -> None:
    """Many runs, each killed after a random time: whatever is in the table is whole, once, and fits the cursor."""
    rng = random.Random(7)
    environment = {**os.environ, "HEADRACE_DATA_DIR": str(project / "data")}
    assert run(project) == 0
    begun = time.monotonic()
    assert run(project) == 0
    whole = time.monotonic() - begun
    for _ in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT], cwd=project, env=environment, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(rng.uniform(0.2, 1.0) * whole)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert run(project) == 0
    p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    found = [n for (n,) in rows(p, "t", "id")]
    assert found == list(range(1, len(found) + 1))
    assert [n for (n,) in rows(p, "t__l", "of")] == found
    assert p.state["sources"]["shop"]["resources"]["t"]["incremental"]["id"]["last_value"] == found[-1]
    loads = {load_id for (load_id,) in rows(p, "_dlt_loads", "load_id")}
    assert {load_id for (load_id,) in rows(p, "t", "DISTINCT _dlt_load_id")} <= loads
