"""The strategies of replace: what readers see meanwhile, what a death half-way leaves, what a new table loses."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.base.failpoints import ENVIRONMENT_VARIABLE
from headrace.destinations.impl.duckdb.client import DuckDbClient
from tests.crash import forks
from tests.e2e.project import rows

STRATEGIES = ["insert-from-staging", "staging-optimized", "truncate-and-insert"]
SCRIPT = """
import sys
import headrace
strategy, low, high = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
how = {"disposition": "replace", "strategy": strategy}
p.run([{"id": n, "l": [n]} for n in range(low, high)] if high else None, table_name="t", write_disposition=how)
"""


def load(p: headrace.Pipeline, strategy: str, *ids: int) -> None:
    how: Any = {"disposition": "replace", "strategy": strategy}
    p.run([{"id": n, "l": [n]} for n in ids], table_name="t", write_disposition=how)


def ids(p: headrace.Pipeline) -> tuple[list[int], list[int]]:
    return [n for (n,) in rows(p, "raw.t", "id")], [n for (n,) in rows(p, "raw.t__l", "value")]


@pytest.fixture
def shop(project: Path) -> headrace.Pipeline:
    return headrace.pipeline("shop", destination="duckdb", dataset_name="raw")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_readers_see_the_old_rows_until_the_new_ones_are_there(
    shop: headrace.Pipeline, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    load(shop, strategy, 1, 2)
    seen: list[Any] = []
    real = DuckDbClient.insert_file

    def watched(self: Any, file: Any, context: Any, target: str, columns: Any) -> int:
        moved = real(self, file, context, target, columns)
        if not file.table.startswith("_"):
            seen.append(ids(shop))
        return moved

    monkeypatch.setattr(DuckDbClient, "insert_file", watched)
    load(shop, strategy, 3)
    gap: tuple[list[int], list[int]] = ([], [])
    assert seen == [gap if strategy == "truncate-and-insert" else ([1, 2], [1, 2])] * 2
    assert ids(shop) == ([3], [3])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_death_half_way_leaves_the_old_rows_and_is_made_good(project: Path, strategy: str) -> None:
    def run(low: int, high: int, place: str = "") -> int:
        env = {**os.environ, **({ENVIRONMENT_VARIABLE: place} if place else {})}
        return forks.python(SCRIPT, strategy, low, high, env=env).returncode

    p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    load(p, strategy, 1, 2)
    # the last moment before the rows are there: truncating has a transaction of its own before it
    hit = 2 if strategy == "truncate-and-insert" else 1
    assert run(3, 5, f"job.before_commit#{hit}") == -signal.SIGKILL
    assert ids(p) == (([], []) if strategy == "truncate-and-insert" else ([1, 2], [1, 2]))
    assert run(0, 0) == 0
    assert ids(p) == ([3, 4], [3, 4])


def test_a_table_that_is_swapped_is_made_anew(shop: headrace.Pipeline) -> None:
    load(shop, "insert-from-staging", 1)
    with shop.sql_client() as client:
        client.execute_sql("ALTER TABLE t ADD COLUMN own VARCHAR DEFAULT 'x'")
        client.execute_sql("CREATE VIEW v AS SELECT id FROM t")
    load(shop, "insert-from-staging", 2)
    assert rows(shop, "t", "id, own") == [(2, "x")]
    load(shop, "staging-optimized", 3)
    assert rows(shop, "v") == [(3,)]
    with shop.sql_client() as client:
        names = {n for (n,) in client.fetch("SELECT column_name FROM duckdb_columns() WHERE table_name = 't'")}
        assert names == {"id", "_dlt_load_id", "_dlt_id"}
        assert not client.fetch("SELECT 1 FROM duckdb_tables() WHERE table_name LIKE '_hr_new%'")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nothing_empties_the_tables(shop: headrace.Pipeline, strategy: str) -> None:
    load(shop, strategy, 1, 2)
    load(shop, strategy)
    assert ids(shop) == ([], [])


def test_the_strategy_may_be_configured(shop: headrace.Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESTINATION__DUCKDB__REPLACE_STRATEGY", "staging-optimized")
    for n in (1, 2):
        shop.run([{"id": n, "l": [n]}], table_name="t", write_disposition="replace")
    assert ids(shop) == ([2], [2])


def test_swapped_tables_keep_their_descriptions(shop: headrace.Pipeline) -> None:
    how: Any = {"disposition": "replace", "strategy": "staging-optimized"}
    for n in range(2):
        columns: Any = {"id": {"description": "the number"}}
        shop.run([{"id": n}], table_name="t", write_disposition=how, columns=columns)
    with shop.sql_client() as client:
        found = client.fetch("SELECT comment FROM duckdb_columns() WHERE table_name = 't' AND column_name = 'id'")
    assert found == [("the number",)]
