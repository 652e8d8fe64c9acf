"""How far a receiver got in the store: a file of a few bytes for each, which one process at a time may move."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

from headrace.observers.lineage.store import START, Position, lock_file, unlock_file

_TEXT = re.compile(rb"(\d{8}) (\d{14})\n")


class Mark:
    """The place in the store behind the last event that a receiver has.

    Args:
        folder: Where marks are kept.
        name: The receiver's.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.mark"
        self.name = name
        self._taken = threading.Lock()
        self._fd = -1

    def take(self) -> bool:
        """Become the one who moves it; False when another thread or process is."""
        if not self._taken.acquire(blocking=False):
            return False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
            lock_file(self._fd, wait=False)
        except OSError:
            self._close()
            self._taken.release()
            return False
        return True

    def give(self) -> None:
        """Let others move it."""
        unlock_file(self._fd)
        self._close()
        self._taken.release()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def place(self) -> Position:
        """Where it is; the beginning when it cannot be read: an event sent twice is better than one that is lost."""
        try:
            found = _TEXT.fullmatch(self.path.read_bytes())
        except FileNotFoundError:
            return START
        return Position(int(found[1]), int(found[2])) if found else START

    def move(self, place: Position) -> None:
        """Put it somewhere. So few bytes are written whole or not at all, whenever the process is killed."""
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.write(fd, b"%08d %014d\n" % (place.segment, place.offset))
        finally:
            os.close(fd)

    def forget(self) -> None:
        """Take it away: the receiver is no longer one."""
        self.path.unlink(missing_ok=True)
