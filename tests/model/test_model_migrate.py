"""Changes of a destination's tables are planned as data."""

from __future__ import annotations

from typing import Any

import msgspec

from headrace.model.migrate import AddColumns, AnyChange, CreateTable, DropTable, applied_changes, plan_changes
from headrace.model.tables import new_column, new_table

TABLE = new_table("t", columns=[new_column("id", "bigint"), new_column("Name", "text"), {"name": "later"}])
WANTED = {"t": TABLE}


def test_a_missing_table_is_created_with_its_typed_columns() -> None:
    (change,) = plan_changes(WANTED, {"t": None})
    assert isinstance(change, CreateTable)
    assert list(change.schema["columns"]) == ["id", "Name"]
    assert change.schema["write_disposition"] == "append"
    assert plan_changes(WANTED, {}) == [change]


def test_missing_columns_are_added_in_order() -> None:
    present: Any = {"t": {"id": {"name": "id", "data_type": "text"}}}
    assert plan_changes(WANTED, present) == [AddColumns(table="t", columns={"Name": TABLE["columns"]["Name"]})]


def test_nothing_is_planned_when_nothing_is_missing() -> None:
    present: Any = {"t": {"id": {}, "Name": {}, "old": {}}}
    assert plan_changes(WANTED, present) == []


def test_case_may_not_matter() -> None:
    present: Any = {"t": {"ID": {}, "NAME": {}}}
    assert plan_changes(WANTED, present, case_sensitive=False) == []
    assert len(plan_changes(WANTED, present)) == 1


def test_tables_without_typed_columns_wait() -> None:
    assert plan_changes({"t": new_table("t", columns=[{"name": "a"}])}, {}) == []


def test_planning_twice_gives_the_same() -> None:
    changes = plan_changes(WANTED, {})
    made: Any = {c.table: c.schema["columns"] for c in changes if isinstance(c, CreateTable)}
    assert plan_changes(WANTED, made) == []


def test_changes_can_be_written_and_read() -> None:
    changes: list[AnyChange] = [*plan_changes(WANTED, {}), AddColumns(table="a", columns={}), DropTable(table="b")]
    raw = msgspec.json.encode(changes)
    assert msgspec.json.decode(raw, type=list[AnyChange]) == changes


def test_applied_changes_are_told_by_table() -> None:
    changes = [*plan_changes(WANTED, {}), AddColumns(table="a", columns={"x": {}})]
    applied = applied_changes(changes)
    assert list(applied) == ["t", "a"]
    assert applied["a"] == {"name": "a", "columns": {"x": {}}}
