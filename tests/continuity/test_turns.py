"""A dataset that dlt and headrace load in turns comes out as if dlt alone had loaded it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.continuity.conftest import LONG
from tests.continuity.engines import Engine
from tests.continuity.project import Project

SHOP = '''
import {engine} as dlt


@dlt.resource(name="events", primary_key="id", write_disposition="append")
def events(at=dlt.sources.incremental("at", initial_value="2024-01-01T00:00:00Z")):
    """A feed that always gives the last four events: those before the cursor, and those at it, are dropped."""
    day = 2 * step + 2
    yield [
        {"id": f"{d}{c}", "at": f"2024-01-{d:02}T00:00:00Z", "tags": [{"t": d}]}
        for d in range(max(1, day - 3), day + 1) for c in "ab"
    ]


@dlt.resource(name="numbers", write_disposition="append")
def numbers(n=dlt.sources.incremental("n", initial_value=0, row_order="asc")):
    for i in range(step * 3 + 3):
        yield {"n": i}


@dlt.resource(name="counter")
def counter():
    state = dlt.current.resource_state()
    state["runs"] = state.get("runs", 0) + 1
    dlt.current.source_state()["total"] = dlt.current.source_state().get("total", 0) + step
    yield {"runs": state["runs"], "total": dlt.current.source_state()["total"]}


@dlt.resource(name="today", write_disposition="replace")
def today():
    yield [{"step": step, "n": i, "parts": [{"p": i}]} for i in range(3)]


@dlt.resource(name="orders", primary_key="id", write_disposition="merge")
def orders(changed=dlt.sources.incremental("changed", initial_value=0)):
    for i in range(step, step + 4):
        yield {"id": i % 6, "changed": i + step, "step": step, "lines": [{"sku": "a", "to": [step]}, {"sku": str(i)}]}


@dlt.resource(name="stock", primary_key="sku", write_disposition={"disposition": "merge", "strategy": "upsert"})
def stock():
    yield [{"sku": f"s{i % 4}", "left": step, "places": [{"place": f"p{p}"} for p in range(step % 3)]}
           for i in range(step, step + 3)]


@dlt.resource(name="people", write_disposition={"disposition": "merge", "strategy": "scd2"})
def people():
    yield [{"name": f"n{i}", "town": f"t{(step + i) // 3}", "mails": [{"mail": f"m{i}"}]} for i in range(4)]


@dlt.source(name="shop")
def shop():
    return events, numbers, counter, today, orders, stock, people


pipeline = dlt.pipeline("shop", destination=dlt.destinations.duckdb("shop.duckdb"), dataset_name="raw")
pipeline.run(shop())
result = {"hash": pipeline.default_schema.stored_version_hash, "version": pipeline.default_schema.stored_version,
          "state": pipeline.state}
'''


class Loaded(NamedTuple):
    """What a run left in the dataset."""

    rows: dict[str, list[str]]
    columns: dict[str, list[str]]
    versions: list[tuple[str, int, str]]
    sources: dict[str, Any]


def loaded(project: Project) -> Loaded:
    return Loaded(project.rows(), project.columns(), project.versions(), _sorted(project.states()[-1]["sources"]))


def _sorted(state: Any) -> Any:
    """A state in which hashes are a set."""
    if isinstance(state, dict):
        return {key: _sorted(value) for key, value in state.items()}
    return sorted(state, key=str) if isinstance(state, list) else state


@pytest.fixture(scope="module")
def by_dlt(dlt_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> list[Loaded]:
    """What each of five runs by dlt alone left."""
    project = Project(tmp_path_factory.mktemp("by_dlt"), {"d": dlt_engine})
    found = []
    for step in range(5):
        project.run("d", SHOP, step=step)
        found.append(loaded(project))
    return found


HISTORIES = [("dhhdh", "kept")]
if LONG:
    HISTORIES += [
        ("dhhdh", "fresh"),
        ("hdhdh", "kept"),
        ("dhdhd", "kept"),
        ("hdhdh", "fresh"),
        ("hhddh", "shared"),
        ("ddhhd", "shared"),
    ]


@pytest.mark.parametrize(("letters", "mode"), HISTORIES)
def test_turns(letters: str, mode: str, by_dlt: list[Loaded], engines: dict[str, Engine], tmp_path: Path) -> None:
    """Working folders are kept, or missing at every run, or shared by both engines."""
    project = Project(tmp_path, engines, shared=mode == "shared")
    for step, letter in enumerate(letters):
        if mode == "fresh":
            project.forget()
        project.run(letter, SHOP, step=step)
        found, expected = loaded(project), by_dlt[step]
        assert found.rows == expected.rows, f"rows after step {step}"
        assert found.columns == expected.columns, f"columns after step {step}"
        assert found.sources == expected.sources, f"cursors and state after step {step}"
        if letters.startswith("d"):
            assert found.versions == expected.versions, f"stored schemas after step {step}"
    assert len(project.states()) == len(letters)
    # what dlt knows of its own tables, and says since 1.31, it adds when it first sees a schema begun by headrace
    grown = 1 if letters.startswith("d") else 2
    assert len(project.versions()) <= len(by_dlt[-1].versions) + grown - 1
