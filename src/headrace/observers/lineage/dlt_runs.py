"""From snapshots of dlt's steps to facts and events, on the sink's thread, in the order in which things happened."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from headrace.observers.lineage import code, describing, naming
from headrace.observers.lineage.dlt_again import end_all, has_news, successors
from headrace.observers.lineage.dlt_columns import describe
from headrace.observers.lineage.dlt_facts import (
    STATE_RESOURCE,
    Documents,
    File,
    OpenInvocation,
    OpenPackage,
    Seen,
    created_at,
    is_alive,
    plain_instant,
)
from headrace.observers.lineage.dlt_lost import DROPPED, NOBODY_KNOWS, UNWATCHED, Fate
from headrace.observers.lineage.dlt_outputs import (
    dispositions,
    failed,
    output,
    owner_of,
    package_facet,
    tables_of,
    unmeasured,
)
from headrace.observers.lineage.dlt_pipes import absolute
from headrace.observers.lineage.dlt_steps import Extracted, LoadedPackage, Normalized, Scope
from headrace.observers.lineage.events import Event, EventType, run_event
from headrace.observers.lineage.facts import Failure, Field, Input, Job, Parent, ResourceRun, Run, RunRef
from headrace.observers.lineage.ids import resource_run_id
from headrace.observers.lineage.opened import Place
from headrace.observers.lineage.subsets import subset_of

if TYPE_CHECKING:
    from headrace.config.lineage import LineageConfiguration

INTEGRATION = "DLT"

NO_COLUMNS = (
    "Columns without a known source: {count}. dlt does not record what its columns were called in the data; "
    "only the columns of database tables can be told."
)
NO_INPUTS = "dlt before 1.31 does not say what its resources read: the inputs of this run are not known."
NO_EXTRACT = "The package was extracted where lineage was not attached: what it was read from is not known."


class Runs:
    """The resource runs of a pipeline.

    Args:
        scope: The pipeline and its job namespace.
        settings: Of `lineage`.

    Attributes:
        handed: Load ids of packages whose end is on its way here; the pipeline's thread's own.
    """

    def __init__(self, scope: Scope, settings: LineageConfiguration) -> None:
        self.scope, self._settings = scope, settings
        self.handed: set[str] = set()
        self.documents = Documents(scope.working_dir)
        self._namespaces = naming.Namespaces(settings.namespaces)
        self._over: set[str] = set()

    # ---- extract ---------------------------------------------------------------------------------------------------

    def extracted(self, step: Extracted) -> list[Event]:
        """Runs begin: what their resources read is known. Where extract failed they end."""
        events: list[Event] = []
        for load_id, sources in step.packages.items():
            package = OpenPackage(load_id=load_id, schema="", goal=step.goal)
            for schema, metrics in sources:
                package.schema = schema
                self._add(package, schema, metrics, step)
            for source, name in step.left_over.get(load_id, []):
                self._run(package, source, name, step, step.started)
            events += [self._event(run, "START", run.started_at) for run in package.runs]
            if step.failure is not None:
                events += self._broken(package, step)
            elif load_id in step.empty:
                # nothing new: dlt made no package of it
                events += [
                    run_event(_in_state(run, "loaded", step.ended), "COMPLETE", step.ended) for run in package.runs
                ]
            else:
                events += [self._event(run, "RUNNING", step.ended) for run in package.runs]
                self.documents.keep_package(package)
        return events

    def _add(self, package: OpenPackage, schema: str, metrics: Mapping[str, Any], step: Extracted) -> None:
        edges = [(str(a), str(b)) for a, b in metrics.get("dag") or ()]
        rows = metrics.get("inputs")
        for name in metrics.get("hints") or {}:
            if str(name) == STATE_RESOURCE:
                continue
            run = self._run(package, schema, str(name), step, plain_instant(metrics["started_at"]))
            seen = package.seen.get(_key(schema, str(name)))
            if rows is None:
                run.lineage_errors, run.unknown_inputs = [("inputs", NO_INPUTS)], True
                continue
            own = [absolute(row) for row in rows if row.get("resource_name") == name]
            above = [absolute(row) for row in rows if row.get("resource_name") in _ancestors(edges, str(name))]
            found = [self._namespaces.apply(one) for one in naming.inputs([*own, *above])]
            if seen is not None and not seen.changes and not run.inputs and len(found) == 1:
                found[0].subset = subset_of(found[0].subset, seen.window if self._settings.data_values else None)
            run.inputs = _joined(run.inputs, found)
            items = (metrics.get("resource_metrics") or {}).get(name)
            self._measure(run, seen, own, items)

    @staticmethod
    def _measure(run: ResourceRun, seen: Seen | None, own: list[dict[str, Any]], items: Any) -> None:
        """Rows read: what a resource yielded is what it read, as long as nothing behind its function changed that."""
        if seen is None or seen.changes or seen.filters or len(run.inputs) != 1 or not own:
            return
        one = run.inputs[0]
        one.rows = (one.rows or 0) + (int(items.items_count) if items is not None else 0)
        if seen.plain_sql and not one.fields:
            one.fields = [Field(name=column) for column in seen.columns]

    def _run(self, package: OpenPackage, source: str, resource: str, step: Extracted, at: dt.datetime) -> ResourceRun:
        for known in package.runs:
            if (known.source, known.resource) == (source, resource):
                return known
        seen = step.seen.get(_key(source, resource)) or step.seen.get(_key("", resource))
        if seen is not None:
            package.seen[_key(source, resource)] = seen
        run = self._new(package.load_id, source, resource, at, step.parent)
        if seen is not None:
            run.job.description = seen.description or run.job.description
            run.job.code = code.location(Place(file=seen.file, line=seen.line)) if seen.file else None
        run.job.code = run.job.code or code.location(code.script())
        package.runs.append(run)
        return run

    def _new(self, load_id: str, source: str, resource: str, at: dt.datetime, parent: Parent | None) -> ResourceRun:
        space, pipeline = self.scope.namespace, self.scope.pipeline
        return ResourceRun(
            run_id=resource_run_id(created_at(load_id), space, pipeline, source, resource, load_id),
            job=Job(
                id=describing.resource_job_id(space, pipeline, source, resource),
                kind=describing.RESOURCE,
                integration=INTEGRATION,
                description=f"Resource `{resource}` of the source `{source}`, extracted and loaded by dlt.",
                owners=describing.owners(self._settings),
                tags=describing.pairs(self._settings.tags),
            ),
            started_at=at,
            parent=parent,
            load_id=load_id,
            source=source,
            resource=resource,
            engine=self.scope.engine,
            tags=[("load_id", load_id), *describing.pairs(self._settings.run_tags)],
            environment=describing.environment(self._settings),
        )

    def _broken(self, package: OpenPackage, step: Extracted) -> list[Event]:
        """Extract failed: dlt throws the package away. The resource at fault failed, the others were stopped."""
        events = []
        for run in package.runs:
            at_fault = not step.aborted and run.resource == step.culprit
            run.failure = step.failure
            events.append(self._ended(run, "FAIL" if at_fault else "ABORT", step.ended))
        return events

    # ---- normalize -------------------------------------------------------------------------------------------------

    def normalized(self, step: Normalized) -> list[Event]:
        """Files and rows of the packages are known now."""
        for load_id, metrics in step.packages.items():
            package = self.documents.package(load_id)
            if package is None:
                package = OpenPackage(load_id=load_id, schema="")
            for job, one in metrics.items():
                table = str(job).partition(".")[0]
                package.files[str(job)] = File(table=table, rows=int(one.items_count), size=int(one.file_size))
            self.documents.keep_package(package)
        return self._not_normalized(step)

    def _not_normalized(self, step: Normalized) -> list[Event]:
        """A job of normalize failed for good: the runs of its package have failed, whatever becomes of that later."""
        load_id, table = step.broken or ("", "")
        package = self.documents.package(load_id) if load_id else None
        if package is None:
            return []
        events = self._again(package, step.parent, step.started)
        mine = [run for run in package.runs if table in (run.resource, self._own_table(package, run))] or package.runs
        for run in package.runs:
            run.failure = step.failure
            events.append(self._ended(run, "FAIL" if run in mine else "ABORT", step.ended))
        self._keep_ended(package, step.ended)
        return events

    # ---- packages that dlt keeps after their jobs failed -----------------------------------------------------------

    def _again(self, package: OpenPackage, parent: Parent | None, at: dt.datetime) -> list[Event]:
        """New runs for a package whose runs have ended: an ended run cannot go on."""
        if package.ended_at is None:
            return []
        package.runs, package.ended_at = successors(package, self.scope, parent, at), None
        return [self._event(run, "START", run.started_at) for run in package.runs]

    def _keep_ended(self, package: OpenPackage, at: dt.datetime) -> None:
        end_all(package, at)
        self.documents.keep_package(package)

    @staticmethod
    def _own_table(package: OpenPackage, run: ResourceRun) -> str:
        seen = package.seen.get(_key(run.source, run.resource))
        return seen.table if seen is not None else ""

    # ---- load ------------------------------------------------------------------------------------------------------

    def loaded(self, step: LoadedPackage) -> list[Event]:
        """A package was loaded, given up, or left for later."""
        package = self.documents.package(step.load_id)
        if step.load_id in self._over:
            return []
        events: list[Event] = []
        package = package or OpenPackage(load_id=step.load_id, schema=step.schema)
        package.jobs.update(step.jobs)
        over = step.loaded.state in ("loaded", "aborted")
        if package.ended_at is not None and step.loaded.state == "aborted" and not has_news(package):
            self._over.add(step.load_id)
            self.documents.forget_package(step.load_id)
            return []  # nobody has tried again what had failed
        if not over and not step.gave_up:
            self.documents.keep_package(package)
            return []
        package.files = package.files or unmeasured(package.jobs)
        events += self._again(package, step.parent, step.started)
        events += self._unknown(package, step)
        owners = self._owners(package, step.loaded.tables)
        for run in package.runs:
            events.append(self._end(package, run, step, owners))
        if not over:
            self._keep_ended(package, step.ended)
            return events
        self._over.add(step.load_id)
        self.documents.forget_package(step.load_id)
        return events

    def _unknown(self, package: OpenPackage, step: LoadedPackage) -> list[Event]:
        """Runs of resources that were extracted while nobody watched."""
        known = {run.resource for run in package.runs}
        tables = {done.table for done in package.jobs.values()} | {file.table for file in package.files.values()}
        names = {owner_of(step.loaded.tables, table) for table in tables if not table.startswith("_dlt")}
        if known and names <= known:
            return []
        for name in sorted(names - known):
            run = self._new(package.load_id, step.schema, name, created_at(package.load_id), step.parent)
            if not known:
                run.lineage_errors, run.unknown_inputs = [("inputs", NO_EXTRACT)], True
                package.runs.append(run)
        return [self._event(run, "START", run.started_at) for run in package.runs if run.resource not in known]

    def _owners(self, package: OpenPackage, tables: Mapping[str, Any]) -> dict[str, list[str]]:
        """By table the resources that write it."""
        found: dict[str, list[str]] = {}
        for run in package.runs:
            own = self._own_table(package, run)
            for table in tables_of(tables, run.resource, own if own in tables else ""):
                found.setdefault(table, []).append(run.resource)
        return found

    def _end(
        self, package: OpenPackage, run: ResourceRun, step: LoadedPackage, owners: Mapping[str, list[str]]
    ) -> Event:
        mine = [table for table, resources in owners.items() if run.resource in resources]
        unknown = 0
        seen = package.seen.get(_key(run.source, run.resource))
        for table in mine:
            made = output(package, step.loaded, table, step.target, shared=len(owners[table]) > 1)
            if made is None:
                continue
            unknown += describe(
                made, step.loaded.tables[table], run.inputs, seen, step.normalize, not run.unknown_inputs
            )
            run.outputs.append(self._namespaces.apply(made))
        if unknown:
            run.lineage_errors = [*run.lineage_errors, ("columnLineage", NO_COLUMNS.format(count=unknown))]
        run.custom["headrace_loadPackage"] = package_facet(package, step.schema, step.loaded, mine)
        run.parameters = (
            [*step.parameters, ("write_disposition", dispositions(run.outputs))] if run.outputs else step.parameters
        )
        broken = failed(package, mine)
        if broken:
            lines = [f"{job} (table {done.table}): {done.message or 'failed'}" for job, done in broken]
            run.failure = Failure(message="Load jobs failed for good:\n" + "\n".join(lines))
            return self._ended(run, "FAIL", step.ended)
        if step.loaded.state == "aborted" or step.gave_up:
            run.failure = step.failure or Failure(message="dlt gave the load package up.")
            return self._ended(run, "ABORT", step.ended)
        return self._ended(run, "COMPLETE", step.ended)

    def _ended(self, run: ResourceRun, kind: EventType, at: dt.datetime) -> Event:
        return self._event(_in_state(run, _STATES[kind], at), kind, max(at, run.started_at))

    def _event(self, run: Run, state: EventType, at: dt.datetime) -> Event:
        if run.failure is not None and not self._settings.stack_traces:
            run.failure = Failure(message=run.failure.message)
        return run_event(run, state, at, self._settings.column_budget)

    # ---- recovery --------------------------------------------------------------------------------------------------

    def recover(self, fates: list[Fate], now: dt.datetime, live: frozenset[str]) -> list[Event]:
        """End what an earlier process has left: packages that are no more, invocations whose process is dead.

        Args:
            fates: What became of packages that are not pending in the working folder.
            now: When that was seen.
            live: Run ids of the invocations of this process.
        """
        others = [one for one in self.documents.invocations() if one.run.run_id not in live]
        dead = [one for one in others if not is_alive(one)]
        events: list[Event] = []
        if len(dead) == len(others):  # else another process may be about to say it
            for fate in fates:
                events += self._lost(fate, now)
        for one in dead:
            one.run.failure = Failure(message="The process ended before the run did.")
            events.append(self._event(_in_state(one.run, "aborted", now), "ABORT", now))
            self.documents.forget_invocation(one.run.run_id)
        return events

    def _lost(self, fate: Fate, now: dt.datetime) -> list[Event]:
        """A package that went while nobody watched."""
        package = self.documents.package(fate.load_id)
        if package is None or fate.load_id in self._over:
            return []
        if fate.record is not None:
            return self.loaded(fate.record)
        self._over.add(fate.load_id)
        self.documents.forget_package(fate.load_id)
        was_loaded = fate.known == "loaded"
        if package.ended_at is not None and not was_loaded:
            return []  # its runs have ended, and nothing has come after them
        events = self._again(package, None, now)
        for run in package.runs:
            if was_loaded:
                run.lineage_errors = [*run.lineage_errors, ("outputs", UNWATCHED)]
            else:
                run.failure = Failure(message=DROPPED if fate.known == "dropped" else NOBODY_KNOWS.format(fate.why))
            events.append(self._ended(run, "COMPLETE" if was_loaded else "ABORT", now))
        return events

    def begin(self, invocation: OpenInvocation) -> list[Event]:
        """`Pipeline.run`, or a step on its own, begins."""
        invocation.run.job.code = code.location(code.script())
        self.documents.keep_invocation(invocation)
        return [self._event(invocation.run, "START", invocation.run.started_at)]

    def end(self, invocation: OpenInvocation, state: EventType, at: dt.datetime) -> list[Event]:
        """It has ended."""
        self.documents.forget_invocation(invocation.run.run_id)
        return [self._event(invocation.run, state, at)]

    def refs(self, load_ids: list[str]) -> list[RunRef]:
        """The runs of packages that began before."""
        found = [self.documents.package(load_id) for load_id in load_ids]
        return [RunRef(run_id=run.run_id, job=run.job.id) for one in found if one is not None for run in one.runs]


def _key(source: str, resource: str) -> str:
    return f"{source}.{resource}"


def _ancestors(edges: list[tuple[str, str]], name: str) -> set[str]:
    """The resources whose items a resource takes, at any distance."""
    found: set[str] = set()
    wanted = {name}
    while wanted:
        parents = {a for a, b in edges if b in wanted and a != b} - found
        found |= parents
        wanted = parents
    return found


def _joined(first: list[Input], second: list[Input]) -> list[Input]:
    known = {one.id for one in first}
    return [*first, *(one for one in second if one.id not in known)]


def _in_state(run: Any, state: str, at: dt.datetime) -> Any:
    return msgspec.structs.replace(run, state=state, ended_at=at)


_STATES = {"COMPLETE": "loaded", "FAIL": "failed", "ABORT": "aborted"}
