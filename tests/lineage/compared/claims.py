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
    claimed: dict[str, list[Event]] = {}
    for event in ends:
        for out in event.get("outputs") or []:
            table = _table(out["name"], step["columns"])
            if table is None:
                found.append(f"{event['eventType']} with output {out['name']}, which is not there")
                continue
            claimed.setdefault(table, []).append(out)
        found += [
            f"input {read['namespace']} {read['name']}, which nobody reads"
            for read in event.get("inputs") or []
            if read["name"] not in INPUTS.values()
        ]
    for table, outputs in claimed.items():
        found += _of_table(table, outputs, step)
    untold = {table: rows for table, rows in step["rows"].items() if rows and table not in claimed}
    found += [f"{rows} rows of {table} that nobody tells of" for table, rows in untold.items()]
    return found


def _table(name: str, columns: dict[str, list[str]]) -> str | None:
    """The table that is meant."""
    dataset, _, table = name.rpartition(".")
    dataset = dataset.rpartition(".")[2]
    if dataset:
        return f"{dataset}.{table}" if f"{dataset}.{table}" in columns else None
    return next((t for t in columns if t.rpartition(".")[2] == table), None)


def _of_table(table: str, outputs: list[Event], step: dict[str, Any]) -> list[str]:
    """What all runs of a step together say of a table."""
    found, truth = [], step["rows"][table]
    counts = [(out.get("outputFacets") or {}).get("outputStatistics", {}).get("rowCount") for out in outputs]
    told = [count for count in counts if count is not None]
    if told and sum(told) != truth:
        found.append(f"{sum(told)} rows of {table}, in truth {truth}")
    if not told and not truth and not any("lifecycleStateChange" in (out.get("facets") or {}) for out in outputs):
        found.append(f"output {table}, to which nothing was written")
    names = {f["name"] for out in outputs for f in (out.get("facets") or {}).get("schema", {}).get("fields", [])}
    ghosts = sorted(names - set(step["columns"][table]))
    return [*found, *(f"column {table}.{name}, which is not there" for name in ghosts)]


def _of_runs(events: list[Event]) -> list[str]:
    ends: dict[tuple[str, str], list[str]] = {}
    for event in events:
        if "run" in event:
            ends.setdefault((event["run"]["runId"], event["job"]["name"]), []).append(event.get("eventType", ""))
    found = []
    for (_, job), states in ends.items():
        last = [s for s in states if s in TERMINAL]
        # the run of a package goes on while that waits
        if len(last) > 1 or (not last and "." not in job):
            found.append(f"a run with {len(last)} terminal events")
    return found
