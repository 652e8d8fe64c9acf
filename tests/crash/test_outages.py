"""The destination dies and not the pipeline: stopped, cut off, full, out of memory. A plain rerun ends right."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.crash.amount import some
from tests.crash.world import World, Worlds
from tests.servers.proxy import Proxy

# inside a change of tables, inside and behind a job's transaction, inside the end of a load
PLACES = ["job.before_commit#3", "job.committed#2", "ddl#3", "complete.before_commit"]
PLACES += ["schema.stored", "job.before_commit", "JobDone:after#2", "complete.after"]


@pytest.fixture
def worlds(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Worlds]:
    yield Worlds("postgres", tmp_path, request)


def rerun(world: World) -> None:
    """One plain run, and all is well."""
    assert world.run() == 0, world.log()
    assert world.faults() == []


# ---- the server ----------------------------------------------------------------------------------------------------


@pytest.mark.destination("postgres")
@pytest.mark.parametrize("place", some(PLACES, 1))
def test_server_is_killed_and_comes_back(worlds: Worlds, postgres_server: Any, place: str) -> None:
    """Stopped with ``-m immediate`` in mid-load and started again: the run goes on by itself."""
    world = worlds.new()
    child = world.paused(place)
    postgres_server.kill()
    postgres_server.start()
    assert world.go_on(child) == 0, world.log()
    assert world.faults() == []
    rerun(world)


@pytest.mark.destination("postgres")
@pytest.mark.parametrize("place", some(["job.before_commit#3", "Planned:after", "complete.before_commit"], 1))
def test_server_is_killed_and_stays_away(
    worlds: Worlds, postgres_server: Any, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run gives up with an error that says what waits; the next one, when the server is there, ends right."""
    world = worlds.new()
    rerun(world)
    child = world.paused(place)
    postgres_server.kill()
    try:
        assert world.go_on(child) == 1
    finally:
        postgres_server.start()
    told = world.log()
    assert "Connection" in told or "connection" in told
    assert "the package is kept" in told
    assert "secret-of-postgres" not in told
    rerun(world)


@pytest.mark.destination("postgres")
@pytest.mark.long
@pytest.mark.parametrize("place", some(PLACES, 1))
def test_sessions_are_ended(worlds: Worlds, postgres_server: Any, place: str) -> None:
    """An operator ends all sessions (``pg_terminate_backend``): the run goes on in new ones."""
    world = worlds.new()
    child = world.paused(place)
    postgres_server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE datname = '{world.place.rpartition('/')[2]}' AND pid <> pg_backend_pid()"
    )
    assert world.go_on(child) == 0, world.log()
    assert world.faults() == []
    rerun(world)


# ---- the line ------------------------------------------------------------------------------------------------------


@pytest.mark.destination("postgres")
@pytest.mark.parametrize(
    "silence", [pytest.param(True, id="answer-lost"), pytest.param(False, id="request-lost", marks=pytest.mark.long)]
)
def test_the_line_is_cut(worlds: Worlds, postgres_server: Any, silence: bool) -> None:
    """At any byte, and also after the server has done what it was asked to and before its answer came."""
    world = worlds.new()
    place = world.place
    chance = random.Random(silence)
    with Proxy(postgres_server.port) as proxy:
        world.place = place.replace(f":{postgres_server.port}/", f":{proxy.port}/")
        assert world.run() == 0, world.log()
        before = proxy.up
        assert world.run() == 0, world.log()
        whole = proxy.up - before
        for _ in some(range(6), 1):
            cuts = proxy.cuts
            proxy.cut_at(proxy.up + chance.randrange(1, whole), silence)
            code = world.run()
            assert proxy.cuts > cuts, "nothing was cut"
            # the questions before the first step are not asked again
            assert code == 0 or "What to do" in world.log(), world.log()
            assert world.run() == 0, world.log()
            assert world.faults() == []
    world.place = place
    rerun(world)


# ---- room ----------------------------------------------------------------------------------------------------------

LOCAL = some(["duckdb", "sqlite", "filesystem-parquet", "delta"], 2)


@pytest.mark.parametrize("name", some(LOCAL, 1))
def test_no_room_for_a_file(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """No file may grow beyond some size, wherever that is; once there is room all rows arrive once."""
    worlds = Worlds(name, tmp_path, request)
    failures = 0
    for limit in some((9000, 300, 300_000, 3000, 20_000, 60_000), 2):
        world = worlds.new()
        code = world.run(RLIMIT_FSIZE=limit)
        failures += code != 0
        assert code == 0 or _is_told(world), world.log()
        rerun(world)
    assert failures


def _is_told(world: World) -> bool:
    return any(word in world.log() for word in ("File too large", "No space left", "disk is full", "disk I/O"))


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """A file system of few bytes."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs (root)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with _small_disk(tmp_path / "small") as folder:
        yield folder


@pytest.mark.parametrize("name", some(LOCAL, 1))
def test_a_full_disk(name: str, tmp_path: Path, request: pytest.FixtureRequest, small_disk: Path) -> None:
    """Working folder and destination on a disk that is full, but for so many bytes."""
    worlds = Worlds(name, small_disk, request, tmp_path)
    failures = 0
    world = worlds.new()
    rerun(world)
    for left in some((8192, 0, 40_000, 150_000), 1):
        ballast = small_disk / "ballast"
        _fill(ballast, small_disk, left)
        code = world.run()
        failures += code != 0
        assert code == 0 or _is_told(world), world.log()
        ballast.unlink()
        rerun(world)
    assert failures


@pytest.mark.destination("postgres")
def test_a_full_server(worlds: Worlds, postgres_server: Any) -> None:
    """The server has no room: the package waits, and goes on when there is some."""
    world = worlds.new()
    with _small_disk(postgres_server.folder / "small") as disk:
        shutil.chown(disk, "nobody" if os.getuid() == 0 else None)
        postgres_server.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
        name = world.place.rpartition("/")[2]
        try:
            postgres_server.execute(f"ALTER DATABASE {name} SET TABLESPACE small")
            rerun(world)
            ballast = disk / "ballast"
            _fill(ballast, disk, 100_000)
            assert world.run(padding=1 << 20) == 1
            assert "No space left" in world.log()
            assert "the package is kept" in world.log()
            ballast.unlink()
            rerun(world)
        finally:
            postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")
            postgres_server.execute("DROP TABLESPACE small")


def _fill(ballast: Path, disk: Path, left: int) -> None:
    with ballast.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, max(1, shutil.disk_usage(disk).free - left))


@pytest.mark.parametrize("name", some(LOCAL, 1))
def test_out_of_memory(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The process gets no more memory: it may even be ended by that, and the next run ends right."""
    worlds = Worlds(name, tmp_path, request)
    failures = 0
    world = worlds.new()
    rerun(world)
    for more in some((8, 1, 24, 60, 120, 250), 1):
        code = world.run(RLIMIT_AS=more << 20, padding=2 << 20)
        failures += code != 0
        rerun(world)
    assert failures


def test_the_proxy_cuts_where_it_is_told(postgres_server: Any) -> None:
    """The tests have teeth: a cut is seen by a client, and a connection that is not cut works."""
    import psycopg

    with Proxy(postgres_server.port) as proxy:
        url = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
        with psycopg.connect(url) as db:
            assert db.execute("select 1").fetchone() == (1,)
            proxy.cut_at(proxy.up + 1, silence=True)
            with pytest.raises(psycopg.OperationalError):
                db.execute("select 2")
        started = time.monotonic()
        proxy.cut_at(proxy.up + 10)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)
        assert time.monotonic() - started < 60
        assert proxy.cuts == 2
