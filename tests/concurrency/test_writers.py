"""Several writers, one dataset: nothing lost, nothing doubled, no error shown."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.concurrency.check import faults
from tests.concurrency.world import DuckDbWorld, PostgresWorld, World
from tests.concurrency.writer import Written, write
from tests.crash.forks import PRELOAD

LONG = bool(os.environ.get("HEADRACE_LONG"))
PROCESSES, ROUNDS = (8, 50) if LONG else (4, 3)


def in_processes(world: World, folder: Path, processes: int, rounds: int) -> list[Written]:
    """Let processes write at the same time, from the first load on."""
    context = multiprocessing.get_context("forkserver")
    # all processes begin with what takes time done, or the first would be through before the last begins
    context.set_forkserver_preload(PRELOAD)
    with ProcessPoolExecutor(processes, mp_context=context) as pool, context.Manager() as manager:
        start = manager.Barrier(processes)
        writing = [pool.submit(write, world, folder, number, rounds, start) for number in range(processes)]
        return [each.result() for each in writing]


@pytest.mark.timeout(3600 if LONG else 300)
def test_processes_share_a_dataset(tmp_path: Path) -> None:
    """Mixed appends and merges of documents with columns, types and nested tables that nobody has agreed on."""
    world = DuckDbWorld(tmp_path / "world.duckdb")
    written = in_processes(world, tmp_path, PROCESSES, ROUNDS)
    assert faults(world, written) == []
    assert sum(len(each.load_ids) for each in written) == PROCESSES * ROUNDS


@pytest.mark.timeout(3600 if LONG else 300)
def test_threads_share_a_dataset(tmp_path: Path) -> None:
    """The same with threads of one process, which have the database file open together."""
    world = DuckDbWorld(tmp_path / "world.duckdb", one_at_a_time=False)
    writers, rounds = (8, 25) if LONG else (4, 3)
    start = threading.Barrier(writers)
    with ThreadPoolExecutor(writers) as pool:
        writing = [pool.submit(write, world, tmp_path, number, rounds, start) for number in range(writers)]
        written = [each.result() for each in writing]
    assert faults(world, written) == []
    assert sum(len(each.load_ids) for each in written) == writers * rounds


@pytest.mark.destination("postgres")
@pytest.mark.timeout(3600 if LONG else 300)
def test_processes_share_a_dataset_of_postgres(tmp_path: Path, postgres_server: Any) -> None:
    """The same where loads of different processes overlap."""
    world = PostgresWorld(postgres_server.database())
    written = in_processes(world, tmp_path, PROCESSES, ROUNDS)
    assert faults(world, written) == []
    assert sum(len(each.load_ids) for each in written) == PROCESSES * ROUNDS
