"""Observers that a pipeline begins with: the progress display and those that installed packages offer."""

from __future__ import annotations

import importlib
import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.pipeline.core import PipelineCore

# rooms above this one are only known by name
_PROGRESS = "headrace.observers.progress"


def set_collector(p: PipelineCore, progress: Any) -> None:
    """Show progress by a collector, or by the one of a name; None shows nothing."""
    if progress is None:
        return
    room = importlib.import_module(_PROGRESS)
    p.collector = room.make_collector(progress)
    if not isinstance(p.collector, room.NullCollector):
        p.bus.observe(room.ProgressObserver(p.collector))


@lru_cache(maxsize=1)
def installed() -> tuple[Any, ...]:
    """Observers that installed packages offer, looked for once in a process."""
    if not any(map(_offers_observers, sys.path)):
        return ()
    from headrace.bus.bus import installed_observers

    return tuple(installed_observers())


def _offers_observers(folder: str) -> bool:
    """Whether a package in a folder has an entry point for us: a look at small files.

    `importlib.metadata` would tell as well, but loading it takes longer than an idle run.
    """
    try:
        packages = [name for name in os.listdir(folder or ".") if name.endswith((".dist-info", ".egg-info"))]  # noqa: PTH208
    except OSError:
        return False
    for package in packages:
        try:
            text = Path(folder, package, "entry_points.txt").read_bytes()
        except OSError:
            continue
        if b"[headrace.observers]" in text:
            return True
    return False
