"""How much of the crash suite is run: ``HEADRACE_CRASH_RUNS`` kills; all cases of the other tests when that is many."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

RUNS = int(os.environ.get("HEADRACE_CRASH_RUNS", "42"))
SEED = os.environ.get("HEADRACE_CRASH_SEED", "1")
LONG = RUNS >= 200


def some(cases: Sequence[T], few: int) -> Sequence[T]:
    """All cases in the long run, else the first few."""
    return cases if LONG else cases[:few]
