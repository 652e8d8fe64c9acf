"""Scripts for dlt in a folder, the events they leave, and what their destination holds."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.continuity.engines import Engine
from tests.lineage.scenarios.stream import RunOf, Stream, Verdict, validate

LONG = bool(os.environ.get("HEADRACE_LONG"))
long = pytest.mark.skipif(not LONG, reason="long: with HEADRACE_LONG=1")

_HEAD = """
import logging, os, dlt
logging.basicConfig()
from headrace.lineage import attach_to_dlt

lineage = attach_to_dlt("events.ndjson")

def pipeline(name="p", destination=None, dataset="raw", **more):
    destination = destination or dlt.destinations.duckdb("wh.duckdb")
    return dlt.pipeline(name, destination=destination, dataset_name=dataset, pipelines_dir="pipelines", **more)

"""
_TAIL = "\nassert lineage.drain(10)\n"


class Lab:
    """A folder where dlt runs with lineage attached."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder

    def run(self, script: str, environment: dict[str, str] | None = None, **arguments: Any) -> Any:
        """Run a script in a process of its own, with `pipeline(name)` at hand; gives its `result`."""
        self.__dict__.pop("stream", None)
        lines = script.splitlines()
        indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
        text = _HEAD + "\n".join(line[indent:] for line in lines) + _TAIL
        quick = {"RESTORE_FROM_DESTINATION": "false", **(environment or {})}
        return self.engine.run(text, self.folder, quick, **arguments)

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text()

    @cached_property
    def stream(self) -> Stream:
        """The events so far."""
        return Stream(self.folder / "events.ndjson")

    def one(self, resource: str) -> RunOf:
        """The only run of a resource."""
        found = self.stream.of(resource)
        assert len(found) == 1, found
        return found[0]

    def verdict(self) -> Verdict:
        """The validator's word; what dlt cannot tell costs points, which are looked at in one test."""
        found = validate(self.folder / "events.ndjson", self.folder / "report.json")
        # P107, P108: a run outlives the invocation that began it, when a later one finishes its package
        # N105: servers of tests are on this machine
        beside = (" C101 ", " P107 ", " P108 ", " N105 ")
        found.findings = [one for one in found.findings if not any(code in one for code in beside)]
        return found

    def rows(self) -> dict[str, int]:
        """Tables of the DuckDB file, dlt's own left out, with their rows: ``raw.users``."""
        return rows(self.folder / "wh.duckdb")

    def check(self) -> None:
        """Events are valid, each run ends once, and what they say was written is in the destination."""
        verdict = self.verdict()
        assert not verdict.findings, verdict.findings
        held = self.rows()
        for run in self.stream.runs:
            assert run.states[0] == "START", run
            assert len([s for s in run.states if s in ("COMPLETE", "FAIL", "ABORT")]) == 1, run
            assert run.states[-1] in ("COMPLETE", "FAIL", "ABORT"), run
        for table in self.outputs():
            assert table in held, (table, held)

    def outputs(self) -> dict[str, int | None]:
        """Tables that events say were written, with the rows of all runs; None where some do not tell."""
        found: dict[str, int | None] = {}
        for run in self.stream.resources:
            for one in run.outputs:
                name = one["name"].partition(".")[2]
                told = one.get("outputFacets", {}).get("outputStatistics", {}).get("rowCount")
                known = found.get(name, 0)
                found[name] = None if told is None or known is None else known + told
        return found


def rows(path: Path) -> dict[str, int]:
    """Tables with rows in a DuckDB file, and their number; dlt's own left out."""
    with duckdb.connect(str(path), read_only=True) as connection:
        found = connection.execute("select table_schema, table_name from information_schema.tables").fetchall()
        found = [pair for pair in found if not pair[0].endswith("_staging") and not pair[1].startswith("_dlt")]
        return {f"{s}.{t}": _count(connection, s, t) for s, t in found}


def _count(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> int:
    row = connection.execute(f'select count(*) from "{schema}"."{table}"').fetchone()
    assert row is not None
    return int(row[0])


def written(run: RunOf) -> dict[str, Any]:
    """By table what a run says it wrote."""
    return {one["name"].rpartition(".")[2]: one for one in run.outputs}


def columns(one: dict[str, Any]) -> dict[str, list[str]]:
    """By column the fields it comes from, as an output tells it."""
    fields = one["facets"]["columnLineage"]["fields"]
    return {name: [ref["field"] for ref in entry["inputFields"]] for name, entry in fields.items()}


def edges(run: RunOf) -> dict[str, list[str]]:
    """By output the names of the inputs it comes from, by the explicit facet; ``JOB`` for the job itself."""
    entries = run.last["job"]["facets"].get("lineage", {}).get("entries", [])
    return {e["name"].rpartition(".")[2]: [i.get("name", "JOB") for i in e["inputs"]] for e in entries}
