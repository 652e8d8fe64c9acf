"""Whether a process is still the one that it was: the system uses its number again."""

from __future__ import annotations

import os
from pathlib import Path

_own: tuple[int, str] = (-1, "")


def process_started(pid: int) -> str:
    """When a process began, as the system says it, to tell it from a later one with the same number; empty if it is
    not alive or the system does not say."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def own_start() -> str:
    """When this process began."""
    global _own
    pid, started = _own
    if pid != os.getpid():
        pid, started = _own = (os.getpid(), process_started(os.getpid()))
    return started


def runs_still(pid: int, started: str = "") -> bool:
    """Whether a process of this machine, or this one, still runs.

    Args:
        pid: Its number. In a container it is often the same again after each restart.
        started: What `process_started` has said of it; empty where it said nothing.
    """
    if started:
        return process_started(pid) == started
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except OSError:
        return True  # it is somebody else's
    return True
