"""A checked, append-only log of records: the only kind of file that headrace ever changes.

A record is one line: eight hexadecimal digits of the body's CRC-32, a space, the body (never empty), a newline. A
process may die in the middle of a line; such a torn tail is recognised by its checksum, left out when reading and cut
before the next record is written. Reading alone changes nothing, so that anyone may look while the owner writes.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from pathlib import Path

from headrace.base.files import sync_fd

_PREFIX = 9


def frame(body: bytes) -> bytes:
    """A record's line. The body must not hold a newline."""
    return b"%08x %b\n" % (zlib.crc32(body), body)


def parse(line: bytes) -> bytes | None:
    """The body of a line, newline included in the argument; None when it is torn or altered."""
    if len(line) <= _PREFIX + 1 or line[-1:] != b"\n" or line[8:9] != b" ":
        return None
    body = line[_PREFIX:-1]
    return body if line[:8] == b"%08x" % zlib.crc32(body) else None


def split(data: bytes) -> tuple[list[bytes], int]:
    """Read records up to the first bad line.

    Returns:
        The bodies, and the length in bytes of the good part.
    """
    bodies: list[bytes] = []
    good = 0
    while (end := data.find(b"\n", good)) >= 0:
        body = parse(data[good : end + 1])
        if body is None:
            break
        bodies.append(body)
        good = end + 1
    return bodies, good


class LogFile:
    """A log on disk.

    Args:
        path: The file; missing means an empty log. Its folder must exist when the first record is written.

    Attributes:
        records: Bodies of all good records, oldest first.
        stray: Good records found *behind* a bad line. A crash leaves none of them behind a synced record, so they tell
            damage from a torn tail; what to do about it is the owner's decision.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.records: list[bytes] = []
        self.stray: list[bytes] = []
        self._size = 0
        self._fd = -1
        self._broken: OSError | None = None
        self._load(self._read(0))

    def _read(self, start: int) -> bytes:
        try:
            with self.path.open("rb") as stream:
                stream.seek(start)
                return stream.read()
        except FileNotFoundError:
            return b""

    def _load(self, data: bytes) -> list[bytes]:
        bodies, good = split(data)
        self.records += bodies
        self._size += good
        tail = data[good:]
        self.stray = [body for line in tail.splitlines(keepends=True) if (body := parse(line)) is not None]
        return bodies

    def catch_up(self) -> list[bytes]:
        """Read what others have appended since; returns the new records."""
        return self._load(self._read(self._size))

    def _open(self) -> None:
        self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)

    def append(self, bodies: Sequence[bytes], *, sync: bool = False) -> list[bytes]:
        """Write records in one go, behind the last good one.

        Args:
            bodies: The records; none of them holds a newline.
            sync: Make them, and all before them, durable before returning.

        Returns:
            Records that another handle of the same log had written meanwhile; they come before these.

        Raises:
            OSError: Disk full or another failure. The log holds what it held before; after a failed *sync* this handle
                refuses to go on, since nobody can say what reached the disk.
        """
        if self._broken is not None:
            raise OSError(
                self._broken.errno, f"the log is unusable after a failed sync: {self._broken}", str(self.path)
            )
        if self._fd < 0:
            self._open()
        missed: list[bytes] = []
        if os.fstat(self._fd).st_size != self._size:
            missed = self.catch_up()
            os.ftruncate(self._fd, self._size)
        data = b"".join(map(frame, bodies))
        self._write(data)
        if sync:
            self._sync()
        self._size += len(data)
        self.records += bodies
        return missed

    def _write(self, data: bytes) -> None:
        written = 0
        try:
            while written < len(data):
                # nearly always one call; a full disk or a signal may make it shorter
                written += os.write(self._fd, data[written:])
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise

    def _sync(self) -> None:
        try:
            sync_fd(self._fd)
        except OSError as error:
            self._broken = error
            raise

    def close(self) -> None:
        """Give the file back; the next append opens it again."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def __del__(self) -> None:
        self.close()
