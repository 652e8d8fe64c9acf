"""Open runs on disk: packages that move, numbers of processes that are used again, forks."""

from __future__ import annotations

import datetime as dt
import os
import signal
import sys
from pathlib import Path

import pytest

from headrace.observers.lineage import opened
from headrace.observers.lineage.opened import OpenPackage, OpenRuns


def _package(load_id: str = "1") -> OpenPackage:
    return OpenPackage(load_id=load_id, schema_name="shop", created_at=dt.datetime.now(dt.timezone.utc))


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not say when a process began")
def test_a_later_process_with_the_same_number_is_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, package = OpenRuns(tmp_path), _package()
    kept.write(package)
    kept.end(package)
    assert not kept.ending_packages(), "we are about to tell it"
    # the first process of a container has the number 1 each time
    with monkeypatch.context() as before:
        before.setattr(opened, "own_start", lambda: "1")
        kept.write(package)
        kept.end(package)
    assert [one.load_id for one in kept.ending_packages()] == ["1"]


@pytest.mark.parametrize("when", ["held", "kept", "told"])
def test_a_package_that_moves(tmp_path: Path, when: str) -> None:
    kept, package = OpenRuns(tmp_path), _package()
    kept.hold(package)
    if when != "held":
        assert kept.keep(package)
    if when == "told":
        kept.told(package)
    kept.move(package, "2")
    assert kept.keep(package), "the sender asks by the name that it has now"
    kept.told(package)
    assert sorted(os.listdir(tmp_path / "open")) == ["2.json", "2.json.told"]
    assert [one.load_id for one in OpenRuns(tmp_path).packages()] == ["2"]
    kept.end(package)
    kept.forget(package.name)
    assert kept.is_empty()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_fork_beside_a_thread_that_writes(tmp_path: Path) -> None:
    kept = OpenRuns(tmp_path)
    with kept._guard:  # by the thread, which the child does not have
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            kept.write(_package())
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert [one.load_id for one in kept.packages()] == ["1"]
