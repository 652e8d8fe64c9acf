"""What is not undone, and what is said then: nothing is ever changed by a refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.pipeline import PipelineHasPendingDataException
from headrace.errors.rollback import RollbackImpossible, RollbackNotSupported, RollbackRefused
from tests.undo.world import World, hashes, rows


def make(world: World, name: str = "undo") -> Any:
    return headrace.pipeline(name, destination=world.destination(), dataset_name="shop")


def load(pipeline: Any, *numbers: int, table: str = "numbers", **hints: Any) -> str:
    hints.setdefault("write_disposition", "append")
    info = pipeline.run([{"n": n} for n in numbers], table_name=table, **hints)
    return str(info.loads_ids[0])


def test_later_loads_are_in_the_way(world: World) -> None:
    """They are named, and go with it when that is asked for."""
    pipeline = make(world)
    load(pipeline, 1)
    before = hashes(world, "shop")
    ids = [load(pipeline, 2), load(pipeline, 3, table="others"), load(pipeline, 4)]
    after = hashes(world, "shop")
    with pytest.raises(RollbackRefused, match=f"later loads.*{ids[2]}, {ids[1]}") as refused:
        pipeline.rollback(ids[0])
    assert refused.value.in_the_way == [ids[2], ids[1]] and "cascade=True" in str(refused.value)
    assert hashes(world, "shop") == after
    assert pipeline.rollback(ids[0], cascade=True).loads_ids == ids[::-1]
    assert hashes(world, "shop") == before
    with pytest.raises(RollbackImpossible, match="undone already"):
        pipeline.rollback(ids[0])


def test_unknown_loads(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the setting there is nothing, with it the loads that there are get named."""
    monkeypatch.setenv("LOAD__KEEP_UNDO", "0")
    pipeline = make(world)
    first = load(pipeline, 1)
    with pytest.raises(RollbackImpossible, match=r"load\.keep_undo"):
        pipeline.rollback()
    monkeypatch.setenv("LOAD__KEEP_UNDO", "2")
    second = load(pipeline, 2)
    with pytest.raises(RollbackImpossible, match=f"these can be undone: {second}"):
        pipeline.rollback(first)
    monkeypatch.setenv("LOAD__KEEP_UNDO", "0")
    third = load(pipeline, 3)
    with pytest.raises(RollbackRefused, match="nothing was kept of later loads") as refused:
        pipeline.rollback(second, cascade=True)
    assert refused.value.in_the_way == [third]


def test_other_pipelines_are_in_the_way(world: World) -> None:
    """Those that loaded into the same tables later, with their names; others are not."""
    ours, theirs = make(world), make(world, "theirs")
    load(ours, 1)
    before = hashes(world, "shop")
    first = load(ours, 2)
    load(theirs, 5, table="elsewhere")
    second = load(theirs, 3)
    after = hashes(world, "shop")
    with pytest.raises(RollbackImpossible, match=f"{second} of pipeline `theirs`") as refused:
        ours.rollback()
    assert refused.value.in_the_way == [second] and hashes(world, "shop") == after
    with pytest.raises(RollbackImpossible, match=r"load of pipeline `theirs`"):
        ours.rollback(second)
    theirs.rollback()
    ours.rollback(first)
    assert hashes(world, "shop")["numbers"] == before["numbers"]
    assert rows(world, "shop", "elsewhere", "n") == [(5,)]


def test_writers_without_the_setting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was written down of them: their rows tell."""
    ours, theirs = make(world), make(world, "theirs")
    load(ours, 1)
    load(ours, 2)
    monkeypatch.setenv("LOAD__KEEP_UNDO", "0")
    stranger = load(theirs, 3)
    monkeypatch.setenv("LOAD__KEEP_UNDO", "3")
    with pytest.raises(RollbackImpossible, match=f"{stranger} of schema `theirs`"):
        ours.rollback()


@pytest.mark.parametrize(
    ("disposition", "sql"),
    [
        ("append", "DELETE FROM shop.numbers WHERE n = 2"),
        ("merge", "UPDATE shop.numbers SET n = 7 WHERE n = 2"),
        (
            "replace",
            "INSERT INTO shop.numbers (n, _dlt_load_id, _dlt_id) SELECT 9, _dlt_load_id, 'x' FROM shop.numbers",
        ),
    ],
)
def test_rows_changed_by_hand(world: World, disposition: Any, sql: str) -> None:
    """The numbers of rows do not fit, so nothing is undone."""
    pipeline = make(world)
    load(pipeline, 1, write_disposition=disposition, primary_key="n")
    load(pipeline, 2, write_disposition=disposition, primary_key="n")
    with world.session() as run:
        run(sql)
    after = hashes(world, "shop")
    with pytest.raises(RollbackImpossible, match="table `numbers` has"):
        pipeline.rollback()
    assert hashes(world, "shop") == after
    load(pipeline, 3, write_disposition=disposition, primary_key="n")


def test_pending_packages(world: World) -> None:
    """They build on what would be undone."""
    pipeline = make(world)
    load(pipeline, 1)
    pipeline.extract([{"n": 2}], table_name="numbers")
    with pytest.raises(PipelineHasPendingDataException):
        pipeline.rollback()


def test_destinations_that_cannot(project: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """They say so at the load, and what to do instead when they are asked."""
    monkeypatch.setenv("LOAD__KEEP_UNDO", "1")
    pipeline = headrace.pipeline("files", destination=headrace.destinations.filesystem(str(project / "out")))
    load(pipeline, 1)
    assert "the destination `filesystem` cannot undo loads; nothing is kept" in caplog.text
    with pytest.raises(RollbackNotSupported, match="_dlt_load_id"):
        pipeline.rollback()
