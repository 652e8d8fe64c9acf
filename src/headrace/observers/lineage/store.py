"""The local store of a pipeline's events: files of lines in its working folder, written behind one another.

One event is one line, as it goes over the wire. The store is the memory of the graph, and at once what is sent: each
receiver has a mark in it (`delivery.marks`). Any number of processes and threads may append and read.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import sys
import threading
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from headrace.base import failpoints, forks
from headrace.observers.lineage.sink import FOLDER as FOLDER

logger = logging.getLogger("headrace")

SEGMENT_BYTES = 4 * 2**20
_BLOCK = 1 << 18
_encode = msgspec.json.Encoder().encode

if sys.platform == "win32":
    import msvcrt

    def lock_file(fd: int, wait: bool = True) -> None:
        """Take the lock of a file. Raises OSError when it is held elsewhere and there is no waiting."""
        os.lseek(fd, 0, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)

    def unlock_file(fd: int) -> None:
        """Give the lock back."""
        os.lseek(fd, 0, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def lock_file(fd: int, wait: bool = True) -> None:
        """Take the lock of a file. Raises OSError when it is held elsewhere and there is no waiting."""
        fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)

    def unlock_file(fd: int) -> None:
        """Give the lock back."""
        fcntl.flock(fd, fcntl.LOCK_UN)


class Position(msgspec.Struct, frozen=True, order=True, array_like=True):
    """A place between two events: the number of a file and bytes in it."""

    segment: int
    offset: int


START = Position(0, 0)


class _Run(msgspec.Struct):
    runId: str = ""


class Head(msgspec.Struct):
    """What has to be known of an event to treat it rightly; the rest of the line is not looked at."""

    eventType: str = ""
    eventTime: str = ""
    run: _Run | None = None

    @property
    def run_id(self) -> str:
        """Id of its run; empty for events of jobs and datasets."""
        return self.run.runId if self.run else ""


_head = msgspec.json.Decoder(Head)


def head_of(line: bytes) -> Head | None:
    """The head of a line; None when it is no event (a write that a killed process did not finish)."""
    try:
        return _head.decode(line)
    except msgspec.DecodeError:
        return None


class EventStore:
    """The events of one pipeline.

    Args:
        folder: The folder `lineage` of its working folder; made when something is appended.
        segment_bytes: Size from which a new file is begun.
    """

    def __init__(self, folder: str | os.PathLike[str], segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder = Path(folder)
        self.events = self.folder / "events"
        self.segment_bytes = segment_bytes
        self._guard = threading.Lock()
        self._lock_fd = self._fd = -1
        self._segment = -1
        forks.renew(self)

    def after_fork(self) -> None:
        """In a child: handles are given back, or it would share the locks of its parent."""
        self._guard = threading.Lock()
        self.close()

    # ---- writing ----

    def append(self, events: Iterable[dict[str, Any] | bytes]) -> Position:
        """Put events behind the others, in order; nothing is synced to the medium.

        Args:
            events: Events, or their JSON in one line each.

        Returns:
            The end of the store behind them.

        Raises:
            OSError: The disk is full, or the folder cannot be written. Nothing is in the store then.
        """
        data = b"".join((line if isinstance(line, bytes) else _encode(line)) + b"\n" for line in events)
        with self._guard, self._locked():
            fd, size = self._current()
            if size and size + len(data) > self.segment_bytes:
                fd, size = self._open(self._segment + 1)
            return Position(self._segment, append_whole(fd, size, data))

    def end(self) -> Position:
        """The place behind the last event."""
        numbers = self.segments()
        return Position(numbers[-1], self._size(numbers[-1])) if numbers else START

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the store against other processes, and keep the handles right: somebody may have deleted the folder."""
        if self._lock_fd >= 0 and not os.fstat(self._lock_fd).st_nlink:
            self.close()
        if self._lock_fd < 0:
            self.events.mkdir(parents=True, exist_ok=True)
            self._lock_fd = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        lock_file(self._lock_fd)
        try:
            yield
        finally:
            unlock_file(self._lock_fd)

    def _current(self) -> tuple[int, int]:
        """Handle and size of the file that is written to."""
        if self._fd >= 0:
            status = os.fstat(self._fd)
            if status.st_nlink and not self._path(self._segment + 1).exists():
                return self._fd, status.st_size
        self.events.mkdir(parents=True, exist_ok=True)
        numbers = self.segments()
        return self._open(numbers[-1] if numbers else 0)

    def _open(self, number: int) -> tuple[int, int]:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._fd = os.open(self._path(number), os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
        self._segment = number
        return self._fd, os.fstat(self._fd).st_size

    def close(self) -> None:
        """Give back the handles; they are opened again when needed."""
        for fd in (self._fd, self._lock_fd):
            if fd >= 0:
                os.close(fd)
        self._fd = self._lock_fd = -1

    # ---- reading ----

    def read(
        self,
        since: dt.datetime | None = None,
        run_ids: Collection[str] | None = None,
        after: Position = START,
    ) -> Iterator[dict[str, Any]]:
        """The events in the order in which they came.

        Args:
            since: Only those whose `eventTime` is not before this instant.
            run_ids: Only those of these runs.
            after: Only those behind this place.
        """
        wanted = set(run_ids) if run_ids is not None else None
        for _, line in self.lines(after, _mtime(since)):
            head = head_of(line)
            if head is None or (wanted is not None and head.run_id not in wanted):
                continue
            if since is not None and _instant(head.eventTime) < since:
                continue
            yield msgspec.json.decode(line)

    def told(self, run_ids: Collection[str]) -> set[tuple[str, str]]:
        """Which events of some runs are there: (run id, state)."""
        names = [run_id.encode() for run_id in run_ids]
        found = set()
        for _, line in self.lines():
            # a run is named by others too: what its line is about is in the head
            if any(name in line for name in names) and (head := head_of(line)) and head.run_id in run_ids:
                found.add((head.run_id, head.eventType))
        return found

    def lines(self, after: Position = START, changed_since: float = 0.0) -> Iterator[tuple[Position, bytes]]:
        """Lines as they are on disk, each with the place behind it. A line that is still being written is not told.

        Args:
            after: Where to begin.
            changed_since: Files that were not written since this time (unix seconds) are passed over.
        """
        for number in self.segments():
            if number < after.segment or (changed_since and self._changed(number) < changed_since):
                continue
            at = after.offset if number == after.segment else 0
            # a file that was deleted meanwhile had nothing that anybody wanted
            with contextlib.suppress(FileNotFoundError), self._path(number).open("rb") as stream:
                stream.seek(at)
                for line in stream:
                    if not line.endswith(b"\n"):
                        break
                    at += len(line)
                    yield Position(number, at), line[:-1]

    def bytes_after(self, place: Position) -> int:
        """Bytes of all events behind a place."""
        sizes = [(n, self._size(n)) for n in self.segments() if n >= place.segment]
        return sum(size for _, size in sizes) - (place.offset if sizes and sizes[0][0] == place.segment else 0)

    def segments(self) -> list[int]:
        """Numbers of the files, oldest first."""
        try:
            names = os.listdir(self.events)  # noqa: PTH208 - a tenth of the time
        except FileNotFoundError:
            return []
        return sorted(int(name[:-7]) for name in names if name.endswith(".ndjson") and name[:-7].isdecimal())

    def surplus(self, keep_bytes: int, unsent: Position | None) -> Position:
        """The place before which everything can be deleted, file by file, the oldest first.

        Args:
            keep_bytes: At least so much is kept.
            unsent: Nothing behind this place is deleted; None when everything was sent.
        """
        left, first = self.bytes_after(START), 0
        for number in self.segments()[:-1]:
            left -= self._size(number)
            if left < keep_bytes or (unsent is not None and number >= unsent.segment):
                break
            first = number + 1
        return Position(first, 0)

    def trim(self, keep_bytes: int, unsent: Position | None, before: Position | None = None) -> int:
        """Delete the oldest files as long as the others hold at least so many bytes.

        Args:
            keep_bytes: As of `surplus`.
            unsent: As of `surplus`.
            before: Nothing behind this place is deleted either.

        Returns:
            Bytes that were freed.
        """
        with self._guard, self._locked():
            end = min(one for one in (self.surplus(keep_bytes, unsent), before) if one is not None)
            freed = 0
            for number in self.segments():
                if number < end.segment:
                    freed += self._size(number)
                    self._path(number).unlink(missing_ok=True)
        return freed

    def _path(self, number: int) -> Path:
        return self.events / f"{number:08d}.ndjson"

    def _size(self, number: int) -> int:
        try:
            return self._path(number).stat().st_size
        except FileNotFoundError:
            return 0

    def _changed(self, number: int) -> float:
        try:
            return self._path(number).stat().st_mtime
        except FileNotFoundError:
            return 0.0


def append_whole(fd: int, size: int, data: bytes) -> int:
    """Write lines behind what is in a file, all or nothing, whose lock is held; gives the new size.

    A process that was killed while it wrote may have left half a line: it is ended first, so that it spoils no other.
    """
    if _torn(fd, size):
        data = b"\n" + data
    failpoints.hit("lineage.append")
    done = 0
    try:
        while done < len(data):
            done += os.write(fd, memoryview(data)[done:])
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(fd, size)
        raise
    failpoints.hit("lineage.appended")
    return size + len(data)


def _torn(fd: int, size: int) -> bool:
    if not size:
        return False
    os.lseek(fd, size - 1, os.SEEK_SET)
    return os.read(fd, 1) != b"\n"


def read(
    pipelines_dir: str | os.PathLike[str],
    pipeline: str | None = None,
    since: dt.datetime | None = None,
    run_ids: Collection[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """Events of a pipeline, or of all whose working folders are in a folder, pipeline by pipeline.

    Args:
        pipelines_dir: The folder of all pipelines.
        pipeline: The name of one of them.
        since: Only events whose `eventTime` is not before this instant.
        run_ids: Only those of these runs.
    """
    for name in [pipeline] if pipeline is not None else stored(pipelines_dir):
        yield from EventStore(Path(pipelines_dir) / name / FOLDER).read(since, run_ids)


def stored(pipelines_dir: str | os.PathLike[str]) -> list[str]:
    """Names of the pipelines that have events."""
    return sorted(path.parent.parent.name for path in Path(pipelines_dir).glob(f"*/{FOLDER}/events"))


def _mtime(since: dt.datetime | None) -> float:
    # clocks of writer and file system may differ a little
    return since.timestamp() - 60 if since is not None else 0.0


def _instant(text: str) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return dt.datetime.min.replace(tzinfo=dt.timezone.utc)
    return found if found.tzinfo else found.replace(tzinfo=dt.timezone.utc)
