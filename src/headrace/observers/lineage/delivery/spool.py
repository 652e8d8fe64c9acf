"""A pipeline's store as a queue: what is not sent yet is what lies behind the marks of its receivers."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from headrace.base import files as fs
from headrace.base.time import now
from headrace.config.lineage import LineageConfiguration
from headrace.observers.lineage.delivery.marks import Mark
from headrace.observers.lineage.store import (
    SEGMENT_BYTES,
    START,
    EventStore,
    Position,
    append_whole,
    head_of,
    lock_file,
)

logger = logging.getLogger("headrace")

TRANSPORT, PATH = "transport", "path"
TERMINAL = frozenset({"COMPLETE", "FAIL", "ABORT"})
_MOST_DROPPED = 10_000


class Refused(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An event that a receiver did not want, and what it said."""

    at: str
    receiver: str
    answer: str
    event: msgspec.Raw
    status: int | None = None


# made here: msgspec looks at a type when it is used first, and must not do that on two threads at once
_refused = msgspec.json.Decoder(Refused)


class Spool:
    """The events of one pipeline, the marks of those who get them, and what nobody wanted.

    Args:
        folder: The folder `lineage` of the working folder.
        settings: The section `lineage`: limits of sizes.
        pipeline: Its name, for messages.
        is_busy: Whether a run goes on: what is not needed is deleted, and put into the graph, when none does.
    """

    def __init__(
        self,
        folder: Path,
        settings: LineageConfiguration,
        pipeline: str = "",
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self.folder, self.pipeline = folder, pipeline or folder.parent.name
        self.most, self.keep = settings.spool_max_bytes, settings.store_max_bytes
        self.store = EventStore(folder, max(64 * 2**10, min(SEGMENT_BYTES, self.most // 8, self.keep // 8)))
        self.side = folder / "delivery"
        self._marks: dict[str, Mark] = {}
        self._guard = threading.RLock()
        self._segment = -1
        self.is_busy = is_busy
        self._full = self._forgot = False
        self._dropped: set[str] | None = None

    # ---- marks ----

    def expect(self, path: bool, transport: bool) -> None:
        """Events that are appended from now on are for these receivers: keep them until they have them."""
        for kind, wanted in ((PATH, path), (TRANSPORT, transport)):
            if wanted and not self._named(kind):
                self.mark(kind).move(self.store.end())

    def mark(self, name: str) -> Mark:
        """The mark of a receiver."""
        with self._guard:
            if name not in self._marks:
                self.side.mkdir(parents=True, exist_ok=True)
                self._marks[name] = Mark(self.side, name)
            return self._marks[name]

    def settle_names(self, names: list[str]) -> None:
        """Say which transports there are: a new one begins where the last of the others is; others are forgotten."""
        with self._guard:
            before = self._named(TRANSPORT)
            place = min((self.mark(name).place for name in before), default=None)
            for name in names:
                if name not in before:
                    self.mark(name).move(place if place is not None else self.store.end())
            for name in set(before) - set(names):
                self.mark(name).forget()

    def _named(self, kind: str) -> list[str]:
        try:
            found = [entry[:-5] for entry in os.listdir(self.side) if entry.endswith(".mark")]  # noqa: PTH208
        except FileNotFoundError:
            return []
        return sorted(name for name in found if name.partition(".")[0] == kind)

    @property
    def unsent_from(self) -> Position | None:
        """The first place that not all receivers have passed; None without receivers."""
        return min((self.mark(name).place for name in (*self._named(PATH), *self._named(TRANSPORT))), default=None)

    def is_sent(self, name: str) -> bool:
        """Whether a receiver has everything."""
        return self.store.bytes_after(self.mark(name).place) == 0

    def unsent(self, name: str) -> int:
        """How many events a receiver does not have yet."""
        return sum(1 for _ in self.store.lines(self.mark(name).place))

    # ---- writing ----

    def append(self, events: Iterable[dict[str, Any] | bytes]) -> None:
        """Write events down, or their JSON. Raises OSError when the disk does not take them."""
        segment = self.store.append(events).segment
        if segment != self._segment:
            self._segment = segment
            place = self.unsent_from
            if place is not None and self.store.bytes_after(place) > self.most:
                self._drop(place)
            self._full = True
        if self._full and (not self.is_busy() or self.store.bytes_after(START) > 2 * self.keep):
            self._trim()

    def _trim(self) -> None:
        """Delete what is sent and more than is kept; the graph remembers it."""
        self._full = False
        place = self.store.surplus(self.keep, self.unsent_from)
        if place <= START:
            return
        from headrace.observers.lineage.graph.keeping import remember

        try:
            remember(self.folder, place)
        except Exception as error:  # noqa: BLE001 - it may be the database's
            if self.store.bytes_after(START) <= 2 * self.keep:
                return  # the next file tries again
            if not self._forgot:
                self._forgot = True
                logger.warning(
                    "lineage of pipeline `%s`: old events are deleted, as `lineage.store_max_bytes` says (%d bytes), "
                    "and `headrace lineage show` will not know of them: the graph could not take them: %s: %s",
                    *(self.pipeline, self.keep, type(error).__name__, error),
                )
        self.store.trim(self.keep, self.unsent_from, place)

    def _drop(self, place: Position) -> None:
        """Give up the oldest runs that were not sent, so that the disk does not fill up."""
        cut = self._cut()
        runs: dict[str, bool] = {}
        events = 0
        for at, line in self.store.lines(place):
            if at.segment >= cut.segment:
                break
            head = head_of(line)
            if head is not None and head.run_id not in self.dropped:
                events += 1
                runs[head.run_id] = runs.get(head.run_id, False) or head.eventType in TERMINAL
        open_runs = [run for run, ended in runs.items() if not ended and run]
        self._remember([*self.dropped, *open_runs][-_MOST_DROPPED:])
        for name in (*self._named(PATH), *self._named(TRANSPORT)):
            mark = self.mark(name)
            if mark.place < cut:
                mark.move(cut)
        logger.warning(
            "lineage of pipeline `%s`: %d runs (%d events) were not sent for so long that they take more than "
            "`lineage.spool_max_bytes` (%d bytes) and are given up, the oldest first. Look why the receiver takes "
            "nothing, or raise the limit.",
            *(self.pipeline, len(runs), events, self.most),
        )

    def _cut(self) -> Position:
        """The file from which on events are kept: four fifths of what there may be."""
        numbers = self.store.segments()
        cut = numbers[-1]
        for number in reversed(numbers):
            if self.store.bytes_after(Position(number, 0)) > self.most * 4 // 5:
                break
            cut = number
        return Position(cut, 0)

    # ---- runs that were given up ----

    @property
    def dropped(self) -> set[str]:
        """Ids of runs whose beginning was given up: their ends are not sent either."""
        if self._dropped is None:
            try:
                self._dropped = set((self.side / "dropped").read_text().split())
            except FileNotFoundError:
                self._dropped = set()
        return self._dropped

    def _remember(self, runs: list[str]) -> None:
        self._dropped = set(runs)
        fs.write_atomic(self.side / "dropped", "\n".join(runs).encode())

    # ---- what nobody wanted ----

    @property
    def refused_path(self) -> Path:
        """The file of refused events, one `Refused` a line."""
        return self.side / "refused.ndjson"

    def refuse(self, line: bytes, receiver: str, answer: str, status: int | None) -> None:
        """Put an event aside, with the answer that it got (without secrets)."""
        at = now().isoformat(timespec="seconds")
        one = Refused(at=at, receiver=receiver, answer=answer, status=status, event=msgspec.Raw(line))
        self.side.mkdir(parents=True, exist_ok=True)
        append_locked(self.refused_path, msgspec.json.encode(one) + b"\n")

    def refused(self) -> list[Refused]:
        """All refused events."""
        try:
            lines = self.refused_path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        return [_refused.decode(line) for line in lines if head_of(line) is not None]

    def keep_refused(self, left: list[Refused]) -> None:
        """Say which refused events are left: the others were taken after all."""
        if left:
            fs.write_atomic(self.refused_path, b"".join(msgspec.json.encode(one) + b"\n" for one in left))
        else:
            self.refused_path.unlink(missing_ok=True)


def append_locked(path: Path, data: bytes) -> None:
    """Put whole lines behind those of a file that other processes write to as well.

    Raises:
        OSError: The disk is full, or the file cannot be written: nothing was written then.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
    try:
        lock_file(fd)
        append_whole(fd, os.fstat(fd).st_size, data)
    finally:
        os.close(fd)
