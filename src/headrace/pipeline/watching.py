"""Observers that a pipeline begins with: the progress display, those that settings ask for, and those of packages."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from headrace.pipeline.core import PipelineCore

logger = logging.getLogger("headrace")

# rooms above this one are only known by name
_PROGRESS = "headrace.observers.progress"
# trackers written for dlt have registered there, if it is loaded at all
_TRACKING = "headrace.pipeline.trace"

# Settings of `runtime`, and who watches runs when one of them is set. `name.` is any setting of the section
# `runtime.name`. The module has a function `observer_for(pipeline)` that gives an observer or None.
CONFIGURED: dict[str, tuple[str, ...]] = {
    "headrace.observers.alerts.configured": ("slack_incoming_hook", "trace_url", "alerts."),
    "headrace.observers.sentry": ("sentry_dsn",),
    "headrace.observers.otel": ("otel",),
}


def _wants_lineage(p: PipelineCore) -> bool:
    from headrace.config.lineage import may_be_on

    return may_be_on(p._settings.has_section("lineage"))


# The same for what has a section of its own, or is switched on from outside: a quick look that may say yes too often.
WANTED: dict[str, Callable[[PipelineCore], bool]] = {"headrace.observers.lineage": _wants_lineage}

_everywhere: list[Any] = []
_Any = TypeVar("_Any", bound="PipelineCore")


@contextmanager
def watching_all(observer: Callable[[Any, Any], None]) -> Iterator[None]:
    """Inside, a function of an event and the run is told of the runs of all pipelines of the process."""
    from headrace.bus.observer import OnEvent

    added = OnEvent(observer)
    _everywhere.append(added)
    try:
        yield
    finally:
        _everywhere.remove(added)


def watch(p: PipelineCore) -> None:
    """Let those who watch every run look at the pipeline: called when a run begins, each is added once."""
    if "nobody" in p._watchers:
        return
    observers, gates = installed()
    for observer in (*observers, *_everywhere):
        p.bus.observe(observer)
    for gate in gates:
        p.bus.guard(gate)
    if "hooks" not in p._watchers and (_is_set(p, "observers") or _is_set(p, "gates")):
        from headrace.pipeline.hooking import hook_in

        p._watchers["hooks"] = True
        hook_in(p)
    if "tracking" not in p._watchers and (_TRACKING in sys.modules or p.collector is not None):
        track(p)
    for module, names in CONFIGURED.items():
        if module not in p._watchers and any(_is_set(p, name) for name in names):
            p._watchers[module] = _configured(p, module, names)
    for module, wants in WANTED.items():
        if module not in p._watchers and wants(p):
            p._watchers[module] = _configured(p, module, ())


def unwatched(p: _Any) -> _Any:
    """A pipeline of ours, whose runs are not the user's: nobody is told of them because of a setting."""
    p._watchers["nobody"] = True
    return p


def track(p: PipelineCore) -> None:
    """Let trackers that are written for dlt, and the progress collector, be told of traces."""
    room = importlib.import_module(_TRACKING)
    if room.wants_tracking(p.collector):
        p._watchers["tracking"] = p.bus.observe(room.Tracking())


def watch_plan(p: PipelineCore, twin: PipelineCore) -> None:
    """Let those who want to know of plans look at the twin that makes one."""
    for module, wants in WANTED.items():
        if f"plan:{module}" not in p._watchers and wants(p):
            importlib.import_module(module).watch_plans(p)
    for key, observer in p._watchers.items():
        if key.startswith("plan:"):
            twin.bus.observe(observer)


def _is_set(p: PipelineCore, name: str) -> bool:
    if name.endswith("."):
        return p._settings.has_section(name[:-1])
    # an empty list of addresses, say, switches nothing on
    return bool(getattr(p._settings.runtime, name, None))


def _configured(p: PipelineCore, module: str, names: tuple[str, ...]) -> Any:
    """Make an observer that settings ask for. What goes wrong is said, and is no reason for a run to fail."""
    from headrace.config.current import pipeline_name_scope

    try:
        with pipeline_name_scope(p.pipeline_name):
            observer = importlib.import_module(module).observer_for(p)
        if observer is not None:
            p.bus.observe(observer)
    except Exception as error:  # noqa: BLE001 - watching must not break what it watches
        logger.warning(
            "pipeline `%s`: `%s` could not be set up and sees nothing of its runs: %s: %s. The run goes on. It is "
            "asked for by %s: correct that setting, or remove it.",
            *(p.pipeline_name, module, type(error).__name__, error, _asked_by(p, module, names)),
        )
        return None
    return observer


def _asked_by(p: PipelineCore, module: str, names: tuple[str, ...]) -> str:
    if not names:
        return f"the section `{module.rpartition('.')[2]}` or its variables"
    found = [name + "*" if name.endswith(".") else name for name in names if _is_set(p, name)]
    return ", ".join(f"`runtime.{name}`" for name in found)


def set_collector(p: PipelineCore, progress: Any) -> None:
    """Show progress by a collector, or by the one of a name; None shows nothing."""
    if progress is None:
        return
    room = importlib.import_module(_PROGRESS)
    p.collector = room.make_collector(progress)
    if not isinstance(p.collector, room.NullCollector):
        p.bus.observe(room.ProgressObserver(p.collector))


@lru_cache(maxsize=1)
def installed() -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Observers and gates that installed packages offer, looked for once in a process."""
    if not any(map(_offers_hooks, sys.path)):
        return (), ()
    from headrace.bus.bus import installed_gates, installed_observers

    return tuple(installed_observers()), tuple(installed_gates())


def _offers_hooks(folder: str) -> bool:
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
        if b"[headrace.observers]" in text or b"[headrace.gates]" in text:
            return True
    return False
