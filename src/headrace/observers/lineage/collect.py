"""The observer: what happens in a run becomes events. On the pipeline's thread it takes copies, and nothing else."""

from __future__ import annotations

import datetime as dt
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.errors.package import LoadPackageNotFound
from headrace.model.events import (
    Aborted,
    AnyEvent,
    Extracted,
    Loaded,
    Normalized,
    PackageMoved,
    RolledBack,
    RunEnded,
    RunStarted,
    SchemaMigrated,
    SourceEnded,
    SourceStarted,
    StepEnded,
    StepStarted,
    TablesChanged,
)
from headrace.observers.lineage import cycle, describing
from headrace.observers.lineage.ids import resource_run_id
from headrace.observers.lineage.invocations import Invocations
from headrace.observers.lineage.opened import Ending, OpenPackage, OpenRun, OpenRuns, read_document, write_document
from headrace.observers.lineage.readings import finish, interval, note_models, reading_of
from headrace.observers.lineage.sink import FOLDER, Sink
from headrace.observers.lineage.telling import Teller
from headrace.observers.lineage.view import PackageView, schema_view, sealed_view, view_of

if TYPE_CHECKING:
    from headrace.bus.observer import Run
    from headrace.config.lineage import LineageConfiguration
    from headrace.package.package import Package
    from headrace.pipeline.core import PipelineCore

logger = logging.getLogger("headrace")

_STEPS = ("run", "extract", "normalize", "load")
_KINDS = (  # what `notify` looks at
    *(RunStarted, StepStarted, SourceStarted, SourceEnded, PackageMoved, Extracted, Normalized, SchemaMigrated),
    *(Loaded, TablesChanged, RolledBack, Aborted, StepEnded, RunEnded),
)


class LineageObserver:
    """Tells a sink of the runs of one pipeline.

    Args:
        p: The pipeline.
        settings: Of `lineage`.
        sink: Takes the events.
    """

    kinds = _KINDS

    def __init__(self, p: PipelineCore, settings: LineageConfiguration, sink: Sink) -> None:
        self.settings, self.sink = settings, sink
        self.open = OpenRuns(Path(p.working_dir) / FOLDER)
        self.teller = Teller(settings, sink, self.open)
        self._pipeline_name = p.pipeline_name
        self._cycle = Invocations(p.pipeline_name, settings, self.teller)
        # by load id; what is not in it is on disk
        self._packages: dict[str, OpenPackage] = {}
        # packages whose START this process has told
        self._mine: set[str] = set()
        self._made: list[str] = []  # packages that the extract that is going on has begun
        self._undone: list[tuple[PackageView, RolledBack]] = []

    def context(self) -> dict[str, str]:
        """The variables by which what is started knows the run it is part of; none before the first run."""
        return self._cycle.context()

    # ---- events ------------------------------------------------------------------------------------------------------

    def notify(self, event: AnyEvent, run: Run) -> None:
        """Take note of an event."""
        match event:
            case RunStarted():
                self.sink.begin()
                self._cycle.began(event)
                self._made = []
            case StepStarted():
                self._step_began(event, run)
            case SourceStarted():
                self._source_began(event, run)
            case SourceEnded():
                self._source_ended(event, run)
            case PackageMoved():
                self._moved(event)
            case Extracted():
                self._extracted(event, run)
            case Normalized():
                # another process may have extracted it
                self._package(event.load_id, run)
            case SchemaMigrated():
                self._migrated(event, run)
            case Loaded():
                self._loaded(event, run)
            case TablesChanged():
                view = schema_view(run.pipeline, event.schema_name, event.dataset_name)
                self.teller.by_hand(view, event.changes, event.at)
            case RolledBack():
                self._rolled_back(event, run)
            case Aborted():
                self._aborted(event, run)
            case StepEnded():
                self._step_ended(event, run)
            case RunEnded():
                self._run_ended(event, run)

    def _step_began(self, event: StepStarted, run: Run) -> None:
        if event.step in _STEPS:
            if self._cycle.is_new:
                # what others have left is told first: it came to pass before
                self._close_dead(run)
            self._cycle.step_began(event, run)

    def _step_ended(self, event: StepEnded, run: Run) -> None:
        if event.step == "extract":
            self._close_unsealed(event, run)
        self._cycle.step_ended(event, run)

    def _run_ended(self, event: RunEnded, run: Run) -> None:
        try:
            self._close(event, run)
        finally:
            self._packages.clear()
            self.sink.end()
        if self.settings.to_destination and event.error is None:
            self._write_tables(run)

    def _close(self, event: RunEnded, run: Run) -> None:
        # also packages that were dropped by hand, which no step tells
        self._settle(run, event.at)
        for view, undone in self._undone:
            live = run.pipeline._schemas.find(str(view.schema.get("name") or ""))
            gone = {name for name in undone.tables if live is None or name not in live.tables}
            self.teller.rolled_back(view, undone.tables, gone, undone.at)
        self._undone = []
        self._cycle.ended(event, run)

    def _write_tables(self, run: Run) -> None:
        from headrace.observers.lineage.graph.after import has_loaded, write_tables

        if has_loaded(run.trace):
            write_tables(run.pipeline, self.sink, self.settings)

    # ---- extract -----------------------------------------------------------------------------------------------------

    def _source_began(self, event: SourceStarted, run: Run) -> None:
        package = run.pipeline._store.get(event.load_id)
        opened = self._open(event.load_id) or self._new(package, run)
        source, nominal, begun = run.extras["source"], interval(), []
        for name in event.resources:
            if f"{event.source}.{name}" in opened.runs:
                continue  # a source of the same name is read into the same package: its resource is the same run
            reading = reading_of(event.source, source.resources[name], self.settings.source_code)
            begun.append(self._start(opened, reading, event.at, nominal))
        self._made.append(event.load_id)
        self.open.hold(opened)
        if begun:
            self.teller.started(opened, begun)

    def _new(self, package: Package, run: Run) -> OpenPackage:
        made = OpenPackage(
            load_id=package.load_id,
            schema_name=package.schema_name,
            created_at=package.created_at,
            run_id=run.run_id,
            refresh=getattr(run.pipeline, "refresh", None),
            place=self._cycle.place,
        )
        self._packages[package.load_id] = made
        self._mine.add(package.load_id)
        return made

    def _start(self, opened: OpenPackage, reading: Any, at: dt.datetime, nominal: Any = None) -> OpenRun:
        job = describing.resource_job_id(
            self.settings.job_namespace, self._pipeline_name, reading.source, reading.resource
        )
        about = (job.namespace, self._pipeline_name, reading.source, reading.resource, opened.load_id)
        made = OpenRun(
            run_id=resource_run_id(opened.created_at, *about),
            job=job,
            started_at=at,
            reading=reading,
            parent=self._cycle.as_parent(),
            nominal=nominal,
        )
        opened.runs[f"{reading.source}.{reading.resource}"] = made
        return made

    def _source_ended(self, event: SourceEnded, run: Run) -> None:
        opened = self._open(event.load_id)
        if opened is None:
            return
        source, failed = run.extras["source"], sys.exc_info()[1] is not None
        for name in source.resources.selected:
            found = opened.runs.get(f"{event.source}.{name}")
            if found is not None:
                finish(found.reading, source.resources[name], not failed, event.rows.get(name, 0))
        # now, for a process that dies between the seal and being told of it: another one goes on with what was seen
        if any(event.rows.values()):
            self._cycle.keep()
            self.open.write(opened)
        else:
            self.open.hold(opened)

    def _moved(self, event: PackageMoved) -> None:
        opened = self._packages.pop(event.was, None)
        if opened is None:
            return
        self._packages[event.load_id] = opened
        self._mine.discard(event.was)
        self._mine.add(event.load_id)
        self._made = [event.load_id if name == event.was else name for name in self._made]
        self.open.move(opened, event.load_id)

    def _extracted(self, event: Extracted, run: Run) -> None:
        package = run.pipeline._store.get(event.load_id)
        opened = self._open(event.load_id) or self._checkpoint(event, package, run)
        if opened is None:
            return
        for one in opened.runs.values():
            note_models(one.reading, event, package.path)
            one.extracted = True
        self._cycle.keep()
        if any(one.reading.models for one in opened.runs.values()):
            self.open.write(opened)
        else:
            self.open.keep(opened)  # the end of the source has written the rest
        write_document(package.path, opened)
        self.teller.running(opened, sealed_view(run.pipeline, package), event.at)

    def _checkpoint(self, event: Extracted, package: Package, run: Run) -> OpenPackage | None:
        """A package that an extract with checkpoints has sealed before its end: each is loaded on its own."""
        wanted = {name for file in event.files for name in (file.resource, *file.others)}
        known = [one for load_id in self._made if (one := self._packages.get(load_id)) is not None]
        base = next((one for one in known if one.schema_name == package.schema_name), None)
        found = [one for one in base.runs.values() if one.reading.resource in wanted] if base else []
        if base is None or not found:
            return None
        opened = self._new(package, run)
        source = run.extras.get("source")
        for run_before in found:
            reading = cycle.copy_of(run_before.reading)
            if source is not None:
                rows = sum(file.rows for file in event.files if file.resource == reading.resource)
                finish(reading, source.resources[reading.resource], True, rows)
            self._start(opened, reading, package.created_at, run_before.nominal)
        self.open.hold(opened)
        self.teller.started(opened, list(opened.runs.values()))
        return opened

    def _close_unsealed(self, event: StepEnded, run: Run) -> None:
        """What the extract has begun and not sealed: there was nothing to load, or it failed."""
        fault = cycle.Fault.of(run.error)
        for load_id in dict.fromkeys(self._made):
            opened = self._packages.get(load_id)
            if opened is None or any(one.extracted for one in opened.runs.values()):
                continue
            if fault is None:
                self._end(opened, None, {key: Ending(state="COMPLETE", at=event.at) for key in opened.runs})
            else:
                self._end(
                    opened, None, cycle.endings_of_fault(opened, None, fault, event.at, self.settings.stack_traces)
                )
        self._made = []

    # ---- normalize and load ------------------------------------------------------------------------------------------

    def _migrated(self, event: SchemaMigrated, run: Run) -> None:
        # the refresh is noted by a migration without changes, before any other
        package = run.pipeline._store.get(event.load_id)
        if not event.applied and not event.altered and run.pipeline._orders.get(event.load_id):
            self.teller.dropped(view_of(run.pipeline, package), event.at)

    def _loaded(self, event: Loaded, run: Run) -> None:
        opened = self._package(event.load_id, run)
        package = run.pipeline._store.get(event.load_id)
        self._cycle.loaded(event, package.schema_name)
        if opened is None or not opened.left:
            return
        view = view_of(run.pipeline, package, getattr(run.pipeline._session, "_client", None))
        self._end(opened, view, cycle.endings_of_load(opened, view, event.at))

    def _aborted(self, event: Aborted, run: Run) -> None:
        opened = self._package(event.load_id, run)
        package = run.pipeline._store.get(event.load_id)
        self._cycle.aborted(event, package.schema_name)
        if opened is None or not opened.left:
            return
        view = view_of(run.pipeline, package, getattr(run.pipeline._session, "_client", None))
        fault = cycle.Fault.of(sys.exc_info()[1]) or cycle.Fault(event.reason)
        self._end(opened, view, cycle.endings_of_fault(opened, view, fault, event.at, self.settings.stack_traces))

    def _rolled_back(self, event: RolledBack, run: Run) -> None:
        self._cycle.rolled_back(event)
        view = self._view(event.load_id, run)
        if view is not None:
            # which of the tables are gone is known once the schema has gone back, at the end of the run
            self._undone.append((view, event))

    # ---- packages ----------------------------------------------------------------------------------------------------

    def _open(self, load_id: str) -> OpenPackage | None:
        found = self._packages.get(load_id)
        if found is None:
            found = self.open.package(load_id)
            if found is not None:
                self._packages[load_id] = found
                if load_id not in self._mine:
                    self._mine.add(load_id)
                    self.teller.start_again(found)
        return found

    def _package(self, load_id: str, run: Run) -> OpenPackage | None:
        """The runs of a package that is worked on; those of an earlier time go on, or are begun where nobody has."""
        found = self._open(load_id)
        if found is None:
            package = run.pipeline._store.get(load_id)
            stored = read_document(package.path)
            if stored is None:
                found = cycle.adopted(package, self._start, self._cycle.started_at)
            elif cycle.is_planned(stored):
                found = cycle.born(self._new(package, run), stored, self._start, self._cycle.started_at)
            elif not stored.left:
                found = cycle.reopened(package, stored, self._cycle.as_parent(), self._cycle.started_at)
            else:
                found = stored
            if found is None:
                return None
            self._packages[load_id] = found
            self._mine.add(load_id)
            if stored is None or found is not stored:
                self.open.write(found)
                write_document(package.path, found)
                self.teller.started(found, found.left)
        self._cycle.works_on(found)
        self._cycle.keep()
        return found

    def _end(self, opened: OpenPackage, view: PackageView | None, endings: dict[str, Ending]) -> None:
        """Runs have ended: noted on disk first, told then."""
        ended = cycle.note_endings(opened, endings)
        self._packages.pop(opened.load_id, None)
        self._mine.discard(opened.load_id)
        self._cycle.resource_runs_ended(ended)
        self.open.end(opened)
        if view is not None:
            cycle.store_endings(self._folder(opened.load_id), opened)
        self.teller.ended(opened, view, ended)

    def _folder(self, load_id: str) -> Path:
        return self.open.folder.parent / "packages" / load_id

    # ---- what other processes have left ------------------------------------------------------------------------------

    def _close_dead(self, run: Run) -> None:
        """Tell the end of runs whose process died before it could."""
        if self.open.is_empty():
            return
        for opened in self.open.ending_packages():
            view = self._view(opened.load_id, run)
            self.teller.ended(opened, view, [one for one in opened.runs.values() if one.ending is not None], True)
        for invocation in self.open.ending_invocations():
            self.teller.invocation_ended(invocation, True)
        # those that a lost invocation has begun end before it
        self._settle(run, None)
        for invocation in self.open.invocations():
            if not self._cycle.is_own(invocation):
                self.teller.lost(invocation)

    def _settle(self, run: Run, at: dt.datetime | None) -> None:
        """Close runs of packages that are not there any more, or whose end nobody has told."""
        packages = self.open.packages()
        # others may have ended what this process has begun
        self._mine &= {opened.load_id for opened in packages}
        for opened in packages:
            if opened.load_id in self._made:
                continue
            self._packages.pop(opened.load_id, None)
            if opened.load_id not in self._mine:
                self._mine.add(opened.load_id)
                self.teller.start_again(opened)
            cycle.settle(opened, run, at, self._view(opened.load_id, run), self._end)

    def _view(self, load_id: str, run: Run) -> PackageView | None:
        try:
            return view_of(run.pipeline, run.pipeline._store.get(load_id))
        except (LoadPackageNotFound, OSError):
            return None
