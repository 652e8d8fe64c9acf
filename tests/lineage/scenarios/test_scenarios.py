"""Real runs of every kind: their events follow the specification, and are what the destination holds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from headrace.observers.lineage import code
from tests.e2e.project import project as project
from tests.lineage.scenarios import around, deaths, elsewhere, foretold, gated, outcomes, shapes
from tests.lineage.scenarios.places import Delta, DuckDb, Files, Iceberg, MySql, Place, Postgres, Sqlite
from tests.lineage.scenarios.scenario import SCENARIOS, Scenario
from tests.lineage.scenarios.world import World, make_project, settle
from tests.secrets.search import Planted

assert around and deaths and foretold and gated and outcomes and shapes  # they fill the table

MINIMUM = 95.0
LONG = ("jsonl", "delta", "mysql")  # others cover the same ground thinly
SECRETS = Planted({"password of the database": "secret-of-postgres", "key of the API": "Uq7zXwVk3JrLm"})


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, ModuleType]]:
    """The project, under version control."""
    folder = tmp_path_factory.mktemp("projects") / "shop"
    yield folder, make_project(folder)


def world(project: Path, shop: tuple[Path, ModuleType], place: Place, patch: pytest.MonkeyPatch) -> World:
    """A world in an empty folder; this process's lineage goes to its file."""
    made = World(project, *shop, place)
    for name, value in made.environment().items():
        patch.setenv(name, value)
    # the program that runs is the project's, as far as anybody can tell
    patch.setattr(sys.modules["__main__"], "__file__", str(made.project / "work.py"), raising=False)
    code.script.cache_clear()
    return made


def judged_findings(w: World, *but: str) -> list[str]:
    """What the validator finds, but for some codes and the score."""
    return [found for found in w.verdict().findings if found.split()[1] not in {*but, "C101"}]


def judge(w: World, scenario: Scenario) -> None:
    """All that is asked of every scenario."""
    found = w.faults()
    assert not found, "\n".join(found)
    wrong = judged_findings(w, *scenario.warnings)
    assert not wrong, "\n".join(wrong)
    verdict = w.verdict()
    short = {line: f"{have} of {of}" for line, (have, of) in verdict.lines.items() if line not in scenario.less}
    assert verdict.score >= MINIMUM or scenario.less, f"{verdict.score:.0f} %: {short}"
    # a scenario that cannot fill some lines must fill all others
    assert not short or not scenario.less, f"{verdict.score:.0f} %: {short}"
    leaks = SECRETS.find(w.stream().text, "events")
    assert not leaks, leaks


@pytest.mark.parametrize(
    "scenario",
    [pytest.param(s, id=s.name, marks=[pytest.mark.long] if s.long else []) for s in SCENARIOS.values()],
)
def test_scenario(
    scenario: Scenario, project: Path, shop: tuple[Path, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    w = world(project, shop, DuckDb(project), monkeypatch)
    with monkeypatch.context() as patch:
        scenario.play(w, patch)
    settle()
    judge(w, scenario)


@pytest.mark.parametrize(
    "name",
    ["sqlite", "parquet", "iceberg", "postgres", *(pytest.param(n, marks=pytest.mark.long) for n in LONG)],
)
def test_destination(
    name: str,
    project: Path,
    shop: tuple[Path, ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    w = world(project, shop, place_of(name, project, request), monkeypatch)
    elsewhere.load_twice(w)
    loopback = {"N105": "the server is on this machine"} if name in ("postgres", "mysql") else {}
    judge(w, Scenario(name, lambda *_: None, warnings=loopback))


def place_of(name: str, folder: Path, request: pytest.FixtureRequest) -> Place:
    """A destination that is empty."""
    if name in ("parquet", "jsonl"):
        return Files(folder, name)
    if name == "postgres":
        return Postgres(request.getfixturevalue("postgres_server").database())
    if name == "mysql":
        return MySql(request.getfixturevalue("mariadb_server").database())
    kinds: dict[str, Any] = {"sqlite": Sqlite, "delta": Delta, "iceberg": Iceberg}
    return kinds[name](folder)  # type: ignore[no-any-return]


@pytest.mark.parametrize("load", [elsewhere.load_with_a_function, elsewhere.load_nowhere])
def test_destinations_that_keep_nothing(
    load: Any, project: Path, shop: tuple[Path, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    w = world(project, shop, DuckDb(project), monkeypatch)
    load(w)
    assert not judged_findings(w)
    for run in w.stream().resources:
        assert run.states.count("START") == 1 and run.end == "COMPLETE"
        # what keeps no table has none that could be named
        assert run.outputs == []
