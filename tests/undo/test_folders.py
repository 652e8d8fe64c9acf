"""Working folders follow what was undone: that of the rollback, others of the same pipeline, and new ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.pipeline import CannotRetryJobs
from headrace.model.events import RolledBack
from tests.undo.world import World, hashes, rows, state


@headrace.resource(write_disposition="append")
def numbers(at: Any = headrace.sources.incremental("n", initial_value=0)) -> Any:
    yield [{"n": at.last_value + 1, f"c{at.last_value}": 1}]


def make(world: World, project: Path, folder: str = "a", **settings: Any) -> Any:
    destination = world.destination()
    where = {"pipelines_dir": str(project / folder), "dataset_name": "shop"}
    return headrace.pipeline("undo", destination=destination, **where, **settings)


def test_package_is_filed(world: World, project: Path) -> None:
    """The package says that it was undone, observers hear it, and nothing brings it back."""
    pipeline = make(world, project)
    pipeline.run(numbers())
    load_id = pipeline.run(numbers()).loads_ids[0]
    told: list[RolledBack] = []
    pipeline.on(RolledBack)(told.append)
    assert pipeline.list_undoable_loads()[0].load_id == load_id
    pipeline.rollback()
    assert [(event.load_id, event.tables) for event in told] == [
        (load_id, ["numbers", "_dlt_version", "_dlt_pipeline_state"])
    ]
    fresh = make(world, project)
    assert fresh.get_load_package_info(load_id).state == "aborted"
    assert fresh._store.list("loaded") == [i for i in fresh._store.list() if i != load_id]
    with pytest.raises(Exception, match="was undone") as refused:
        fresh.retry_failed_jobs(load_id)
    assert isinstance(refused.value, CannotRetryJobs) or isinstance(refused.value.__cause__, CannotRetryJobs)
    fresh.run(numbers())
    assert rows(world, "shop", "numbers", "n") == [(1,), (2,)]


def test_another_folder_follows(world: World, project: Path) -> None:
    """A machine that has seen the load goes back when it runs next, and sets aside what it has built on it."""
    one, two = make(world, project, "a"), make(world, project, "b")
    one.run(numbers())
    two.run(numbers())
    one.sync_destination()
    before = hashes(world, "shop")
    one.run(numbers())
    two.sync_destination()
    assert state(two) == state(one)
    make(world, project, "a").rollback()
    assert hashes(world, "shop") == before
    late = make(world, project, "b")
    late.extract(numbers())
    late.run(numbers())
    assert rows(world, "shop", "numbers", "n") == [(1,), (2,), (3,)]
    assert "c2" in late.default_schema.tables["numbers"]["columns"]
    late.run(numbers())
    assert rows(world, "shop", "numbers", "n") == [(1,), (2,), (3,), (4,)]


def test_a_new_folder_undoes(world: World, project: Path) -> None:
    """The destination has all that is needed."""
    one = make(world, project, "a")
    one.run(numbers())
    before, cursor = hashes(world, "shop"), state(one)
    one.run(numbers())
    two = make(world, project, "c")
    info = two.rollback()
    assert hashes(world, "shop") == before and state(two) == cursor
    assert [move[1:] for move in info.cursors] == [(2, 1)]
    two.run(numbers())
    assert rows(world, "shop", "numbers", "n") == [(1,), (2,)]


def test_state_on_this_machine_alone(world: World, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the destination has no state, the packages know what was before them."""
    monkeypatch.setenv("RESTORE_FROM_DESTINATION", "false")
    pipeline = make(world, project)
    pipeline.run(numbers())
    cursor = state(pipeline)
    pipeline.run(numbers())
    pipeline.run(numbers())
    pipeline.rollback(pipeline.list_undoable_loads()[1].load_id, cascade=True)
    assert state(pipeline) == cursor
    pipeline.run(numbers())
    assert rows(world, "shop", "numbers", "n") == [(1,), (2,)]


def test_a_load_that_failed_half_way(world: World, project: Path) -> None:
    """A package that was set aside with some of its rows loaded leaves none of them."""
    pipeline = make(world, project)
    pipeline.run(numbers())
    before = hashes(world, "shop")
    bad: Any = {"n": {"data_type": "bigint"}, "hard": {"data_type": "bool", "hard_delete": True}}

    @headrace.resource(name="broken", write_disposition={"disposition": "merge", "strategy": "upsert"}, columns=bad)  # type: ignore[arg-type]
    def broken() -> Any:
        yield [{"n": 1}]

    with pytest.raises(Exception, match="no primary key"):
        pipeline.run([numbers(), broken()])
    load_id = pipeline._store.list("aborted")[-1]
    found = {load.load_id: load.is_complete for load in pipeline.list_undoable_loads()}
    assert found[load_id] is False
    pipeline.rollback(load_id)
    assert hashes(world, "shop") == before
    pipeline.run(numbers())
    assert rows(world, "shop", "numbers", "n") == [(1,), (2,)]


def test_a_look_changes_nothing(world: World, project: Path) -> None:
    """Also where the dataset has gone: the next run says so and begins anew, the look does not."""
    make(world, project).run(numbers())
    pipeline = make(world, project)
    with pipeline.sql_client() as client:
        client.drop_dataset()
    before = state(pipeline)
    pipeline.list_undoable_loads()
    assert state(pipeline) == before
    assert pipeline.schema_names == ["undo"]
