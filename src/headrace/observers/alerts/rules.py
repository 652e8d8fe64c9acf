"""From the events of a run to an alert."""

from __future__ import annotations

import dataclasses
import datetime as dt
import platform
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from headrace.base.ids import new_load_id
from headrace.errors.base import HeadraceException, ValueErrorWithKnownValues
from headrace.errors.load import LoadClientJobRetry
from headrace.errors.masking import without_secrets
from headrace.model.events import (
    AnyEvent,
    JobDone,
    JobFailed,
    Loaded,
    Normalized,
    PackageParked,
    Planned,
    Rejected,
    RunStarted,
    SchemaMigrated,
    StepEnded,
    StepRetried,
)
from headrace.model.jobs import Job, Upload
from headrace.model.packages import is_new_table
from headrace.observers.alerts.alert import (
    LONGEST,
    MOST,
    Alert,
    ErrorFacts,
    FailedJob,
    RejectedRows,
    SetAside,
    TableChange,
    TKind,
    clip,
)

if TYPE_CHECKING:
    from headrace.bus.observer import Run
    from headrace.model.events import RunEnded


class RejectedRule(NamedTuple):
    """When rejected rows are worth an alert: both bounds must be reached.

    Attributes:
        table: Tables it is about, as a pattern: ``orders*``.
        rule: Rules of contracts it is about, as a pattern: ``columns:*``.
        rows: How many rows or values at least, in one run and table.
        share: Which part of the table's rows at least, 0 to 1.
    """

    table: str = "*"
    rule: str = "*"
    rows: int = 1
    share: float = 0.0

    @classmethod
    def of(cls, fields: Mapping[str, Any] | RejectedRule) -> RejectedRule:
        """Make a rule of what a configuration file says.

        Raises:
            ValueErrorWithKnownValues: It has a field that there is not.
            TypeError: It is no table of settings.
            ValueError: A bound is no number.
        """
        if isinstance(fields, RejectedRule):
            return fields
        if not isinstance(fields, Mapping):
            raise TypeError(
                f"`runtime.alerts.rejected` is a list of tables like {{table = 'orders', rows = 10}}, not {fields!r}"
            )
        for name in fields:
            if name not in cls._fields:
                raise ValueErrorWithKnownValues("runtime.alerts.rejected", name, cls._fields)
        rule = cls(**fields)
        return rule._replace(rows=int(rule.rows), share=float(rule.share))

    def met_by(self, group: Sequence[RejectedRows]) -> bool:
        """Whether the losses of one table are enough."""
        mine = [one for one in group if fnmatchcase(one.table, self.table) and fnmatchcase(one.rule, self.rule)]
        total = sum(one.lost for one in mine)
        return bool(mine) and total >= self.rows and sum(one.share for one in mine) >= self.share


class Report:
    """Collects what a run gives cause to tell.

    Args:
        event: The run's beginning.
    """

    def __init__(self, event: RunStarted) -> None:
        self.run_id, self.started_at, self.pipeline_name = event.run_id, event.at, event.pipeline_name
        self.steps: dict[str, None] = {}  # that ended well
        self.failed_step = ""
        self.rejected_steps: set[str] = set()
        self.retried = ""  # the step that was repeated last
        self._written: dict[str, Mapping[str, int]] = {}  # by normalize, whether loaded or not
        self._files: dict[str, tuple[str, int]] = {}  # loaded: table and rows
        self._plans: dict[str, dict[str, Job]] = {}
        self._loaded: dict[str, None] = {}
        self._applied: dict[str, tuple[Mapping[str, Any], Mapping[str, Any], Any]] = {}
        self._lost: dict[tuple[str, str, str], int] = {}
        self._failed: list[FailedJob] = []
        self._aside: dict[str, SetAside] = {}

    def add(self, event: AnyEvent, run: Run) -> None:
        """Look at an event."""
        if isinstance(event, StepEnded):
            self._end_step(event)
        elif isinstance(event, StepRetried):
            self.failed_step, self.retried = "", event.step
        elif isinstance(event, Normalized):
            self._written[event.load_id] = event.row_counts
        elif isinstance(event, Planned):
            self._plans[event.load_id] = {job.id: job for job in event.jobs}
        elif isinstance(event, JobDone):
            self._done(event, run)
        elif isinstance(event, Loaded):
            self._loaded[event.load_id] = None
        elif isinstance(event, SchemaMigrated) and (event.applied or event.altered):
            self._applied[event.load_id] = (event.applied, event.altered, _schema_of(run, event.load_id))
        elif isinstance(event, Rejected):
            self.rejected_steps.add(event.step)
            key = (event.table, event.rule, event.column)
            self._lost[key] = self._lost.get(key, 0) + event.count
        elif isinstance(event, JobFailed):
            tables = ", ".join(event.tables)
            self._failed.append(FailedJob(event.load_id, event.job_id, tables, _said(event.message)))
        elif isinstance(event, PackageParked):
            self._aside[event.load_id] = SetAside(event.load_id, _said(event.reason))

    def _end_step(self, event: StepEnded) -> None:
        if event.error is None:
            self.steps[event.step] = None
        elif not self.failed_step:  # the innermost comes first
            self.failed_step = event.step

    def _done(self, event: JobDone, run: Run) -> None:
        """Count the rows of a job's files, once where two jobs have to do with a file."""
        plan, package = self._plans.get(event.load_id), run.package
        if plan is None and package is not None and package.load_id == event.load_id:
            # an earlier run made the plan
            made = package.fact(Planned)
            plan = self._plans[event.load_id] = {job.id: job for job in made.jobs} if made is not None else {}
        job = plan.get(event.job_id) if plan is not None else None
        if job is not None and not isinstance(job, Upload):
            self._files.update({f"{event.load_id}.{file.id}": (file.table, file.rows) for file in job.files})

    def alert(self, event: RunEnded, run: Run, rules: Iterable[RejectedRule]) -> Alert:
        """What there is to tell; its ``kinds`` are empty when that is nothing."""
        p, rejected = run.pipeline, self._rejected()
        failed = event.error is not None
        error = self._error(run.error, event.error) if failed else None
        interrupted = isinstance(run.error, KeyboardInterrupt)
        outcome: Literal["success", "failure", "interrupted"] = "success"
        if failed:
            outcome = "interrupted" if interrupted else "failure"
        changes = tuple(c for one in self._applied.values() for c in _changes(*one))
        alert = Alert(
            id=new_load_id(),
            kinds=(),
            outcome=outcome,
            pipeline_name=self.pipeline_name,
            run_id=self.run_id,
            started_at=self.started_at.astimezone(dt.timezone.utc),
            finished_at=event.at.astimezone(dt.timezone.utc),
            dataset_name=getattr(p, "dataset_name", None),
            destination=_place(p),
            host=platform.node(),
            steps=tuple(self.steps),
            load_ids=tuple({**self._written, **self._loaded, **self._aside}),
            loaded="load" in self.steps,
            rows=self._data_rows(),
            **_bounded(
                schema_changes=changes, rejected=rejected, failed_jobs=self._failed, set_aside=self._aside.values()
            ),
            error=error,
        )
        kinds = self._kinds(alert, run.error, rules)
        return _with_next(alert.because(kinds))

    def _kinds(self, alert: Alert, error: BaseException | None, rules: Iterable[RejectedRule]) -> set[TKind]:
        kinds: set[TKind] = set()
        if alert.outcome != "success":
            kinds.add("failure")
        elif alert.loaded:
            kinds.add("success")
        repeated = self.retried and self.retried == self.failed_step
        if alert.outcome == "failure" and (repeated or any(isinstance(e, LoadClientJobRetry) for e in _chain(error))):
            kinds.add("retries_exhausted")
        if self._failed:
            kinds.add("failed_jobs")
        if self._aside:
            kinds.add("set_aside")
        if alert.schema_changes:
            kinds.add("schema_change")
        lost: dict[str, list[RejectedRows]] = {}
        for one in self._rejected():
            lost.setdefault(one.table, []).append(one)
        if any(rule.met_by(group) for rule in rules for group in lost.values()):
            kinds.add("rejected")
        return kinds

    def _data_rows(self) -> dict[str, int]:
        return _sums(row for row in self._files.values() if not row[0].startswith("_dlt_"))

    def _rejected(self) -> list[RejectedRows]:
        written = _sums(row for rows in self._written.values() for row in rows.items())
        found = []
        for (table, rule, column), n in self._lost.items():
            kept = written.get(table, 0)
            # a row that lost a value is still among those that were written
            whole = max(kept, n) if rule.endswith("discard_value") and not rule.startswith("tables") else kept + n
            found.append(RejectedRows(table, rule, column, n, n / whole if whole else 0.0))
        return sorted(found, key=lambda one: -one.lost)

    def _error(self, error: BaseException | None, text: str | None) -> ErrorFacts:
        inner = getattr(error, "exception", None) or error
        kind = type(inner).__name__ if inner is not None else ""
        if not isinstance(inner, HeadraceException):
            said = text or "" if inner is None else f"{kind}: {inner}" if str(inner) else kind
            return ErrorFacts(self.failed_step, kind, _said(said), None, _optional(getattr(error, "fix", None)))
        fix = inner.fix or getattr(error, "fix", None)
        return ErrorFacts(self.failed_step, kind, _said(inner.what), _optional(inner.why), _optional(fix))


def _bounded(**many: Iterable[Any]) -> dict[str, Any]:
    """The first of each, and how many are left out: an alert is no report of thousands."""
    found: dict[str, Any] = {name: tuple(values) for name, values in many.items()}
    left_out = {name: len(values) - MOST for name, values in found.items() if len(values) > MOST}
    if "rejected" in left_out:
        left_out["rejected_rows"] = sum(one.lost for one in found["rejected"][MOST:])
    return {**{name: values[:MOST] for name, values in found.items()}, "left_out": left_out}


def _sums(rows: Iterable[tuple[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for table, n in rows:
        total[table] = total.get(table, 0) + n
    return total


def _chain(error: BaseException | None) -> Iterable[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def _said(text: str) -> str:
    return clip(without_secrets(text), LONGEST)


def _optional(text: str | None) -> str | None:
    return _said(text) if text else None


def _place(p: Any) -> str | None:
    """The destination's name, and where it is without what is secret."""
    destination = getattr(p, "destination", None)
    if destination is None:
        return None
    name = str(destination.destination_name)
    try:
        place = without_secrets(str(destination.describe_location() or ""))
    except Exception:  # noqa: BLE001 - its settings may be what the run failed of
        place = ""
    return clip(f"{name} at {place}" if place else name, 200)


def _schema_of(run: Run, load_id: str) -> Any:
    """The schema that a package's tables follow; None when it is not at hand."""
    package = run.package
    if package is None or package.load_id != load_id:
        return None
    find = getattr(getattr(run.pipeline, "schemas", None), "find", None)
    return find(package.schema_name) if find is not None else None


def _changes(applied: Mapping[str, Any], altered: Mapping[str, Any], schema: Any) -> list[TableChange]:
    """New tables and columns, and columns that got a wider type; what got another description is no change."""
    found = []
    for name in sorted(name for name in {*applied, *altered} if not name.startswith("_dlt_")):
        new = applied.get(name, {}).get("columns", {})
        wider = {
            k: str(c["data_type"]) for k, c in altered.get(name, {}).get("columns", {}).items() if "data_type" in c
        }
        kinds = {k: str(c.get("data_type", "?")) for k, c in new.items() if not k.startswith("_dlt_")}
        if wider or name in applied:
            found.append(TableChange(name, name in applied and is_new_table(name, new, schema), kinds, wider))
    return found


def _with_next(alert: Alert) -> Alert:
    """Say what to type next."""
    name = alert.pipeline_name
    typed: dict[str, None] = {}
    retries: dict[str, None] = {}
    for load_id in dict.fromkeys(job.load_id for job in alert.failed_jobs):
        typed[f"headrace pipeline failed-jobs {name}"] = None
        retries[f"headrace pipeline retry {name} {load_id}"] = None
    for package in alert.set_aside:
        typed[f"headrace pipeline load-package {name} {package.load_id}"] = None
    if alert.outcome != "success":
        typed[f"headrace pipeline trace {name}"] = None
    # the last: it is for when the cause is mended
    return dataclasses.replace(alert, next=(*list(typed)[:5], *list(retries)[:3]))
