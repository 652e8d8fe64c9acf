"""What must hold in a dataset after several writers have loaded into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.base import json
from headrace.load.converge import parse_stored
from tests.concurrency.world import World
from tests.concurrency.writer import NESTED, ROOTS, Written

_OWN = ("id", "writer", "number")


def faults(world: World, writers: Sequence[Written]) -> list[str]:
    """What is wrong; nothing, if every row is there once and the dataset knows itself."""
    found = [error for written in writers for error in written.errors]
    if found:
        return found
    columns = world.columns()
    return [
        *_loads(world, writers, columns),
        *_events(world, writers, columns),
        *_merged(world, writers, columns),
        *_nested(world, writers, columns),
        *_schema(world, columns),
        *_left_over(world, columns),
    ]


def _loads(world: World, writers: Sequence[Written], columns: dict[str, dict[str, str]]) -> list[str]:
    wanted = sorted(load_id for written in writers for load_id in written.load_ids)
    loaded = sorted(load_id for (load_id,) in world.query("SELECT load_id FROM _dlt_loads WHERE status = 0"))
    found = [] if loaded == wanted else [f"loads: {len(loaded)} at the destination, {len(wanted)} were made"]
    for table in (name for name, known in columns.items() if "_dlt_load_id" in known):
        strange = world.query(
            f"SELECT DISTINCT _dlt_load_id FROM {table} WHERE _dlt_load_id NOT IN (SELECT load_id FROM _dlt_loads)"
        )
        found += [f"{table}: rows of the unknown load {load_id}" for (load_id,) in strange]
    return found


def _values(row: dict[str, Any]) -> dict[str, Any]:
    """A row as a document: values of variant columns under the column's own name."""
    values: dict[str, Any] = {}
    for name, value in row.items():
        if value is not None and not name.startswith("_dlt_"):
            values[name.partition("__v_")[0]] = value
    return values


def _rows(world: World, columns: dict[str, dict[str, str]], table: str) -> list[dict[str, Any]]:
    names = list(columns[table])
    listed = ", ".join(f'"{name}"' for name in names)
    return [dict(zip(names, row, strict=True)) for row in world.query(f"SELECT {listed} FROM {table}")]


def _same(row: dict[str, Any], document: dict[str, Any]) -> bool:
    plain = {name: value for name, value in document.items() if name not in NESTED}
    values = _values(row)
    # a value may be cast, not lost: 3 in a column of texts is "3"
    return values.keys() == plain.keys() and all(_text(values[name]) == _text(plain[name]) for name in plain)


def _text(value: Any) -> str:
    if isinstance(value, (bool, str)):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def _events(world: World, writers: Sequence[Written], columns: dict[str, dict[str, str]]) -> list[str]:
    wanted = {key: doc for written in writers for key, doc in written.events.items()}
    rows = _rows(world, columns, "events")
    found = [] if len(rows) == len(wanted) else [f"events: {len(rows)} rows of {len(wanted)} documents"]
    return found + [f"events: {_values(row)} is not {wanted.get(row['id'])}" for row in rows if not _is(row, wanted)]


def _is(row: dict[str, Any], wanted: dict[str, dict[str, Any]]) -> bool:
    return row["id"] in wanted and _same(row, wanted[row["id"]])


def _merged(world: World, writers: Sequence[Written], columns: dict[str, dict[str, str]]) -> list[str]:
    """Each key once, and as a load wrote it that came last for this key."""
    found = []
    ended = dict(world.query("SELECT load_id, inserted_at FROM _dlt_loads"))
    for table in ("accounts", "balances"):
        wrote: dict[int, list[str]] = {}
        documents = {k: doc for written in writers for k, doc in written.accounts.items() if k[0] == table}
        for _, key, load_id in documents:
            wrote.setdefault(key, []).append(load_id)
        rows = _rows(world, columns, table)
        if sorted(row["id"] for row in rows) != sorted(wrote):
            found.append(f"{table}: keys {sorted(row['id'] for row in rows)} for {sorted(wrote)}")
            continue
        for row in rows:
            last = max(wrote[row["id"]], key=ended.__getitem__)
            written_row = documents.get((table, row["id"], row["_dlt_load_id"]))
            # one process at a time: loads end in the order in which they merge; threads may end in another one
            if written_row is None or not _same(row, written_row):
                found.append(f"{table}: {_values(row)} is not {written_row}")
            elif world.one_at_a_time and row["_dlt_load_id"] != last:
                found.append(f"{table}: key {row['id']} is of load {row['_dlt_load_id']}, and {last} came later")
    return found


def _nested(world: World, writers: Sequence[Written], columns: dict[str, dict[str, str]]) -> list[str]:
    """As many nested rows as the documents that stand in the root tables have, each below its own."""
    events = {key: doc for written in writers for key, doc in written.events.items()}
    merged = {key: doc for written in writers for key, doc in written.accounts.items()}
    found = []
    for root in ROOTS:
        rows = _rows(world, columns, root)
        for name in NESTED:
            table = f"{root}__{name}"
            wanted = {}
            for row in rows:
                document = events[row["id"]] if root == "events" else merged[(root, row["id"], row["_dlt_load_id"])]
                if name in document:
                    wanted[row["_dlt_id"]] = len(document[name])
            counted = (
                dict(world.query(f"SELECT _dlt_parent_id, count(*) FROM {table} GROUP BY 1"))
                if table in columns
                else {}
            )
            if counted != wanted:
                lost = {key: (counted.get(key), wanted.get(key)) for key in {*counted, *wanted}}
                found.append(f"{table}: rows there and wanted: {[v for v in lost.values() if v[0] != v[1]]}")
    return found


def _schema(world: World, columns: dict[str, dict[str, str]]) -> list[str]:
    """The newest stored schema knows all columns; versions are one line."""
    rows = world.query(
        "SELECT version, version_hash, schema FROM _dlt_version WHERE schema_name = ? ORDER BY inserted_at", "shop"
    )
    found = []
    if len({row[1] for row in rows}) != len(rows):
        found.append("a schema is stored twice")
    versions = [row[0] for row in rows]
    if versions != sorted(set(versions)):
        found.append(f"versions of the schema are not one line: {versions}")
    schema = parse_stored(rows[-1][2])
    for table, known in columns.items():
        if table.startswith("_headrace"):
            continue
        lost = set(known) - set(schema.tables.get(table, {}).get("columns", {}))
        found += [f"the newest schema does not know {table}.{name}" for name in sorted(lost)]
    assert json.loads(rows[-1][2])["version"] == versions[-1]
    return found


def _left_over(world: World, columns: dict[str, dict[str, str]]) -> list[str]:
    keys = world.query("SELECT count(*) FROM _headrace_jobs")[0][0]
    found = [f"{keys} job keys are left"] if keys else []
    states = world.query(
        "SELECT pipeline_name, version, count(DISTINCT version_hash) FROM _dlt_pipeline_state GROUP BY 1, 2"
    )
    found += [f"state version {v} of {name} is {n} states" for name, v, n in states if n > 1]
    strange = [name for name in columns if name.startswith("_hr_") or "_hr_stage" in name]
    return found + [f"left over: {name}" for name in strange]
