"""Rollbacks beside what else may happen: other folders, old states, several schemas, failed jobs, other datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.rollback import RollbackImpossible
from tests.undo.world import World, hashes, rows, state

pytestmark = pytest.mark.each(3)


def make(world: World, project: Path, name: str = "p", folder: str = "a", dataset: str = "shop") -> Any:
    destination = world.destination()
    return headrace.pipeline(name, destination=destination, dataset_name=dataset, pipelines_dir=str(project / folder))


def upto(n: int, name: str = "numbers", **hints: Any) -> Any:
    @headrace.resource(name=name, **hints)
    def numbers(at: Any = headrace.sources.incremental("n", initial_value=0)) -> Any:
        yield [{"n": i} for i in range(at.last_value + 1, n + 1)]

    return numbers()


def source(name: str, n: int) -> Any:
    return headrace.source(lambda: upto(n, f"of_{name}"), name=name)()


def numbers_in(world: World, table: str = "numbers", dataset: str = "shop") -> list[int]:
    return [n for (n,) in rows(world, dataset, table, "n")]


def execute(world: World, *statements: str) -> None:
    with world.session() as run:
        for statement in statements:
            run(statement)


def refuse(world: World, table: str, at: int) -> None:
    """Somebody's table, which takes small numbers only."""
    execute(
        world,
        f"CREATE TABLE shop.small (n bigint CHECK (n < {at}), _dlt_load_id varchar NOT NULL, _dlt_id varchar NOT NULL)",
        f"INSERT INTO shop.small SELECT * FROM shop.{table}",
        f"DROP TABLE shop.{table}",
        f"ALTER TABLE shop.small RENAME TO {table}",
    )


@pytest.mark.parametrize("follower", ["b", "a"])
def test_first_load_undone_elsewhere(world: World, project: Path, follower: str) -> None:
    """A folder that never had the package knows the cursors of before the load from the destination."""
    make(world, project).run(upto(2))
    make(world, project, folder="b").rollback()
    make(world, project, folder=follower).run(upto(3))
    assert numbers_in(world) == [1, 2, 3]


def test_old_states_are_gone(world: World, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cursors go back on any machine, however few states the destination keeps."""
    monkeypatch.setenv("KEEP_STATES", "1")
    for n in (2, 4, 6):
        make(world, project).run(upto(n))
    other = make(world, project, folder="b")
    other.rollback()
    other.run(upto(7))
    assert numbers_in(world) == [1, 2, 3, 4, 5, 6, 7]


def test_one_of_two_packages_of_a_run(world: World, project: Path) -> None:
    """The state travels with one package: undoing the other corrects it, here and for machines that restore it."""
    pipeline = make(world, project)
    pipeline.run([source("one", 2), source("two", 2)])
    before, cursors = hashes(world, "shop"), state(pipeline)
    pipeline.run([source("one", 4), source("two", 4)])
    pipeline.rollback()
    # the package with the state is the last one
    assert (numbers_in(world, "of_one"), numbers_in(world, "of_two")) == ([1, 2], [1, 2, 3, 4])
    other = make(world, project, folder="b")
    other.sync_destination()
    assert state(other) == state(pipeline)
    pipeline.rollback()
    assert hashes(world, "shop") == before and state(pipeline) == cursors
    other = make(world, project, folder="b")
    other.run([source("one", 4), source("two", 4)])
    assert numbers_in(world, "of_one") == numbers_in(world, "of_two") == [1, 2, 3, 4]


def test_a_dataset_for_each_schema(world: World, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state in the dataset of one schema is older than the cursors of the others."""
    monkeypatch.setenv("USE_SINGLE_DATASET", "false")
    pipeline = make(world, project)
    for name, n in (("one", 2), ("two", 2), ("one", 4)):
        pipeline.run(source(name, n))
    cursors = state(pipeline)
    pipeline.run(source("two", 4))
    pipeline.rollback()
    assert state(pipeline) == cursors
    pipeline.rollback()
    pipeline.run(source("one", 4))
    pipeline.run(source("two", 4))
    assert numbers_in(world, "of_one") == numbers_in(world, "of_two", "shop_two") == [1, 2, 3, 4]


def test_a_load_completed_by_a_retry(world: World, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    pipeline = make(world, project)
    pipeline.run([upto(2), upto(2, "others")])
    refuse(world, "others", 3)
    cursors, load_id = state(pipeline), pipeline.run([upto(4), upto(4, "others")]).loads_ids[0]
    assert numbers_in(world, "others") == [1, 2]
    refuse(world, "others", 9)
    before = hashes(world, "shop")["others"]
    pipeline.retry_failed_jobs(load_id)
    assert numbers_in(world, "others") == [1, 2, 3, 4]
    pipeline.rollback()
    assert hashes(world, "shop")["others"] == before and state(pipeline) == cursors
    assert numbers_in(world) == [1, 2]


@pytest.mark.parametrize("keep", ["0", "1"])
def test_only_the_retry_was_kept(world: World, project: Path, monkeypatch: pytest.MonkeyPatch, keep: str) -> None:
    """The first part of a load came in when nothing was kept of it, or was forgotten: half a load is not undone."""
    monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    monkeypatch.setenv("LOAD__KEEP_UNDO", keep)
    pipeline = make(world, project)
    pipeline.run([upto(2), upto(2, "others")])
    refuse(world, "others", 3)
    load_id = pipeline.run([upto(4), upto(4, "others")]).loads_ids[0]
    refuse(world, "others", 9)
    if keep == "1":
        pipeline.run(upto(6))
    monkeypatch.setenv("LOAD__KEEP_UNDO", "1")
    pipeline.retry_failed_jobs(load_id)
    before, cursors = hashes(world, "shop"), state(pipeline)
    loads = {load.load_id: load.why_not for load in pipeline.list_undoable_loads()}
    assert "had come in when nothing was kept" in loads.pop(load_id)
    assert list(loads.values()) == ([""] if keep == "1" else []), "the newest load stays undoable"
    with pytest.raises(RollbackImpossible, match="when nothing was kept"):
        pipeline.rollback(load_id, cascade=True)
    assert hashes(world, "shop") == before and state(pipeline) == cursors


def test_rejected_rows_and_their_replay(world: World, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NORMALIZE__KEEP_REJECTED", "true")
    pipeline = make(world, project)
    columns: Any = {"n": {"data_type": "bigint"}}
    pipeline.run([{"n": 1}], table_name="t", columns=columns)
    before = hashes(world, "shop")
    strict: Any = {"columns": "discard_row"}
    pipeline.run([{"n": 2}, {"n": 5, "z": 3}], table_name="t", columns=columns, schema_contract=strict)
    held = hashes(world, "shop")
    assert held["t__rejected"][1] == 1
    for _ in range(2):
        pipeline.replay_rejected(schema_contract="evolve")
        assert len(rows(world, "shop", "t")) == 3
        pipeline.rollback()
        assert hashes(world, "shop") == held
    pipeline.rollback()
    assert hashes(world, "shop") == before


def test_a_dataset_of_somebody_by_that_name(world: World, project: Path) -> None:
    """Dropping a dataset takes its undo with it, and no table that lies beside it."""
    pipeline, other = make(world, project), make(world, project, "q", dataset="shop_undo")
    pipeline.run(upto(2))
    other.run(upto(2))
    pipeline.run(upto(4))
    with pipeline.destination_client() as client:
        client.drop_storage()
    assert numbers_in(world, dataset="shop_undo") == [1, 2]
    left = [name for name in hashes(world, "shop_undo") if name.startswith(("_headrace_undo", "u_"))]
    assert left == []


def test_names_of_full_length(world: World, project: Path) -> None:
    """Of datasets and tables; the undo's own names fit, too."""
    dataset, table = "d" * 63, "t" * 60
    pipeline = make(world, project, dataset=dataset)

    def load(rows: list[dict[str, Any]]) -> None:
        pipeline.run(rows, table_name=table, write_disposition="merge", primary_key="id")

    load([{"id": 1, "c" * 70: 1, "kids": [{"k" * 70: 1}]}])
    before = hashes(world, dataset)
    load([{"id": 1, "c" * 70: 2, "d" * 70: 5, "kids": [{"k" * 70: 2}]}])
    pipeline.rollback()
    assert hashes(world, dataset) == before


@pytest.mark.parametrize("strategy", ["upsert", "scd2"])
def test_names_that_differ_in_case(world: World, project: Path, strategy: Any) -> None:
    if world.kind == "duckdb":
        pytest.skip("DuckDB does not tell such names apart")
    destination = world.destination(naming_convention="sql_cs_v1")
    pipeline = headrace.pipeline("p", destination=destination, dataset_name="Shop", pipelines_dir=str(project))

    def load(rows: list[dict[str, Any]]) -> None:
        how: Any = {"disposition": "merge", "strategy": strategy}
        pipeline.run(rows, table_name="Num", write_disposition=how, primary_key="Id")

    load([{"Id": 1, "id": "x", "Val": 1.5, "val": "b"}, {"Id": 2, "id": "y", "Val": 2.5, "val": "c"}])
    before = hashes(world, "Shop")
    load([{"Id": 1, "id": "z", "Val": 2.5, "val": "d", "VAL": 1}, {"Id": 3, "id": "y"}])
    pipeline.rollback()
    assert hashes(world, "Shop") == before


@pytest.mark.parametrize("disposition", ["append", "delete-insert", "upsert", "scd2", "replace"])
def test_json_columns(world: World, project: Path, disposition: str) -> None:
    """Documents can be compared: headrace makes `jsonb` of them."""
    pipeline = make(world, project)
    how: Any = (
        disposition if disposition in ("append", "replace") else {"disposition": "merge", "strategy": disposition}
    )
    columns: Any = {"doc": {"data_type": "json"}}

    def load(rows: list[dict[str, Any]]) -> None:
        pipeline.run(rows, table_name="t", write_disposition=how, primary_key="id", columns=columns)

    load([{"id": 1, "doc": {"a": 1, "b": [1, {"c": None}]}}, {"id": 2, "doc": None}])
    before = hashes(world, "shop")
    load([{"id": 1, "doc": {"a": 2}}, {"id": 3, "doc": {"z": 1.5}}])
    pipeline.rollback()
    assert hashes(world, "shop") == before
