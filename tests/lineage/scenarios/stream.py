"""Events of a file, run by run, and the validator's word on them."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.lineage.validator import validate_events

ROOT = Path(__file__).parents[3]
OWN_SCHEMAS = ROOT / "docs/lineage/spec"
TERMINAL = ("COMPLETE", "FAIL", "ABORT")
Event = dict[str, Any]


@dataclass
class Verdict:
    """What the validator says.

    Attributes:
        score: Of the profile for loaders, in per cent.
        findings: Its findings, as ``ERROR S103 text``.
        lines: The score's lines that are not full: (have, of).
        facets: Distinct facets.
    """

    score: float
    findings: list[str]
    lines: dict[str, tuple[int, int]]
    facets: int


def validate(path: Path, report: Path) -> Verdict:
    """Ask the validator about a file of events."""
    arguments = ["--profile", "elt", "--min-score", "95", "--quiet", "--json", str(report)]
    with contextlib.redirect_stdout(io.StringIO()):
        validate_events.main([*arguments, "--extra-spec", str(OWN_SCHEMAS), str(path)])
    told = json.loads(report.read_text())
    findings = [f"{f['severity']} {f['code']} {f['message']}" for f in told["findings"]]
    lines = {row["check"]: (row["have"], row["of"]) for row in told["scorecard"] if row["have"] != row["of"]}
    return Verdict(told["score"] or 0.0, findings, lines, told["facets"])


class RunOf:
    """A run: its events in the order of the file."""

    def __init__(self, run_id: str, events: list[Event]) -> None:
        self.id, self.events = run_id, events

    @property
    def job(self) -> str:
        return str(self.events[0]["job"]["name"])

    @property
    def kind(self) -> str:
        """``PIPELINE`` or ``RESOURCE``."""
        return str(self.events[0]["job"]["facets"]["jobType"]["jobType"])

    @property
    def states(self) -> list[str]:
        return [str(e["eventType"]) for e in self.events]

    @property
    def end(self) -> str:
        """The state it ended in; "" while it goes on."""
        return next((s for s in self.states if s in TERMINAL), "")

    @property
    def last(self) -> Event:
        return self.events[-1]

    def facet(self, name: str) -> dict[str, Any]:
        """A facet of the run, the last one told."""
        found = [e["run"].get("facets", {}).get(name) for e in self.events]
        return next((f for f in reversed(found) if f), {})

    def job_facet(self, name: str) -> dict[str, Any]:
        found = [e["job"].get("facets", {}).get(name) for e in self.events]
        return next((f for f in reversed(found) if f), {})

    @property
    def load_id(self) -> str:
        return str(self.facet("headrace_loadPackage").get("loadId", ""))

    @property
    def parent(self) -> str:
        return str(self.facet("parent").get("run", {}).get("runId", ""))

    @property
    def outputs(self) -> list[dict[str, Any]]:
        return list(self.last.get("outputs") or [])

    @property
    def inputs(self) -> list[dict[str, Any]]:
        return list(self.last.get("inputs") or [])

    def __repr__(self) -> str:
        return f"<{self.job} {self.id[-6:]} {' '.join(self.states)}>"


class Stream:
    """All events of a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text() if path.exists() else ""

    @cached_property
    def events(self) -> list[Event]:
        return [json.loads(line) for line in self.text.splitlines()]

    @cached_property
    def runs(self) -> list[RunOf]:
        """By run, in the order of their first events."""
        found: dict[str, list[Event]] = {}
        for event in self.events:
            if "run" in event:
                found.setdefault(event["run"]["runId"], []).append(event)
        return [RunOf(*item) for item in found.items()]

    @property
    def resources(self) -> list[RunOf]:
        return [run for run in self.runs if run.kind == "RESOURCE"]

    @property
    def invocations(self) -> list[RunOf]:
        return [run for run in self.runs if run.kind == "PIPELINE"]

    def of(self, resource: str) -> list[RunOf]:
        """Runs of a resource."""
        return [run for run in self.resources if run.job.rpartition(".")[2] == resource]

    def dataset_events(self) -> Iterator[Event]:
        yield from (e for e in self.events if "dataset" in e)
