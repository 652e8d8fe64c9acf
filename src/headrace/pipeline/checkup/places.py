"""A pipeline's working folder, and what its destination allows."""

from __future__ import annotations

import contextlib
import datetime as dt
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.base.strings import random_id
from headrace.errors.package import PipelineLocked
from headrace.model.wording import count
from headrace.pipeline.checkup.check import Check, failed

if TYPE_CHECKING:
    from headrace.load.destination import Client, Destination, PipelineFacts
    from headrace.pipeline.pipeline import Pipeline

_NAME = "headrace_doctor"
NEW = "is not there yet: the first load makes it"
SKEW = 60
"""Seconds that the destination's clock may differ from ours without a warning."""


def of_pipeline(name: str, pipelines_dir: str | Path | None, probe: bool) -> Iterator[Check]:
    """A pipeline: its folder, what waits, its last run, its destination and staging place."""
    from headrace.pipeline.factory import attach

    try:
        p = attach(name, pipelines_dir=pipelines_dir)
    except Exception as error:  # noqa: BLE001 - what is wrong is the result
        yield failed("pipeline", name, error)
        return
    yield Check("pipeline", "folder", "ok", p.working_dir)
    for look in (_lock, _packages, _schemas, _last_run):
        try:
            yield from look(p)
        except Exception as error:  # noqa: BLE001
            yield failed("pipeline", look.__name__.strip("_").replace("_", " "), error)
    for role in ("destination", "staging"):
        try:
            place, facts = getattr(p, role), p._destinations.facts()
            schema = p._schemas.find(p.default_schema_name) or p._destinations.blank_schema()
            dataset = p._destinations.dataset_for(schema)
        except Exception as error:  # noqa: BLE001
            yield failed(role, role, error)
            return
        if place is not None:
            for check in _of_place(role, place, dataset, facts, probe):
                yield _as_of(p, check)
        elif role == "destination":
            fix = "give `destination=` to `pipeline()`, or set `destination_type` in `pipelines.<name>`"
            yield Check(role, role, "warn", f"pipeline `{name}` has none yet", fix)


def _as_of(p: Pipeline, check: Check) -> Check:
    """What is seen at a destination, in the light of what the pipeline has done before."""
    if (check.name, check.status) == ("connection", "ok") and check.text.endswith(NEW) and p._store.list("loaded"):
        fix = (
            "look at dataset name and credentials; if it was dropped on purpose, the next run makes it again and loads "
            "from the beginning"
        )
        return check._replace(status="warn", text=check.text.replace(NEW, "is not there ANY MORE"), fix=fix)
    return check


def _lock(p: Pipeline) -> Iterator[Check]:
    try:
        with p._folder.hold():
            yield Check("pipeline", "lock", "ok", "nobody works on it now")
    except PipelineLocked as locked:
        yield Check("pipeline", "lock", "warn", f"at work now: {locked.why}", "wait until it ends, or end that process")


def _packages(p: Pipeline) -> Iterator[Check]:
    from headrace.pipeline.overview import why_aside

    waiting = p._store.list("extracted", "normalized")
    aborted = [load_id for load_id in p._store.list("aborted") if why_aside(p._store.get(load_id))]
    text = f"{count(len(p._store.list('loaded')), 'package')} loaded"
    if waiting:
        fix = (
            f"the next run loads them first; `headrace pipeline drop-pending-packages {p.pipeline_name}` gives them up"
        )
        yield Check("pipeline", "packages", "warn", f"{text}, waiting: {', '.join(waiting)}", fix)
    if aborted:
        fix = f"`headrace pipeline failed-jobs {p.pipeline_name}` says why; their data are in the folder of the package"
        yield Check("pipeline", "packages", "warn", f"{text}, set aside: {', '.join(aborted)}", fix)
    if not waiting and not aborted:
        yield Check("pipeline", "packages", "ok", text)


def _schemas(p: Pipeline) -> Iterator[Check]:
    told = [f"{name} (version {p.schemas[name].version})" for name in p.schema_names]
    yield Check("pipeline", "schemas", "ok", ", ".join(told) or "none yet")


def _last_run(p: Pipeline) -> Iterator[Check]:
    from headrace.pipeline.overview import error_of

    trace = p.last_trace
    if trace is None or not trace.steps:
        yield Check("pipeline", "last run", "ok", "none that is known here")
        return
    when, error = f"{trace.finished_at or trace.started_at:%Y-%m-%d %H:%M:%S} UTC", error_of(trace)
    if error is None:
        yield Check("pipeline", "last run", "ok", f"{when}, it went well")
        return
    fix = f"headrace pipeline trace {p.pipeline_name}"
    yield Check("pipeline", "last run", "warn", f"{when}, it failed: {error.splitlines()[0]}", fix)


def of_destination(name: str, probe: bool) -> Iterator[Check]:
    """A destination by name, with its settings."""
    from headrace.config.run_context import current
    from headrace.destinations.reference import resolve_destination
    from headrace.load.destination import PipelineFacts

    try:
        place = resolve_destination(name)
    except Exception as error:  # noqa: BLE001
        yield failed("destination", name, error)
        return
    local = Path(current().local_dir).resolve()
    before = set(local.glob(f"{_NAME}*"))
    with tempfile.TemporaryDirectory() as folder:
        facts = PipelineFacts(pipeline_name=_NAME, working_dir=folder, local_dir=str(local))
        yield from _of_place("destination", place, _NAME, facts, probe)
    for made in set(local.glob(f"{_NAME}*")) - before:
        # a database file that is named after the pipeline
        if made.is_file():
            made.unlink()


def _of_place(topic: str, place: Destination, dataset: str, facts: PipelineFacts, probe: bool) -> Iterator[Check]:
    from headrace.model.schema import Schema

    schema = Schema(_NAME)
    try:
        with place.open(dataset, schema, facts) as client:
            there = client.has_dataset()
            yield Check(topic, "settings", "ok", f"{place.destination_name}: {place.describe_location()}")
            exists = "is there" if there else NEW
            told = f"; the dataset {dataset} {exists}" if dataset != _NAME else ""
            yield Check(topic, "connection", "ok", f"connected{told}")
            yield from _clock(topic, client)
    except Exception as error:  # noqa: BLE001 - what is wrong is the result
        yield failed(topic, "connection", error)
        return
    if not probe:
        return
    if not place.capabilities().supported_replace_strategies:
        yield Check(topic, "permissions", "ok", "not tried: what is written there could not be taken away again")
        return
    yield from _permissions(topic, place, dataset if there else None, facts)


def _clock(topic: str, client: Client) -> Iterator[Check]:
    """Compare clocks, where the destination can be asked for its time."""
    session: Any = getattr(client, "sql_client", None)
    if session is None:
        return
    before = time.time()
    with contextlib.suppress(Exception):  # a database that has no such word has no clock of interest
        value = session.execute_sql("SELECT CURRENT_TIMESTAMP")[0][0]
        if isinstance(value, str):
            value = dt.datetime.fromisoformat(value)
        if value.tzinfo is None:
            value = value.replace(tzinfo=dt.timezone.utc)
        skew = abs(value.timestamp() - (before + time.time()) / 2)
        if skew > SKEW:
            fix = "set one of them: cursors that compare times with rows of that database may miss some"
            yield Check(topic, "clock", "warn", f"it differs from the clock here by {skew:,.0f} s", fix)


def _permissions(topic: str, place: Destination, dataset: str | None, facts: PipelineFacts) -> Iterator[Check]:
    """Make a dataset with tables, write, read, drop it; else try tables in the dataset that is there."""
    from headrace.model.schema import Schema

    schema = Schema(_NAME)
    trial = f"{_NAME}_{random_id(4)}"
    did: list[str] = []
    try:
        with place.open(trial, schema, facts) as client:
            try:
                client.create_dataset()
                did.append("make a dataset")
                client.update_stored_schema(force=True)
                did.append("make tables")
                if client.read_schema(schema.name) is None:
                    raise LookupError("a row that was written could not be read")
                did.append("write and read rows")
            finally:
                if did:
                    client.drop_dataset()
                    did.append("drop them")
        yield Check(topic, "permissions", "ok", f"may {', '.join(did)} (tried in {trial}, which is gone again)")
    except Exception as error:  # noqa: BLE001
        refused = failed(topic, "permissions", error)
        may = f"may {', '.join(did)}; then: " if did else "may not make a dataset: "
        if did or dataset is None:
            grant = refused.fix or "give its user the right to make, fill and drop tables and datasets"
            yield refused._replace(text=f"{may}{refused.text}", fix=grant)
            return
        yield from _in_dataset(topic, place, dataset, facts, refused)


def _try(client: Client, change: Any, present: Any) -> None:
    """Change a table as a load does, without the ledger that loads make with their first one: it would stay."""
    from headrace.destinations.sql.client import SqlJobClient
    from headrace.destinations.sql.ledger import LEDGER_TABLE

    if not isinstance(client, SqlJobClient):
        client.migrate([change])
        return
    for statement in client.foresee_changes([change], present):
        if LEDGER_TABLE not in statement:
            client.sql_client.execute_sql(statement)


def _in_dataset(topic: str, place: Destination, dataset: str, facts: PipelineFacts, refused: Check) -> Iterator[Check]:
    """Only the dataset that is there may be written to: that is enough for loads without a staging dataset."""
    from headrace.model.migrate import CreateTable, DropTable
    from headrace.model.schema import Schema

    table = f"{_NAME}_{random_id(4)}"
    columns = {"id": {"name": "id", "data_type": "bigint", "nullable": True}}
    try:
        with place.open(dataset, Schema(_NAME), facts) as client:
            _try(client, CreateTable(table=table, schema={"name": table, "columns": columns}), {})
            _try(client, DropTable(table=table), {table: columns})
    except Exception as error:  # noqa: BLE001
        yield failed(topic, "permissions", error)
        return
    fix = "let it make datasets (schemas) if resources merge or replace: they need a staging dataset beside this one"
    yield Check(
        topic, "permissions", "warn", f"may make and drop tables in {dataset}, and no dataset: {refused.text}", fix
    )
