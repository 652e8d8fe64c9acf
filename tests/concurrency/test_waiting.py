"""Waiting for what another process holds, a database file or a working folder; and names that never clash."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.base import ids
from headrace.errors.package import PipelineLocked
from headrace.package.lock import WorkingFolderLock
from tests.concurrency.world import DATASET, DuckDbWorld

HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.readline(); c.close()"


@contextmanager
def held(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process has the database file open."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "open\n"
        yield holder
    finally:
        if holder.stdin is not None and not holder.stdin.closed:
            holder.stdin.close()
        holder.wait()


def load(world: DuckDbWorld, folder: Path) -> None:
    pipeline: Any = headrace.pipeline(
        "p", destination=world.destination(), dataset_name=DATASET, pipelines_dir=str(folder / "work")
    )
    pipeline.run([{"n": 1}], table_name="t")


def test_a_file_that_is_open_elsewhere_is_waited_for(tmp_path: Path) -> None:
    world = DuckDbWorld(tmp_path / "world.duckdb")
    with held(world.path) as holder:
        assert holder.stdin is not None
        timer = threading.Timer(0.5, holder.stdin.close)
        timer.start()
        load(world, tmp_path)
        timer.join()
    assert world.query("SELECT count(*) FROM t") == [(1,)]


def test_the_error_names_who_holds_the_file(tmp_path: Path) -> None:
    world = DuckDbWorld(tmp_path / "world.duckdb", lock_timeout=0.1)
    with held(world.path) as holder, pytest.raises(Exception, match="lock_timeout") as raised:
        load(world, tmp_path)
    assert f"process {holder.pid} has the file open" in str(raised.value)


def test_a_folder_is_waited_for(tmp_path: Path) -> None:
    first, second = WorkingFolderLock(tmp_path), WorkingFolderLock(tmp_path)
    first.acquire()
    with pytest.raises(PipelineLocked, match="lock_timeout"):
        second.acquire()
    threading.Timer(0.3, first.release).start()
    second.acquire(wait=60)
    assert second.held
    second.release()


def test_load_ids_of_one_microsecond_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "next_microsecond", lambda: 1_795_256_961_817_560)
    made = {ids.new_load_id() for _ in range(50)}
    assert len(made) > 45
    assert all(load_id.startswith("1795256961.817560") and len(load_id) == 23 for load_id in made)


@pytest.mark.parametrize(
    "newest", ["1999999999.5", "1999999999.123456789012", "1795256961.81756", "chosen by hand", ""]
)
def test_load_ids_come_behind_the_newest(newest: str) -> None:
    assert newest == "chosen by hand" or ids.new_load_id(newest) > newest
    assert float(ids.new_load_id(newest)) > 1_700_000_000
