"""One pipeline in two places: states join, cursors do not go back."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.model.state_converge import join_states
from tests.concurrency.world import DATASET, DuckDbWorld


def cursor(last: Any, start: Any = None, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"initial_value": start, "last_value": last, "unique_hashes": list(seen), "start_value": start}


def state(version: int, **sources: Any) -> dict[str, Any]:
    return {"_state_version": version, "_state_engine_version": 4, "pipeline_name": "p", "sources": sources}


@pytest.mark.parametrize(
    ("mine", "theirs", "last"),
    [
        (cursor(5, 1), cursor(9, 1), 9),
        (cursor(9, 1), cursor(5, 1), 9),
        (cursor(5, 10), cursor(2, 10), 2),  # min: down from where it began
        (cursor(2, 10), cursor(5, 10), 2),
        (cursor(None), cursor(3), 3),
        (cursor(3), cursor(None), 3),
        (cursor("2024-02"), cursor("2024-03"), "2024-03"),
        (cursor("a"), cursor(3), "a"),  # of another type: ours is what the code has now
    ],
)
def test_the_cursor_that_is_further_on_stays(mine: dict[str, Any], theirs: dict[str, Any], last: Any) -> None:
    joined, _ = join_states(state(3, s={"c": mine}), state(7, s={"c": theirs}))
    assert joined["sources"]["s"]["c"]["last_value"] == last
    assert joined["_state_version"] == 8


def test_at_one_boundary_rows_that_either_has_seen_are_seen() -> None:
    joined, told = join_states(state(1, s={"c": cursor(5, 1, ("a", "b"))}), state(1, s={"c": cursor(5, 1, ("b", "c"))}))
    assert joined["sources"]["s"]["c"]["unique_hashes"] == ["a", "b", "c"]
    assert told == []


def test_what_one_has_is_kept_and_of_two_values_ours() -> None:
    joined, told = join_states(state(1, s={"x": 1, "mine": 2}), state(1, s={"x": 3, "theirs": 4}))
    assert joined["sources"]["s"] == {"x": 1, "mine": 2, "theirs": 4}
    assert told == ["sources.s.x is ours, 1, not 3"]


@headrace.resource
def numbers(upto: int, at: Any = headrace.sources.incremental("n")) -> Any:
    yield [{"n": n} for n in range(at.last_value or 0, upto + 1)]


def test_two_places(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Both read one state, and each writes its next one: the destination has one line of states, and both follow it."""
    world = DuckDbWorld(tmp_path / "world.duckdb")

    def place(name: str) -> Any:
        return headrace.pipeline(
            "p", destination=world.destination(), dataset_name=DATASET, pipelines_dir=str(tmp_path / name)
        )

    def position(pipeline: Any) -> int:
        return int(pipeline.state["sources"]["p"]["resources"]["numbers"]["incremental"]["n"]["last_value"])

    here, there = place("here"), place("there")
    here.run(numbers(5))
    there.run(numbers(8))
    here.run(numbers(20))
    with caplog.at_level(logging.WARNING, logger="headrace"):
        there.run(numbers(12))
    assert "runs in two places" in caplog.text and "is 20, not 12" in caplog.text
    assert position(there) == 20
    rows = world.query("SELECT version, version_hash FROM _dlt_pipeline_state ORDER BY version")
    assert [version for version, _ in rows] == [1, 2, 3, 4]
    fresh = place("fresh")
    fresh.sync_destination()
    assert position(fresh) == 20
    # what is known everywhere is not told again
    there.run(numbers(20))
    assert len(world.query("SELECT 1 FROM _dlt_pipeline_state")) == len(rows)
