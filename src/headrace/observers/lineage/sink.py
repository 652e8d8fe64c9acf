"""Where events go from here. `delivery` has the real one; the one here writes a file, and is what tests look at.

The pipeline's thread hands over a function, never events: finding columns, naming, masking and encoding happen where
`Sink` calls it, on a thread of its own.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import msgspec

from headrace.base import forks

logger = logging.getLogger("headrace")

FOLDER = "lineage"
"""Of all that lineage keeps in a pipeline's working folder."""

Event: TypeAlias = dict[str, Any]
Make: TypeAlias = Callable[[], list[Event]]


_SECONDS = 1.0


class Sink(Protocol):
    """Takes what is to be told, in order, and never holds up the one who tells."""

    def emit(self, make: Make, after: Callable[[], None] | None = None, now: bool = False) -> None:
        """Put a piece of work into the queue; returns at once and raises nothing.

        Args:
            make: Called once, on the sink's thread, after all that was emitted before: gives the events, as plain
                dicts. What it raises is logged.
            after: Called on that thread once the events are safe.
            now: Nobody would tell it again if the process died: it does not wait for a better time.
        """

    def told(self, run_ids: set[str]) -> set[tuple[str, str]]:
        """The events of some runs that are safe, those of earlier processes too: (run id, state).

        Called on the sink's thread, where a process that is no more may have told some of its last events.
        """

    def drain(self, seconds: float) -> bool:
        """Wait until all that was emitted is safe on disk (not: sent), at most so long; whether it is."""

    def begin(self) -> None:
        """A run begins: what can wait should not take the processor from it."""

    def end(self) -> None:
        """The run is over."""


class FileSink:
    """Writes events to a file, one a line.

    Args:
        path: The file; events are put behind what is in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._forked = False
        self._begin()
        forks.renew(self)

    def _begin(self) -> None:
        self._queue: queue.Queue[tuple[Make, Callable[[], None] | None]] = queue.Queue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def after_fork(self) -> None:
        """In a child process, where the thread does not run; what was in the queue is the parent's to write."""
        self._begin()
        self._forked = True

    def emit(self, make: Make, after: Callable[[], None] | None = None, now: bool = False) -> None:
        """See `Sink`."""
        self._queue.put((make, after))
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="headrace lineage", daemon=True)
                self._thread.start()

    def told(self, run_ids: set[str]) -> set[tuple[str, str]]:
        """See `Sink`."""
        if not self.path.exists():
            return set()
        events = [msgspec.json.decode(line) for line in self.path.read_bytes().splitlines()]
        found = {(str(event.get("run", {}).get("runId")), str(event.get("eventType"))) for event in events}
        return {one for one in found if one[0] in run_ids}

    def drain(self, seconds: float) -> bool:
        """See `Sink`."""
        done = threading.Event()
        self.emit(lambda: done.set() or [])  # type: ignore[func-returns-value]
        return done.wait(seconds)

    def begin(self) -> None:
        """See `Sink`."""

    def end(self) -> None:
        """See `Sink`."""
        if self._forked:
            self.drain(_SECONDS)  # a child ends without a word to anybody

    def _work(self) -> None:
        while True:
            make, after = self._queue.get()
            try:
                from headrace.observers.lineage.delivery.masks import clean_line

                events = make()
                if events:
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                    with self.path.open("ab") as file:
                        file.write(b"".join(clean_line(event) + b"\n" for event in events))
                if after is not None:
                    after()
            except Exception:
                logger.warning("lineage: an event could not be written to %s", self.path, exc_info=True)
