"""One writer for a working folder, and an error that tells who it is.

The operating system's lock on the file ``lock`` is what counts: it goes away with the process that holds it, however
that dies. The file ``lock.owner`` beside it is only for people.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import socket
import sys
import threading
import time
import weakref
from pathlib import Path
from types import TracebackType

import msgspec
from typing_extensions import Self

from headrace.base import files as fs
from headrace.base import forks, json, signals
from headrace.base.time import now
from headrace.errors.package import PipelineLocked, WorkingFolderUnusable

# not `filelock`: its import alone takes 40 ms, four times what an idle run does
if sys.platform == "win32":
    import msvcrt

    def _take(fd: int) -> None:
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)

    def _give(fd: int) -> None:
        os.lseek(fd, 0, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _take(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _give(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)


_logger = logging.getLogger("headrace")


class LockOwner(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a lock."""

    pid: int | None = None
    host: str | None = None
    started_at: str | None = None


_decode_owner = msgspec.json.Decoder(LockOwner).decode  # made once: threads that look at a type at once crash
_held: weakref.WeakSet[WorkingFolderLock] = weakref.WeakSet()


class WorkingFolderLock:
    """A lock on a pipeline's working folder. May be taken again by its holder's thread; a context manager.

    Args:
        path: The working folder; made if it is missing.
        pipeline_name: For the error; the folder's name by default.

    Raises:
        PipelineLocked: On entering, when another process, object or thread holds it; names the holder.
    """

    def __init__(self, path: Path, pipeline_name: str = "") -> None:
        self.path = Path(path)
        self.pipeline_name = pipeline_name or self.path.name
        self._fd = -1
        self._depth = 0
        self._thread = 0

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._fd >= 0

    def acquire(self, wait: float = 0.0) -> None:
        """Take the lock.

        Args:
            wait: Seconds to wait at most while somebody else holds it; 0 does not wait.

        Raises:
            PipelineLocked: It is held elsewhere.
            SignalReceivedException: A signal came while waiting.
        """
        end, told = time.monotonic() + wait, False
        while True:
            try:
                self._acquire()
                return
            except PipelineLocked as locked:
                left = end - time.monotonic()
                if left <= 0:
                    raise
                if not told:
                    told = True
                    _logger.warning("%s %s; waiting for %.0f s at most", locked.what, locked.why, wait)
            signals.sleep(min(left, random.uniform(0.02, 0.2)))

    def _acquire(self) -> None:
        if self.held:
            if self._thread != threading.get_ident():
                raise self._refusal()
            self._depth += 1
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise WorkingFolderUnusable(self.pipeline_name, str(self.path), error) from error
        try:
            _take(fd)
        except OSError as error:
            os.close(fd)
            raise self._refusal() from error
        self._fd, self._depth, self._thread = fd, 1, threading.get_ident()
        _held.add(self)
        owner = LockOwner(pid=os.getpid(), host=socket.gethostname(), started_at=now().isoformat(timespec="seconds"))
        try:
            fs.write_atomic(self._owner_path, json.dumpb(owner))
        except OSError:
            # it is only told to those who wait: on a full disk the lock is held as well, by somebody unknown
            with contextlib.suppress(OSError):
                self._owner_path.unlink()

    def release(self) -> None:
        """Give back one `acquire`; the last one frees the folder."""
        if not self.held:
            return
        self._depth -= 1
        if self._depth == 0:
            fd, self._fd = self._fd, -1
            _held.discard(self)
            # the owner's file stays: taking it away could hit the next owner's
            _give(fd)
            os.close(fd)

    def owner(self) -> LockOwner:
        """Who took the lock last, as far as is known; it says nothing of whether they still hold it."""
        try:
            return _decode_owner(self._owner_path.read_bytes())
        except (OSError, msgspec.DecodeError):
            return LockOwner()

    @property
    def _owner_path(self) -> Path:
        return self.path / "lock.owner"

    def _refusal(self) -> PipelineLocked:
        owner = self.owner()
        return PipelineLocked(self.pipeline_name, str(self.path), owner.pid, owner.host, owner.started_at)

    def _forget(self) -> None:
        """In a forked child: close the copy of the handle, or the child would hold the lock beyond its parent's end."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd, self._depth = -1, 0

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _after_fork() -> None:
    for lock in list(_held):
        lock._forget()
    _held.clear()


forks.in_children(_after_fork)
