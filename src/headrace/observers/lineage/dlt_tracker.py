"""A tracker for dlt: its protocol's four methods take snapshots, everything else happens on the sink's thread."""

from __future__ import annotations

import datetime as dt
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.base import forks
from headrace.errors.masking import without_secrets
from headrace.observers.lineage import describing, dlt_lost, dlt_pipes, dlt_secrets, dlt_steps
from headrace.observers.lineage.dlt_facts import OpenInvocation, Seen, plain_instant
from headrace.observers.lineage.dlt_lost import Fate
from headrace.observers.lineage.dlt_places import Target, target
from headrace.observers.lineage.dlt_runs import INTEGRATION, Runs
from headrace.observers.lineage.dlt_steps import Scope
from headrace.observers.lineage.events import Event, EventType
from headrace.observers.lineage.facts import Failure, Invocation, Job, Parent, RunRef
from headrace.observers.lineage.ids import invocation_run_id
from headrace.observers.lineage.parent import find_parent
from headrace.observers.lineage.processes import process_started
from headrace.observers.lineage.sink import Sink

if TYPE_CHECKING:
    from headrace.config.lineage import LineageConfiguration

logger = logging.getLogger("headrace")

_STEPS = ("extract", "normalize", "load")


@dataclass
class _Live:
    """A trace that is under way."""

    scope: Scope
    runs: Runs
    sink: Sink
    document: OpenInvocation
    outer: BaseException | None
    data: Any = None
    begun: dict[str, dt.datetime] = field(default_factory=dict)
    mine: set[str] = field(default_factory=set)
    steps: list[dict[str, Any]] = field(default_factory=list)
    failure: Failure | None = None
    stopped: bool = False
    failed_jobs: list[str] = field(default_factory=list)
    packages: list[dict[str, Any]] = field(default_factory=list)
    resolved: list[Any] = field(default_factory=list)

    @property
    def parent(self) -> Parent:
        """This run as the parent of others."""
        run = self.document.run
        root = run.parent.root if run.parent is not None else RunRef(run_id=run.run_id, job=run.job.id)
        ref = describing.reference(run)
        return Parent(run_id=ref.run_id, job=ref.job, facets=ref.facets, root=root)


class DltTracker:
    """To be put into ``dlt.pipeline.trace.TRACKING_MODULES``.

    Args:
        sink_of: Gives where the events of a pipeline go, by its folder in `Documents` and its name.
        settings: Of `lineage`.
        engine: Name and version of what runs: ``("dlt", "1.31.0")``.
    """

    def __init__(
        self,
        sink_of: Callable[[Path, str], Sink],
        settings: LineageConfiguration,
        engine: tuple[str, str] = ("dlt", ""),
    ) -> None:
        self._sink_of, self._settings = sink_of, settings
        self._sinks: dict[Path, Sink] = {}
        self._engine = engine
        self._live: dict[str, _Live] = {}
        self._runs: dict[tuple[str, str], Runs] = {}
        self._targets: dict[tuple[str, str, str], tuple[Any, Target]] = {}
        self._known: dict[tuple[str, str], tuple[Runs, Sink, Callable[[], Any]]] = {}
        self._lock = threading.Lock()
        forks.renew(self)

    def after_fork(self) -> None:
        """In a child process: the runs that are under way are the parent's, and so is who holds the lock."""
        self._lock = threading.Lock()
        self._live, self._known = {}, {}

    def drain(self, seconds: float) -> bool:
        """Wait until all events are safe, at most so long; whether they are."""
        end = time.monotonic() + seconds
        return all(sink.drain(max(0.0, end - time.monotonic())) for sink in set(self._sinks.values()))

    def __repr__(self) -> str:
        return "headrace.lineage.attach_to_dlt()"

    # ---- dlt's protocol --------------------------------------------------------------------------------------------

    def on_start_trace(self, trace: Any, step: str, pipeline: Any) -> None:
        """A run, or a step on its own, begins."""
        scope = Scope(
            self._settings.job_namespace, str(pipeline.pipeline_name), str(pipeline.working_dir), self._engine
        )
        with self._lock:
            runs = self._runs.setdefault((scope.pipeline, scope.working_dir), Runs(scope, self._settings))
            place = runs.documents.folder
            if place not in self._sinks:
                self._sinks[place] = self._sink_of(place, scope.pipeline)
            sink = self._sinks[place]
        _mark(sink, "begin")
        self._known[scope.pipeline, scope.working_dir] = (runs, sink, weakref.ref(pipeline))
        live = _Live(scope, runs, sink, self._begin(scope, trace, step, pipeline), sys.exc_info()[1])
        self._live[trace.transaction_id] = live
        self._recover(live, pipeline)
        live.sink.emit(lambda: runs.begin(live.document))

    def on_start_trace_step(self, trace: Any, step: str, pipeline: Any) -> None:
        """A step begins."""
        live = self._live.get(trace.transaction_id)
        if live is None:
            return
        live.begun[step] = _now()
        if step == "extract":
            live.data = dlt_pipes.traced_data()

    def on_end_trace_step(self, trace: Any, step: Any, pipeline: Any, step_info: Any, send_state: bool) -> None:
        """A step has ended, well or not."""
        live = self._live.get(trace.transaction_id)
        if live is None or step.step not in _STEPS:
            if live is not None and not live.steps and not step.step_exception:
                self._ask(live, pipeline)  # a run without data, which does not load
            return
        self._hide_secrets(live)
        error = self._error(live, step)
        live.steps.append(_step(step))
        info = None if isinstance(step_info, BaseException) else step_info
        if step.step == "extract":
            self._extracted(live, step, pipeline, info, error)
        elif step.step == "normalize" and info is not None:
            started, ended = plain_instant(step.started_at), plain_instant(step.finished_at)
            snapshot = dlt_steps.normalized(info, live.parent, started, ended, error)
            live.sink.emit(lambda: live.runs.normalized(snapshot))
        elif step.step == "load" and info is not None:
            self._loaded(live, step, pipeline, info, error)

    def on_end_trace(self, trace: Any, pipeline: Any, send_state: bool) -> None:
        """The run, or the step on its own, has ended."""
        live = self._live.pop(trace.transaction_id, None)
        if live is None:
            return
        self._error(live, None)
        run, now = live.document.run, _now()
        run.ended_at = now
        run.parameters = _parameters(pipeline)
        if live.steps:
            run.custom["headrace_steps"] = {
                "steps": live.steps,
                **({"packages": live.packages} if live.packages else {}),
            }
        state: EventType = "COMPLETE"
        if live.failure is None and live.failed_jobs:
            live.failure = Failure(message="Load jobs failed for good:\n" + "\n".join(live.failed_jobs))
        if live.failure is not None:
            state = "ABORT" if live.stopped else "FAIL"
            run.failure = live.failure
        run.state = {"COMPLETE": "loaded", "FAIL": "failed", "ABORT": "aborted"}[state]  # type: ignore[assignment]
        live.sink.emit(lambda: live.runs.end(live.document, state, now))
        _mark(live.sink, "end")

    @staticmethod
    def _hide_secrets(live: _Live) -> None:
        found = dlt_secrets.resolved(len(live.resolved))
        live.resolved += found

        def hide() -> list[Event]:
            dlt_secrets.hide(found)
            return []

        if found:
            live.sink.emit(hide)

    # ---- snapshots -------------------------------------------------------------------------------------------------

    def _begin(self, scope: Scope, trace: Any, step: str, pipeline: Any) -> OpenInvocation:
        started = plain_instant(trace.started_at)
        run = Invocation(
            run_id=invocation_run_id(started, scope.namespace, scope.pipeline, trace.transaction_id),
            job=Job(
                id=describing.pipeline_job_id(scope.namespace, scope.pipeline),
                kind=describing.PIPELINE,
                integration=INTEGRATION,
                description=self._settings.description or f"The pipeline `{scope.pipeline}` of dlt.",
                owners=describing.owners(self._settings),
                tags=describing.pairs(self._settings.tags),
            ),
            started_at=started,
            parent=find_parent(self._settings.parent),
            pipeline_name=scope.pipeline,
            engine=self._engine,
            tags=[
                ("transaction_id", str(trace.transaction_id)),
                ("step", str(step)),
                *describing.pairs(self._settings.run_tags),
            ],
            environment=describing.environment(self._settings),
            parameters=_parameters(pipeline),
        )
        return OpenInvocation(run, os.getpid(), process_started(os.getpid()))

    def _recover(self, live: _Live, pipeline: Any) -> None:
        """Packages that went while nobody watched, and runs of processes that were killed, are ended now."""
        now, known = live.document.run.started_at, live.runs.documents.packages()
        gone = dlt_lost.gone(known, live.scope.working_dir)
        fates = self._fates(live.runs, pipeline, gone)
        pending = [one for one in known if one not in gone]
        alive = self._alive()

        def recovered() -> list[Event]:
            events = live.runs.recover(fates, now, alive)
            live.document.run.depends_on = live.runs.refs(pending)
            return events

        live.sink.emit(recovered)

    def _alive(self) -> frozenset[str]:
        return frozenset(one.document.run.run_id for one in list(self._live.values()))

    def _fates(self, runs: Runs, pipeline: Any, gone: list[str], ask: bool = False) -> list[Fate]:
        """What became of packages, as far as it can be found out now.

        Args:
            runs: Of the pipeline.
            pipeline: dlt's; None when it is no more.
            gone: Load ids of packages that are not pending.
            ask: The destination is at hand.
        """
        folder, found = runs.scope.working_dir, []
        for load_id in gone:
            if load_id in runs.handed:
                continue
            if dlt_lost.has_record(load_id, folder):
                record = self._record(pipeline, load_id) if pipeline is not None else None
                fate = Fate(load_id, "told", record) if record is not None else None
            elif dlt_lost.surely_dropped(load_id, folder):
                fate = Fate(load_id, "dropped")
            else:
                stored = runs.documents.package(load_id) if ask else None
                fate = dlt_lost.ask(pipeline, load_id, stored.schema, stored.goal) if stored is not None else None
            if fate is not None:
                runs.handed.add(load_id)
                found.append(fate)
        return found

    def _record(self, pipeline: Any, load_id: str) -> dlt_steps.LoadedPackage | None:
        """How a package was loaded, by what dlt has kept of it; None when that cannot be read yet."""
        try:
            package = pipeline.get_load_package_info(load_id)
            goal = target(pipeline, package.schema, None)
        except Exception:  # another version's files, or no destination yet: a later run may know
            logger.debug("lineage: the package %s cannot be read", load_id, exc_info=True)
            return None
        at = plain_instant(package.completed_at) if package.completed_at else _now()
        return dlt_steps.loaded_package(package, None, goal, None, at, at, _parameters(pipeline))

    def settle(self) -> None:
        """End the runs of packages that were dropped since the last step; what nobody knows is left for a later run."""
        for runs, sink, reference in list(self._known.values()):
            if any(live.runs is runs for live in list(self._live.values())):
                continue
            gone = dlt_lost.gone(runs.documents.packages(), runs.scope.working_dir)
            fates = self._fates(runs, reference(), gone)
            if fates:
                sink.emit(_recovery(runs, fates, _now()))

    def _extracted(self, live: _Live, step: Any, pipeline: Any, info: Any, error: BaseException | None) -> None:
        seen: list[Seen] = []
        for source, resource in dlt_pipes.resources(live.data):
            try:
                seen.append(dlt_pipes.seen(source, resource))
            except Exception:  # a resource of another kind: nothing is said of its columns
                logger.debug("lineage: the resource %r cannot be read", resource, exc_info=True)
        live.data = None
        started, ended = plain_instant(step.started_at), plain_instant(step.finished_at)
        snapshot = dlt_steps.extracted(info, seen, live.parent, started, ended, error)
        snapshot.goal = dlt_lost.goal_of(pipeline)
        live.mine |= snapshot.packages.keys()
        live.sink.emit(lambda: live.runs.extracted(snapshot))

    def _loaded(self, live: _Live, step: Any, pipeline: Any, info: Any, error: BaseException | None) -> None:
        parameters, gave_up = _parameters(pipeline), dlt_steps.gave_up(error)
        started, failure = plain_instant(step.started_at), live.failure if error is not None else None
        for package in info.load_packages:
            names = [m.get("dataset_name") for m in info.metrics.get(package.load_id, ())]
            goal = self._target(pipeline, package.schema, names[0] if names else None)
            ended = plain_instant(package.completed_at or step.finished_at)
            made = dlt_steps.loaded_package(package, info, goal, live.parent, started, ended, parameters)
            made.failure, made.gave_up = failure, made.load_id == gave_up
            broken = [f"{job}: {one.message}" for job, one in made.jobs.items() if one.state == "failed"]
            live.failed_jobs += broken
            if made.loaded.state in ("loaded", "aborted"):
                told = {"loadId": made.load_id, "schemaName": made.schema, "state": made.loaded.state}
                live.packages.append({**told, "failedJobs": len(broken)})
                live.runs.handed.add(made.load_id)
            live.sink.emit(_work(live.runs, made))
        if error is None:
            self._ask(live, pipeline)

    def _ask(self, live: _Live, pipeline: Any) -> None:
        """Packages that are gone and nobody has told of: dlt has just been in the destination, which may know."""
        gone = dlt_lost.gone(live.runs.documents.packages(), live.scope.working_dir)
        fates = self._fates(live.runs, pipeline, gone, ask=True)
        if fates:
            now, alive = _now(), self._alive()
            live.sink.emit(lambda: live.runs.recover(fates, now, alive))

    def _target(self, pipeline: Any, schema: Any, dataset: str | None) -> Target | None:
        """Where a schema goes; asked once, since dlt resolves its configuration each time."""
        destination = pipeline.destination
        key = (str(pipeline.pipeline_name), str(schema.name), dataset or str(pipeline.dataset_name))
        known = self._targets.get(key)
        if known is not None and known[0] is destination:
            return known[1]
        try:
            found = target(pipeline, schema, dataset)
        except Exception as error:  # noqa: BLE001 # no lineage is no reason for a run to fail
            text = without_secrets(f"{type(error).__name__}: {error}")
            logger.warning("lineage: where `%s` loads to cannot be found out: %s", pipeline.pipeline_name, text)
            return None
        self._targets[key] = (destination, found)
        return found

    @staticmethod
    def _error(live: _Live, step: Any) -> BaseException | None:
        """The error that ends the step or the trace; dlt calls while it is on its way up."""
        error = sys.exc_info()[1]
        if error is live.outer:
            error = None
        if error is None and step is not None and step.step_exception:
            error = RuntimeError(str(step.step_exception))
        if error is not None and live.failure is None:
            dlt_secrets.hide(live.resolved)  # at once: its text is made here
            live.failure, live.stopped = dlt_steps.failure_of(error), dlt_steps.is_stop(error)
        return error


def _mark(sink: Sink, what: str) -> None:
    """Sinks that leave the processor to runs are told when one begins and ends."""
    tell = getattr(sink, what, None)
    if tell is not None:
        tell()


def _recovery(runs: Runs, fates: list[Fate], now: dt.datetime) -> Callable[[], list[Event]]:
    return lambda: runs.recover(fates, now, frozenset())


def _work(runs: Runs, snapshot: dlt_steps.LoadedPackage) -> Callable[[], list[Event]]:
    return lambda: runs.loaded(snapshot)


def _parameters(pipeline: Any) -> list[tuple[str, str]]:
    found = [("pipeline_name", str(pipeline.pipeline_name)), ("dataset_name", str(pipeline.dataset_name or ""))]
    destination = getattr(pipeline, "destination", None)
    if destination is not None:
        found.append(("destination", str(destination.destination_name)))
        found.append(("destination_type", str(destination.destination_type)))
    return [(key, value) for key, value in found if value and value != "None"]


def _step(step: Any) -> dict[str, Any]:
    found = {"step": str(step.step), "startedAt": plain_instant(step.started_at).isoformat()}
    return {
        **found,
        "endedAt": plain_instant(step.finished_at).isoformat(),
        "state": "failed" if step.step_exception else "completed",
    }


def _now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)
