"""The lock on a working folder: one writer, named in the refusal, gone with its process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from headrace.errors.package import PipelineLocked
from headrace.package.lock import WorkingFolderLock

HOLDER = """
import os, sys, time
from pathlib import Path
from headrace.package.lock import WorkingFolderLock
with WorkingFolderLock(Path(sys.argv[1])):
    reader, writer = os.pipe()
    child = os.fork() if len(sys.argv) > 2 else -1
    if child == 0:
        os.write(writer, b"!")  # it has come so far that it closed its copy of the lock
    elif child > 0:
        os.read(reader, 1)
    if child:
        print("held", child, flush=True)
    time.sleep(60)
"""


def start(folder: Path, *args: str) -> tuple[subprocess.Popen[str], int]:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder), *args], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    word, child = holder.stdout.readline().split()
    assert word == "held"
    return holder, int(child)


def test_the_second_process_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    """The refusal names process, host and start; the holder's death by SIGKILL frees the folder."""
    holder, _ = start(tmp_path / "pipe")
    lock = WorkingFolderLock(tmp_path / "pipe")
    try:
        with pytest.raises(PipelineLocked) as refused:
            lock.acquire()
        error = refused.value
        assert (error.pid, error.host, error.pipeline_name) == (holder.pid, socket.gethostname(), "pipe")
        assert error.started_at
        assert f"process {holder.pid} on {socket.gethostname()}, since {error.started_at}" in str(error)
    finally:
        holder.kill()
        holder.communicate()
    with lock:
        assert lock.owner().pid == os.getpid()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    """Workers that outlive a killed parent hold nothing back."""
    holder, child = start(tmp_path, "fork")
    try:
        holder.kill()
        holder.wait()
        os.kill(child, 0)  # the child is alive
        with WorkingFolderLock(tmp_path):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_the_holder_may_enter_again(tmp_path: Path) -> None:
    """A step inside a run takes the lock once more; only the last release frees it."""
    lock, other = WorkingFolderLock(tmp_path), WorkingFolderLock(tmp_path)
    with lock:
        with lock:
            pass
        assert lock.held
        with pytest.raises(PipelineLocked):
            other.acquire()
    assert not lock.held
    with other:
        pass
    other.release()


def test_another_thread_is_refused(tmp_path: Path) -> None:
    """Two runs of one pipeline object in two threads are two writers."""
    lock = WorkingFolderLock(tmp_path)
    caught: list[BaseException] = []

    def enter() -> None:
        try:
            lock.acquire()
        except PipelineLocked as error:
            caught.append(error)

    with lock:
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    assert len(caught) == 1


def test_an_unreadable_owner_is_no_obstacle(tmp_path: Path) -> None:
    """The side file is only for people."""
    (tmp_path / "lock.owner").write_text("{")
    with WorkingFolderLock(tmp_path):
        (tmp_path / "lock.owner").write_text("{")
        with pytest.raises(PipelineLocked, match="not yet said its name"):
            WorkingFolderLock(tmp_path).acquire()


def test_a_full_disk_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who holds the lock cannot be written then; it is held once all the same, and given back."""
    from headrace.base import files

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_atomic", full)
    lock = WorkingFolderLock(tmp_path)
    with lock:
        assert lock.held
        with pytest.raises(PipelineLocked):
            WorkingFolderLock(tmp_path).acquire()
    assert not lock.held
    with WorkingFolderLock(tmp_path):
        pass
