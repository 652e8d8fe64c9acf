"""A plan says what a run would do, and does nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.pipeline import PipelineStepFailed
from tests.e2e.project import rows
from tests.plan.world import ORDERS, files_of, numbers, pipeline, table_of

# the lock, what names its holder, and the plan itself
OURS = ("lock", "lock.owner", "plans")


def test_nothing_is_written_by_the_first_plan(project: Path) -> None:
    p = pipeline()
    before = files_of(project)
    state = p.state
    plan = p.plan(ORDERS, table_name="orders")
    after = files_of(project)
    made = {name for name in after if after[name] != before.get(name)}
    assert all(set(OURS) & set(Path(name).parts) for name in made), "no database, no state, no schema, no package"
    assert p.state == state
    assert p.schema_names == []
    assert not p.has_pending_data
    assert p.last_trace is None
    assert plan.has_changes
    assert p.list_plans() == [plan.id]


def test_what_it_says_of_new_tables(project: Path) -> None:
    plan = pipeline().plan(ORDERS, table_name="orders", primary_key="id", write_disposition="merge")
    orders, items = table_of(plan, "orders"), table_of(plan, "orders__items")
    assert (orders.status, orders.rows, items.rows, items.parent) == ("new", 2, 1, "orders")
    assert orders.columns["id"]["data_type"] == "bigint"
    assert orders.hints["primary_key"] == ["id"]
    assert table_of(plan, "_dlt_loads").is_system
    assert plan.row_counts == {"orders": 2, "orders__items": 1}
    assert plan.dispositions["orders"].strategy == "delete-insert"
    assert plan.statements[0] == 'CREATE SCHEMA IF NOT EXISTS "raw"'
    assert any(statement.startswith('CREATE TABLE IF NOT EXISTS "raw"."orders" (') for statement in plan.statements)
    assert (plan.jobs[0].kind, plan.jobs[0].tables) == ("merge", ["orders", "orders__items"])
    assert plan.destructive == [], "there is nothing yet that could be lost"
    assert any("merges" in note for note in plan.notes)


def test_what_it_says_of_changed_tables(project: Path) -> None:
    p = pipeline()
    p.run([{"id": 1, "size": 1}], table_name="t")
    plan = p.plan([{"id": 2, "size": "large", "colour": "red"}], table_name="t")
    t = table_of(plan, "t")
    assert t.status == "changed"
    assert set(t.columns) == {"colour", "size__v_text"}
    assert t.variants == ["size__v_text"]
    assert [s for s in plan.statements if s.startswith("ALTER")] == [
        'ALTER TABLE "raw"."t" ADD COLUMN IF NOT EXISTS "colour" VARCHAR',
        'ALTER TABLE "raw"."t" ADD COLUMN IF NOT EXISTS "size__v_text" VARCHAR',
    ]
    assert {change["change"] for change in plan.changes} == {"AddColumns"}
    p.run(plan)
    assert rows(p, "t", "id, size, size__v_text, colour") == [(1, 1, None, None), (2, None, "large", "red")]


def test_its_text_and_its_json(project: Path) -> None:
    p = pipeline()
    p.run(ORDERS, table_name="orders")
    plan = p.plan([{"id": 3}], table_name="orders", write_disposition="replace")
    assert json.loads(json.dumps(plan.asdict())) == plan.asdict()
    assert plan.asdict()["has_changes"] is True
    short, normal, full = (plan.asstr(verbosity) for verbosity in range(3))
    assert len(short) < len(normal) < len(full)
    assert str(plan) == normal
    assert "2 destructive steps" in short
    assert "! orders: its write disposition is `replace`" in short
    assert 'DELETE FROM "raw"."orders";' in normal
    assert "replace-0: replace" in full
    assert plan.id in repr(plan)


def test_a_cursor_is_not_moved(project: Path) -> None:
    p = pipeline()
    p.run(numbers())
    first, second = p.plan(numbers()), p.plan(numbers())
    assert first.row_counts == second.row_counts == {"numbers": 3}
    cursor = next(c for c in first.state_change if c.path.endswith("last_value"))
    assert (cursor.before, cursor.after) == (3, 6)
    p.run(second)
    assert [n for (n,) in rows(p, "numbers", "id")] == [1, 2, 3, 4, 5, 6]
    assert p.state["sources"]["shop"]["resources"]["numbers"]["incremental"]["id"]["last_value"] == 6
    p.run(numbers())
    assert [n for (n,) in rows(p, "numbers", "id")] == list(range(1, 10))


def test_another_run_does_not_load_it(project: Path) -> None:
    p = pipeline()
    p.run(numbers())
    plan = p.plan(numbers())
    assert p.run() is None
    p.run(ORDERS, table_name="orders")
    assert [n for (n,) in rows(p, "numbers", "id")] == [1, 2, 3]
    assert p.list_plans() == [plan.id]
    plan.discard()
    plan.discard()
    assert p.list_plans() == []


def test_steps_that_destroy(project: Path) -> None:
    p = pipeline()
    p.run(ORDERS, table_name="orders")
    p.run([{"id": 1, "gone": False, "day": 1}], table_name="marked", primary_key="id", write_disposition="merge")
    p.run([{"id": 1, "day": 1}], table_name="days", columns={"day": {"merge_key": True}}, write_disposition="merge")

    def kinds(data: Any, **hints: Any) -> set[tuple[str, str]]:
        return {(one.table, one.kind) for one in p.plan(data, **hints).destructive}

    replaced = {("orders", "replace"), ("orders__items", "replace")}
    assert kinds([{"id": 3}], table_name="orders", write_disposition="replace") == replaced
    hard = {"gone": {"hard_delete": True}}
    merge: Any = {"table_name": "marked", "write_disposition": "merge"}
    assert kinds([{"id": 1, "gone": True}], columns=hard, **merge) == {("marked", "delete")}
    assert kinds([{"id": 1, "day": 2}], table_name="days", write_disposition="merge") == {("days", "delete")}
    assert kinds([{"id": 9}], table_name="orders") == set(), "appending destroys nothing"


def test_refresh(project: Path) -> None:
    @headrace.source(name="zoo")
    def zoo(new: bool = False) -> Any:
        return headrace.resource([{"legs" if new else "wings": 1, "l": [1]}], name="animals")

    p = pipeline()
    p.run(zoo())
    plan = p.plan(zoo(new=True), refresh="drop_sources")
    found = {(one.table, one.kind) for one in plan.destructive}
    assert found == {("animals", "drop"), ("animals__l", "drop"), ("zoo", "forget")}
    assert 'DROP TABLE IF EXISTS "raw"."animals"' in plan.statements
    assert table_of(plan, "animals").status == "new", "it is made anew"
    emptied = p.plan(zoo(), refresh="drop_data")
    assert {(one.table, one.kind) for one in emptied.destructive} == {("animals", "empty"), ("animals__l", "empty")}
    assert rows(p, "animals", "wings") == [(1,)], "nothing was dropped so far"
    p.run(plan)
    assert rows(p, "animals", "legs") == [(1,)]
    assert "wings" not in p.schemas["zoo"].tables["animals"]["columns"]
    assert "wings" not in headrace.attach("shop").schemas["zoo"].tables["animals"]["columns"]


def test_a_broken_contract_is_the_error_of_the_run(project: Path) -> None:
    p = pipeline()
    p.run([{"id": 1}], table_name="t")
    before, state = p.default_schema.version_hash, p.state
    with pytest.raises(PipelineStepFailed) as planned:
        p.plan([{"id": 1, "new": 1}], table_name="t", schema_contract="freeze")
    assert planned.value.pipeline is p
    assert not planned.value.has_pending_data
    assert p.list_plans() == []
    assert (p.default_schema.version_hash, p.state) == (before, state)
    with pytest.raises(PipelineStepFailed) as ran:
        p.run([{"id": 1, "new": 1}], table_name="t", schema_contract="freeze")
    assert (planned.value.step, type(planned.value.exception)) == (ran.value.step, type(ran.value.exception))


def test_what_contracts_let_go(project: Path) -> None:
    p = pipeline()
    p.run([{"id": 1}], table_name="t")
    plan = p.plan([{"id": 2}, {"id": 3, "new": 1}], table_name="t", schema_contract={"columns": "discard_row"})
    assert plan.row_counts["t"] == 1
    assert [(one["table"], one["count"]) for one in plan.rejected] == [("t", 1)]
    assert "Rejected by contracts" in plan.asstr(0)


def test_no_data_plans_what_is_pending(project: Path) -> None:
    p = pipeline()
    assert p.plan().is_empty
    p.extract(ORDERS, table_name="orders")
    waiting = p.list_extracted_load_packages()
    plan = p.plan()
    assert plan.pending_load_ids == list(waiting)
    assert plan.load_ids == []
    assert plan.row_counts == {"orders": 2, "orders__items": 1}
    assert p.list_extracted_load_packages() == waiting, "it was not normalized"
    both = p.plan([{"id": 3}], table_name="orders")
    assert both.row_counts["orders"] == 3
    p.run(both)
    assert rows(p, "orders", "id") == [(1,), (2,), (3,)]


def test_sources_with_schemas_of_their_own(project: Path) -> None:
    @headrace.source(name="one")
    def one() -> Any:
        return headrace.resource([{"id": 1}], name="a")

    @headrace.source(name="two")
    def two() -> Any:
        return headrace.resource([{"id": 2}], name="b")

    p = pipeline()
    plan = p.plan([one(), two()])
    assert len(plan.load_ids) == 2
    assert len(plan.statements) == len(set(plan.statements)) + 2, "dataset and ledger are asked for by each package"
    info = p.run(plan)
    assert info is not None
    assert info.loads_ids == plan.load_ids
    assert rows(p, "a", "id") + rows(p, "b", "id") == [(1,), (2,)]
    assert p.schema_names == ["one", "two"]


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    secret = "xK29-planted-secret-of-tests"
    monkeypatch.setenv("SOURCES__KEY", secret)
    yield secret


def test_no_secret_in_the_plan(project: Path, planted: str) -> None:
    @headrace.resource(name="t")
    def t(key: str = headrace.secrets.value) -> Any:
        headrace.current.resource_state()["seen"] = f"token={key}"
        yield {"id": 1}

    plan = pipeline().plan(t())
    kept = next((project / "data/pipelines/shop/plans").glob("*/plan.json")).read_text()
    assert "seen" in kept
    assert planted not in kept + plan.asstr(2) + json.dumps(plan.asdict()) + repr(plan)


def test_many_tables(project: Path) -> None:
    @headrace.source(name="wide")
    def wide() -> Any:
        return [headrace.resource([{f"c{c}": c for c in range(20)}], name=f"t{n}") for n in range(200)]

    plan = pipeline().plan(wide())
    assert len([t for t in plan.tables if not t.is_system]) == 200
