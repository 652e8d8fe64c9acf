"""Killed anywhere, with any signal that cannot be caught: every row arrives once.

The child is forked from a server and not started anew, so that a hundred deaths take seconds. One test
starts a real process and goes through the environment variable, as a user of failpoints would.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headrace.base import failpoints
from headrace.load.stage import LoadSettings
from tests.crash.shopkeeper import SETTINGS, faults, work

pytestmark = [pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"), pytest.mark.each(3)]

EVENTS = ["PackageCreated", "Extracted", "Normalized", "Planned", "SchemaMigrated", "JobDone", "Loaded"]
PLACES = [f"{event}:{when}" for event in EVENTS for when in ("before", "after")]
PLACES += [
    "in.job",
    "job.committed",
    "job.applied",
    "migrate.before",
    "migrate.after",
    "ddl",
    "complete.before",
    "complete.after",
]
# the first time, and later ones: in the second package, in the last job
HITS = {
    "JobDone": (1, 2, 4, 7),
    "job.committed": (1, 2, 4, 7),
    "job.applied": (1, 7),
    "in.job": (1, 3, 4, 8),
    "ddl": (1, 3, 8),
}
TRUNCATING = msgspec.structs.replace(SETTINGS, replace_strategy="truncate-and-insert", delete_completed_jobs=True)
PARALLEL = msgspec.structs.replace(SETTINGS, workers=4)


def in_child(*args: Any, **kw: Any) -> Any:
    """Start `act` in a child; a clean server forks it, so that no thread of pytest's is in it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.crash.shopkeeper", "duckdb"])
    child = context.Process(target=act, args=args, kwargs=kw)
    child.start()
    return child


def act(
    folder: Path,
    settings: LoadSettings,
    ledger: bool = True,
    place: str = "",
    limit: int = 0,
    kind: str = "sqlite",
) -> None:
    """In the child: work, with a failpoint armed or a limit on the size of files."""
    failpoints._armed.update(failpoints.parse(place))
    if limit:
        import resource

        # a module's bytecode, cut short, would fail every later import of it
        sys.dont_write_bytecode = True
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    work(folder, settings, ledger, kind)


def end_of(child: Any) -> int:
    """Wait for a child; 0, its exit code, or minus the signal that killed it."""
    child.join()
    return int(child.exitcode)


def run(*args: Any, **kw: Any) -> int:
    """`act` in a child, to its end."""
    return end_of(in_child(*args, **kw))


def places() -> list[str]:
    return [
        f"{place}#{hit}"
        for place in PLACES
        for hit in HITS.get(place.partition(":")[0], (1,) if place.startswith("Schema") else (1, 2))
        if not (place.startswith("migrate") and hit > 1)
    ]


def deaths() -> list[tuple[str, str]]:
    """Every place with the default settings; those around jobs with the others too."""
    around_jobs = ("in.job", "job.", "JobDone", "complete", "Loaded")
    others = [(p, how) for p in places() if p.startswith(around_jobs) for how in ("truncating", "threads")]
    return [*((p, "atomic") for p in places()), *others]


@pytest.mark.parametrize(("place", "how"), deaths())
def test_killed_at_a_fact(tmp_path: Path, place: str, how: str) -> None:
    """Before and after each fact, and between the destination's commit and the fact that tells of it."""
    settings = {"atomic": SETTINGS, "truncating": TRUNCATING, "threads": PARALLEL}[how]
    died = run(tmp_path, settings, place=place)
    assert died == -signal.SIGKILL, f"nothing was killed: {place} was not reached ({died})"
    assert run(tmp_path, settings) == 0
    assert faults(tmp_path) == []


DUCKDB_PLACES = ["Extracted:before", "Normalized:after", "Planned:after", "migrate.before", "migrate.after"]
DUCKDB_PLACES += ["job.before_commit#2", "job.committed#1", "job.committed#4", "job.committed#8"]
DUCKDB_PLACES += ["JobDone:before#3", "JobDone:after#3", "complete.before", "complete.after", "Loaded:after"]


@pytest.mark.parametrize("place", DUCKDB_PLACES)
def test_killed_with_a_real_database(tmp_path: Path, place: str) -> None:
    """The same deaths with DuckDB, its write-ahead log and its file lock."""
    assert run(tmp_path, PARALLEL, place=place, kind="duckdb") == -signal.SIGKILL
    assert run(tmp_path, PARALLEL, kind="duckdb") == 0
    assert faults(tmp_path, "duckdb") == []


@pytest.mark.parametrize("place", ["job.committed", "JobDone:before", "Extracted:after", "complete.after", "ddl"])
def test_killed_at_the_same_place_again_and_again(tmp_path: Path, place: str) -> None:
    """A run that always dies at one place gets on nevertheless, or stays where it is without harm."""
    for _ in range(6):
        run(tmp_path, SETTINGS, place=place)
    assert run(tmp_path, SETTINGS) == 0
    assert faults(tmp_path) == []


def test_without_the_ledger_the_same_death_doubles_rows(tmp_path: Path) -> None:
    """The tests have teeth: take the ledger away and they bite."""
    assert run(tmp_path, SETTINGS, ledger=False, place="job.committed#3") == -signal.SIGKILL
    assert run(tmp_path, SETTINGS, ledger=False) == 0
    assert any("events" in fault for fault in faults(tmp_path))


@pytest.mark.parametrize(("seed", "kind"), [*((n, "sqlite") for n in range(8)), (8, "duckdb"), (11, "duckdb")])
def test_killed_at_random_instants(tmp_path: Path, seed: int, kind: str) -> None:
    """A few dozen deaths at instants that nobody chose."""
    chance = random.Random(seed)
    settings = (SETTINGS, TRUNCATING, PARALLEL)[seed % 3]
    started = time.perf_counter()
    assert run(tmp_path / "timed", settings, kind=kind) == 0
    whole = time.perf_counter() - started
    folder = tmp_path / "pipe"
    kills = 0
    while kills < 10:
        child = in_child(folder, settings, kind=kind)
        time.sleep(chance.uniform(0, whole))
        child.kill()
        if end_of(child) == 0:
            break
        kills += 1
    assert run(folder, settings, kind=kind) == 0
    assert faults(folder, kind) == []


@pytest.mark.parametrize("limit", [10, 150, 700, 1500, 3000, 4096, 9000, 20_000, 30_000, 45_000, 60_000])
def test_a_full_disk_leaves_a_consistent_package(tmp_path: Path, limit: int) -> None:
    """Writes fail beyond some size, wherever that is; once there is room all rows arrive once."""
    run(tmp_path, SETTINGS, limit=limit)
    assert run(tmp_path, SETTINGS) == 0
    assert faults(tmp_path) == []


def test_a_real_process_dies_where_the_variable_says(tmp_path: Path) -> None:
    """The whole way: interpreter, environment variable, SIGKILL, a second process."""
    command = [sys.executable, "-m", "tests.crash.shopkeeper", str(tmp_path)]
    root = Path(__file__).parents[2]
    armed = {**os.environ, failpoints.ENVIRONMENT_VARIABLE: "JobDone:before#2"}
    assert subprocess.run(command, cwd=root, env=armed, check=False).returncode == -signal.SIGKILL
    assert subprocess.run(command, cwd=root, check=False).returncode == 0
    assert faults(tmp_path) == []


def test_what_the_variable_says() -> None:
    failpoints.hit("JobDone:before")  # not armed
    assert failpoints.parse("a, b#3,,") == {"a": 1, "b": 3}
