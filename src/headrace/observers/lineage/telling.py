"""What happened becomes events, on the sender's thread: each method only hands over copies and returns."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from headrace.base.time import now
from headrace.observers.lineage.encoding import encoded
from headrace.observers.lineage.facts import Failure, Run
from headrace.observers.lineage.opened import Ending, OpenInvocation, OpenPackage, OpenRun, OpenRuns, decoded

if TYPE_CHECKING:
    from headrace.config.lineage import LineageConfiguration
    from headrace.observers.lineage.build import Builder
    from headrace.observers.lineage.sink import Sink
    from headrace.observers.lineage.view import PackageView

Event: TypeAlias = "dict[str, Any]"

ENDS = ("COMPLETE", "FAIL", "ABORT")

logger = logging.getLogger("headrace")


class Teller:
    """Makes the events of one pipeline and gives them to a sink.

    Args:
        settings: Of `lineage`.
        sink: Takes the events.
        opened: Runs that have not ended.
    """

    def __init__(self, settings: LineageConfiguration, sink: Sink, opened: OpenRuns) -> None:
        self._settings, self._sink, self._open = settings, sink, opened
        # by name: the START of what was over before anything was told of it goes along with the end
        self._unsaid: dict[str, list[Callable[[], list[Event]]]] = {}
        # packages of which nothing is open any more: nobody needs to know what state they were in
        self._ended: set[str] = set()
        # names of what a process that is no more has begun, and what this one has told of it: (run id, state)
        self._left: set[str] = set()
        self._said: set[tuple[str, str]] = set()

    @cached_property
    def _build(self) -> Builder:
        """Loaded and made by the sender's thread, beside the run."""
        from headrace.observers.lineage.build import Builder

        return Builder(self._settings, self._open.folder)

    def _event(self, run: Run, state: Any, at: dt.datetime) -> Event:
        from headrace.observers.lineage.events import run_event

        return run_event(run, state, at, self._settings.column_budget)

    def _first(self, one: OpenPackage | OpenInvocation, start: Callable[[], list[Event]]) -> Callable[[], list[Event]]:
        """What makes START events: on disk is then what another process would need to tell the end."""

        def make() -> list[Event]:
            if self._open.keep(one):
                return start()
            self._unsaid.setdefault(one.name, []).append(start)
            return []

        return make

    def _last(self, name: str, end: Callable[[], list[Event]]) -> Callable[[], list[Event]]:
        """What makes the events of an end."""

        def make() -> list[Event]:
            starts = self._unsaid.pop(name, [])
            return [event for one in (*starts, end) for event in one()]

        return make

    def _untold(self, name: str, make: Callable[[], list[Event]]) -> Callable[[], list[Event]]:
        """What makes events of runs that a process that is no more may have told before: those that it has not."""
        if name not in self._left:
            return make

        def rest() -> list[Event]:
            events = make()
            runs = {str(event["run"]["runId"]) for event in events}
            self._said |= {(run, "END" if state in ENDS else state) for run, state in self._sink.told(runs)}
            found = []
            for event in events:
                key = (str(event["run"]["runId"]), "END" if event["eventType"] in ENDS else str(event["eventType"]))
                if key not in self._said:
                    self._said.add(key)
                    found.append(event)
            return found

        return rest

    # ---- resource runs -----------------------------------------------------------------------------------------------

    def started(self, opened: OpenPackage, runs: Iterable[OpenRun], again: bool = False) -> None:
        """Runs have started; ``again``: in a process that may have died before it told so."""
        if again:
            self._left.add(opened.name)
        start = self._untold(opened.name, self._starts(opened, {run.run_id for run in runs}))
        # the name is asked then: the package may move meanwhile
        self._sink.emit(self._first(opened, start), lambda: self._open.told(opened))

    def _starts(self, opened: OpenPackage, names: set[str]) -> Callable[[], list[Event]]:
        copy, again = _copied(opened), opened.name in self._left

        def start() -> list[Event]:
            # asked here, behind what this process has yet to tell
            if again and self._open.is_told(opened.name):
                return []
            package = copy()
            return [
                self._event(self._build.resource_run(package, run), "START", run.started_at)
                for run in package.runs.values()
                if run.run_id in names
            ]

        return start

    def running(self, opened: OpenPackage, view: PackageView, at: dt.datetime) -> None:
        """The extract of the package is sealed: not told of what has ended before anybody could have read it."""
        copy = _copied(opened)

        def make() -> list[Event]:
            if opened.name in self._ended:
                return []
            package = copy()
            return [self._event(self._build.resource_run(package, run, view), "RUNNING", at) for run in package.left]

        self._sink.emit(make)

    def ended(
        self, opened: OpenPackage, view: PackageView | None, runs: Iterable[OpenRun], again: bool = False
    ) -> None:
        """Runs have ended, ``again``: in a process that is no more; forgets the package once nothing of it is open."""
        copy, names = _copied(opened), {run.run_id for run in runs}
        name, left = opened.name, bool(opened.left)
        if again:
            self.start_again(opened)
        if not left:
            self._ended.add(name)

        def end() -> list[Event]:
            package, found = copy(), []
            for run in package.runs.values():
                if run.run_id not in names or run.ending is None:
                    continue
                found.append(self._end(package, run, run.ending, view))
            self._build.remember()
            self._ended.discard(name)
            return found

        end_, ids = self._untold(name, self._last(name, end)), [run.run_id for run in opened.runs.values()]
        self._sink.emit(end_, None if left else lambda: self._forget(name, ids))
        if not left:
            self._left.discard(name)

    def _end(self, package: OpenPackage, run: OpenRun, ending: Ending, view: PackageView | None) -> Event:
        made = self._build.resource_run(package, run, view, ended=True)
        made.ended_at, made.failure = ending.at, ending.failure
        return self._event(made, ending.state, max(ending.at, run.started_at))

    # ---- invocations -------------------------------------------------------------------------------------------------

    def invocation_started(self, opened: OpenInvocation) -> None:
        """An invocation has started."""
        self._open.hold(opened)
        self._sink.emit(self._first(opened, self._start_of(opened)), lambda: self._open.told(opened))

    def _start_of(self, opened: OpenInvocation) -> Callable[[], list[Event]]:
        copy = _copied(opened)

        def start() -> list[Event]:
            found = copy()
            return [self._event(self._build.invocation(found), "START", found.run.started_at)]

        return start

    def keep(self, opened: OpenInvocation) -> None:
        """Write an invocation down now: it cannot wait for the sender's thread."""
        self._open.keep(opened)

    def invocation_ends(self, opened: OpenInvocation) -> None:
        """The invocation of this process has ended."""
        self._open.end(opened)
        self.invocation_ended(opened)

    def invocation_ended(self, opened: OpenInvocation, again: bool = False) -> None:
        """An invocation has ended, here or, ``again``, in a process that is no more."""
        copy, name = _copied(opened), opened.name
        if again:
            self._start_lost(opened)

        def end() -> list[Event]:
            found = copy()
            run, ending = self._build.invocation(found), found.ending
            if ending is None:
                return []
            run.ended_at, run.failure = ending.at, ending.failure
            return [self._event(run, ending.state, ending.at)]

        ids = [opened.run.run_id]
        self._sink.emit(self._untold(name, self._last(name, end)), lambda: self._forget(name, ids))
        self._left.discard(name)

    def _forget(self, name: str, runs: list[str]) -> None:
        """All is on disk: nothing needs to be known of it any more."""
        self._open.forget(name)
        self._said.difference_update((run, state) for run in runs for state in ("START", "RUNNING", "END"))

    def lost(self, opened: OpenInvocation) -> None:
        """The process of an invocation died before it could say how that ended."""
        failure = Failure(message="the process ended before the run did, without a word: it was killed, or crashed")
        opened.ending = Ending(state="ABORT", at=now(), failure=failure)
        self._start_lost(opened)
        self.invocation_ends(opened)

    def _start_lost(self, opened: OpenInvocation) -> None:
        self._left.add(opened.name)
        start, name = self._untold(opened.name, self._start_of(opened)), opened.name
        self._sink.emit(lambda: [] if self._open.is_told(name) else start())

    def start_again(self, opened: OpenPackage) -> None:
        """Tell the START of runs whose process died before it was told."""
        self.started(opened, opened.runs.values(), again=True)

    # ---- datasets ----------------------------------------------------------------------------------------------------

    def dropped(self, view: PackageView, at: dt.datetime) -> None:
        """The refresh of a package has dropped or emptied tables."""

        def make() -> list[Event]:
            from headrace.observers.lineage.events import dataset_event

            dropped, emptied = (view.refresh.get(f"{how}_tables") or [] for how in ("dropped", "truncated"))
            return [
                *(dataset_event(one, at, "DROP") for one in self._build.datasets(view, dropped)),
                *(dataset_event(one, at, "TRUNCATE") for one in self._build.datasets(view, emptied)),
            ]

        self._sink.emit(make, now=True)

    def by_hand(self, view: PackageView, changes: dict[str, str], at: dt.datetime) -> None:
        """Tables were changed by no load."""

        def make() -> list[Event]:
            from headrace.observers.lineage.events import dataset_event

            found = self._build.datasets(view, [name for name in changes if not view.is_system(name)])
            for one in found:
                if changes[one.table] in ("CREATE", "ALTER"):
                    self._build.describe(one, view)
            return [dataset_event(one, at, changes[one.table]) for one in found]

        self._sink.emit(make, now=True)

    def rolled_back(self, view: PackageView, tables: list[str], gone: set[str], at: dt.datetime) -> None:
        """A load was undone: tables hold again what they held before, or are gone."""

        def make() -> list[Event]:
            from headrace.observers.lineage.events import dataset_event

            found = self._build.datasets(view, [name for name in tables if not view.is_system(name)])
            return [dataset_event(one, at, "DROP" if one.table in gone else "OVERWRITE") for one in found]

        self._sink.emit(make, now=True)


def _copied(one: Any) -> Callable[[], Any]:
    """What gives a copy of a value as it is now: encoding takes a fraction of what copying does."""
    data, kind = encoded(one), type(one)
    return lambda: decoded(data, kind)
