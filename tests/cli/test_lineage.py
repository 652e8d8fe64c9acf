"""`headrace lineage`: the graph of pipelines that ran here, as trees and as files."""

from __future__ import annotations

import json
from typing import Any

import pytest

import headrace
from tests.cli.conftest import Cli
from tests.cli.test_keys import LINEAGE, promised
from tests.lineage.graph import samples

SCRIPT = """
import headrace

@headrace.source
def shop():
    @headrace.resource(primary_key="id", write_disposition="merge")
    def orders():
        yield [{"id": 1, "customer": {"name": "ada"}, "items": [{"sku": "pen"}]}]

    return orders

pipeline = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
"""


@pytest.fixture
def told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A pipeline that told its lineage, and what dbt made of its table."""
    monkeypatch.setenv("LINEAGE__ENABLED", "true")
    monkeypatch.delenv("OPENLINEAGE_DISABLED", raising=False)
    cli.write("shop.py", SCRIPT)
    cli("run", "shop.py", "--source", "shop")
    headrace.lineage.flush()
    return cli


def test_show(told: Cli) -> None:
    out = told("lineage", "show", "shop").out
    assert "shop.shop.orders  done" in out and "├─ shop.raw.orders  1 row" in out and "└─ shop.raw.orders__items" in out
    assert "customer__name" in told("lineage", "show", "raw.orders", "--columns").out
    out = told("lineage", "show", "raw.orders.customer__name", "--upstream").out
    assert out.startswith("shop.raw.orders.customer__name  VARCHAR") and "goes into" not in out
    document = told.json("lineage", "show", "shop")
    assert set(document) == {"datasets", "jobs", "edges", "columns"} and len(document["datasets"]) == 2


def test_names_that_are_not_there(told: Cli) -> None:
    answer = told("lineage", "show", "ordrs", code=1)
    assert "no dataset, column or job `ordrs`" in answer.err and "did you mean" in answer.err
    assert told("lineage", "show", "ordrs", "--json", code=1).json["error"]["type"] == "NotInGraph"


def test_parts_of_names(told: Cli) -> None:
    assert told("lineage", "show", "shop.orders").out == told("lineage", "show", "shop").out


def test_files_that_cannot_be(told: Cli) -> None:
    assert (
        "`.svg` is that of no format: give --format html|mermaid|dot|json"
        in told("lineage", "export", "-o", "g.svg", code=2).err
    )
    told("lineage", "export", "-o", "g.svg", "--format", "html")
    (told.folder / "file").write_text("")
    assert "cannot be written" in told("lineage", "export", "-o", "file/g.html", code=1).err


def test_reading_makes_no_folder(cli: Cli) -> None:
    answer = cli("lineage", "show", "--pipelines-dir", "nowhere")
    assert "nowhere" in answer.out and "--pipelines-dir" in answer.err
    assert "the graph is empty" in cli("lineage", "show", "orders", "--pipelines-dir", "nowhere", code=1).err
    assert "does not exist" in cli("lineage", "show", "--store", "nowhere", code=2).err
    assert not (cli.folder / "nowhere").exists()


def test_without_lineage(cli: Cli) -> None:
    answer = cli("lineage", "show")
    assert "no lineage here yet" in answer.out and "lineage.enabled" in answer.err
    assert cli.json("lineage", "show")["datasets"] == []


@pytest.mark.parametrize(
    ("file", "begins"),
    [
        ("g.html", "<!doctype html>"),
        ("g.mmd", "flowchart LR"),
        ("g.dot", "digraph"),
        ("g.json", "{"),
        ("g", "<!doctype"),
    ],
)
def test_export(told: Cli, file: str, begins: str) -> None:
    assert "2 datasets, 2 jobs" in told("lineage", "export", "-o", f"sub/{file}").out
    assert (told.folder / "sub" / file).read_text().startswith(begins)
    document = told.json("lineage", "export", "raw.orders", "--upstream", "-o", file)
    assert document["file"] == file and document["datasets"] == 1
    assert told("lineage", "export", "--format", "mermaid").out.startswith("flowchart LR")


def test_events_of_a_file(cli: Cli) -> None:
    cli.write("events.ndjson", "\n".join(json.dumps(one) for one in samples.everything()))
    out = cli("lineage", "show", "fct_orders", "--events", "events.ndjson").out
    assert "└─ dwh.raw.orders  by dwh.marts.shop.fct_orders  done" in out
    cli.write("none.txt", "hello")
    assert "holds no OpenLineage events" in cli("lineage", "show", "--events", "none.txt", code=1).err


def test_plan(told: Cli) -> None:
    lines = told("lineage", "plan", "shop.py").out.splitlines()
    events: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert all("run" not in one and one["job"]["name"].startswith("shop") for one in events)
    names = [out["name"] for one in events for out in one.get("outputs", [])]
    assert "shop.raw.orders" in names
    assert told.json("lineage", "plan", "shop.py", "-o", "p.ndjson") == {"file": "p.ndjson", "events": len(events)}
    assert "raw.orders" in told("lineage", "show", "--events", "p.ndjson").out


def test_load(told: Cli) -> None:
    document = told.json("lineage", "load", "shop")
    assert document["dataset_name"] == "raw" and document["tables"]["_headrace_lineage_edges"] == 2
    with headrace.attach("shop").sql_client() as client:
        query = "SELECT target_name, state FROM raw._headrace_lineage_edges ORDER BY 1"
        assert client.execute_sql(query) == [("shop.raw.orders", "COMPLETE"), ("shop.raw.orders__items", "COMPLETE")]
    assert "Say where to" in told("lineage", "load", code=2).err
    other = told.json("lineage", "load", "--destination", "duckdb", "--dataset-name", "meta")
    assert other["dataset_name"] == "meta" and other["tables"]["_headrace_lineage_runs"] == 2


def test_replay(told: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no receiver is configured" in told("lineage", "replay", code=1).err
    monkeypatch.setenv("LINEAGE__PATH", str(told.folder / "sent.ndjson"))
    [done] = told.json("lineage", "replay", "--all")["replayed"]
    assert done["sent"] > 0 and done["left"] == 0 and done["pipeline"] == "shop"
    assert len((told.folder / "sent.ndjson").read_text().splitlines()) == done["sent"]


@pytest.mark.parametrize("command", LINEAGE)
def test_keys(told: Cli, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEAGE__PATH", str(told.folder / "sent.ndjson"))
    assert set(told.json(*LINEAGE[command])) == promised()[command]
