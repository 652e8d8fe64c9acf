"""Lineage for pipelines of upstream dlt, on dlt's own tracking protocol (`dlt.pipeline.trace.TRACKING_MODULES`)."""

from __future__ import annotations

import atexit
import importlib
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from typing_extensions import Self

from headrace.config.lineage import LineageConfiguration, is_disabled, lineage_settings
from headrace.errors.base import MissingDependencyException
from headrace.observers.lineage.dlt_tracker import DltTracker
from headrace.observers.lineage.sink import FileSink, Sink

logger = logging.getLogger("headrace")

NO_TRACE = (
    "lineage: `enable_runtime_trace` is off{}: dlt calls no tracker then, and there will be no lineage events of its "
    "runs. Take the setting away, or set it to true."
)
_SECONDS = 1.0


class Attachment:
    """A tracker that dlt calls; also a context that ends it.

    Args:
        tracker: None where lineage is disabled.
    """

    def __init__(self, tracker: DltTracker | None) -> None:
        self.tracker = tracker
        self._attached = False

    @property
    def attached(self) -> bool:
        """Whether dlt calls it."""
        return self._attached

    def attach(self) -> Self:
        """Let dlt call it; nothing happens if dlt does already."""
        if self.tracker is not None and not self._attached:
            _modules().append(self.tracker)
            self._attached = True
            atexit.register(self.close)
            _complain_of_settings()
        return self

    def detach(self) -> None:
        """dlt calls it no more. What was told before is still sent."""
        if self._attached:
            _complain_of_pipeline()
            modules = _modules()
            modules[:] = [one for one in modules if one is not self.tracker]
            self._attached = False
            atexit.unregister(self.close)
            self._settle()

    def _settle(self) -> None:
        end = time.monotonic() + _SECONDS
        if self.tracker is None or not self.drain(_SECONDS):
            return
        try:
            self.tracker.settle()
        except Exception:  # it is the end of a script: nothing of ours may show
            logger.debug("lineage: what became of waiting packages cannot be found out", exc_info=True)
        self.drain(max(0.0, end - time.monotonic()))

    def drain(self, seconds: float = _SECONDS) -> bool:
        """Wait until all events are safe, at most so long; whether they are."""
        return self.tracker is None or self.tracker.drain(seconds)

    def close(self) -> None:
        """At the end of the process."""
        self.detach()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.detach()


def attach_to_dlt(
    path: str | os.PathLike[str] | None = None,
    *,
    namespace: str | None = None,
    namespaces: Mapping[str, str] | None = None,
    sink: Sink | None = None,
) -> Attachment:
    """Tell the lineage of all runs of dlt in this process as OpenLineage events::

        import dlt
        from headrace.lineage import attach_to_dlt

        attach_to_dlt()

    Events go where headrace's own go: what `OPENLINEAGE_URL`, an ``openlineage.yml`` or the section ``[lineage]`` say;
    without any of them they are only kept, beside the working folders of dlt's pipelines. `OPENLINEAGE_DISABLED`
    switches it off.

    Args:
        path: A file to write events to, one a line, instead.
        namespace: Of jobs; `OPENLINEAGE_NAMESPACE`, else ``default``.
        namespaces: Dataset namespaces to replace, old to new.
        sink: Takes the events instead.

    Returns:
        To be detached again; a second call without arguments gives the first one's.

    Raises:
        MissingDependencyException: dlt is not installed.
    """
    engine = ("dlt", str(_dlt().__version__))
    if is_disabled():
        return Attachment(None)
    wanted = (path, namespace, namespaces, sink)
    known = next((one for one in _modules() if isinstance(one, DltTracker)), None)
    if known is not None and not any(one is not None for one in wanted):
        return _attachments[id(known)]
    if known is not None:
        raise ValueError(
            "Lineage is attached to dlt already, with other settings. Call `detach()` of what the first "
            "`attach_to_dlt()` returned before you attach with new ones."
        )
    settings = lineage_settings()
    settings.namespace = namespace or settings.namespace
    settings.namespaces = {**(settings.namespaces or {}), **(namespaces or {})}
    tracker = DltTracker(_sinks(path, sink, settings), settings, engine)
    made = _attachments[id(tracker)] = Attachment(tracker)
    return made.attach()


def _sinks(
    path: str | os.PathLike[str] | None, sink: Sink | None, settings: LineageConfiguration
) -> Callable[[Path, str], Sink]:
    if sink is None and path is not None:
        sink = FileSink(Path(path).absolute())
    if sink is not None:
        only = sink
        return lambda folder, name: only
    from headrace.observers.lineage.delivery import sink_for

    return lambda folder, name: sink_for(folder, settings, name)


_attachments: dict[int, Attachment] = {}


def _dlt() -> Any:
    try:
        importlib.import_module("dlt.pipeline.trace")
    except ImportError as error:
        raise MissingDependencyException("attach_to_dlt", ["headrace[dlt]"]) from error
    return sys.modules["dlt"]


def _modules() -> list[Any]:
    _dlt()
    modules: list[Any] = sys.modules["dlt.pipeline.trace"].TRACKING_MODULES
    return modules


def _complain_of_settings() -> None:
    """A switch of dlt for all pipelines."""
    try:
        if _dlt().config.get("enable_runtime_trace", bool) is False:
            _warn("")
    except Exception:  # dlt's providers may fail where the run itself would say it better
        logger.debug("lineage: dlt's configuration cannot be read", exc_info=True)


def _complain_of_pipeline() -> None:
    """A switch of dlt for the pipeline that is active."""
    container = importlib.import_module("dlt.common.configuration.container").Container()
    context = container[importlib.import_module("dlt.common.pipeline").PipelineContext]
    pipeline = context.pipeline() if context.is_active() else None
    if pipeline is not None and not getattr(pipeline.config, "enable_runtime_trace", True):
        _warn(f" for the pipeline `{pipeline.pipeline_name}`")


def _warn(where: str) -> None:
    # not the log: nobody has set up headrace's where dlt runs
    warnings.warn(NO_TRACE.format(where), RuntimeWarning, stacklevel=3)
