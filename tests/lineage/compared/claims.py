"""What events claim of a story, against what the destination held: the same questions for every emitter.

Names of datasets are taken as they are meant: the last part is the table, the one before it the dataset. So an emitter
is not judged here by how it spells names; the validator does that.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from pathlib import Path
from typing import Any

from tests.lineage.compared.stories import INPUTS, SECRET
from tests.lineage.validator.validate_events import parse_time

TERMINAL = ("COMPLETE", "FAIL", "ABORT")
Event = dict[str, Any]


def read(folder: Path) -> tuple[list[Event], list[dict[str, Any]]]:
    """Events and steps of a story."""
    path = folder / "events.ndjson"
    events = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return events, json.loads((folder / "steps.json").read_text())


def wrong(events: list[Event], steps: list[dict[str, Any]]) -> list[str]:
    """Every claim that is not so, and every table with new rows that nobody tells of."""
    found: list[str] = []
    begin = dt.datetime.min.replace(tzinfo=dt.timezone.utc)
    for step in steps:
        until = dt.datetime.fromisoformat(step["until"])
        mine = [e for e in events if begin < parse_time(e["eventTime"]) <= until and "run" in e]
        found += _of_step(mine, step)
        begin = until
    found += _of_runs(events)
    if SECRET in json.dumps(events):
        found.append("a secret is told")
    return found


def _of_step(events: list[Event], step: dict[str, Any]) -> list[str]:
    ends = [e for e in events if e.get("eventType") in TERMINAL]
    outer = [e["eventType"] for e in ends if "." not in e["job"]["name"]]
    found = []
    if Counter(outer) != Counter(step["ends"]):
        found.append(f"runs of the pipeline ended {outer}, in truth {step['ends']}")
    claimed: dict[str, int] = {}
    for event in ends:
        for out in event.get("outputs") or []:
            table = _table(out["name"], step["columns"])
            if table is None:
                found.append(f"{event['eventType']} with output {out['name']}, which is not there")
                continue
            found += _of_output(out, table, step)
            claimed[table] = claimed.get(table, 0) + 1
        for read_ in event.get("inputs") or []:
            if read_["name"] not in INPUTS.values():
                found.append(f"input {read_['namespace']} {read_['name']}, which nobody reads")
    found += [
        f"{rows} rows of {t} that nobody tells of" for t, rows in step["rows"].items() if rows and t not in claimed
    ]
    return found


def _table(name: str, columns: dict[str, list[str]]) -> str | None:
    """The table that is meant."""
    dataset, _, table = name.rpartition(".")
    dataset = dataset.rpartition(".")[2]
    if dataset:
        return f"{dataset}.{table}" if f"{dataset}.{table}" in columns else None
    return next((t for t in columns if t.rpartition(".")[2] == table), None)


def _of_output(out: dict[str, Any], table: str, step: dict[str, Any]) -> list[str]:
    found = []
    rows = (out.get("outputFacets") or {}).get("outputStatistics", {}).get("rowCount")
    if rows is not None and rows != step["rows"][table]:
        found.append(f"{rows} rows of {table}, in truth {step['rows'][table]}")
    if rows is None and not step["rows"][table]:
        lifecycle = (out.get("facets") or {}).get("lifecycleStateChange")
        if not lifecycle:
            found.append(f"output {table}, to which nothing was written")
    fields = [f["name"] for f in (out.get("facets") or {}).get("schema", {}).get("fields", [])]
    found += [f"column {table}.{name}, which is not there" for name in fields if name not in step["columns"][table]]
    return found


def _of_runs(events: list[Event]) -> list[str]:
    ends: dict[str, list[str]] = {}
    for event in events:
        if "run" in event:
            ends.setdefault(event["run"]["runId"], []).append(event.get("eventType", ""))
    found = []
    for states in ends.values():
        last = [s for s in states if s in TERMINAL]
        if len(last) != 1:
            found.append(f"a run with {len(last)} terminal events")
    return found
