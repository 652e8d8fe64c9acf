"""The cycle of runs: one START, one end, and which one it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headrace.base.time import now
from headrace.errors.masking import without_secrets
from headrace.model.events import (
    Aborted,
    Extracted,
    Loaded,
    Planned,
    Reopened,
)
from headrace.observers import facts as observed
from headrace.observers.lineage.columns_model import ResourceFact, StepFact
from headrace.observers.lineage.facts import Failure, Parent
from headrace.observers.lineage.ids import static_run_id
from headrace.observers.lineage.opened import (
    DOCUMENT,
    Ending,
    OpenPackage,
    OpenRun,
    Reading,
    write_document,
)

if TYPE_CHECKING:
    from headrace.bus.observer import Run
    from headrace.model.location import ResourceInputs
    from headrace.observers.lineage.view import PackageView
    from headrace.package.package import Package

_STATE_RESOURCE = "_dlt_pipeline_state"


# ---- what went wrong -------------------------------------------------------------------------------------------------


@dataclass
class Fault:
    """What ended a step, and whose fault it was.

    Attributes:
        message: Without secrets.
        resource: The resource that is named by the error.
        table: The table.
        interrupt: Somebody stopped the run.
        failed: Something was tried and did not work; else the package was only given up.
    """

    message: str
    resource: str = ""
    table: str = ""
    interrupt: bool = False
    failed: bool = False
    trace: str | None = None

    @classmethod
    def of(cls, error: BaseException | None) -> Fault | None:
        """The fault behind an error; None for none."""
        if error is None:
            return None
        blamed = observed.blamed(error)
        cause = observed.innermost(error)
        interrupt = observed.is_interrupt(cause) or observed.is_interrupt(error)
        return cls(
            message=_message(error),
            resource=blamed.get("resource", ""),
            table=blamed.get("table", ""),
            interrupt=interrupt,
            failed=not interrupt,
            trace=observed.described(cause)["exception.stacktrace"],
        )

    def failure(self, with_trace: bool = False) -> Failure:
        """As a fact."""
        return Failure(message=self.message, trace=self.trace if with_trace else None)


def _message(error: BaseException) -> str:
    """Kind and text of the error that matters: the innermost one, which is not only the step's."""
    cause = observed.innermost(error)
    return f"{observed.kind_of(cause)}: {observed.text_of(cause)}"


# ---- how runs end ----------------------------------------------------------------------------------------------------


def key_of(run: OpenRun) -> str:
    """Its key in its package."""
    return f"{run.reading.source}.{run.reading.resource}"


def endings_of_load(opened: OpenPackage, view: PackageView, at: dt.datetime) -> dict[str, Ending]:
    """A package is loaded: runs of which a job failed have failed, however few rows are missing."""
    found: dict[str, Ending] = {}
    for run in opened.left:
        lacking = view.failed_tables(run.reading.resource)
        if lacking:
            texts = dict.fromkeys(without_secrets(failure.message) for failure in lacking.values())
            message = f"not loaded into {', '.join(lacking)}: {'; '.join(texts)}"
            found[key_of(run)] = Ending(state="FAIL", at=at, failure=Failure(message=message))
        else:
            found[key_of(run)] = Ending(state="COMPLETE", at=at)
    return found


def endings_of_fault(
    opened: OpenPackage, view: PackageView | None, fault: Fault, at: dt.datetime, with_trace: bool = False
) -> dict[str, Ending]:
    """A package is given up: the runs at fault have failed, the others were stopped by that."""
    guilty = _guilty(opened, view, fault)
    found: dict[str, Ending] = {}
    for run in opened.left:
        own = list(view.failed_tables(run.reading.resource).values()) if view is not None else []
        if own and not fault.interrupt:
            message = without_secrets("; ".join(dict.fromkeys(failure.message for failure in own)))
            found[key_of(run)] = Ending(state="FAIL", at=at, failure=Failure(message=message))
        elif run.reading.resource in guilty:
            found[key_of(run)] = Ending(state="FAIL", at=at, failure=fault.failure(with_trace))
        else:
            found[key_of(run)] = Ending(state="ABORT", at=at, failure=fault.failure())
    return found


def _guilty(opened: OpenPackage, view: PackageView | None, fault: Fault) -> set[str]:
    """Resources that have failed; the only one there is, where the error names none."""
    if not fault.failed:
        return set()
    names = {run.reading.resource for run in opened.left}
    if fault.resource in names:
        return {fault.resource}
    # a resource that only others take items from: they are at fault with it
    below_it = {run.reading.resource for run in opened.left if fault.resource and fault.resource in run.reading.above}
    if below_it:
        return below_it
    if fault.resource and view is None:
        return set()  # it is one of another package that was extracted along with this one
    if fault.table and (owners := _owners(opened, view, fault.table)):
        return owners & names
    if view is not None and view.failed_tables():
        return set()
    return names if len(names) == 1 else set()


def _owners(opened: OpenPackage, view: PackageView | None, table: str) -> set[str]:
    if view is not None and table in view.tables:
        return view.owners(table)
    found = {run.reading.resource for run in opened.left if run.reading.resource == table}
    return found or {run.reading.resource for run in opened.left if run.reading.hints.get("table_name") == table}


def note_endings(opened: OpenPackage, endings: dict[str, Ending]) -> list[OpenRun]:
    """Write endings into the runs; returns those that ended now."""
    ended = []
    for key, ending in endings.items():
        run = opened.runs[key]
        if run.ending is None:
            run.ending = ending
            ended.append(run)
    return ended


def store_endings(folder: Path, opened: OpenPackage) -> None:
    """Keep in the package's folder that its runs have ended, as long as there is such a folder."""
    if (folder / DOCUMENT).is_file():
        write_document(folder, opened)


# ---- packages of earlier times ---------------------------------------------------------------------------------------


def copy_of(reading: Reading) -> Reading:
    """A copy that may be changed."""
    return msgspec.structs.replace(reading, models=dict(reading.models), locations=list(reading.locations))


def adopted(package: Package, start: Callable[..., OpenRun], at: dt.datetime | None = None) -> OpenPackage | None:
    """The runs of a package that was extracted while lineage was off: what its journal says of resources.

    Args:
        package: The package.
        start: Makes a run.
        at: When they start for us; when the package was made by default.
    """
    extracted = package.fact(Extracted)
    if extracted is None:
        return None
    made = OpenPackage(load_id=package.load_id, schema_name=package.schema_name, created_at=package.created_at)
    told = {(one.resource): one for one in extracted.inputs}
    for resource in dict.fromkeys(name for file in extracted.files for name in (file.resource, *file.others)):
        if not resource or resource == _STATE_RESOURCE:
            continue
        source = told[resource].source if resource in told else package.schema_name
        rows = sum(file.rows for file in extracted.files if file.resource == resource)
        described = _seen_by_journal(resource, told.get(resource))
        reading = Reading(source=source, resource=resource, rows=rows, is_read=True, described=described)
        start(made, reading, at or package.created_at).extracted = True
    return made if made.runs else None


def _seen_by_journal(resource: str, told: ResourceInputs | None) -> ResourceFact:
    """What a package itself says of the code that a resource's items went through."""
    if told is None:
        return ResourceFact(name=resource)  # without an input its columns are the job's, whatever the code
    if told.code is None:
        return ResourceFact(name=resource, unseen=True)
    return ResourceFact(name=resource, steps=[StepFact(kind="map", name=name) for name in told.code])


def is_planned(stored: OpenPackage) -> bool:
    """Whether a package was made by a plan: its runs are described, and have not begun."""
    return any(not run.run_id for run in stored.runs.values())


def born(
    made: OpenPackage, stored: OpenPackage, start: Callable[..., OpenRun], at: dt.datetime | None = None
) -> OpenPackage:
    """The runs of a package that a plan has extracted, and that is loaded now.

    Args:
        made: The package, without runs.
        stored: What the plan has noted of it.
        start: Makes a run.
        at: When they start for us; when the package was made by default.
    """
    for run in stored.runs.values():
        start(made, run.reading, at or made.created_at, run.nominal).extracted = True
    return made


def reopened(
    package: Package, stored: OpenPackage, parent: Parent | None, at: dt.datetime | None = None
) -> OpenPackage | None:
    """New runs for a package that is loaded again after its runs had ended: an ended run cannot go on.

    Args:
        package: The package.
        stored: Its runs as they ended.
        parent: Of the new ones.
        at: When the invocation began that loads it.
    """
    again = [fact for fact in package.journal.facts if isinstance(fact, Reopened)]
    if not again:
        return None
    jobs = {job for fact in again[-1:] for job in fact.jobs}
    plan = package.fact(Planned)
    tables = {table for job in (plan.jobs if plan else ()) if job.id in jobs for table in job.tables}
    made = OpenPackage(
        load_id=stored.load_id,
        schema_name=stored.schema_name,
        created_at=stored.created_at,
        run_id=stored.run_id,
        refresh=stored.refresh,
    )
    for key, run in stored.runs.items():
        if run.ending is None or run.ending.state == "COMPLETE" or (tables and not _writes(package, run, tables)):
            continue
        name = f"{run.run_id}.{len(again)}"
        made.runs[key] = msgspec.structs.replace(
            run,
            run_id=static_run_id(again[-1].at, name),
            started_at=max(again[-1].at, run.ending.at, at or again[-1].at),
            parent=parent,
            continues=run.ref,
            ending=None,
        )
    return made if made.runs else None


def _writes(package: Package, run: OpenRun, tables: set[str]) -> bool:
    schema, extracted = package.load_schema().get("tables") or {}, package.fact(Extracted)
    writers: dict[str, set[str]] = {}
    for file in extracted.files if extracted else ():
        writers.setdefault(file.table, set()).update((file.resource, *file.others))
    for table in tables:
        root = table
        while above := schema.get(root, {}).get("parent"):
            root = above
        if run.reading.resource in (writers.get(root) or {schema.get(root, {}).get("resource") or root}):
            return True
    return False


def settle(
    opened: OpenPackage,
    run: Run,
    at: dt.datetime | None,
    view: PackageView | None,
    end: Callable[[OpenPackage, PackageView | None, dict[str, Ending]], None],
) -> None:
    """Close the runs of a package that is gone, loaded or set aside; leave those of one that waits."""
    if view is None:
        fault = Fault("the package was dropped before it was loaded")
        end(opened, None, endings_of_fault(opened, None, fault, at or now()))
        return
    last = next((f for f in reversed(view.facts) if isinstance(f, (Loaded, Aborted, Reopened, Extracted))), None)
    if isinstance(last, Loaded):
        end(opened, view, endings_of_load(opened, view, last.at))
    elif isinstance(last, Aborted):
        end(opened, view, endings_of_fault(opened, view, Fault(without_secrets(last.reason)), last.at))
