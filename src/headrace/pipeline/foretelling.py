"""What packages would do to a destination, told package by package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from headrace.model import planned
from headrace.model.events import Normalized
from headrace.model.migrate import AnyChange
from headrace.model.rejected import add_counts
from headrace.pipeline.loading import load_settings
from headrace.pipeline.refreshing import refresh_tables
from headrace.pipeline.schemas import parse_schema
from headrace.pipeline.state import to_plain
from headrace.pipeline.step import step

if TYPE_CHECKING:
    from headrace.load.rehearsal import Heard, RehearsalClient
    from headrace.model.jobs import PlannedJob
    from headrace.model.schema import Schema
    from headrace.package.package import Package
    from headrace.pipeline.pipeline import Pipeline


class Told:
    """What packages would do, as far as it was gone through."""

    def __init__(self) -> None:
        self.tables: dict[tuple[str, str], planned.PlannedTable] = {}
        self.statements: list[str] = []
        self.changes: list[dict[str, Any]] = []
        self.jobs: list[planned.PlannedStep] = []
        self.dispositions: dict[str, planned.Disposition] = {}
        self.row_counts: dict[str, int] = {}
        self.rejected: list[dict[str, Any]] = []
        self.destructive: list[planned.Destructive] = []
        self.notes: list[str] = []

    def facts(self) -> dict[str, Any]:
        """By the names of `Plan`."""
        return {**vars(self), "tables": list(self.tables.values())}

    def note(self, text: str) -> None:
        """Say what cannot be said."""
        if text not in self.notes:
            self.notes.append(text)

    def add(self, package: Package, schema: Schema, heard: Heard, jobs: list[PlannedJob]) -> None:
        """Take in a package."""
        load_id, system = package.load_id, schema.dlt_table_names()
        normalized = package.fact(Normalized)
        counted = normalized.row_counts if normalized else {}
        rows = {name: n for name, n in counted.items() if name not in system and n}
        for table in planned.told_tables(schema, heard.changes, jobs, rows):
            known = self.tables.get((schema.name, table.name))
            self.tables[(schema.name, table.name)] = table if known is None else _joined(known, table)
        for name, count in rows.items():
            self.row_counts[name] = self.row_counts.get(name, 0) + count
        self.statements += heard.statements
        self.changes += [{"load_id": load_id, **plain(change)} for change in heard.changes]
        self.jobs += planned.told_jobs(load_id, jobs)
        self.dispositions.update(planned.dispositions_of(schema, jobs, system))
        self.rejected += [{"load_id": load_id, **msgspec.to_builtins(r)} for r in add_counts(package.rejected())]
        self.destructive += _of_refresh(load_id, heard)
        self.destructive += planned.destructive_steps(schema, heard.changes, jobs, heard.present, load_id=load_id)


def _joined(first: planned.PlannedTable, second: planned.PlannedTable) -> planned.PlannedTable:
    """What two packages do to one table."""
    status = first.status if first.status in ("new", "changed") else second.status
    return msgspec.structs.replace(
        second,
        status=status,
        columns={**first.columns, **second.columns},
        altered={**first.altered, **second.altered},
        variants=list(dict.fromkeys([*first.variants, *second.variants])),
        rows=first.rows + second.rows,
    )


def plain(change: AnyChange) -> dict[str, Any]:
    """A change in values that JSON knows."""
    found: dict[str, Any] = to_plain(msgspec.to_builtins(change, enc_hook=str))
    return found


def _of_refresh(load_id: str, heard: Heard) -> list[planned.Destructive]:
    steps = [(table, "empty", "refresh `drop_data` deletes all its rows") for table in heard.emptied]
    steps += [(name, "forget", "refresh deletes the stored versions of this schema") for name in heard.forgotten]
    return [planned.Destructive(table=table, kind=kind, why=why, load_id=load_id) for table, kind, why in steps]


def tell(twin: Pipeline) -> Told:
    """Go through the load of all normalized packages of a twin, oldest first."""
    from headrace.load.rehearsal import rehearse

    told = Told()
    destination = twin._need_destination("plan")
    settings, facts = load_settings(twin, destination, twin._settings.load()), twin._destinations.facts()
    for load_id in twin._store.list("normalized"):
        package = twin._store.get(load_id)
        schema = parse_schema(package.load_schema())
        dataset = twin._destinations.dataset_for(schema)
        how: Any = {"pipeline": facts, "settings": settings, "schema": schema, "staging": twin.staging}
        with step(twin, "load") as run, twin._session.use(destination, dataset, schema, facts) as opened:
            run.load_id, client = load_id, cast("RehearsalClient", opened)
            heard = client.begin()
            refresh_tables(twin, package, client, schema)
            jobs = rehearse(package, destination, dataset, client, **how)
        _note_limits(told, client, jobs, bool(settings.keep_undo and destination.capabilities().supports_undo))
        told.add(package, schema, heard, jobs)
    return told


def _note_limits(told: Told, client: RehearsalClient, jobs: list[PlannedJob], keeps: bool) -> None:
    if not client.speaks_statements:
        told.note("this destination changes tables without statements: `changes` tells what is done")
    elif any(job.kind == "merge" for job in jobs):
        told.note("statements of merges hang on the rows that are there: `jobs` and `dispositions` tell what they do")
    if not client.keeps_tables:
        told.note("this destination does not tell which tables it has: all tables of the load are told as new")
    if keeps:
        told.note("`statements` leaves out what `load.keep_undo` keeps so that the load can be undone")
