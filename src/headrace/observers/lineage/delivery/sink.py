"""What a pipeline's observer holds: it takes functions that make events, and never holds up who brings them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.config.lineage import LineageConfiguration

if TYPE_CHECKING:
    from headrace.observers.lineage.delivery.runtime import Runtime


class DiskSink:
    """Takes events of one pipeline: writes them into its store, and tells those who send.

    Args:
        folder: The folder `lineage` of the pipeline's working folder.
        settings: The section `lineage`.
        pipeline: The pipeline's name, for messages.
    """

    def __init__(self, folder: Path, settings: LineageConfiguration, pipeline: str = "") -> None:
        self.folder, self.settings = Path(folder), settings
        self.pipeline = pipeline or self.folder.parent.name
        # where the process is now: it may change its folder
        self.path = _absolute(settings.path) if settings.path else None

    def emit(
        self,
        make: Callable[[], list[dict[str, Any]]],
        after: Callable[[], None] | None = None,
        now: bool = False,
    ) -> None:
        """Put a piece of work into the queue; returns at once and raises nothing.

        Args:
            make: Called once, on the writer's thread, after all that was emitted before by any pipeline of the process:
                gives the events, as plain dicts. What it raises is logged.
            after: Called on that thread once the events are on disk.
            now: Nobody would tell it again if the process died: it does not wait until the run is over.
        """
        self._runtime().put(self, make, after, now)

    def told(self, run_ids: set[str]) -> set[tuple[str, str]]:
        """The events of some runs that are on disk: (run id, state). For the writer's thread."""
        from headrace.observers.lineage.store import EventStore

        return EventStore(self.folder).told(run_ids)

    def begin(self) -> None:
        """A run begins: what takes the processor for long (loading OpenLineage's client) waits for its end."""
        self._runtime().begin()

    def end(self) -> None:
        """The run is over."""
        self._runtime().end()

    def drain(self, seconds: float) -> bool:
        """Wait until all that was emitted is safe on disk (not: sent), at most so long; whether it is."""
        return self._runtime().drain(seconds)

    def flush(self, seconds: float) -> bool:
        """Wait until all that was emitted is sent, at most so long; whether it is.

        Does not wait longer when a receiver is known to be down.
        """
        return self._runtime().flush(self, seconds)

    @staticmethod
    def _runtime() -> Runtime:
        from headrace.observers.lineage.delivery.runtime import runtime

        return runtime()


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111 - links are not followed
