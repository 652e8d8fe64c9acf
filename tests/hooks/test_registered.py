"""Hooks that settings name, that packages offer, and that code adds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.pipeline import PipelineStepFailed
from headrace.hooks import JobDone, Queued, Run, RunEnded
from headrace.pipeline import watching

MODULE = """
from headrace.hooks import Drop

seen = []

class Watcher:
    def notify(self, event, run):
        seen.append(type(event).__name__)

def no_emails():
    return Gate()

class Gate:
    name = "no emails"

    def decide(self, change, run):
        return Drop() if change.column == "email" else None

def broken():
    raise LookupError("no list of names")

watcher = Watcher()
"""


@pytest.fixture
def module(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    site = project / "site"
    site.mkdir()
    (site / "my_hooks.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(site))
    yield site
    sys.modules.pop("my_hooks", None)
    watching.installed.cache_clear()


def columns(p: Any, name: str) -> list[str]:
    with p.sql_client() as client, client.execute_query(f"SELECT * FROM {name}") as cursor:
        return [d[0] for d in cursor.description if not d[0].startswith("_dlt")]


@pytest.mark.parametrize("watcher", ["Watcher", "watcher"])
def test_settings_name_observers_and_gates(module: Path, monkeypatch: pytest.MonkeyPatch, watcher: str) -> None:
    monkeypatch.setenv("RUNTIME__OBSERVERS", f'["my_hooks:{watcher}"]')
    monkeypatch.setenv("RUNTIME__GATES", '["my_hooks:no_emails"]')
    p = headrace.pipeline("p", destination="duckdb", dataset_name="raw")
    for n in (1, 2):
        p.run([{"id": n, "email": "a"}], table_name="t")
    assert columns(p, "t") == ["id"]
    seen = sys.modules["my_hooks"].seen
    assert (seen[0], seen[-1], seen.count("RunEnded")) == ("RunStarted", "RunEnded", 2)


@pytest.mark.parametrize("place", ["my_hooks:broken", "my_hooks:nobody", "no_such_module:x", "my_hooks"])
def test_an_observer_that_cannot_be_made_is_named_and_a_gate_stops_everything(
    module: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    monkeypatch.setenv("RUNTIME__OBSERVERS", f'["{place}"]')
    headrace.pipeline("p", destination="duckdb", dataset_name="raw").run([{"id": 1}], table_name="t")
    assert f"observer `{place}` could not be made" in caplog.text
    monkeypatch.delenv("RUNTIME__OBSERVERS")
    monkeypatch.setenv("RUNTIME__GATES", f'["{place}"]')
    p = headrace.pipeline("q", destination="duckdb", dataset_name="raw")
    with pytest.raises(PipelineStepFailed, match="could not be made"):
        p.run([{"id": 1}], table_name="t")
    assert f"gate `{place}` could not be made, so nothing is loaded" in caplog.text
    assert p.has_pending_data


def test_packages_offer_gates(module: Path) -> None:
    info = module / "my_hooks-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-hooks\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[headrace.gates]\nnames = my_hooks:no_emails\n")
    watching.installed.cache_clear()
    p = headrace.pipeline("p", destination="duckdb", dataset_name="raw")
    p.run([{"id": 1, "email": "a"}], table_name="t")
    assert columns(p, "t") == ["id"]


def test_functions_are_hooks(project: Path) -> None:
    p = headrace.pipeline("p", destination="duckdb", dataset_name="raw")
    seen: list[str] = []

    @p.on(JobDone, RunEnded)
    def tell(event: Any, run: Run) -> None:
        seen.append(f"{type(event).__name__} {run.pipeline.pipeline_name}")

    @p.guard
    def look(package: Any) -> None:
        seen.append(package.phase)

    p.run([{"id": 1}], table_name="t")
    assert seen == ["normalized", "JobDone p", "RunEnded p"]


def test_arguments_with_a_default_are_the_functions_own(project: Path) -> None:
    p, seen = headrace.pipeline("p", destination="duckdb"), []
    for name in ("a", "b"):
        p.on(RunEnded)(lambda event, name=name: seen.append(name))
        p.guard(lambda package, name=name: seen.append(f"gate {name}"))
    p.on(RunEnded)(lambda event, run=None: seen.append(run.pipeline.pipeline_name))
    slow = Queued(lambda event: seen.append("slow") if isinstance(event, RunEnded) else None, drain_seconds=60)
    p.observe(slow)
    p.run([{"id": 1}], table_name="t")
    slow.close()
    assert sorted(seen) == ["a", "b", "gate a", "gate b", "p", "slow"]


def test_what_is_no_observer_is_refused() -> None:
    class Observer:
        def notify(self, event: Any, run: Any) -> None: ...

    p = headrace.pipeline("p", destination="duckdb")
    for wrong in (3, Observer):
        with pytest.raises(TypeError, match="an observer has a method `notify"):
            p.observe(wrong)
    for kind in ("RunEnded", Observer, lambda event: None):  # the last is `@pipeline.on` without parentheses
        with pytest.raises(TypeError, match="kinds of events are classes"):
            p.on(kind)
    p.on(RunEnded | JobDone)(print)  # type: ignore[arg-type]


def test_what_is_no_gate_is_refused(project: Path) -> None:
    p = headrace.pipeline("p", destination="duckdb")
    with pytest.raises(TypeError, match="a gate has a method `check"):
        p.guard(3)


def test_gates_of_one_class_have_names_of_their_own(project: Path) -> None:
    class Gate:
        def check(self, package: Any, run: Run) -> None: ...

    p, one = headrace.pipeline("p", destination="duckdb"), Gate()
    for gate in (one, Gate(), one):
        p.guard(gate)
    first, second = p.bus.gates.checking()
    assert second == f"{first}#2"
