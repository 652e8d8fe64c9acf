"""What people do to tables by hand is told of the datasets that changed, and nothing of those that did not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace import hooks, lineage
from headrace.observers.lineage.delivery import close
from tests.e2e.project import project as project
from tests.lineage.scenarios.stream import Stream, validate

RIGHT = ("C101", "P106", "P107")  # there is hardly a run here


@pytest.fixture
def events(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LINEAGE__PATH", str(project / "events.ndjson"))
    monkeypatch.setenv("LINEAGE__DATASET_OWNERS", '{"orders*": ["team:shop"]}')
    yield project / "events.ndjson"
    close(0)


def pipeline(name: str = "shop") -> Any:
    return headrace.pipeline(name, destination=headrace.destinations.duckdb("w.duckdb"), dataset_name="raw")


def told(p: Any, path: Path) -> list[tuple[str, str, list[str]]]:
    """Of each dataset event: its table, what happened to it, and its columns."""
    assert lineage.flush(p)
    if not path.exists():
        return []
    found = validate(path, path.with_name("report.json")).findings
    assert [f for f in found if f.split()[1] not in RIGHT] == []
    events = list(Stream(path).dataset_events())
    for event in events:
        owners = event["dataset"]["facets"].get("ownership", {}).get("owners", [])
        is_order = "orders" in event["dataset"]["name"]
        assert [one["name"] for one in owners] == (["team:shop"] if is_order else [])
    return [
        (
            event["dataset"]["name"].rpartition(".")[2],
            event["dataset"]["facets"]["lifecycleStateChange"]["lifecycleStateChange"],
            [field["name"] for field in event["dataset"]["facets"].get("schema", {}).get("fields", [])],
        )
        for event in events
    ]


def loaded() -> Any:
    p = pipeline()
    p.run([{"id": 1, "lines": [{"sku": "a"}]}], table_name="orders")
    return p


OWN = ["_dlt_load_id", "_dlt_id"]


def test_a_schema_that_is_synchronised(events: Path) -> None:
    p = loaded()
    p.sync_schema()
    assert told(p, events) == []  # all was there
    schema = p.default_schema
    schema.update_table({"name": "orders", "columns": {"note": {"name": "note", "data_type": "text"}}})
    schema.update_table({"name": "people", "columns": {"id": {"name": "id", "data_type": "bigint"}}})
    p.sync_schema()
    assert told(p, events) == [("orders", "ALTER", ["id", *OWN, "note"]), ("people", "CREATE", ["id"])]
    assert p.dataset().row_counts().fetchall()  # a look tells nothing
    p.sync_schema()
    assert len(told(p, events)) == 2


def test_tables_that_a_client_changes(events: Path) -> None:
    p = loaded()
    with p.destination_client() as client:
        client.initialize_storage(truncate_tables=["orders", "not_there"])
        client.drop_tables("orders__lines", "not_there")
        client.update_stored_schema(force=True)  # makes it again
        client.update_stored_schema()
    children = ["sku", "_dlt_parent_id", "_dlt_list_idx", "_dlt_id"]
    wanted = [("orders", "TRUNCATE", []), ("orders__lines", "DROP", []), ("orders__lines", "CREATE", children)]
    assert told(p, events) == wanted
    with p.destination_client() as client:
        client.drop_storage()
        client.drop_storage()
    assert sorted(told(p, events)[3:]) == [("orders", "DROP", []), ("orders__lines", "DROP", [])]


def test_files_that_a_client_deletes(events: Path) -> None:
    place = headrace.destinations.filesystem(Path("lake").resolve().as_uri())
    p = headrace.pipeline("shop", destination=place, dataset_name="raw")
    p.run([{"id": 1}], table_name="orders")
    with p.destination_client() as client:
        client.truncate_tables(["orders"])
    assert [(name.rpartition("/")[2], what) for name, what, _ in told(p, events)] == [("orders", "TRUNCATE")]


def test_a_refresh_that_empties_tables(events: Path) -> None:
    p = loaded()
    empty = headrace.resource(lambda: iter(()), name="orders")
    p.run(headrace.source(lambda: empty, name="shop")(), refresh="drop_data")
    assert sorted(told(p, events)) == [("orders", "TRUNCATE", []), ("orders__lines", "TRUNCATE", [])]
    assert p.dataset().orders.fetchall() == []


def test_a_refresh_that_makes_tables_anew(events: Path) -> None:
    p = loaded()
    source = headrace.source(lambda: headrace.resource([{"id": 2, "lines": [{"x": 1}]}], name="orders"), name="shop")
    p.run(source(), refresh="drop_sources")
    assert {(name, change) for name, change, _ in told(p, events)} == {("orders", "DROP"), ("orders__lines", "DROP")}
    last = [event for line in events.read_text().splitlines() if (event := json.loads(line)).get("outputs")][-1]
    # the table is there again: a receiver that is told of a drop last would hide it
    assert {out["facets"]["lifecycleStateChange"]["lifecycleStateChange"] for out in last["outputs"]} == {"CREATE"}
    assert {tuple(out["outputFacets"]["headrace_write"]["lifecycle"][:2]) for out in last["outputs"]} == {
        ("DROP", "CREATE")
    }


def test_what_leaves_tables_alone(events: Path) -> None:
    p = loaded()
    p.extract([{"id": 2}], table_name="orders")
    p.drop_pending_packages()
    p.sync_destination()
    p.drop()
    p.sync_destination()
    with p.destination_client() as client:
        client.get_storage_tables(["orders"])
        client.initialize_storage()
    with p.sql_client() as session:
        session.execute_sql("DELETE FROM orders WHERE false")  # nobody reads the SQL of others
    assert told(p, events) == []


def test_nobody_is_asked_when_nobody_listens(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    p = loaded()
    p.on(hooks.TablesChanged)(seen.append)
    with p.destination_client() as client:
        client.drop_tables("orders__lines")
    assert [(event.dataset_name, event.changes) for event in seen] == [("raw", {"orders__lines": "DROP"})]
    assert not (project / "events.ndjson").exists()
