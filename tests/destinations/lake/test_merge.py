from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from headrace.errors.destination import DestinationCapabilitiesException, MergeDispositionException
from headrace.model.changes import RowChanges
from tests.destinations.lake.tables import FORMATS, made_table, merge, rows_of, schema

pytestmark = pytest.mark.parametrize("kind", FORMATS)

KEY = {"data_type": "bigint", "primary_key": True}
PLAIN = schema("t", id=KEY, v="text")
ROOT = schema(
    "t",
    id=KEY,
    v="text",
    gone={"data_type": "bool", "hard_delete": True},
    _dlt_id={"data_type": "text", "row_key": True, "nullable": False},
)
KIDS = schema(
    "t__kids",
    "t",
    x="bigint",
    _dlt_parent_id={"data_type": "text", "parent_key": True},
    _dlt_root_id={"data_type": "text", "root_key": True, "nullable": False},
    _dlt_id={"data_type": "text", "row_key": True, "nullable": False},
)
TOYS = schema(
    "t__kids__toys",
    "t__kids",
    y="text",
    _dlt_parent_id={"data_type": "text", "parent_key": True},
    _dlt_id={"data_type": "text", "row_key": True, "nullable": False},
)


def doc(at: int, v: str, load: str, kids: int = 2, gone: bool | None = None) -> tuple[Any, Any, Any]:
    root = {"id": at, "v": v, "gone": gone, "_dlt_id": f"r{at}{load}"}
    children = [
        {"x": x, "_dlt_parent_id": root["_dlt_id"], "_dlt_root_id": root["_dlt_id"], "_dlt_id": f"k{at}{x}{load}"}
        for x in range(kids)
    ]
    toys = [{"y": v, "_dlt_parent_id": kid["_dlt_id"], "_dlt_id": f"y{kid['_dlt_id']}"} for kid in children]
    return [root], children, toys


def docs(*parts: tuple[Any, Any, Any]) -> tuple[list[Any], list[Any], list[Any]]:
    return tuple([row for part in parts for row in part[at]] for at in range(3))  # type: ignore[return-value]


class Chain:
    def __init__(self, kind: str, root: Path) -> None:
        self.kind = kind
        self.schemas = [ROOT, KIDS, TOYS]
        self.tables = [made_table(kind, root, table) for table in self.schemas]

    def merge(self, rows: tuple[Any, Any, Any], strategy: str, key: str) -> Any:
        return merge(self.kind, list(zip(self.tables, self.schemas, rows, strict=True)), strategy, key)

    def state(self) -> dict[int, tuple[str, int, int]]:
        roots, kids, toys = (rows_of(table) for table in self.tables)
        found = {}
        for root in roots:
            own = [kid["_dlt_id"] for kid in kids if kid["_dlt_root_id"] == root["_dlt_id"]]
            found[root["id"]] = (root["v"], len(own), sum(toy["_dlt_parent_id"] in own for toy in toys))
        assert len(kids) == sum(n for _, n, _ in found.values())
        assert len(toys) == sum(n for _, _, n in found.values())
        return found


@pytest.mark.parametrize("strategy", ["delete-insert", "upsert", "insert-only"])
def test_a_merge_changes_each_row_once_by_key(kind: str, tmp_path: Path, strategy: str) -> None:
    table = made_table(kind, tmp_path, PLAIN)
    merge(kind, [(table, PLAIN, [{"id": i, "v": "old"} for i in range(10)])], strategy, "1")
    news = [{"id": i, "v": "new"} for i in range(8, 12)]
    applied = merge(kind, [(table, PLAIN, news)], strategy, "2")
    updated = strategy != "insert-only"
    counted = RowChanges(2, 2, 0, 0) if updated else RowChanges(2, 0, 0, 2)
    assert applied.changes == {"t": counted}
    wanted = dict.fromkeys(range(10), "old") | dict.fromkeys((8, 9, 10, 11) if updated else (10, 11), "new")
    assert {row["id"]: row["v"] for row in rows_of(table)} == wanted
    again = merge(kind, [(table, PLAIN, news)], strategy, "2")
    assert (again.rows, again.changes) == (0, {"t": counted})
    assert len(rows_of(table)) == 12


@pytest.mark.parametrize("strategy", ["delete-insert", "upsert"])
def test_nested_rows_go_with_their_root(kind: str, tmp_path: Path, strategy: str) -> None:
    chain = Chain(kind, tmp_path)
    # upsert makes row ids of the key; delete-insert makes them anew
    first, second = ("a", "a") if strategy == "upsert" else ("a", "b")
    chain.merge(docs(*(doc(i, "old", first) for i in range(4))), strategy, "1")
    changes = chain.merge(docs(doc(1, "new", second, kids=3), doc(9, "new", second, kids=1)), strategy, "2").changes
    assert chain.state() == {0: ("old", 2, 2), 1: ("new", 3, 3), 2: ("old", 2, 2), 3: ("old", 2, 2), 9: ("new", 1, 1)}
    assert changes["t"] == RowChanges(1, 1, 0, 0)
    assert changes["t__kids"] == (RowChanges(2, 2, 0, 0) if strategy == "upsert" else RowChanges(4, 0, 2, 0))
    chain.merge(docs(doc(1, "newer", second, kids=0)), strategy, "3")
    assert chain.state()[1] == ("newer", 0, 0)


@pytest.mark.parametrize("strategy", ["delete-insert", "upsert"])
def test_hard_deletes(kind: str, tmp_path: Path, strategy: str) -> None:
    chain = Chain(kind, tmp_path)
    chain.merge(docs(*(doc(i, "old", "a") for i in range(3))), strategy, "1")
    changes = chain.merge(
        docs(doc(0, "bye", "a", gone=True), doc(7, "never", "a", gone=True), doc(2, "new", "a", gone=False)),
        strategy,
        "2",
    ).changes
    assert chain.state() == {1: ("old", 2, 2), 2: ("new", 2, 2)}
    assert changes["t"] == RowChanges(0, 1, 1, 0)


def test_insert_only_leaves_known_documents(kind: str, tmp_path: Path) -> None:
    chain = Chain(kind, tmp_path)
    chain.merge(docs(doc(0, "old", "a")), "insert-only", "1")
    chain.merge(docs(doc(0, "new", "a", kids=5), doc(1, "new", "a")), "insert-only", "2")
    assert chain.state() == {0: ("old", 2, 2), 1: ("new", 2, 2)}


def test_one_row_of_a_key_stays(kind: str, tmp_path: Path) -> None:
    sorted_ = schema("t", id=KEY, v="text", at={"data_type": "bigint", "dedup_sort": "desc"})
    table = made_table(kind, tmp_path, sorted_)
    rows = [
        {"id": 1, "v": "a", "at": 1},
        {"id": 1, "v": "b", "at": 3},
        {"id": 1, "v": "c", "at": None},
        {"id": None, "v": "n", "at": 1},
    ]
    merge(kind, [(table, sorted_, rows)], "upsert", "1")
    merge(kind, [(table, sorted_, [{"id": None, "v": "m", "at": 2}])], "upsert", "2")
    assert sorted((r["id"] or 0, r["v"]) for r in rows_of(table)) == [(0, "m"), (1, "b")]


def test_a_merge_key_replaces_batches(kind: str, tmp_path: Path) -> None:
    days = schema(
        "t", day={"data_type": "date", "merge_key": True}, v="text", id={"data_type": "bigint", "primary_key": True}
    )
    table = made_table(kind, tmp_path, days)
    one, two = dt.date(2026, 1, 1), dt.date(2026, 1, 2)
    merge(
        kind,
        [
            (
                table,
                days,
                [{"day": one, "v": "a", "id": 1}, {"day": one, "v": "b", "id": 2}, {"day": two, "v": "c", "id": 3}],
            )
        ],
        "delete-insert",
        "1",
    )
    changes = merge(kind, [(table, days, [{"day": one, "v": "x", "id": 3}])], "delete-insert", "2").changes["t"]
    assert [(r["day"], r["v"]) for r in rows_of(table)] == [(one, "x")]
    assert changes == RowChanges(0, 1, 2, 0)


def test_without_keys_rows_are_appended(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bare = schema("t", v="text")
    table = made_table(kind, tmp_path, bare)
    for key in ("1", "2", "2"):
        merge(kind, [(table, bare, [{"v": "a"}])], "delete-insert", key)
    assert len(rows_of(table)) == 2
    assert "without a key" in caplog.text
    with pytest.raises(MergeDispositionException, match="primary_key"):
        merge(kind, [(table, bare, [{"v": "a"}])], "upsert", "3")


def test_unknown_strategies_are_refused(kind: str, tmp_path: Path) -> None:
    table = made_table(kind, tmp_path, PLAIN)
    with pytest.raises(DestinationCapabilitiesException, match="scd2"):
        merge(kind, [(table, PLAIN, [])], "scd2", "1")


def test_only_touched_files_are_written_anew(kind: str, tmp_path: Path) -> None:
    table = made_table(kind, tmp_path, PLAIN)
    for at in range(4):
        merge(kind, [(table, PLAIN, [{"id": at * 100 + i, "v": "old"} for i in range(100)])], "upsert", f"{at}")
    before = {file.path for file in table.version().files()}
    read: list[str] = []
    version = type(table.version())
    original = version.read
    version.read = lambda self, file, columns=None: (read.append(file.path), original(self, file, columns))[1]
    try:
        merge(kind, [(table, PLAIN, [{"id": 250, "v": "new"}, {"id": 999, "v": "new"}])], "upsert", "x")
    finally:
        version.read = original
    after = {file.path for file in table.version().files()}
    assert len(before) == 4
    assert len(before & after) == 3
    assert set(read) == before - after
    assert len(rows_of(table)) == 401


def test_a_merge_that_changes_nothing_makes_no_version(kind: str, tmp_path: Path) -> None:
    table = made_table(kind, tmp_path, PLAIN)
    merge(kind, [(table, PLAIN, [{"id": 1, "v": "a"}])], "upsert", "1")
    before = [file.path for file in table.version().files()]
    merge(kind, [(table, PLAIN, [{"id": 1, "v": "b"}])], "insert-only", "2")
    merge(kind, [(table, PLAIN, [])], "upsert", "3")
    assert [file.path for file in table.version().files()] == before
