"""Observers that a pipeline begins with: the progress display and those that installed packages offer."""

from __future__ import annotations

import importlib
from functools import lru_cache
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
    """Observers of installed packages, looked for once in a process."""
    from headrace.bus.bus import installed_observers

    return tuple(installed_observers())
