"""The threads of a process: one that makes events and writes them to disk, and one for each receiver."""

from __future__ import annotations

import atexit
import logging
import math
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from headrace.base import forks
from headrace.config.lineage import LineageConfiguration
from headrace.errors.masking import without_secrets
from headrace.observers.lineage.delivery.sink import DiskSink
from headrace.observers.lineage.sink import FOLDER

if TYPE_CHECKING:
    # the writer loads them: a run begins without waiting for that
    from headrace.observers.lineage.delivery.post import Post
    from headrace.observers.lineage.delivery.spool import Spool

logger = logging.getLogger("headrace")

Make: TypeAlias = Callable[[], "list[dict[str, Any]]"]
After: TypeAlias = Callable[[], None]

QUEUE_MAX = 10_000
"""Pieces of work that wait in memory at most: beyond them, who brings one does some of the work."""

LATER = 1.0
"""Seconds that events wait while a run goes on: a short one is over by then, and nothing has taken its processor."""
_BATCH = 20  # pieces of work whose events are written at once
_BATCH_BYTES = 2**16  # and bytes from which on they are

_WRITE_SECONDS = 10.0  # at the end of the process, for the disk


def sink_for(working_dir: str | os.PathLike[str], settings: LineageConfiguration, pipeline_name: str = "") -> DiskSink:
    """The sink of a pipeline.

    Args:
        working_dir: The pipeline's working folder.
        settings: The section `lineage`.
        pipeline_name: For messages; the folder's name by default.
    """
    return DiskSink(Path(working_dir) / FOLDER, settings, pipeline_name)


class _Piece(NamedTuple):
    """Work for the writer: it makes events, and says so when they are on disk."""

    sink: DiskSink | None
    make: Make
    after: After | None


class Runtime:
    """All that is alive of delivery in this process. A forked child begins with a new one."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.quiet = threading.Condition()
        self.closing = self._over = False
        self._runs = 0
        self._queue: deque[_Piece] = deque()
        self._some = threading.Event()
        self._due = math.inf
        self._guard = threading.Lock()
        self._working = threading.Lock()
        self._writer: threading.Thread | None = None
        self._spools: dict[Path, Spool] = {}
        self._posts: dict[Any, Post] = {}
        # a program may have a pipeline for each of its tasks: nothing is kept of one that is gone
        self._of: weakref.WeakKeyDictionary[DiskSink, tuple[Spool, Post]] = weakref.WeakKeyDictionary()
        self._seconds = 0.0
        self._trouble: set[str] = set()

    # ---- on the pipeline's thread ----

    def put(self, sink: DiskSink | None, make: Make, after: After | None = None, now: bool = False) -> None:
        """Put work into the queue.

        Args:
            sink: Gets the events; None for work that makes none.
            make: Gives the events.
            after: Called when they are on disk.
            now: It does not wait for a better time.
        """
        self._queue.append(_Piece(sink, make, after))
        if now or not self.is_busy:
            self._due = 0.0
            self._some.set()
        elif self._due == math.inf:
            self._due = time.monotonic() + LATER
            self._some.set()
        if self._writer is None:
            self._start()
        while len(self._queue) > QUEUE_MAX:
            self._work()

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
        if self._queue:
            self._some.set()

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

        self.put(None, tell, now=True)
        return done.wait(seconds)

    def flush(self, sink: DiskSink, seconds: float) -> bool:
        """Wait until all that a sink was given is sent."""
        end = time.monotonic() + seconds
        if not self.drain(seconds):
            return False
        found = self._of.get(sink)
        if found is None:
            return True
        spool, post = found
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
            self._wait()
            self._due = math.inf
            while self._work():
                pass

    def _wait(self) -> None:
        """Let a run that goes on have the processor, for a while."""
        while self.is_busy and (left := self._due - time.monotonic()) > 0:
            # the run ends, or somebody wants it now
            self._some.wait(min(left, LATER))
            self._some.clear()

    def _work(self) -> bool:
        """Do what is next of one sink; False when there is nothing."""
        with self._working:
            if not self._queue:
                return False
            sink = self._queue[0].sink
            pieces: list[_Piece] = []
            lines: list[bytes] = []
            while self._queue and self._queue[0].sink is sink and len(pieces) < _BATCH and _size(lines) < _BATCH_BYTES:
                pieces.append(piece := self._queue.popleft())
                with self._watched(sink):
                    lines += [_line(event) for event in piece.make()]
            if self._store(sink, lines):
                for piece in pieces:
                    if piece.after is not None:
                        with self._watched(sink):
                            piece.after()
        return True

    def _store(self, sink: DiskSink | None, lines: list[bytes]) -> bool:
        """Write events to disk; False when it does not take them: what is noted of their runs must stay."""
        if not lines or sink is None:
            return True
        stored = False
        with self._watched(sink):
            spool, post = self._route(sink)
            spool.append(lines)
            stored = True
            post.tell(spool)
        return stored

    @contextmanager
    def _watched(self, sink: DiskSink | None) -> Iterator[None]:
        """What goes wrong inside is told, and harms nothing else."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - lineage never harms what it tells of
            self._told(sink, error)

    def _route(self, sink: DiskSink) -> tuple[Spool, Post]:
        found = self._of.get(sink)
        if found is None:
            from headrace.observers.lineage.delivery.post import Post, has_transport
            from headrace.observers.lineage.delivery.spool import Spool

            spool = self._spools.get(sink.folder)
            if spool is None:
                spool = Spool(sink.folder, sink.settings, sink.pipeline, lambda: self.is_busy)
                self._spools[sink.folder] = spool
            key = Post.key(sink)
            post = self._posts.get(key)
            if post is None:
                post = self._posts[key] = Post(self, sink)
            spool.expect(path=sink.path is not None, transport=has_transport(sink.settings))
            found = self._of[sink] = (spool, post)
            self._seconds = max(self._seconds, sink.settings.drain_seconds)
        return found

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
            seconds = self._seconds
        end = time.monotonic() + seconds
        posts = list(self._posts.values())
        for post in posts:
            post.hurry()
        # a file of ours is there at once: what is not in it would be missed by who reads it next
        sent = [post.settle(_WRITE_SECONDS if post.is_local else end - time.monotonic()) for post in posts]
        for post in posts:
            post.stop(max(0.0, end - time.monotonic()))
        for post, done in zip(posts, sent, strict=True):
            if not done:
                post.tell_left(seconds)
        return written and all(sent)


def _line(event: dict[str, Any]) -> bytes:
    from headrace.observers.lineage.delivery.masks import clean_line

    return clean_line(event)


def _size(lines: list[bytes]) -> int:
    return sum(map(len, lines))


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


forks.in_children(_after_fork)
atexit.register(close)
