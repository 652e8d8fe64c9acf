"""Runs that are not at their end: what must be known of them to go on with them, or to close them, in another process.

On disk, in ``<working folder>/lineage``::

    open/<load_id>.json            the resource runs of a package that is not loaded yet
    open/<run id>.run.json         an invocation that has not ended
    open/<name>.told               the receiver's queue has their START
    ending/<name>                  ended, and the last events are being made by the process that the file names

Files are written when they are needed: once the START is in the queue's keeping, or there is data that may be loaded. A
run that is over before then was never on disk, and nothing of it is lost that anybody knew of.

``lineage.json`` lies in the package's own folder for as long as the package is kept.
"""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from headrace.base import forks
from headrace.base.files import write_atomic
from headrace.observers.lineage.columns_model import ResourceFact
from headrace.observers.lineage.encoding import encoded
from headrace.observers.lineage.facts import Failure, Invocation, JobId, Parent, RunRef, Value
from headrace.observers.lineage.processes import own_start, runs_still

DOCUMENT = "lineage.json"
OPEN, ENDING = "open", "ending"

T = TypeVar("T", bound="Value")


class Cursor(Value, kw_only=True, omit_defaults=True):
    """The range that an incremental has let pass.

    Attributes:
        path: Of the cursor, as the user wrote it.
        start: First value, as text; None for no bound.
        end: The bound at the other end: that of a back-fill, or the largest value seen.
        given_end: The end was asked for, it is not just what was seen.
        open_start: The first value itself was left out.
        closed_end: The last value itself was let pass.
        descending: The cursor runs to smaller values (``last_value_func=min``).
    """

    path: str
    start: str | None = None
    end: str | None = None
    given_end: bool = False
    open_start: bool = False
    closed_end: bool = True
    descending: bool = False


class Place(Value, kw_only=True, omit_defaults=True):
    """Where a function is written: a file, a line in it, and its name."""

    file: str
    line: int
    name: str = ""


class Reading(Value, kw_only=True, omit_defaults=True):
    """What was seen of a resource while it was at hand.

    Attributes:
        source: The source's name.
        resource: Its name.
        description: Its docstring.
        place: Where its function is; None for data.
        code: The function's text, when that is wanted.
        hints: What it says of its tables: disposition, keys, format.
        locations: Where it reads, as it and those it takes items from have told.
        above: Resources it takes items from, nearest first.
        cursor: Its incremental.
        rows: Items it gave, before its filters; None while that is not known.
        is_read: It was read to its end.
        described: Its steps, for the lineage of columns.
        models: Texts of SQL models by spool file.
        scheduled: Its range is the interval of an orchestrator.
    """

    source: str
    resource: str
    description: str = ""
    place: Place | None = None
    code: str | None = None
    hints: dict[str, Any] = {}
    locations: list[dict[str, Any]] = []
    above: list[str] = []
    cursor: Cursor | None = None
    rows: int | None = None
    is_read: bool = False
    described: ResourceFact | None = None
    models: dict[str, str] = {}
    scheduled: bool = False


class Ending(Value, kw_only=True, omit_defaults=True):
    """How a run ended."""

    state: str
    at: dt.datetime
    failure: Failure | None = None


class OpenRun(Value, kw_only=True, omit_defaults=True):
    """A resource run.

    Attributes:
        parent: Fixed when the run starts, and never changed.
        continues: The run of the same package before it, which failed and was put back.
        extracted: Its ``RUNNING`` after extract was told.
    """

    run_id: str
    job: JobId
    started_at: dt.datetime
    reading: Reading
    parent: Parent | None = None
    continues: RunRef | None = None
    nominal: tuple[dt.datetime, dt.datetime | None] | None = None
    extracted: bool = False
    ending: Ending | None = None

    @property
    def ref(self) -> RunRef:
        """To point at it."""
        return RunRef(run_id=self.run_id, job=self.job)


class OpenPackage(Value, kw_only=True, omit_defaults=True):
    """The resource runs of a package, by ``source.resource``.

    Attributes:
        run_id: The id that headrace gave the run in which it was made.
        refresh: The mode of its refresh.
        place: Where the run was called: the code of resources that are no functions.
        pid: The process that ends it.
        started: When that process began, as `processes` tells it.
    """

    load_id: str
    schema_name: str
    created_at: dt.datetime
    runs: dict[str, OpenRun] = {}
    run_id: str = ""
    refresh: str | None = None
    place: Place | None = None
    pid: int = 0
    started: str = ""

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.load_id}.json"

    @property
    def left(self) -> list[OpenRun]:
        """Runs that have not ended."""
        return [run for run in self.runs.values() if run.ending is None]


class OpenInvocation(Value, kw_only=True, omit_defaults=True):
    """An invocation, the process it runs in with when that began, and where it was called."""

    run: Invocation
    pid: int
    started: str = ""
    place: Place | None = None
    ending: Ending | None = None

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.run.run_id}.run.json"


Open = OpenPackage | OpenInvocation


class OpenRuns:
    """The folder of open runs of a working folder. Only who holds the working folder writes to it.

    Args:
        folder: ``<working folder>/lineage``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._guard = threading.Lock()
        # by name, those that are not on disk yet; names of those that ended before they were, and of those we wrote
        self._held: dict[str, Open] = {}
        self._over: set[str] = set()
        self._kept: set[str] = set()
        forks.renew(self)

    def after_fork(self) -> None:
        """In a child process: a thread that held the guard is not there, nor what was about to be told."""
        self._guard = threading.Lock()
        self._over = set()

    def hold(self, one: Open) -> None:
        """One of ours is open, or has changed."""
        name = one.name
        with self._guard:
            if name in self._kept:
                self._put(OPEN, one)
            else:
                self._held[name] = one

    def write(self, one: Open) -> None:
        """Keep it, so that another process can go on with it."""
        with self._guard:
            self._held.pop(one.name, None)
            self._put(OPEN, one)

    def keep(self, one: Open) -> bool:
        """Write it if it is not on disk: its START is about to be told. False when it is over already."""
        with self._guard:
            name = one.name  # a package may move: here it does not
            held = self._held.pop(name, None)
            if held is not None:
                self._put(OPEN, held)
            return name not in self._over

    def _put(self, state: str, one: Open) -> None:
        name = one.name
        self._kept.add(name)
        path, data = self.folder / state / name, encoded(one)
        # not synced: should the machine lose it, a run stays open, which harms no data
        try:
            write_atomic(path, data)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, data)

    def told(self, one: Open) -> None:
        """Note that the queue has its START; called by the sender's thread."""
        with self._guard:
            if one.name not in self._over:
                (self.folder / OPEN / f"{one.name}.told").touch()

    def is_told(self, name: str) -> bool:
        """Whether it has."""
        return (self.folder / OPEN / f"{name}.told").exists()

    def forget(self, name: str) -> None:
        """It ended, and everything is told."""
        with self._guard:
            if name in self._over:
                self._over.discard(name)
                return
            self._kept.discard(name)
        for path in (self.folder / OPEN / name, self.folder / OPEN / f"{name}.told", self.folder / ENDING / name):
            path.unlink(missing_ok=True)

    def end(self, one: Open) -> None:
        """It ended; its last events are made by this process, or by the next one if this one dies before."""
        with self._guard:
            if self._held.pop(one.name, None) is not None:
                self._over.add(one.name)
                return
            one.pid, one.started = os.getpid(), own_start()
            self._put(ENDING, one)
            (self.folder / OPEN / one.name).unlink(missing_ok=True)

    def move(self, one: OpenPackage, load_id: str) -> None:
        """Give a package another load id."""
        with self._guard:
            was, one.load_id = one.name, load_id
            if (held := self._held.pop(was, None)) is not None:
                self._held[one.name] = held
                return
            self._kept.discard(was)
            path = self.folder / OPEN / was
            if path.exists():
                self._put(OPEN, one)
                path.unlink(missing_ok=True)
            told = path.with_name(f"{was}.told")
            if told.exists():
                told.replace(path.with_name(f"{one.name}.told"))

    def is_empty(self) -> bool:
        """Whether nothing is open or ending on disk, of this process or another: a quick look."""
        for state in (OPEN, ENDING):
            try:
                if os.listdir(self.folder / state):  # noqa: PTH208
                    return False
            except FileNotFoundError:
                continue
        return True

    def package(self, load_id: str) -> OpenPackage | None:
        """The open runs of a package."""
        return _read(self.folder / OPEN / f"{load_id}.json", OpenPackage)

    def packages(self) -> list[OpenPackage]:
        """All packages with open runs, oldest first."""
        held = [one for one in list(self._held.values()) if isinstance(one, OpenPackage)]
        return [*_all(self.folder / OPEN, ".json", OpenPackage), *held]

    def invocations(self) -> list[OpenInvocation]:
        """All invocations that have not ended."""
        return list(_all(self.folder / OPEN, ".run.json", OpenInvocation))

    def ending_packages(self) -> list[OpenPackage]:
        """Packages of which a process that is no more had still to tell the end."""
        return [one for one in _all(self.folder / ENDING, ".json", OpenPackage) if not is_alive(one)]

    def ending_invocations(self) -> list[OpenInvocation]:
        """The same of invocations."""
        return [one for one in _all(self.folder / ENDING, ".run.json", OpenInvocation) if not is_alive(one)]


def write_document(folder: Path, one: OpenPackage) -> None:
    """Keep the runs of a package in its own folder."""
    (folder / DOCUMENT).write_bytes(encoded(one))


def read_document(folder: Path) -> OpenPackage | None:
    """The runs of a package, from its own folder."""
    return _read(folder / DOCUMENT, OpenPackage)


def is_alive(one: Open) -> bool:
    """Whether the process that ends it still runs."""
    return runs_still(one.pid, one.started)


# msgspec looks at a type when it is decoded for the first time, and two threads that do so at once crash the process
_making = threading.Lock()
_decoders: dict[type, msgspec.json.Decoder[Any]] = {}


def decoded(data: bytes, kind: type[T]) -> T:
    """The value that was encoded: an `OpenPackage` or an `OpenInvocation`; for any thread.

    Raises:
        msgspec.MsgspecError: It is none.
    """
    if kind not in _decoders:
        with _making:
            for one in (OpenPackage, OpenInvocation):
                _decoders.setdefault(one, msgspec.json.Decoder(one))
    found: T = _decoders[kind].decode(data)
    return found


def _after_fork() -> None:
    global _making
    _making = threading.Lock()


forks.in_children(_after_fork)


def _all(folder: Path, ending: str, kind: type[T]) -> Iterator[T]:
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208
    except FileNotFoundError:
        return
    for name in names:
        if name.endswith(ending) and (ending == ".run.json" or not name.endswith(".run.json")):
            found = _read(folder / name, kind)
            if found is not None:
                yield found


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return decoded(path.read_bytes(), kind)
    except (OSError, msgspec.MsgspecError):
        return None
