"""A load and its undo: every table has the same rows, columns and records as before, whatever the disposition."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

import headrace
from tests.undo.world import World, hashes, kept_tables, rows, state

pytestmark = pytest.mark.each(3)

FIRST = [
    {"id": 1, "name": "anna", "tags": [{"tag": "a"}, {"tag": "b", "marks": [{"m": 1}]}], "born": dt.date(2024, 1, 1)},
    {"id": 2, "name": None, "tags": [], "born": dt.date(2024, 1, 2)},
    {"id": 3, "name": "cid", "tags": [{"tag": "c"}], "born": None},
]
SECOND = [
    {"id": 2, "name": "bert", "tags": [{"tag": "x"}], "born": dt.date(2024, 2, 1), "score": Decimal("1.5")},
    {"id": 3, "name": "cid", "tags": [{"tag": "c"}], "born": None},
    {"id": 4, "name": "dora", "tags": [{"tag": "y", "marks": [{"m": 2}, {"m": 3}]}], "also": [{"n": 1}]},
]
DISPOSITIONS: dict[str, Any] = {
    "append": "append",
    **{f"replace {s}": ("replace", s) for s in ("truncate-and-insert", "insert-from-staging", "staging-optimized")},
    **{
        f"merge {s}": {"disposition": "merge", "strategy": s}
        for s in ("delete-insert", "upsert", "insert-only", "scd2", "cdc")
    },
}


def make(world: World, **settings: Any) -> Any:
    return headrace.pipeline("undo", destination=world.destination(**settings), dataset_name="shop")


def source(data: list[dict[str, Any]], disposition: Any, **hints: Any) -> Any:
    """A resource with a cursor, so that there is state to go back."""

    @headrace.resource(
        name="people", write_disposition=disposition, primary_key="id", columns={"id": {"nullable": False}}, **hints
    )
    def people(cursor: Any = headrace.sources.incremental("id", initial_value=0, lag=10)) -> Any:
        yield data

    return people()


@pytest.mark.parametrize("name", DISPOSITIONS)
def test_undone(world: World, name: str) -> None:
    """The tables, all records and the cursor are what they were; the same load gives the same rows again."""
    settings, disposition = {}, DISPOSITIONS[name]
    if name.startswith("replace"):
        disposition, settings["replace_strategy"] = disposition
    pipeline = make(world, **settings)
    pipeline.run(source(FIRST, disposition))
    before, cursor, schema = hashes(world, "shop"), state(pipeline), pipeline.default_schema.version_hash
    first = pipeline.run(source(SECOND, disposition))
    after, loaded = hashes(world, "shop"), rows(world, "shop", "people", "id, name, born, score")
    assert after != before and {"people__also", "people__tags__marks"} <= set(after)

    info = pipeline.rollback(first.loads_ids[0])
    assert info.loads_ids == first.loads_ids
    assert hashes(world, "shop") == before
    assert state(pipeline) == cursor and pipeline.default_schema.version_hash == schema
    assert info.cursors and info.cursors[0].cursor == "undo.people.id" and info.cursors[0][1:] == (4, 3)
    assert "people__also: dropped with 1 row" in str(info) and "columns dropped: score" in str(info)

    pipeline.run(source(SECOND, disposition))
    assert rows(world, "shop", "people", "id, name, born, score") == loaded
    again = hashes(world, "shop")
    assert {t: facts[:2] for t, facts in again.items()} == {t: facts[:2] for t, facts in after.items()}


def test_hard_deletes(world: World) -> None:
    """Rows that a merge deleted come back with all below them."""
    pipeline = make(world)
    hints: dict[str, Any] = {"write_disposition": "merge", "primary_key": "id", "table_name": "people"}
    columns = {"gone": {"hard_delete": True, "data_type": "bool"}}
    pipeline.run([{**row, "gone": None} for row in FIRST], columns=columns, **hints)
    before = hashes(world, "shop")
    pipeline.run([{"id": 1, "gone": True}, {"id": 9, "name": "new", "gone": None}], columns=columns, **hints)
    assert rows(world, "shop", "people", "id") == [(2,), (3,), (9,)]
    info = pipeline.rollback()
    assert hashes(world, "shop") == before
    assert (info.tables["people"].restored, info.tables["people"].removed) == (1, 1)
    assert "people" in {table["table_name"] for table in info.asdict()["tables"]}


@pytest.mark.parametrize("disposition", ["append", "replace", "merge"])
def test_frames_without_load_ids(world: World, disposition: Any) -> None:
    """Arrow rows have neither load id nor row id: twins are told apart by number, not by name."""
    pipeline, key = make(world), {"primary_key": "id"} if disposition == "merge" else {}

    def frame(*ids: int) -> Any:
        return pa.table({"id": list(ids), "text": [None if i % 2 else "x" for i in ids]})

    hints: dict[str, Any] = {"table_name": "frames", "write_disposition": disposition, **key}
    pipeline.run(frame(1, 2) if key else frame(1, 1, 2), **hints)
    before = hashes(world, "shop")
    pipeline.run(frame(2, 3) if key else frame(1, 2, 2, 3), **hints)
    pipeline.rollback()
    assert hashes(world, "shop") == before


def test_widened_columns(world: World) -> None:
    """Types, nullability and comments go back, with the rows that needed the new ones."""
    pipeline = make(world)
    small = {
        "n": {"data_type": "bigint", "precision": 32, "nullable": False},
        "d": {"data_type": "date"},
        "t": {"data_type": "text", "precision": 5, "description": "five"},
    }
    large = {
        "n": {"data_type": "bigint", "precision": 64, "nullable": True},
        "d": {"data_type": "timestamp"},
        "t": {"data_type": "text", "precision": 9, "description": "nine"},
    }
    pipeline.run([{"n": 1, "d": "2024-02-03", "t": "abc"}], table_name="wide", columns=small)
    before = hashes(world, "shop")
    pipeline.run([{"n": 1 << 40, "d": "2024-02-03T04:05:06Z", "t": "abcdefgh"}], table_name="wide", columns=large)
    assert hashes(world, "shop")["wide"][0] != before["wide"][0]
    pipeline.rollback()
    assert hashes(world, "shop") == before


@pytest.mark.parametrize("mode", ["drop_sources", "drop_resources", "drop_data"])
def test_refresh(world: World, mode: Any) -> None:
    """What a refresh dropped or emptied is there again, stored schemas too."""
    if world.kind == "postgres" and mode == "drop_resources":
        pytest.skip("as drop_sources, for the database")
    pipeline = make(world)
    pipeline.run(source(FIRST, "append"))
    pipeline.run(source(SECOND, "append"))
    before, cursor = hashes(world, "shop"), state(pipeline)
    pipeline.run(source([{"id": 7, "name": 1.5, "other": True}], "append"), refresh=mode)
    assert [i for (i,) in rows(world, "shop", "people", "id")] == [7]
    pipeline.rollback()
    assert hashes(world, "shop") == before and state(pipeline) == cursor


def test_first_load(world: World) -> None:
    """The pipeline starts from the beginning: no tables of its own are left, and no record has a row."""
    pipeline = make(world)
    pipeline.run(source(FIRST, "append"))
    whole = {table: facts[:2] for table, facts in hashes(world, "shop").items()}
    pipeline.rollback()
    left = hashes(world, "shop")
    assert {table for table in left if not table.startswith("_")} == set()
    assert {facts[1] for facts in left.values()} == {0}
    assert pipeline.first_run and not pipeline.schema_names and not state(pipeline)
    pipeline.run(source(FIRST, "append"))
    assert {table: facts[:2] for table, facts in hashes(world, "shop").items()} == whole


def test_kept_versions_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest loads can be undone, as many as the setting says; of older ones nothing is left."""
    monkeypatch.setenv("LOAD__KEEP_UNDO", "2")
    pipeline, ids, seen = make(world), [], []
    for n in range(5):
        seen.append(hashes(world, "shop"))
        ids += pipeline.run([{"n": n}], table_name="t", write_disposition="replace").loads_ids
    assert [load.load_id for load in pipeline.list_undoable_loads()] == [ids[4], ids[3]]
    assert len(kept_tables(world, "shop")) == 2
    pipeline.rollback(ids[3], cascade=True)
    assert hashes(world, "shop") == seen[3]
    assert pipeline.list_undoable_loads() == [] and kept_tables(world, "shop") == []


def test_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the setting nothing is kept, and no dataset is made for it."""
    monkeypatch.delenv("LOAD__KEEP_UNDO")
    pipeline = make(world)
    pipeline.run(source(FIRST, "append"))
    with world.session() as run:
        schemas = [name for (name,) in run("SELECT schema_name FROM information_schema.schemata")]
    assert "shop" in schemas and "shop_undo" not in schemas


def test_setting_of_the_destination(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipeline's own section decides over the general one, as with all settings."""
    monkeypatch.setenv("LOAD__KEEP_UNDO", "0")
    monkeypatch.setenv("UNDO__LOAD__KEEP_UNDO", "1")
    pipeline = make(world)
    pipeline.run(source(FIRST, "append"))
    assert len(pipeline.list_undoable_loads()) == 1
