"""The shapes of several spool files of a resource are one shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.extract import sink
from headrace.model.shape import AT_KEY, IN_LIST, ChainShape, ColumnShape, TableShape, join_shapes


def _chain(kind: str, name: str, first: int, made: int) -> ChainShape:
    root = TableShape([], None, [ColumnShape(["id"], [kind], first), ColumnShape([name], ["text"], first)], [["gone"]])
    below = TableShape(["l"], [], [ColumnShape(["a"], [kind], first, made=made)], made=made)
    return ChainShape([root, below])


def test_all_tables_of_all_files_are_joined() -> None:
    found = join_shapes([_chain("bigint", "x", 0, AT_KEY), _chain("double", "y", 7, IN_LIST)])
    root, below = found.tables
    assert [(c.path, c.kinds, c.first) for c in root.columns] == [
        (["id"], ["bigint", "double"], 0),
        (["x"], ["text"], 0),
        (["y"], ["text"], 7),
    ]
    assert root.nulls == [["gone"]]
    assert [(c.path, c.kinds, c.made) for c in below.columns] == [(["a"], ["bigint", "double"], AT_KEY | IN_LIST)]
    assert below.made == AT_KEY | IN_LIST


def test_nested_rows_in_several_spool_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "SPOOL_BYTES", 1)

    @headrace.resource
    def big() -> Any:
        for part in range(40):
            yield [{"id": part * 1000 + n, "l": [{"a": n}]} for n in range(1000)]

    p = headrace.pipeline(
        "spooled",
        pipelines_dir=str(tmp_path / "work"),
        destination=headrace.destinations.duckdb(str(tmp_path / "w.duckdb")),
        dataset_name="raw",
    )
    p.extract(big())
    (load_id,) = p.list_extracted_load_packages()
    spooled = list((p._store.get(load_id).path / "spool").glob("big.*"))
    assert len(spooled) > 1
    p.run()
    with p.sql_client() as client:
        assert client.execute_sql("SELECT count(*), count(id) FROM big") == [(40000, 40000)]
        assert client.execute_sql("SELECT count(*), count(a) FROM big__l") == [(40000, 40000)]
