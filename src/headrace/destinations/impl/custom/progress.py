"""How many rows of a loader file the function has taken: durable in the package, so that a retry goes on behind them.

A number is written in place, in one call: a process that is killed leaves the old or the new one. It is handed to the
operating system with every batch and to the disk once a second: after `kill -9` at most the batch in hand comes again,
after a power cut those of the last second.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

_WIDTH = 20
_SYNC_SECONDS = 1.0


class Progress:
    """The number of one file; a context manager.

    Args:
        package: The package's folder.
        file_id: The loader file's id.
    """

    def __init__(self, package: Path, file_id: str) -> None:
        self._path = package / "taken" / file_id
        self._fd = -1
        self._synced = 0.0
        self.rows = 0

    def __enter__(self) -> Self:
        self._path.parent.mkdir(exist_ok=True)
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        text = os.read(self._fd, _WIDTH)
        self.rows = int(text) if text.strip().isdigit() else 0
        self._synced = time.monotonic()
        return self

    def took(self, rows: int) -> None:
        """Note that so many more rows were taken."""
        self.rows += rows
        os.lseek(self._fd, 0, os.SEEK_SET)
        os.write(self._fd, f"{self.rows:{_WIDTH}d}".encode())
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            os.fsync(self._fd)
            self._synced = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.fsync(self._fd)
        os.close(self._fd)
