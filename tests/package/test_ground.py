"""The ground below the package: files that survive, retries, signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.base import files, signals
from headrace.base.retry import RetryPolicy
from headrace.errors.base import SignalReceivedException


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """Old content or new, never a part, and no temporary file stays."""
    path = tmp_path / "f"
    files.write_atomic(path, b"old", sync=True)
    with pytest.raises(TypeError):
        files.write_atomic(path, "text")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("slow", [0.0, 10.0], ids=["threads", "one by one"])
def test_a_group_is_synced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: float) -> None:
    """Every file once, then the folders; an error of any is raised."""
    monkeypatch.setattr(files, "SLOW_SYNC", slow)
    synced: list[int] = []
    monkeypatch.setattr(files, "sync_fd", synced.append)
    paths = [tmp_path / str(n) for n in range(20)]
    for path in paths:
        path.touch()
    files.sync_group(paths, [tmp_path])
    assert len(synced) == 20
    with pytest.raises(FileNotFoundError):
        files.sync_group([*paths, tmp_path / "none"])
    files.sync_group([])


def test_link_or_copy_shares_or_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second name where possible, a copy where not, and never over something that exists."""
    (tmp_path / "a").write_bytes(b"x")
    files.link_or_copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").stat().st_ino == (tmp_path / "a").stat().st_ino
    with pytest.raises(FileExistsError):
        files.link_or_copy(tmp_path / "a", tmp_path / "b")

    def refuse(*args: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    files.link_or_copy(tmp_path / "a", tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == b"x"
    assert (tmp_path / "c").stat().st_ino != (tmp_path / "a").stat().st_ino


def test_removing_what_is_gone_is_fine(tmp_path: Path) -> None:
    """A folder that is not there needs no deletion."""
    files.remove_tree(tmp_path / "none")


def test_retries_end_and_wait_longer_each_time() -> None:
    """As many tries as allowed, growing waits up to the longest, and the last error."""
    waits: list[float] = []
    policy = RetryPolicy(attempts=5, first_wait=1, factor=3, max_wait=5, jitter=0)
    tries: list[int] = []

    def act() -> None:
        tries.append(1)
        raise KeyError(len(tries))

    with pytest.raises(KeyError, match="5"):
        policy.call(act, lambda error: True, waits.append)
    assert waits == [1, 3, 5, 5]
    tries.clear()
    with pytest.raises(KeyError, match="1"):
        policy.call(act, lambda error: False, waits.append)
    assert all(0.5 <= RetryPolicy(first_wait=1, jitter=0.5).wait(1) <= 1 for _ in range(20))


def wait_for(seen: Callable[[], object]) -> None:
    """A signal is handled when the main thread gets its turn, which this is."""
    end = time.monotonic() + 60
    while not seen() and time.monotonic() < end:
        time.sleep(0.001)


def test_a_first_signal_waits_and_a_second_does_not() -> None:
    """The body goes on after the first; the second stops it at once; handlers are put back."""
    before = signal.getsignal(signal.SIGINT)
    steps = []
    with pytest.raises(SignalReceivedException), signals.delayed():
        os.kill(os.getpid(), signal.SIGINT)
        wait_for(signals.received)
        steps.append("went on")
        assert signals.received() == signal.SIGINT
        os.kill(os.getpid(), signal.SIGINT)
        wait_for(lambda: False)
        steps.append("not reached")
    assert steps == ["went on"]
    assert signals.received() is None
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_nobody_asked_for_is_raised_on_the_way_out_of_the_outermost() -> None:
    """Nested uses count as one."""
    inner_left = False
    with pytest.raises(SignalReceivedException), signals.delayed():
        with signals.delayed():
            os.kill(os.getpid(), signal.SIGTERM)
            wait_for(signals.received)
        inner_left = True
    assert inner_left


def test_sleep_ends_when_a_signal_comes() -> None:
    """Waiting for a retry does not hold a stop back."""
    started = time.perf_counter()
    with pytest.raises(SignalReceivedException), signals.delayed():
        timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM))
        timer.start()
        signals.sleep(250)
    assert time.perf_counter() - started < 60
    signals.sleep(0)


def test_users_handlers_and_other_threads_are_left_alone() -> None:
    """A handler of the user's stays in charge; outside the main thread nothing is done."""
    caught: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda code, frame: caught.append(code))
    try:
        with signals.delayed():
            os.kill(os.getpid(), signal.SIGTERM)
            wait_for(lambda: caught)
            assert signals.received() is None
    finally:
        signal.signal(signal.SIGTERM, before)
    assert caught == [signal.SIGTERM]
    done: list[bool] = []

    def elsewhere() -> None:
        with signals.delayed():
            done.append(True)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert done
    with signals.delayed(enabled=False):
        assert signal.getsignal(signal.SIGTERM) is before


def test_the_ground_is_light_to_import() -> None:
    """Packages and loading pull in no data library, and no library for locks or retries."""
    code = (
        "import sys, headrace.package.store, headrace.package.lock, headrace.load.stage;"
        "print(sorted({'pyarrow', 'duckdb', 'pandas', 'numpy', 'requests', 'sqlglot', 'filelock', 'tenacity',"
        " 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
