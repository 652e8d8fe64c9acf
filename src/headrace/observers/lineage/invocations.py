"""Invocations: `Pipeline.run`, or a step called on its own, as the parent of the resource runs it begins."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headrace.model.events import Aborted, Loaded, RolledBack, RunEnded, RunStarted, StepEnded, StepStarted
from headrace.observers import facts as observed
from headrace.observers.lineage import describing
from headrace.observers.lineage.cycle import Fault
from headrace.observers.lineage.facts import Failure, Invocation, Parent, RunRef
from headrace.observers.lineage.ids import invocation_run_id
from headrace.observers.lineage.opened import Ending, OpenInvocation, OpenPackage, OpenRun, Place
from headrace.observers.lineage.parent import below, find_parent, variables

if TYPE_CHECKING:
    from headrace.bus.observer import Run
    from headrace.config.lineage import LineageConfiguration
    from headrace.observers.lineage.telling import Teller


@dataclass
class _Going:
    """The invocation that is going on.

    Attributes:
        run: What is known of it.
        steps: What `headrace_steps` tells.
        packages: By load id: what became of it.
        failed: Runs of resources that have failed.
        place: Where it was called.
        opened: What is kept of it for another process; None before its first step.
        used: By step, the settings that were in force when it began.
    """

    run: Invocation
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    packages: dict[str, dict[str, Any]] = field(default_factory=dict)
    failed: list[OpenRun] = field(default_factory=list)
    place: Place | None = None
    opened: OpenInvocation | None = None
    used: dict[str, Any] = field(default_factory=dict)


class Invocations:
    """The invocations of one pipeline, one after the other.

    Args:
        pipeline_name: The pipeline.
        settings: Of `lineage`.
        teller: Tells them.
    """

    def __init__(self, pipeline_name: str, settings: LineageConfiguration, teller: Teller) -> None:
        self._pipeline_name, self._settings, self._teller = pipeline_name, settings, teller
        self._going: _Going | None = None
        self._parent: Parent | None = None
        # for other processes: with what they would otherwise have to ask for
        self._exported: Parent | None = None

    def context(self) -> dict[str, str]:
        """See `LineageObserver.context`."""
        return variables(self._exported) if self._exported is not None else {}

    @property
    def started_at(self) -> dt.datetime | None:
        """When the invocation began."""
        return self._going.run.started_at if self._going is not None else None

    @property
    def place(self) -> Place | None:
        """Where the run was called."""
        return self._going.place if self._going is not None else None

    def as_parent(self) -> Parent | None:
        """What the runs that this invocation begins have as their parent."""
        return self._parent

    def began(self, event: RunStarted) -> None:
        """A run begins; it is an invocation once it does a step."""
        namespace = self._settings.job_namespace
        run_id = invocation_run_id(event.at, namespace, self._pipeline_name, event.run_id)
        run = Invocation(
            run_id=run_id,
            job=describing.pipeline_job(namespace, self._pipeline_name, self._settings),
            started_at=event.at,
            pipeline_name=self._pipeline_name,
            tags=[("run_id", event.run_id)],
        )
        self._going, self._parent = _Going(run), None

    @property
    def is_new(self) -> bool:
        """Whether a run has begun that has done no step yet."""
        return self._going is not None and self._going.opened is None

    def step_began(self, event: StepStarted, run: Run) -> None:
        """A step begins: with the first one it is an invocation."""
        going = self._going
        if going is None:
            return
        going.steps[event.step] = {"step": event.step, "startedAt": describing.instant(event.at)}
        going.used[event.step] = run.pipeline._settings.used.get(event.step)
        if going.opened is not None:
            return
        going.run.parent = find_parent(self._settings.parent)
        going.run.parameters = describing.parameters(run)
        going.run.tags = [*going.run.tags, *describing.pairs(self._settings.run_tags)]
        going.run.environment = describing.environment(self._settings)
        self._parent = below(RunRef(run_id=going.run.run_id, job=going.run.job.id), going.run.parent)
        self._exported = below(describing.reference(going.run), going.run.parent)
        going.place = describing.caller()
        going.opened = OpenInvocation(run=going.run, pid=os.getpid(), place=going.place)
        self._teller.invocation_started(going.opened)

    def keep(self) -> None:
        """There is data that may be loaded: another process must be able to tell how that ended."""
        if self._going is not None and self._going.opened is not None:
            self._teller.keep(self._going.opened)

    def is_own(self, other: OpenInvocation) -> bool:
        """Whether it is the one that is going on."""
        return self._going is not None and other.run.run_id == self._going.run.run_id

    def step_ended(self, event: StepEnded, run: Run) -> None:
        """Note how long it took and how it went."""
        if self._going is None or event.step not in self._going.steps:
            return
        step = self._going.steps[event.step]
        step["endedAt"] = describing.instant(event.at)
        step["state"] = "failed" if event.error else "completed"
        step |= describing.counts(observed.step_info(run, event.step))
        used = run.pipeline._settings.used.get(event.step)
        if used is not self._going.used.get(event.step):
            self._going.run.parameters += describing.step_parameters(event.step, used)

    # ---- what becomes of packages ------------------------------------------------------------------------------------

    def works_on(self, opened: OpenPackage) -> None:
        """A package that an earlier invocation has begun goes on in this one."""
        going = self._going
        if going is None:
            return
        own = going.run.run_id
        known = {ref.run_id for ref in going.run.depends_on}
        for run in opened.left:
            if run.run_id not in known and (run.parent is None or run.parent.run_id != own):
                ref = run.ref
                ref.facets = {"continues": True}
                going.run.depends_on = [*going.run.depends_on, ref]

    def loaded(self, event: Loaded, schema_name: str) -> None:
        """A package is loaded."""
        self._package(event.load_id, schema_name, "loaded", event.failed_jobs)

    def aborted(self, event: Aborted, schema_name: str) -> None:
        """A package was set aside."""
        self._package(event.load_id, schema_name, "aborted", 0)

    def rolled_back(self, event: RolledBack) -> None:
        """A load was undone."""
        self._package(event.load_id, "", "rolled back", 0)

    def _package(self, load_id: str, schema_name: str, state: str, failed_jobs: int) -> None:
        if self._going is None:
            return
        about: dict[str, Any] = {"loadId": load_id, "state": state}
        if schema_name:
            about["schemaName"] = schema_name
        if failed_jobs:
            about["failedJobs"] = failed_jobs
        self._going.packages[load_id] = about

    def resource_runs_ended(self, runs: list[OpenRun]) -> None:
        """Resource runs have ended while this invocation was going on."""
        if self._going is not None:
            self._going.failed += [run for run in runs if run.ending is not None and run.ending.state == "FAIL"]
            if any(run.nominal is not None and run.reading.scheduled for run in runs):
                self._going.run.nominal = next(r.nominal for r in runs if r.nominal is not None)

    def ended(self, event: RunEnded, run: Run) -> None:
        """The run is over: it has failed too when something of it is not in the destination."""
        going, self._going = self._going, None
        if going is None or going.opened is None:
            return
        fault = Fault.of(run.error)
        if fault is not None:
            failure: Failure | None = fault.failure(self._settings.stack_traces)
            state = "ABORT" if fault.interrupt else "FAIL"
        elif going.failed:
            state, failure = "FAIL", Failure(message=_of_failed(going.failed))
        else:
            state, failure = "COMPLETE", None
        going.run.custom["headrace_steps"] = {
            "steps": list(going.steps.values()),
            "packages": list(going.packages.values()),
        }
        # the destination may have been named by a step
        of_steps = [one for one in going.run.parameters if "." in one[0]]
        going.run.parameters = [*describing.parameters(run), *of_steps]
        going.opened.ending = Ending(state=state, at=event.at, failure=failure)
        self._teller.invocation_ends(going.opened)


def _of_failed(runs: list[OpenRun]) -> str:
    names = dict.fromkeys(run.job.name for run in runs)
    first = runs[0].ending.failure if runs[0].ending is not None else None
    return f"failed: {', '.join(names)}" + (f": {first.message}" if first is not None else "")
