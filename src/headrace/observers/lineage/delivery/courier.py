"""The thread of one receiver: brings it events from the stores of all pipelines, each in order, and tries again."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from headrace.base import failpoints
from headrace.errors.masking import without_secrets
from headrace.observers.lineage.delivery.breaker import Breaker
from headrace.observers.lineage.delivery.marks import Mark
from headrace.observers.lineage.delivery.outlets import Outlet, Trouble, Unwanted
from headrace.observers.lineage.delivery.spool import Spool
from headrace.observers.lineage.store import Position, head_of

if TYPE_CHECKING:
    from headrace.observers.lineage.delivery.post import Post
    from headrace.observers.lineage.delivery.runtime import Runtime

logger = logging.getLogger("headrace")

QUIET_SECONDS = 1.0
"""How long the loading of the client waits for the end of a run."""
_PAUSE = 0.01  # between two of its modules while a run goes on
_ELSEWHERE = 0.5  # until the next look when another process sends for a pipeline
_POISON = 3  # tries of one event that was answered with an error, before another is tried in its place

Line = tuple[Position, bytes]


class Courier:
    """Sends to one receiver.

    Args:
        post: All of the configuration.
        open_: Makes the receiver, on the thread; a second one and more get threads of their own.
        kind: ``file`` or ``client``.
    """

    def __init__(self, post: Post, open_: Callable[[], list[Outlet]], kind: str) -> None:
        self.post, self.kind = post, kind
        self.is_further = False
        self.breaker = Breaker(post.settings.breaker_failures, post.settings.breaker_seconds)
        self._open = open_
        self._outlet: Outlet | None = None
        self._changed = threading.Condition()
        self._asked = self._answered = 0
        self._stopped = False
        self._broken = self._nobody = False
        self._named: set[int] = set()
        self._resumed: set[int] = set()
        self._told: set[str] = set()
        self._due: float | None = None
        self._hard: dict[tuple[int, Position], int] = {}
        self._thread: threading.Thread | None = None

    # ---- from other threads ----

    def tell(self) -> None:
        """There may be something to send."""
        with self._changed:
            self._asked += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=f"headrace-lineage-{self.kind}", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def settle(self, seconds: float) -> bool:
        """Wait until everything was tried that was told of until now; whether it was in time."""
        with self._changed:
            asked = self._asked
            return self._changed.wait_for(lambda: self._answered >= asked, max(0.0, seconds))

    def has_all(self, spool: Spool) -> bool:
        """Whether the receiver has all events of a pipeline."""
        outlet = self._outlet
        return self._nobody if outlet is None else spool.is_sent(outlet.name)

    @property
    def has_told(self) -> bool:
        """Whether somebody who looks for missing events knows why they are."""
        return bool(self._told) or not self.breaker.is_closed

    def tell_left(self, seconds: float) -> None:
        """Say what is left at the end of the process: the receiver has said neither yes nor no until then."""
        where = self._outlet.where if self._outlet is not None else "the receiver"
        for spool in self.post.spools:
            if not self.has_all(spool):
                logger.warning(
                    "lineage: %s had not taken all events of pipeline `%s` %g s after the end of the program. What is "
                    "left is kept in `%s` and will be sent by a later run, or by `headrace lineage replay`. To wait "
                    "longer, set `lineage.drain_seconds`.",
                    *(where, spool.pipeline, seconds, spool.folder),
                )

    def stop(self) -> None:
        """Send nothing more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def join(self, seconds: float) -> None:
        """Wait for the thread's end."""
        if self._thread is not None:
            self._thread.join(seconds)

    # ---- the thread ----

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._asked > self._answered, self._rest())
                if self._stopped:
                    break
                asked = self._asked
            try:
                self._round()
            except Exception as error:  # noqa: BLE001 - lineage never harms what it tells of
                self._complain(f"{type(error).__name__}: {error}")
                self._due = time.monotonic() + self.post.settings.breaker_seconds
            with self._changed:
                self._answered = max(self._answered, asked)
                self._changed.notify_all()
        if self._outlet is not None:
            try:
                self._outlet.close(0.0)
            except Exception:
                logger.debug("lineage: closing %s", self._outlet.where, exc_info=True)

    def _rest(self) -> float | None:
        """Seconds until something is due by itself."""
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def _round(self) -> None:
        """Send all that can be sent now."""
        self._due = None
        if self._outlet is None and not self._ready():
            if self._nobody:
                # the client's files say something, but not where to send to
                for spool in self.post.spools:
                    spool.settle_names([])
            return
        outlet = self._outlet
        more = True
        while more and outlet is not None and not self._stopped:
            more = False
            for spool in list(self.post.spools):
                if self.breaker.wait() and not self._nap():
                    self._due = time.monotonic() + self.breaker.wait()
                    return
                if self.kind == "client" and id(spool) not in self._named:
                    spool.settle_names(self.post.transports)
                    self._named.add(id(spool))
                more |= self._serve(spool, outlet)

    def _nap(self) -> bool:
        """Wait before a try that follows a failed one; False when it is not worth while."""
        if self.breaker.is_open or self.post.runtime.closing:
            return False
        with self._changed:
            return not self._changed.wait_for(lambda: self._stopped or self.post.runtime.closing, self.breaker.wait())

    # ---- the receiver ----

    def _ready(self) -> bool:
        """Make the receiver when it is a good time for it."""
        if self._broken or self._nobody:
            return False
        runtime = self.post.runtime
        if self.kind == "client" and not self.is_further:
            with runtime.quiet:
                runtime.quiet.wait_for(lambda: not runtime.is_busy or self._stopped, QUIET_SECONDS)
        try:
            with gently(runtime):
                found = self._open()
        except Exception as error:  # noqa: BLE001 - the same
            self._broken = True
            self._complain(f"{type(error).__name__}: {error}")
            return False
        if self.kind == "client" and not self.is_further:
            self.post.transports = [outlet.name for outlet in found]
            self.post.more(found[1:])
        self._outlet = found[0] if found else None
        self._nobody = not found
        return bool(found)

    # ---- events ----

    def _serve(self, spool: Spool, outlet: Outlet) -> bool:
        """Send a batch of a pipeline's events; whether there may be more that can be sent."""
        mark = spool.mark(outlet.name)
        if not mark.take():
            self._due = time.monotonic() + _ELSEWHERE
            return False
        try:
            lines = list(islice(spool.store.lines(mark.place), max(1, self.post.settings.batch_size)))
            for group in _groups(lines, outlet, spool):
                if self._stopped:
                    return False
                if not self._bring(group, mark, spool, outlet):
                    # soon again, or when the breaker says so
                    return not self.post.runtime.closing
            return bool(lines)
        finally:
            mark.give()

    def _bring(self, group: list[Line], mark: Mark, spool: Spool, outlet: Outlet) -> bool:
        """Send some events at once and move the mark; False when the receiver takes nothing."""
        wanted = [line for _, line in group if _is_wanted(line, spool)]
        try:
            if wanted and id(spool) not in self._resumed:
                # whoever sent before us may have died before it could move the mark
                wanted = outlet.lacking(wanted)
                self._resumed.add(id(spool))
            if wanted:
                outlet.send(wanted)
                failpoints.hit("lineage.sent")
        except Unwanted as error:
            if len(group) > 1:
                return all(self._bring([one], mark, spool, outlet) for one in group)
            self._refused(wanted[0], error.answer, error.status, spool, outlet)
        except Trouble as error:
            if len(group) > 1 and error.answered:
                # one of them may be what it does not take
                return all(self._bring([one], mark, spool, outlet) for one in group)
            if not self._is_poison(group[0], error, spool, outlet):
                self._failed(error, spool, outlet)
                return False
            self._refused(wanted[0], error.text, error.status, spool, outlet)
        mark.move(group[-1][0])
        if self.breaker.good():
            logger.warning("lineage: %s takes events again; what was kept is being sent", outlet.where)
        return True

    def _is_poison(self, one: Line, error: Trouble, spool: Spool, outlet: Outlet) -> bool:
        """Whether it is this event that the receiver cannot take: one of another run goes through.

        That one is sent a second time in its turn, which every receiver must stand: order counts more.
        """
        key = (id(spool), one[0])
        self._hard[key] = self._hard.get(key, 0) + 1 if error.answered else 0
        if self._hard[key] < _POISON:
            return False
        self._hard.clear()
        head = head_of(one[1])
        for _, line in spool.store.lines(one[0]):
            other = head_of(line)
            if head and other and other.run_id != head.run_id and _is_wanted(line, spool):
                try:
                    outlet.send([line])
                except (Unwanted, Trouble):
                    return False
                return True
        return False

    def _refused(self, line: bytes, answer: str, status: int | None, spool: Spool, outlet: Outlet) -> None:
        spool.refuse(line, outlet.name, answer, status)
        if answer not in self._told:
            self._told.add(answer)
            logger.warning(
                "lineage of pipeline `%s`: %s did not want an event: %s. It is kept with the answer in `%s`; "
                "`headrace lineage replay` sends it again.",
                *(spool.pipeline, outlet.where, answer[:300], spool.refused_path),
            )

    def _failed(self, error: Trouble, spool: Spool, outlet: Outlet) -> None:
        # of one that was stopped before it had an answer, what is left was told
        if self.breaker.bad(at_once=error.silent or self.post.runtime.closing) and not self._stopped:
            logger.warning(
                "lineage: %s takes no events: %s. %d of pipeline `%s` are kept in `%s` and will be sent by this or a "
                "later run, or by `headrace lineage replay`. The load is not affected.",
                *(outlet.where, error.text[:300], spool.unsent(outlet.name), spool.pipeline, spool.folder),
            )

    def _complain(self, text: str) -> None:
        if text in self._told:
            return
        self._told.add(text)
        logger.warning(
            "lineage: events cannot be sent, they are kept in the working folder: %s. `headrace lineage replay` sends "
            "them when that is put right.",
            without_secrets(text),
        )


def _is_wanted(line: bytes, spool: Spool) -> bool:
    """Whether a line is an event of a run that was not given up."""
    head = head_of(line)
    return head is not None and head.run_id not in spool.dropped


def _groups(lines: list[Line], outlet: Outlet, spool: Spool) -> Iterator[list[Line]]:
    """What is sent at once: as many as the receiver takes, and of each run one where it does not keep the order."""
    group: list[Line] = []
    runs: set[str] = set()
    for at, line in lines:
        head = head_of(line)
        run = head.run_id if head else ""
        if group and (len(group) >= outlet.group or (outlet.apart and run in runs)):
            yield group
            group, runs = [], set()
        group.append((at, line))
        runs.add(run)
    if group:
        yield group


# ---- loading the client beside a run ---------------------------------------------------------------------------------


class _Pauses:
    """Finds nothing, and takes its time: two threads that load and compute in turns slow each other down."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime, self._thread = runtime, threading.get_ident()

    def find_spec(self, *_: Any) -> None:
        """Called once for each module."""
        if threading.get_ident() == self._thread and self._runtime.is_busy:
            time.sleep(_PAUSE)


@contextmanager
def gently(runtime: Runtime) -> Iterator[None]:
    """Inside, this thread imports modules with pauses while a run goes on."""
    finder = _Pauses(runtime)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
