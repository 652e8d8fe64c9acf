"""The statements of merges, and what the ledger keeps of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from headrace.model.changes import RowChanges
from tests.destinations.bench import Bench, bench, column
from tests.destinations.test_merge import CHAIN, chain, load, stage

KEYED = [
    column("id", primary_key=True, nullable=False),
    column("part", primary_key=True),
    column("day", merge_key=True),
    column("gone", "bool", hard_delete=True),
    column("v", dedup_sort="desc"),
]

QUADRATIC = {"CROSS_PRODUCT", "NESTED_LOOP_JOIN", "BLOCKWISE_NL_JOIN", "PIECEWISE_MERGE_JOIN"}


def statements(b: Bench, monkeypatch: pytest.MonkeyPatch, kinds: set[str]) -> list[str]:
    """Collects what is run, and the operators of its plan, asked before it runs."""
    seen: list[str] = []
    run, session = b.client.sql_client.run, b.client.sql_client

    def spy(sql: str, *params: Any) -> int:
        if (
            re.match(r"DELETE|UPDATE|INSERT INTO \S+ \(.*SELECT|CREATE TEMP", sql)
            and "_hr_incoming" not in sql
            and not params
        ):
            seen.append(sql)
            if not sql.startswith("CREATE"):
                plan = session.fetch(f"EXPLAIN (FORMAT json) {sql}")[0][1]
                names = re.findall(r'"name": "([A-Z_]+)\s*"', plan)
                kinds.update(names)
        return run(sql, *params)

    monkeypatch.setattr(session, "run", spy)
    return seen


@pytest.mark.parametrize("strategy", ["delete-insert", "upsert", "cdc", "insert-only"])
def test_keys_are_joined_by_hash_and_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str) -> None:
    """An OR between primary and merge key, or a key that may be NULL, must not compare all rows with all rows."""
    with bench(tmp_path, *chain(*KEYED)) as b:
        rows = [{"id": i, "part": i % 3 or None, "day": i % 7, "v": i, "gone": None, "n": [[i]]} for i in range(300)]
        load(b, rows, strategy)
        kinds: set[str] = set()
        seen = statements(b, monkeypatch, kinds)
        load(b, [{**row, "v": 0, "n": [[0], [1]]} for row in rows[100:]], strategy)
        joins = [sql for sql in seen if "EXISTS" in sql or " FROM " in sql]
        assert len(joins) > 3
        assert not [sql for sql in joins if re.search(r"\bOR\b", sql)]
        assert "HASH_JOIN" in kinds and not kinds & QUADRATIC


def test_a_skipping_upsert_keeps_the_key_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns are compared only of rows that the key has brought together."""
    tables = chain(*KEYED, **{"x-merge-skip-unchanged-rows": True})
    with bench(tmp_path, *tables) as b:
        rows = [{"id": i, "part": 1, "day": 1, "v": i, "gone": None, "n": [[i]]} for i in range(300)]
        load(b, rows, "upsert")
        kinds: set[str] = set()
        statements(b, monkeypatch, kinds)
        files = stage(b, rows[:200], lambda row: f"id{row['id']}")
        assert b.apply(b.merge(CHAIN, *files, strategy="upsert")).changes["t"] == RowChanges(unchanged=200)
        assert "HASH_JOIN" in kinds and not kinds & QUADRATIC


def test_the_ledger_keeps_what_a_job_did(tmp_path: Path) -> None:
    """A job that is known already tells what it did the first time."""
    with bench(tmp_path, *chain(*KEYED)) as b:
        load(b, [{"id": 1, "part": 1, "v": 1, "n": [[1]]}])
        for job in (
            b.merge(CHAIN, *stage(b, [{"id": 1, "part": 1, "v": 2, "n": [[2, 3]]}], lambda _: "x")),
            b.copy(*stage(b, [{"id": 2, "part": 1, "n": []}], lambda _: "y")),
            b.replace(CHAIN, *stage(b, [{"id": 3, "part": 1, "n": []}], lambda _: "z")),
        ):
            context = b.context()
            first, again = b.client.apply(job, context), b.client.apply(job, context)
            assert first.changes == again.changes != {} and again.rows == 0
        assert again.changes["t"] == RowChanges(inserted=1, deleted=2)


def test_a_ledger_of_an_earlier_version_is_mended(tmp_path: Path) -> None:
    """It lacks the column with the changes; so may the ledger itself be missing."""
    with bench(tmp_path, *chain(*KEYED)) as b:
        b.client.sql_client.execute_sql("ALTER TABLE _headrace_jobs DROP COLUMN changes")
        assert load(b, [{"id": 1, "part": 1, "day": 1, "v": 1}]) == 1
        b.client.sql_client.execute_sql("DROP TABLE _headrace_jobs")
        assert load(b, [{"id": 2, "part": 1, "day": 2, "v": 1}]) == 1
        assert b.rows("SELECT id FROM t") == [(1,), (2,)]
