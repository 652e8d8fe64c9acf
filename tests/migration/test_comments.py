"""Descriptions of tables and columns travel to the destination as comments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.load.stage import LoadSettings
from tests.migration.test_widening import pipeline


def comments(p: headrace.Pipeline) -> tuple[dict[str, str], dict[str, str]]:
    """Comments in the database: of tables, and of columns as ``table.column``; the system's own are left out."""
    with p.sql_client() as client:
        tables = client.fetch("SELECT table_name, comment FROM duckdb_tables() WHERE comment IS NOT NULL")
        columns = client.fetch(
            "SELECT table_name || '.' || column_name, comment FROM duckdb_columns() WHERE comment IS NOT NULL"
        )
    return {t: c for t, c in tables if not t.startswith("_dlt")}, dict(columns)


def run(p: headrace.Pipeline, row: dict[str, Any], table: str | None = None, **columns: str) -> Any:
    @headrace.resource(
        name="t",
        columns={name: {"name": name, "description": text} for name, text in columns.items()},  # type: ignore[misc]
        nested_hints={"l": {"columns": {"y": {"name": "y", "description": "nested y"}}}},
    )
    def t() -> Any:
        yield row

    found = t()
    if table is not None:
        found.apply_hints(additional_table_hints={"description": table})
    return p.run(found)


def test_they_come_with_new_tables_and_columns(project: Path) -> None:
    p = pipeline()
    run(p, {"id": 1, "l": [{"y": 1}]}, "orders of the 'web' shop", id="number of the order")
    assert comments(p) == (
        {"t": "orders of the 'web' shop"},
        {"t.id": "number of the order", "t__l.y": "nested y"},
    )
    run(p, {"id": 2, "note": "a"}, note='free text;\n"as typed"')
    assert comments(p)[1]["t.note"] == 'free text;\n"as typed"'
    assert comments(p)[0] == {"t": "orders of the 'web' shop"}


def test_they_change_with_the_descriptions_and_are_told(project: Path) -> None:
    p = pipeline()
    run(p, {"id": 1, "x": 1}, "old", id="old id", x="same")
    info = run(p, {"id": 2, "x": 2}, "new", id="new id", x="same")
    assert comments(p) == ({"t": "new"}, {"t.id": "new id", "t.x": "same"})
    package = info.load_packages[0]
    assert package.schema_update == {}  # nothing was created
    update = package.schema_altered
    assert update["t"]["description"] == "new"
    assert {n: c["description"] for n, c in update["t"]["columns"].items()} == {"id": "new id"}
    assert not run(p, {"id": 3, "x": 3}, "new", id="new id", x="same").load_packages[0].schema_altered
    p.default_schema.tables["t"]["description"] = ""
    run(p, {"id": 4, "x": 3}, id="")
    assert comments(p) == ({}, {"t.x": "same"})


def test_comments_made_by_hand_stay_where_the_schema_says_nothing(project: Path) -> None:
    p = pipeline()
    run(p, {"id": 1, "x": 1}, id="id")
    with p.sql_client() as client:
        client.execute_sql("COMMENT ON COLUMN t.x IS 'by hand'")
        client.execute_sql("COMMENT ON TABLE t IS 'by hand'")
    run(p, {"id": 2, "x": 1}, id="id 2")
    assert comments(p) == ({"t": "by hand"}, {"t.x": "by hand", "t.id": "id 2"})


def test_they_stay_when_a_column_is_widened(project: Path) -> None:
    p = pipeline()
    hints: Any = {"id": {"data_type": "bigint", "precision": 16, "description": "small"}}
    p.run([{"id": 1}], table_name="t", columns=hints)
    hints["id"]["precision"] = 64
    p.run([{"id": 1}], table_name="t", columns=hints)
    assert comments(p)[1] == {"t.id": "small"}


def test_a_table_that_is_there_already_gets_them(project: Path) -> None:
    p = pipeline()
    p.run([{"id": 1}], table_name="t")
    run(p, {"id": 2}, "late", id="late id")
    assert comments(p) == ({"t": "late"}, {"t.id": "late id"})


def test_they_can_be_switched_off(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert LoadSettings().comments
    monkeypatch.setenv("LOAD__COMMENTS", "false")
    p = pipeline()
    run(p, {"id": 1}, "t", id="id")
    run(p, {"id": 1, "x": 1}, "t2", id="id", x="x")
    assert comments(p) == ({}, {})
    assert p.default_schema.tables["t"]["columns"]["id"]["description"] == "id"
