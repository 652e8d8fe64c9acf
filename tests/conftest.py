"""Settings of all tests."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# how long an example takes says something about the machine, not about the code
settings.register_profile("headrace", deadline=None, print_blob=True)
settings.load_profile("headrace")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # of a shell's background: tests send it, and children inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

MEMORY = Path("/dev/shm")
if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 4 << 30:
    # thousands of databases are made and thrown away: on a disk it takes half as long again. A folder of ours by user
    # id, not by process: pytest keeps the last three of those that failed
    folder = MEMORY / f"headrace-tests-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o1777)  # servers that refuse to be root are somebody else
    os.environ["TMPDIR"], tempfile.tempdir = str(folder), None

pytest_plugins = ["tests.servers.fixtures", "tests.crash.summary"]


@pytest.fixture(autouse=True)
def no_pipeline_stays_active() -> Iterator[None]:
    """A pipeline that a test made is not the current one of the next."""
    yield
    if (module := sys.modules.get("headrace.pipeline.current")) is not None and (active := module.active()) is not None:
        active.deactivate()


@pytest.fixture(autouse=True)
def no_secret_stays_known() -> Iterator[None]:
    """What one test gave out as a password is a word like any other in the next."""
    yield
    if (module := sys.modules.get("headrace.errors.masking")) is not None:
        module.forget()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put what takes long first, and leave out tests marked ``long`` (others cover the same ground thinly).

    Of those marked ``each(n)``, one in n stays; ``each(n, first)`` begins with another one, so that two classes of the
    same tests have different ones. All are run when asked for, or named one by one.
    """
    items.sort(key=_rank)
    if os.environ.get("HEADRACE_LONG") or any("::" in arg for arg in config.args):
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    turns: dict[str, int] = {}
    for item in items:
        if (mark := item.get_closest_marker("each")) is not None:
            group = item.nodeid.partition("[")[0].rpartition("::")[0]
            turn = turns[group] = turns.get(group, -1 - (mark.args[1] if len(mark.args) > 1 else 0)) + 1
            left_out += [item] if turn % mark.args[0] else []
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]


def pytest_collection_finish() -> None:
    """What is there before the first test stays: nobody looks through it again and again for garbage."""
    gc.collect()
    gc.freeze()


# ---- two processes: what shares a server or a fixture of a module stays together -------------------------------------

TOGETHER = ("tests/continuity", "tests/destinations/filesystem", "tests/lineage/dlt")
"""Folders whose files have something in common that takes long to start."""

FIRST = (
    *("tests/destinations/filesystem", "tests/runbook", "tests/docs", "tests/parity", "tests/continuity"),
    *("tests/lineage/scenarios", "tests/lineage/dlt", "tests/destinations/staging", "tests/destinations/conformance"),
    *("tests/undo", "tests/crash", "tests/secrets", "tests/migration", "tests/destinations/lake", "tests/e2e"),
    *("tests/examples", "tests/testing", "tests/concurrency", "tests/plan", "tests/destinations"),
)
"""What takes longest comes first: at the end there is something short for who has nothing left to do."""


def unit(nodeid: str) -> str:
    """What is done in one process, one test after the other: a file, or a folder of `TOGETHER`."""
    path = nodeid.partition("::")[0]
    return next((folder for folder in TOGETHER if path.startswith(f"{folder}/")), path)


def _rank(item: pytest.Item) -> int:
    return next((n for n, start in enumerate(FIRST) if item.nodeid.startswith(f"{start}/")), len(FIRST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give out work by `unit`."""
    from xdist.scheduler import LoadScopeScheduling

    class ByUnit(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit(nodeid)

    return ByUnit(config, log)
