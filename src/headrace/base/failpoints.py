"""Places where a test may kill the process: the proof that a crash at any instant does no harm.

``HEADRACE_FAILPOINT`` names one place, or several with commas: ``Extracted:before``, ``job.committed``. A number after
``#`` picks the hit, counted from 1: ``JobDone:after#2``. The process dies by SIGKILL, as it would by ``kill -9``: no
``finally``, no exit handler. Without the variable a place costs the lookup of one empty dictionary.
"""

from __future__ import annotations

import os
import signal

ENVIRONMENT_VARIABLE = "HEADRACE_FAILPOINT"


def parse(text: str) -> dict[str, int]:
    """Read the variable's value: place to the number of the hit that kills."""
    armed: dict[str, int] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, _, count = part.partition("#")
        armed[name] = int(count) if count else 1
    return armed


_armed: dict[str, int] = parse(os.environ.get(ENVIRONMENT_VARIABLE, ""))


def hit(name: str) -> None:
    """Die here if the place of this name is armed and its turn has come."""
    if name in _armed:
        _armed[name] -= 1
        if _armed[name] == 0:
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
