"""SIGTERM and SIGINT in every step; two scripts in one working folder. On real scripts, over several databases."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from headrace.model.events import JobDone
from headrace.package.store import PackageStore
from tests.crash.amount import some
from tests.crash.scripts import Script
from tests.crash.world import World, Worlds

DATABASES = some(["postgres", "duckdb", "sqlite"], 1)


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    made = Worlds(request.param, tmp_path, request).new()
    assert made.run() == 0, made.log()
    return made


def rerun(world: World) -> None:
    assert world.run() == 0, world.log()
    assert world.faults() == []


def store(world: World) -> PackageStore:
    return PackageStore(world.folder / "shop/packages")


@pytest.mark.parametrize("world", DATABASES, indirect=True)
@pytest.mark.parametrize("code", some([signal.SIGTERM, signal.SIGINT], 1))
def test_in_load(world: World, code: int) -> None:
    """The job that runs is finished and recorded, the others wait in the package for the next run."""
    script = Script(world, "job.before_commit", LOAD__WORKERS="1")
    script.signal(code)
    script.wait_until(lambda: "running jobs are finished first" in script.told())
    script.go_on()
    assert script.end() == 128 + code, script.told()
    [package] = store(world).pending()
    assert package.phase == "normalized"
    assert len(package.journal.all(JobDone)) == 1
    rerun(world)


@pytest.mark.parametrize("world", DATABASES, indirect=True)
@pytest.mark.parametrize(
    ("place", "phase"),
    some(
        [
            ("Normalized:before", "normalized"),
            ("Extracted:before", "new"),
            ("Planned:before", "normalized"),
            ("complete.before_commit", ""),
        ],
        2,
    ),
)
def test_in_other_places(world: World, place: str, phase: str) -> None:
    """In extract the system's own way: nothing of the batch is kept. Later a step that has begun is ended first."""
    script = Script(world, place, LOAD__WORKERS="1")
    script.signal(signal.SIGTERM)
    if phase == "new":
        assert script.end() == -signal.SIGTERM  # which a shell tells as 143, too
        script.go_on()
    else:
        script.wait_until(lambda: "running jobs are finished first" in script.told())
        script.go_on()
        assert script.end() == 128 + signal.SIGTERM, script.told()
    assert [package.phase for package in store(world) if package.phase != "loaded"] == ([phase] if phase else [])
    rerun(world)


@pytest.mark.parametrize("world", DATABASES, indirect=True)
def test_a_second_signal_does_not_wait(world: World) -> None:
    """A job that hangs holds nobody: it is rolled back, and done by the next run."""
    script = Script(world, "job.before_commit")
    script.signal(signal.SIGTERM)
    script.wait_until(lambda: "running jobs are finished first" in script.told())
    script.signal(signal.SIGTERM)
    assert script.end() == 128 + signal.SIGTERM, script.told()  # though nothing has let the job go on
    script.go_on()
    rerun(world)


# ---- two scripts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", DATABASES, indirect=True)
def test_the_second_script_is_refused(world: World) -> None:
    """It names who is at work: process, host, since when; and it touches nothing."""
    first = Script(world, "job.before_commit")
    second = Script(world)
    assert second.end() == 1
    assert f"process {first.process.pid} on {socket.gethostname()}, since 20" in second.told()
    assert "lock_timeout" in second.told()
    first.go_on()
    assert first.end() == 0, first.told()
    rerun(world)


@pytest.mark.parametrize("world", DATABASES, indirect=True)
def test_the_second_script_waits(world: World) -> None:
    """With ``lock_timeout`` it says for whom it waits, and goes on when that one ends, even by ``kill -9``."""
    first = Script(world, "job.before_commit")
    second = Script(world, PIPELINES__SHOP__LOCK_TIMEOUT="60")
    second.wait_until(lambda: f"process {first.process.pid} on {socket.gethostname()}" in second.told())
    first.process.kill()
    first.end()
    first.go_on()
    assert second.end() == 0, second.told()
    assert "waiting for" in second.told()
    rerun(world)
