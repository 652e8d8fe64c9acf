"""Frames without rows: the table is made, `replace` empties it, and nothing is loaded where there is nothing to do."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

import headrace

EMPTY = pa.table({"a": pa.array([], pa.int64())})


def pipeline(folder: Path) -> headrace.Pipeline:
    destination = headrace.destinations.duckdb(str(folder / "d.duckdb"))
    return headrace.pipeline("frames", str(folder), destination=destination, dataset_name="d")


def test_an_empty_frame_makes_its_table_in_a_later_run_too(tmp_path: Path) -> None:
    p = pipeline(tmp_path)
    p.run([{"q": 1}], table_name="other")
    p.run(EMPTY, table_name="t")
    assert p.dataset().t.select("a").fetchall() == []
    info = p.run(EMPTY, table_name="t")
    assert info is not None
    assert not info.loads_ids


def test_replace_with_an_empty_frame_empties_the_table(tmp_path: Path) -> None:
    p = pipeline(tmp_path)
    p.run(pa.table({"a": [1]}), table_name="t", write_disposition="replace")
    p.run(EMPTY, table_name="t", write_disposition="replace")
    assert p.dataset().t.select("a").fetchall() == []


def test_an_empty_frame_among_others_changes_nothing(tmp_path: Path) -> None:
    p = pipeline(tmp_path)
    for _ in range(2):
        p.run([EMPTY, pa.table({"a": [1, 2]}), EMPTY], table_name="t", write_disposition="replace")
        assert p.dataset().t.select("a").fetchall() == [(1,), (2,)]
