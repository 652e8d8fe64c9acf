"""Random histories of loads: undoing the last ones gives the dataset back as it was before each."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import headrace
from tests.undo.world import DuckDb, Postgres, World, hashes, state

LONG = bool(os.environ.get("HEADRACE_LONG"))
EXAMPLES = 400 if LONG else 3
pytestmark = pytest.mark.timeout(3 * 3600 if LONG else 300)

REPLACES = ("insert-from-staging", "truncate-and-insert", "staging-optimized")
ids = st.integers(1, 5)
row = st.fixed_dictionaries(
    {"id": ids},
    optional={
        "text": st.sampled_from(["a", "b", None]),
        "number": st.sampled_from([1, 2.5, None, "n"]),
        "late": st.sampled_from([True, None]),
        "gone": st.sampled_from([True, None]),
        "parts": st.lists(
            st.fixed_dictionaries({"p": st.integers(1, 2)}, optional={"more": st.lists(st.integers(1, 2), max_size=2)}),
            max_size=2,
        ),
    },
)
# a table for each way, since tables keep their keys
ways: list[Any] = [
    ("log", "append"),
    ("whole", "replace"),
    *(
        (f"m{at}", {"disposition": "merge", "strategy": strategy})
        for at, strategy in enumerate(("delete-insert", "upsert", "insert-only", "scd2", "cdc"))
    ),
]
load = st.tuples(st.sampled_from(ways), st.lists(row, min_size=1, max_size=4), st.booleans())
histories = st.tuples(st.lists(load, min_size=2, max_size=6), st.integers(1, 3))


def resource(way: Any, data: list[dict[str, Any]]) -> Any:
    table, disposition = way
    merged = not isinstance(disposition, str)
    columns = {"gone": {"data_type": "bool", "hard_delete": True}} if merged and table != "m3" else {}
    unique = list({row["id"]: row for row in data}.values()) if merged else data

    @headrace.resource(name=table, write_disposition=disposition, primary_key="id" if merged else None, columns=columns)
    def give(cursor: Any = headrace.sources.incremental("id", initial_value=0, lag=9)) -> Any:
        yield unique

    return give()


def check(world: World, history: Any, folder: Path, strategy: str, indexes: bool) -> None:
    loads, back = history
    pipeline = headrace.pipeline(
        "past",
        destination=world.destination(replace_strategy=strategy, create_indexes=indexes),
        dataset_name="past",
        pipelines_dir=str(folder / "pipelines"),
    )
    seen: list[Any] = []
    for way, data, both in loads:
        seen.append((hashes(world, "past"), state(pipeline)))
        given = [resource(way, data), *([resource(ways[0], data)] if both and way[0] != "log" else [])]
        pipeline.run(given)
    back = min(back, len(loads) - 1)
    undoable = pipeline.list_undoable_loads()
    assert len(undoable) == min(3, len(loads))
    for at in range(back):
        pipeline.rollback()
        before = seen[len(loads) - 1 - at]
        assert hashes(world, "past") == before[0]
        assert state(pipeline) == before[1]
    way, data, _ = loads[len(loads) - back]
    pipeline.run(resource(way, data))


@pytest.mark.parametrize("kind", ["duckdb", "postgres"])
def test_histories(kind: str, project: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Appends, replaces and merges of all strategies, with new columns, tables and variants, and deletions."""
    monkeypatch.setenv("LOAD__KEEP_UNDO", "3")
    server = request.getfixturevalue("postgres_server") if kind == "postgres" else None
    examples = EXAMPLES if server is None else max(2, EXAMPLES // 4)

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck), derandomize=not LONG, database=None)
    @given(histories, st.sampled_from(REPLACES), st.booleans())
    def run(history: Any, strategy: str, indexes: bool) -> None:
        with tempfile.TemporaryDirectory(dir=project) as folder:
            world: World = DuckDb(Path(folder)) if server is None else Postgres(server.database())
            check(world, history, Path(folder), strategy, indexes)

    run()
