"""The threads of a process: one that makes events and writes them to disk, and one for each receiver."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from headrace.config.lineage import LineageConfiguration
from headrace.errors.masking import without_secrets
from headrace.observers.lineage import store
from headrace.observers.lineage.delivery.masks import masked
from headrace.observers.lineage.delivery.post import Post, has_transport
from headrace.observers.lineage.delivery.sink import DiskSink
from headrace.observers.lineage.delivery.spool import Spool

logger = logging.getLogger("headrace")

Make: TypeAlias = Callable[[], "list[dict[str, Any]]"]

QUEUE_MAX = 10_000
"""Pieces of work that wait in memory at most: beyond them, who brings one does some of the work."""

_WRITE_SECONDS = 10.0  # at the end of the process, for the disk


def sink_for(working_dir: str | os.PathLike[str], settings: LineageConfiguration, pipeline_name: str = "") -> DiskSink:
    """The sink of a pipeline.

    Args:
        working_dir: The pipeline's working folder.
        settings: The section `lineage`.
        pipeline_name: For messages; the folder's name by default.
    """
    return DiskSink(Path(working_dir) / store.FOLDER, settings, pipeline_name)


class Runtime:
    """All that is alive of delivery in this process. A forked child begins with a new one."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.quiet = threading.Condition()
        self.closing = self._over = False
        self._runs = 0
        self._queue: deque[tuple[DiskSink | None, Make]] = deque()
        self._some = threading.Event()
        self._guard = threading.Lock()
        self._working = threading.Lock()
        self._writer: threading.Thread | None = None
        self._spools: dict[Path, Spool] = {}
        self._posts: dict[Any, Post] = {}
        self._of: dict[int, tuple[DiskSink, Spool, Post]] = {}
        self._trouble: set[str] = set()

    # ---- on the pipeline's thread ----

    def put(self, sink: DiskSink | None, make: Make) -> None:
        """Put work into the queue."""
        self._queue.append((sink, make))
        if not self._some.is_set():
            self._some.set()
        if self._writer is None:
            self._start()
        while len(self._queue) > QUEUE_MAX:
            self._one()

    def begin(self) -> None:
        """A run begins."""
        _close_with_child()
        with self.quiet:
            self._runs += 1

    def end(self) -> None:
        """A run is over."""
        with self.quiet:
            self._runs = max(0, self._runs - 1)
            self.quiet.notify_all()

    @property
    def is_busy(self) -> bool:
        """Whether a run goes on, which shall not be disturbed."""
        return self._runs > 0 and not self.closing

    def drain(self, seconds: float) -> bool:
        """Wait until all that was put is on disk."""
        if self._writer is None and not self._queue:
            return True
        done = threading.Event()

        def tell() -> list[dict[str, Any]]:
            done.set()
            return []

        self.put(None, tell)
        return done.wait(seconds)

    def flush(self, sink: DiskSink, seconds: float) -> bool:
        """Wait until all that a sink was given is sent."""
        end = time.monotonic() + seconds
        if not self.drain(seconds):
            return False
        found = self._of.get(id(sink))
        if found is None:
            return True
        _, spool, post = found
        return post.settle(end - time.monotonic()) or post.is_sent(spool)

    # ---- on the writer's thread ----

    def _start(self) -> None:
        with self._guard:
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="headrace-lineage", daemon=True)
                self._writer.start()

    def _write(self) -> None:
        while not self._over:
            self._some.wait()
            # before the queue is looked at: who puts something into it afterwards sets it again
            self._some.clear()
            while self._one():
                pass

    def _one(self) -> bool:
        """Do the next piece of work; False when there is none."""
        with self._working:
            if not self._queue:
                return False
            sink, make = self._queue.popleft()
            try:
                self._store(sink, make)
            except Exception as error:  # noqa: BLE001 - lineage never harms what it tells of
                self._told(sink, error)
        return True

    def _store(self, sink: DiskSink | None, make: Make) -> None:
        events = make()
        if not events or sink is None:
            return
        spool, post = self._route(sink)
        spool.append([masked(event) for event in events])
        post.tell(spool)

    def _route(self, sink: DiskSink) -> tuple[Spool, Post]:
        found = self._of.get(id(sink))
        if found is None:
            spool = self._spools.get(sink.folder)
            if spool is None:
                spool = self._spools[sink.folder] = Spool(sink.folder, sink.settings, sink.pipeline)
            key = Post.key(sink)
            post = self._posts.get(key)
            if post is None:
                post = self._posts[key] = Post(self, sink)
            spool.expect(path=sink.path is not None, transport=has_transport(sink.settings))
            # the sink is kept too: the number of one that is gone could be another's
            found = self._of[id(sink)] = (sink, spool, post)
        return found[1], found[2]

    def _told(self, sink: DiskSink | None, error: Exception) -> None:
        text = without_secrets(f"{type(error).__name__}: {error}")
        if text not in self._trouble and len(self._trouble) < 100:
            self._trouble.add(text)
            where = f" of pipeline `{sink.pipeline}`" if sink else ""
            logger.warning(
                "lineage: events%s could not be made or written, and are missing: %s. The load is not affected. The "
                "same trouble is not told again by this process.",
                *(where, text),
                exc_info=logger.isEnabledFor(logging.DEBUG),
            )

    # ---- at the end ----

    def close(self, seconds: float | None = None) -> bool:
        """Write what is in memory, and send what can be sent soon; whether all was.

        Args:
            seconds: For sending, at most; by default what the settings say.
        """
        self.closing = True
        with self.quiet:
            self.quiet.notify_all()
        written = self.drain(_WRITE_SECONDS)
        self._over = True
        self._some.set()
        if seconds is None:
            seconds = max((sink.settings.drain_seconds for sink, _, _ in self._of.values()), default=0.0)
        end = time.monotonic() + seconds
        posts = list(self._posts.values())
        for post in posts:
            post.hurry()
        # a file of ours is there at once: what is not in it would be missed by who reads it next
        sent = [post.settle(_WRITE_SECONDS if post.is_local else end - time.monotonic()) for post in posts]
        for post in posts:
            post.stop(max(0.0, end - time.monotonic()))
        return written and all(sent)


_runtime: Runtime | None = None
_making = threading.Lock()


def runtime() -> Runtime:
    """The one of this process; made when it is asked for first."""
    global _runtime
    found = _runtime
    if found is None:
        with _making:
            found = _runtime = _runtime or Runtime()
    return found


def close(seconds: float | None = None) -> bool:
    """Write and send what is left, and end all threads that send; the next event begins anew.

    Args:
        seconds: For sending, at most; by default `lineage.drain_seconds`.

    Returns:
        Whether everything was sent. What was not is kept, and is sent by the next run or by a replay.
    """
    global _runtime
    found, _runtime = _runtime, None
    return found.close(seconds) if found is not None else True


_finalized = 0


def _close_with_child() -> None:
    """A child of `multiprocessing` ends without what `atexit` was told; it has a list of its own for that."""
    global _finalized
    found = sys.modules.get("multiprocessing.process")
    if found is None or found.parent_process() is None or _finalized == os.getpid():
        return
    from multiprocessing.util import Finalize

    _finalized = os.getpid()
    Finalize(None, close, exitpriority=0)


def _after_fork() -> None:
    global _runtime, _making
    _runtime, _making = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(close)
