"""What a scenario is, and the table that all are collected in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.lineage.scenarios.world import World

Play = Callable[[World, Any], None]

# lines of the validator's score that a run without any known input honestly cannot fill
NO_INPUT = {"data run: has inputs and outputs": "nobody knows where a list, or what a generator yields, is from"}
OF_QUERIES = {
    "input: inputStatistics": "the query runs in the database, which does not say how many rows it has read",
    "input: subset or version (what was read)": "tables that are read as a whole have neither",
}
LATER = {"P107": "a load package outlives the invocation that has begun it, and keeps its parent"}
NOTHING_READ = {
    "data run: has inputs and outputs": "a run that found nothing wrote nothing",
    "input: schema": "nothing was read whose fields could be told",
    "input: subset or version (what was read)": "a table that is read as a whole has neither",
}


@dataclass(frozen=True)
class Scenario:
    """A real run, or several, whose events go to a file.

    Attributes:
        name: For people.
        play: Does it: gets the world and pytest's monkeypatch; asserts what is special about it.
        less: Lines of the score that it cannot fill, and why.
        warnings: Codes of the validator's warnings that are right, and why.
        long: Others cover the same ground thinly.
    """

    name: str
    play: Play
    less: Mapping[str, str] = field(default_factory=dict)
    warnings: Mapping[str, str] = field(default_factory=dict)
    long: bool = False


SCENARIOS: dict[str, Scenario] = {}


def scenario(name: str, **more: Any) -> Callable[[Play], Play]:
    """Puts a function into the table."""

    def add(play: Play) -> Play:
        assert name not in SCENARIOS, name
        SCENARIOS[name] = Scenario(name, play, **more)
        return play

    return add


@contextlib.contextmanager
def failing(expected: type[BaseException] = Exception) -> Iterator[None]:
    """What is in it must raise."""
    try:
        yield
    except expected:
        return
    raise AssertionError("it went well")


def break_tables(patch: Any, *tables: str, error: Any = None, times: int = 1_000_000) -> None:
    """Let jobs of some tables fail for good, or as ``error`` says, a number of times."""
    from headrace.destinations.sql.client import SqlJobClient
    from headrace.errors.destination import DestinationTerminalException

    apply, left = SqlJobClient.apply, [times]

    def broken(self: Any, job: Any, context: Any) -> Any:
        for table in job.tables:
            if table in tables and left[0]:
                left[0] -= 1
                raise (error or DestinationTerminalException)(f"table {table} is broken")
        return apply(self, job, context)

    patch.setattr(SqlJobClient, "apply", broken)


def ends(w: World) -> dict[str, list[str]]:
    """How the runs of each job ended, in their order."""
    found: dict[str, list[str]] = {}
    for run in w.stream().runs:
        found.setdefault(run.job, []).append(run.end)
    return found


def tables_of(w: World, resource: str, index: int = -1) -> dict[str, int | None]:
    """Outputs of a run of a resource by the end of their names, with the rows that are told."""
    run = w.stream().of(resource)[index]
    return {
        out["name"].replace("/", ".").rpartition(".")[2]: out.get("outputFacets", {})
        .get("outputStatistics", {})
        .get("rowCount")
        for out in run.outputs
    }
