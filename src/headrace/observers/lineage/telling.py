"""What happened becomes events, on the sender's thread: each method only hands over copies and returns."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from headrace.base.time import now
from headrace.observers.lineage import build
from headrace.observers.lineage.events import Event, dataset_event, run_event
from headrace.observers.lineage.facts import Failure, Run
from headrace.observers.lineage.opened import Ending, OpenInvocation, OpenPackage, OpenRun, OpenRuns, decoded

if TYPE_CHECKING:
    from headrace.config.lineage import LineageConfiguration
    from headrace.observers.lineage.sink import Sink
    from headrace.observers.lineage.view import PackageView

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
        self._build = build.Builder(settings, opened.folder)

    def _emit(self, make: Callable[[], list[Event]], after: Callable[[], None] | None = None) -> None:
        """Emit events; ``after`` is called once they are in the sink's keeping."""
        self._sink.emit(make)
        if after is not None:

            def note() -> list[Event]:
                after()
                return []

            self._sink.emit(note)

    def _event(self, run: Run, state: Any, at: dt.datetime) -> Event:
        return run_event(run, state, at, self._settings.column_budget)

    # ---- resource runs -----------------------------------------------------------------------------------------------

    def started(self, opened: OpenPackage, runs: Iterable[OpenRun], again: bool = False) -> None:
        """Runs have started; ``again``: in a process that may have died before it told so."""
        copy, names = _copied(opened), [run.run_id for run in runs]

        def make() -> list[Event]:
            # asked here, behind what this process has yet to tell
            if again and self._open.is_told(opened.name):
                return []
            package = copy()
            return [
                self._event(self._build.resource_run(package, run), "START", run.started_at)
                for run in package.runs.values()
                if run.run_id in names
            ]

        # by the name that it has then: the package may move meanwhile
        self._emit(make, lambda: self._open.told(opened.name))

    def running(self, opened: OpenPackage, view: PackageView, at: dt.datetime, with_inputs: bool) -> None:
        """A step of the package is sealed."""
        copy = _copied(opened)

        def make() -> list[Event]:
            package = copy()
            return [
                self._event(self._build.resource_run(package, run, view, with_inputs=with_inputs), "RUNNING", at)
                for run in package.left
            ]

        self._emit(make)

    def ended(self, opened: OpenPackage, view: PackageView | None, runs: Iterable[OpenRun]) -> None:
        """Runs have ended; forgets the package once nothing of it is open."""
        copy, names = _copied(opened), [run.run_id for run in runs]

        def make() -> list[Event]:
            package, found = copy(), []
            for run in package.runs.values():
                if run.run_id not in names or run.ending is None:
                    continue
                found.append(self._end(package, run, run.ending, view))
            self._build.remember()
            return found

        name, left = opened.name, bool(opened.left)
        self._emit(make, None if left else lambda: self._open.forget(name))

    def _end(self, package: OpenPackage, run: OpenRun, ending: Ending, view: PackageView | None) -> Event:
        made = self._build.resource_run(package, run, view, ended=True)
        made.ended_at, made.failure = ending.at, ending.failure
        return self._event(made, ending.state, max(ending.at, run.started_at))

    # ---- invocations -------------------------------------------------------------------------------------------------

    def invocation_started(self, opened: OpenInvocation) -> None:
        """An invocation has started."""
        self._open.write(opened)
        name = opened.name
        self._emit(self._start_of(opened), lambda: self._open.told(name))

    def _start_of(self, opened: OpenInvocation) -> Callable[[], list[Event]]:
        copy = _copied(opened)

        def make() -> list[Event]:
            found = copy()
            return [self._event(self._build.invocation(found), "START", found.run.started_at)]

        return make

    def invocation_ends(self, opened: OpenInvocation) -> None:
        """The invocation of this process has ended."""
        self._open.end(opened)
        self.invocation_ended(opened)

    def invocation_ended(self, opened: OpenInvocation) -> None:
        """An invocation has ended, here or in a process that is no more."""
        copy, name = _copied(opened), opened.name

        def make() -> list[Event]:
            found = copy()
            run, ending = self._build.invocation(found), found.ending
            if ending is None:
                return []
            run.ended_at, run.failure = ending.at, ending.failure
            return [self._event(run, ending.state, ending.at)]

        self._emit(make, lambda: self._open.forget(name))

    def lost(self, opened: OpenInvocation) -> None:
        """The process of an invocation died before it could say how that ended."""
        failure = Failure(message="the process ended before the run did, without a word: it was killed, or crashed")
        opened.ending = Ending(state="ABORT", at=now(), failure=failure)
        start = self._start_of(opened)
        self._emit(lambda: [] if self._open.is_told(opened.name) else start())
        self.invocation_ends(opened)

    def start_again(self, opened: OpenPackage) -> None:
        """Tell the START of runs whose process died before it was told."""
        self.started(opened, opened.runs.values(), again=True)

    # ---- datasets ----------------------------------------------------------------------------------------------------

    def dropped(self, view: PackageView, at: dt.datetime) -> None:
        """The refresh of a package has dropped tables."""

        def make() -> list[Event]:
            names = view.refresh.get("dropped_tables") or []
            return [dataset_event(one, at, "DROP") for one in self._build.datasets(view, names)]

        self._emit(make)

    def rolled_back(self, view: PackageView, tables: list[str], gone: set[str], at: dt.datetime) -> None:
        """A load was undone: tables hold again what they held before, or are gone."""

        def make() -> list[Event]:
            found = self._build.datasets(view, [name for name in tables if not view.is_system(name)])
            return [dataset_event(one, at, "DROP" if one.table in gone else "OVERWRITE") for one in found]

        self._emit(make)


def _copied(one: Any) -> Callable[[], Any]:
    """What gives a copy of a value as it is now: encoding takes a fraction of what copying does."""
    data, kind = msgspec.json.encode(one), type(one)
    return lambda: decoded(data, kind)
