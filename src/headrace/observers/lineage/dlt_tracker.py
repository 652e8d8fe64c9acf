"""A tracker for dlt: its protocol's four methods take snapshots, everything else happens on the sink's thread."""

from __future__ import annotations

import datetime as dt
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.errors.masking import without_secrets
from headrace.observers.lineage import describing, dlt_pipes, dlt_steps
from headrace.observers.lineage.dlt_facts import Documents, OpenInvocation, Seen, plain_instant, process_started
from headrace.observers.lineage.dlt_places import Target, target
from headrace.observers.lineage.dlt_runs import INTEGRATION, Runs
from headrace.observers.lineage.dlt_steps import Scope
from headrace.observers.lineage.events import Event, EventType
from headrace.observers.lineage.facts import Failure, Invocation, Job, Parent, RunRef
from headrace.observers.lineage.ids import invocation_run_id
from headrace.observers.lineage.parent import find_parent
from headrace.observers.lineage.sink import Sink

if TYPE_CHECKING:
    from headrace.config.lineage import LineageConfiguration

logger = logging.getLogger("headrace")

_PENDING = ("normalize/extracted", "load/normalized", "load/new")
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
        self._lock = threading.Lock()

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
        live = _Live(scope, runs, sink, self._begin(scope, trace, step, pipeline), sys.exc_info()[1])
        self._live[trace.transaction_id] = live
        self._recover(live)
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
            return
        error = self._error(live, step)
        live.steps.append(_step(step))
        info = None if isinstance(step_info, BaseException) else step_info
        if step.step == "extract":
            self._extracted(live, step, info, error)
        elif step.step == "normalize" and info is not None:
            snapshot = dlt_steps.normalized(info)
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

    def _recover(self, live: _Live) -> None:
        """Packages that were dropped, and runs of processes that were killed, are ended now."""
        documents = Documents(live.scope.working_dir)
        folder, now = Path(live.scope.working_dir), live.document.run.started_at
        known = documents.packages()
        gone = [one for one in known if not any((folder / place / one).is_dir() for place in _PENDING)]
        pending = [one for one in known if one not in gone]
        alive = frozenset(one.document.run.run_id for one in list(self._live.values()))

        def recovered() -> list[Event]:
            events = live.runs.recover(gone, now, alive)
            live.document.run.depends_on = live.runs.refs(pending)
            return events

        live.sink.emit(recovered)

    def _extracted(self, live: _Live, step: Any, info: Any, error: BaseException | None) -> None:
        seen: list[Seen] = []
        for source, resource in dlt_pipes.resources(live.data):
            try:
                seen.append(dlt_pipes.seen(source, resource))
            except Exception:  # a resource of another kind: nothing is said of its columns
                logger.debug("lineage: the resource %r cannot be read", resource, exc_info=True)
        live.data = None
        started, ended = plain_instant(step.started_at), plain_instant(step.finished_at)
        snapshot = dlt_steps.extracted(info, seen, live.parent, started, ended, error)
        live.mine |= snapshot.packages.keys()
        live.sink.emit(lambda: live.runs.extracted(snapshot))

    def _loaded(self, live: _Live, step: Any, pipeline: Any, info: Any, error: BaseException | None) -> None:
        parameters = _parameters(pipeline)
        for package in info.load_packages:
            jobs = dlt_steps.jobs_of(info, package)
            loaded = dlt_steps.loaded(package)
            names = [m.get("dataset_name") for m in info.metrics.get(package.load_id, ())]
            schema = package.schema
            snapshot = dlt_steps.LoadedPackage(
                load_id=str(package.load_id),
                schema=str(schema.name),
                loaded=loaded,
                jobs=jobs,
                target=self._target(pipeline, schema, names[0] if names else None),
                normalize=schema.naming.normalize_identifier,
                parent=live.parent,
                ended=plain_instant(package.completed_at or step.finished_at),
                parameters=parameters,
                failure=live.failure if error is not None else None,
            )
            broken = [f"{job}: {one.message}" for job, one in jobs.items() if one.state == "failed"]
            live.failed_jobs += broken
            if loaded.state in ("loaded", "aborted"):
                told = {"loadId": snapshot.load_id, "schemaName": snapshot.schema, "state": loaded.state}
                live.packages.append({**told, "failedJobs": len(broken)})
            live.sink.emit(_work(live.runs, snapshot))

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
            live.failure, live.stopped = dlt_steps.failure_of(error), dlt_steps.is_stop(error)
        return error


def _mark(sink: Sink, what: str) -> None:
    """Sinks that leave the processor to runs are told when one begins and ends."""
    tell = getattr(sink, what, None)
    if tell is not None:
        tell()


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
