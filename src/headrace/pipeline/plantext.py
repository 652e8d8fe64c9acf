"""Plans for people: short texts for terminals, logs and pull requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from headrace.model.widening import type_text
from headrace.model.wording import count

if TYPE_CHECKING:
    from headrace.model.planned import PlannedStep, PlannedTable
    from headrace.pipeline.plans import Plan

_MARKS = {"new": "+", "changed": "~", "dropped": "-", "unchanged": " "}


def plan_text(plan: Plan, verbosity: int = 1) -> str:
    """A plan as text.

    Args:
        plan: The plan.
        verbosity: 0 to 2; see `Plan.asstr`.
    """
    lines = list(_summary(plan))
    if verbosity > 0:
        lines += _tables(plan, verbosity)
        lines += _section("Statements", [_indented(statement) for statement in plan.statements])
    if verbosity > 1:
        lines += _section("Jobs", [_job(job) for job in plan.jobs])
        lines += _section("Dispositions", [f"  {name}: {d.does}" for name, d in plan.dispositions.items()])
    lines += _section("Destructive steps", [f"! {one.table}: {one.why}" for one in plan.destructive])
    lines += _section("Rejected by contracts", [f"  {_rejected(one)}" for one in plan.rejected])
    lines += _section("State", [f"  {c.path}: {c.before!r} -> {c.after!r}" for c in plan.state_change])
    lines += _section("Not told", [f"  {note}" for note in plan.notes])
    return "\n".join(lines)


def _summary(plan: Plan) -> Iterator[str]:
    yield f"Plan {plan.id} of pipeline {plan.pipeline_name}, made {plan.made_at}"
    yield f"Destination: {plan.destination}, dataset {plan.dataset_name}"
    if plan.pending_load_ids:
        yield f"First {count(len(plan.pending_load_ids), 'pending package')}: {', '.join(plan.pending_load_ids)}"
    if plan.is_empty:
        yield "Nothing to do."
        return
    shown = [table for table in plan.tables if not table.is_system]
    by_status = {status: [t for t in shown if t.status == status] for status in ("new", "changed", "dropped")}
    parts = [f"{count(len(tables), 'table')} {status}" for status, tables in by_status.items() if tables]
    rows, steps = count(sum(plan.row_counts.values()), "row"), count(len(plan.destructive), "destructive step")
    yield f"To do: {', '.join([*parts, f'{rows} to load', steps])}"


def _tables(plan: Plan, verbosity: int) -> list[str]:
    lines: list[str] = []
    for table in plan.tables:
        if table.is_system and verbosity < 2:
            continue
        lines += _table(table, verbosity)
    return _section("Tables", lines)


def _table(table: PlannedTable, verbosity: int) -> Iterator[str]:
    facts = [table.status]
    if table.disposition:
        facts.append(table.disposition)
    if table.table_format:
        facts.append(table.table_format)
    if table.rows:
        facts.append(count(table.rows, "row"))
    facts += [f"{hint}: {', '.join(names)}" for hint, names in table.hints.items() if verbosity > 1 or "key" in hint]
    yield f"{_MARKS.get(table.status, ' ')} {table.name} ({'; '.join(facts)})"
    for name, column in table.columns.items():
        loose = "" if column.get("nullable", True) else " not null"
        variant = " (variant: its values do not fit the other column)" if name in table.variants else ""
        yield f"    + {name} {type_text(column)}{loose}{variant}"
    for name, types in table.altered.items():
        yield f"    ~ {name} {types['before']} -> {types['after']}"


def _job(job: PlannedStep) -> str:
    how = f" ({job.strategy})" if job.strategy else ""
    after = f", after {', '.join(job.after)}" if job.after else ""
    return f"  {job.load_id} {job.id}: {job.kind}{how} of {', '.join(job.tables)}, {count(job.rows, 'row')}{after}"


def _rejected(one: dict[str, object]) -> str:
    where = f"{one['table']}.{one['column']}" if one.get("column") else str(one["table"])
    return f"{where}: {one['count']} by the rule {one['rule']}"


def _indented(statement: str) -> str:
    return "\n".join(f"  {line}" for line in f"{statement};".splitlines())


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", f"{title}:", *lines] if lines else []
