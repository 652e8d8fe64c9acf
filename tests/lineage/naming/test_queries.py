"""Queries that the destination runs: what they read are tables of the destination."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.model.location import Location
from headrace.observers.lineage import naming
from headrace.observers.lineage.public import flush
from tests.e2e.project import project as project

DUCK = Location(scheme="duckdb", path="/data/wh.duckdb", database="wh", schema="raw")
FILES = Location(scheme="s3", host="lake", path="/in/raw", schema="raw", table_path="{table_name}")
LITE = Location(scheme="sqlite", path="/data/shop__raw.db", schema="main")
POSTGRES = Location(scheme="postgresql", host="db", database="shop", schema="raw")


@pytest.mark.parametrize(
    ("place", "table", "name"),
    [
        (DUCK, ("users",), "wh.raw.users"),
        (DUCK, ("other", "users"), "wh.other.users"),
        (DUCK, ("wh", "raw", "users"), "wh.raw.users"),
        (DUCK, ("attached", "raw", "users"), None),
        (POSTGRES, ("public", "users"), "shop.public.users"),
        (FILES, ("raw", "users"), "in/raw/users"),
        (FILES, ("other", "users"), "in/other/users"),
        (LITE, ("raw", "users"), "main.users"),
        (LITE, ("other", "users"), None),
    ],
)
def test_a_table_is_named_by_where_the_query_runs(place: Location, table: tuple[str, ...], name: str | None) -> None:
    found = naming.of_queries(place, [table, table], "warehouse")
    assert [one.id.name for one in found] == ([name] if name else [])
    if name is not None:
        assert found[0].id == naming.output(place, table[-1]).id or table[-2:-1] not in ((), ("raw",))
        assert found[0].source_name == "warehouse"


def test_the_run_of_a_model_has_the_tables_it_reads(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEAGE__PATH", str(project / "events.ndjson"))
    monkeypatch.setenv("LINEAGE__DRAIN_SECONDS", "10")
    pipeline = headrace.pipeline("shop", destination=headrace.destinations.duckdb("wh.duckdb"), dataset_name="raw")
    pipeline.run([{"id": 1, "name": "a"}], table_name="users")

    @headrace.resource
    def copied() -> Any:
        yield pipeline.dataset()("SELECT id, upper(name) AS loud FROM users").to_model()

    pipeline.run(copied)
    assert flush(pipeline, seconds=10)
    runs = _completed(project / "events.ndjson")
    assert runs["users"] == ([], [(f"duckdb://{project / 'wh.duckdb'}", "wh.raw.users")])
    assert runs["copied"] == (runs["users"][1], [(f"duckdb://{project / 'wh.duckdb'}", "wh.raw.copied")])


def _completed(path: Path) -> dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]]]]:
    """By resource the inputs and outputs of its last event that says COMPLETE."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        event: Any = json.loads(line)
        if event.get("eventType") == "COMPLETE" and event["outputs"]:
            name = event["job"]["name"].rpartition(".")[2]
            found[name] = (_ids(event["inputs"]), _ids(event["outputs"]))
    return found


def _ids(datasets: Any) -> list[tuple[str, str]]:
    return [
        (one["namespace"], one["name"]) for one in datasets if not one["name"].rpartition(".")[2].startswith("_dlt")
    ]
