"""Lineage of a plan: what a run would read and write, as `JobEvent`s, before it has run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from headrace.model.events import Extracted, PackageMoved, SourceEnded, SourceStarted
from headrace.observers.lineage import describing
from headrace.observers.lineage.build import Builder
from headrace.observers.lineage.cycle import adopted
from headrace.observers.lineage.events import Event, job_event
from headrace.observers.lineage.facts import Output
from headrace.observers.lineage.opened import OpenPackage, OpenRun, Reading, read_document, write_document
from headrace.observers.lineage.readings import finish, note_models, reading_of
from headrace.observers.lineage.view import PackageView, view_of

if TYPE_CHECKING:
    import datetime as dt

    from headrace.bus.observer import Run as LiveRun
    from headrace.config.lineage import LineageConfiguration
    from headrace.model.events import AnyEvent
    from headrace.package.package import Package
    from headrace.pipeline.plans import Plan

KEY = "plan:headrace.observers.lineage"
"""Where a pipeline keeps the observer of its plans."""


class PlanNoter:
    """Notes what is known of resources while a plan reads them, in the folders of the plan's packages.

    Args:
        settings: Of `lineage`.
    """

    def __init__(self, settings: LineageConfiguration) -> None:
        self._settings = settings
        self._readings: dict[str, dict[str, Reading]] = {}

    def notify(self, event: AnyEvent, run: LiveRun) -> None:
        """Take note of an event."""
        match event:
            case SourceStarted():
                source = run.extras["source"]
                known = self._readings.setdefault(event.load_id, {})
                for name in event.resources:
                    known[f"{event.source}.{name}"] = reading_of(
                        event.source, source.resources[name], self._settings.source_code
                    )
            case SourceEnded():
                source = run.extras["source"]
                for name in source.resources.selected:
                    reading = self._readings.get(event.load_id, {}).get(f"{event.source}.{name}")
                    if reading is not None:
                        finish(reading, source.resources[name], True, event.rows.get(name, 0))
            case PackageMoved() if event.was in self._readings:
                self._readings[event.load_id] = self._readings.pop(event.was)
            case Extracted():
                self._keep(event, run)

    def _keep(self, event: Extracted, run: LiveRun) -> None:
        package = run.pipeline._store.get(event.load_id)
        known = self._readings.pop(event.load_id, None)
        if known is None:
            return
        made = OpenPackage(load_id=event.load_id, schema_name=package.schema_name, created_at=package.created_at)
        for key, reading in known.items():
            note_models(reading, event, package.path)
            made.runs[key] = _unborn(run.pipeline.pipeline_name, self._settings, reading, package.created_at)
        write_document(package.path, made)


def _unborn(pipeline: str, settings: LineageConfiguration, reading: Reading, at: dt.datetime) -> OpenRun:
    """A run that does not run: only its job is told."""
    job = describing.resource_job_id(settings.job_namespace, pipeline, reading.source, reading.resource)
    return OpenRun(run_id="", job=job, started_at=at, reading=reading)


def note_plans(pipeline: Any) -> None:
    """Let the plans that a pipeline makes from now on note what lineage needs to know of resources."""
    from headrace.config.lineage import lineage_settings

    pipeline._watchers.setdefault(KEY, PlanNoter(lineage_settings()))


def events_of_plan(plan: Plan) -> list[Event]:
    """What a plan would read and write, as one `JobEvent` for each resource; nothing is run or sent.

    Column lineage is in them where lineage was on, or `note_plans` was called, when the plan was made.

    Args:
        plan: As `Pipeline.plan` gives it.

    Raises:
        PlanNotFound: It belongs to no pipeline here.
    """
    from headrace.base.time import now
    from headrace.config.current import pipeline_name_scope
    from headrace.config.lineage import lineage_settings

    p = plan._live()
    with pipeline_name_scope(p.pipeline_name):
        settings = lineage_settings()
    builder, at = Builder(settings, p._folder.path / "lineage"), now()
    found = [job_event(describing.pipeline_job(settings.job_namespace, p.pipeline_name, settings), [], [], at)]
    for load_id in plan.load_ids:
        package = _package(p, plan, load_id)
        opened = read_document(package.path) or _from_journal(p, package, settings)
        if opened is not None:
            view = view_of(p, package)
            found += [_job_event(builder, opened, run, view, plan, at) for run in opened.runs.values()]
    return found


def _package(p: Any, plan: Plan, load_id: str) -> Package:
    from headrace.package.package import Package

    return Package(p._folder.plans / plan.id / "packages" / load_id)


def _from_journal(p: Any, package: Package, settings: LineageConfiguration) -> OpenPackage | None:
    def start(made: OpenPackage, reading: Reading, at: dt.datetime) -> OpenRun:
        run = _unborn(p.pipeline_name, settings, reading, at)
        made.runs[f"{reading.source}.{reading.resource}"] = run
        return run

    return adopted(package, start)


def _job_event(
    builder: Builder, opened: OpenPackage, run: OpenRun, view: PackageView, plan: Plan, at: dt.datetime
) -> Event:
    made = builder.resource_run(opened, run, view, planned=True)
    outputs = [_with_change(output, plan) for output in made.outputs]
    inputs = [msgspec.structs.replace(one, rows=None, bytes=None, files=None, subset=None) for one in made.inputs]
    return job_event(made.job, inputs, outputs, at)


def _with_change(output: Output, plan: Plan) -> Output:
    """What the plan says becomes of the table's columns."""
    table = next((one for one in plan.tables if one.name == output.table), None)
    if table is None or table.status == "unchanged":
        return output
    output.schema_change = {"created": table.status == "new", "columnsAdded": list(table.columns)}
    if table.variants:
        output.schema_change["variants"] = table.variants
    return output
