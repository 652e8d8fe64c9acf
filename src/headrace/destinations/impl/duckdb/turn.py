"""Waiting for a database file that another process has open.

DuckDB lets one process at a time write to a file, and refuses the others at once. Nobody tells them when the file is
free, so they ask again and again, at random intervals, so that it is not always the same one who is lucky.
"""

from __future__ import annotations

import logging
import random
import re
import time

from headrace.base import signals

_logger = logging.getLogger("headrace")

# on POSIX systems, and on Windows
_LOCKED = re.compile(r"could not set lock on file|being used by another process", re.IGNORECASE)
_HOLDER = re.compile(r"lock is held in (?P<program>.+?) \(PID (?P<pid>\d+)\)", re.IGNORECASE)

# a refused try costs some 4 ms of processor time
_SHORTEST, _LONGEST = 0.005, 0.25
_SAY_AFTER, _SAY_AGAIN = 5.0, 30.0


def is_locked(error: BaseException) -> bool:
    """Whether DuckDB refused a file because another process has it open."""
    return _LOCKED.search(str(error)) is not None


def holder_of(error: BaseException) -> int | None:
    """The process id that DuckDB's refusal names; None when it names none."""
    found = _HOLDER.search(str(error))
    return int(found["pid"]) if found else None


class Turn:
    """One wait for a file.

    Args:
        path: The file.
        longest: Seconds to wait at most.
    """

    def __init__(self, path: str, longest: float) -> None:
        self._path, self._longest = path, longest
        self._began = time.monotonic()
        self._said = 0.0
        self._cap = 2 * _SHORTEST

    def comes(self, error: BaseException) -> bool:
        """Whether a refusal is worth another try; says who holds the file when the wait gets long."""
        waited = time.monotonic() - self._began
        if not is_locked(error) or waited >= self._longest:
            return False
        if waited >= (self._said + _SAY_AGAIN if self._said else _SAY_AFTER):
            self._said = waited
            pid = holder_of(error)
            _logger.warning(
                "the DuckDB file %s is open in %s; waiting for it since %.0f s, for %.0f s at most",
                *(self._path, f"process {pid}" if pid else "another process", waited, self._longest),
            )
        return True

    def pause(self) -> None:
        """Wait a little before the next try.

        Raises:
            SignalReceivedException: A signal came.
        """
        signals.sleep(random.uniform(_SHORTEST, self._cap))
        self._cap = min(_LONGEST, self._cap * 2)
