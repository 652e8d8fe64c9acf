"""`lineage.to_destination`: after a run its lineage is in its own destination, to be asked with SQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.pipeline import PipelineStepFailed
from headrace.observers.lineage import delivery
from tests.e2e.project import project as project

EDGES = "SELECT source_name, target_name, state FROM {}._headrace_lineage_edges ORDER BY 2, 1"
API = {"kind": "rest_api", "location": "https://api.shop.example", "endpoints": ["/orders"]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, project: Path) -> Iterator[Path]:
    """The setting is on, in a folder of its own."""
    monkeypatch.setenv("LINEAGE__TO_DESTINATION", "true")
    monkeypatch.delenv("OPENLINEAGE_DISABLED", raising=False)
    yield project
    delivery.close()


@headrace.resource(name="orders", primary_key="id", write_disposition="merge")
def _orders(ids: Any = (1,), fail: bool = False) -> Any:
    yield [{"id": one, "lines": [{"sku": "pen"}]} for one in ids]
    if fail:
        raise ValueError("the shop is closed")


def orders(ids: Any = (1,), fail: bool = False) -> Any:
    return _orders(ids, fail).add_input(API)


def rows(p: Any, query: str) -> list[tuple[Any, ...]]:
    with p.sql_client() as client:
        return list(client.execute_sql(query) or ())


def test_tables_beside_the_data(asked: Path) -> None:
    shop = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    shop.run(orders())
    wanted = [("/orders", "shop.raw.orders", "COMPLETE"), ("/orders", "shop.raw.orders__lines", "COMPLETE")]
    assert rows(shop, EDGES.format("raw")) == wanted
    states = "SELECT job_name, state FROM raw._headrace_lineage_runs ORDER BY started_at, 1"
    assert rows(shop, states) == [("shop", "COMPLETE"), ("shop.shop.orders", "COMPLETE")]
    # runs add up, edges go over those of the last time; of a failure is told by the next run that goes well
    with pytest.raises(PipelineStepFailed):
        shop.run(orders([2], fail=True))
    shop.run(orders([2]))
    assert rows(shop, EDGES.format("raw")) == wanted
    assert [state for _, state in rows(shop, states)] == ["COMPLETE"] * 2 + ["FAIL"] * 2 + ["COMPLETE"] * 2
    assert rows(shop, "SELECT id FROM raw.orders ORDER BY 1") == [(1,), (2,)]
    # nothing of the user's is touched by it
    assert headrace.pipeline() is shop
    assert not [name for name in shop.default_schema.tables if "lineage" in name]
    assert [one["name"] for one in _jobs()] == ["shop", "shop.shop.orders"], "the load of lineage tells none"


@pytest.mark.destination("postgres")
def test_on_postgres(asked: Path, postgres_server: Any) -> None:
    shop = headrace.pipeline(
        "shop", destination=headrace.destinations.postgres(str(postgres_server.database())), dataset_name="raw"
    )
    for n in range(2):
        shop.run(orders([n]))
        assert [row[1].rpartition(".")[2] for row in rows(shop, EDGES.format("raw"))] == ["orders", "orders__lines"]
    question = """
        SELECT target_column FROM raw._headrace_lineage_column_edges
        WHERE source_name = '/orders' AND target_column = 'sku' AND is_direct
    """
    assert rows(shop, question) == [("sku",)]
    assert rows(shop, "SELECT count(*) FROM raw._headrace_lineage_runs") == [(4,)]


@pytest.mark.long
def test_a_new_dataset_each_time(asked: Path) -> None:
    found = set()
    for n in range(2):
        shop = headrace.pipeline("shop", destination="duckdb", dataset_name=f"raw{n}")
        shop.run(orders([n]))
        names = [row[1] for row in rows(shop, EDGES.format(f"raw{n}"))]
        assert f"shop.raw{n}.orders" in names
        found |= set(names)
    assert len(found) == 4


def test_where_nothing_can_be_merged_tables_are_replaced_in_a_dataset_of_their_own(asked: Path) -> None:
    place = headrace.destinations.filesystem(str(asked / "lake"))
    shop = headrace.pipeline("shop", destination=place, dataset_name="raw")
    for n in range(2):
        shop.run(_orders([n]).apply_hints(write_disposition="append"))
    dataset = headrace.pipeline("shop_lineage", destination=place, dataset_name="shop_lineage").dataset()
    edges = dataset("SELECT target_name FROM _headrace_lineage_edges").fetchall()
    assert len(edges) == 2, edges
    assert dataset("SELECT count(*) FROM _headrace_lineage_runs").fetchall() == [(4,)]


def test_only_what_loads_is_written_down(asked: Path) -> None:
    shop = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    shop.extract(orders())
    shop.normalize()
    assert not (Path(shop.pipelines_dir) / "shop_lineage").exists()
    shop.load()
    assert len(rows(shop, EDGES.format("raw"))) == 2


def test_what_goes_wrong_is_a_warning_that_says_what_to_do(asked: Path, caplog: pytest.LogCaptureFixture) -> None:
    taken: list[str] = []

    @headrace.destination
    def sink(items: Any, table: Any) -> None:
        taken.append(table["name"])

    shop = headrace.pipeline("shop", destination=sink())
    assert shop.run([{"id": 1}], table_name="orders") is not None
    assert set(taken) == {"orders"}, "a function is not handed rows that are not the user's"
    [told] = [r.getMessage() for r in caplog.records if "was not written into its destination" in r.getMessage()]
    assert "keeps no tables" in told and "`headrace lineage load --destination duckdb`" in told
    assert "lineage.to_destination = false" in told


def test_a_folder_of_the_load_that_somebody_holds(
    asked: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINES__SHOP_LINEAGE__LOCK_TIMEOUT", "0")
    other = headrace.pipeline("shop_lineage")
    shop = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    with other._folder.hold(0):
        assert shop.run(orders()) is not None
    assert "headrace lineage load shop" in caplog.text
    shop.run(orders([2]))
    assert rows(shop, "SELECT count(*) FROM raw._headrace_lineage_runs") == [(4,)], "the next run makes up for it"


def test_others_tell_their_runs_meanwhile(asked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The load of lineage tells no lineage; a pipeline in another thread does at that very time."""
    from headrace.pipeline.pipeline import Pipeline

    real, ran = Pipeline.run, []

    def run(self: Any, *args: Any, **given: Any) -> Any:
        if self.pipeline_name == "shop_lineage":
            other = threading.Thread(target=lambda: ran.append(_pipe("other").run([{"id": 1}], table_name="t")))
            other.start()
            other.join()
        return real(self, *args, **given)

    monkeypatch.setattr(Pipeline, "run", run)
    _pipe("shop").run(orders())
    assert ran and {one["name"] for one in _jobs()} >= {"shop", "other"}


def _pipe(name: str) -> Any:
    return headrace.pipeline(name, destination=headrace.destinations.duckdb(f"{name}.duckdb"), dataset_name="raw")


def _jobs() -> list[dict[str, Any]]:
    from headrace.observers.lineage.graph.formats import as_json

    headrace.lineage.flush()
    return sorted(as_json(headrace.lineage.read_graph())["jobs"], key=lambda one: str(one["name"]))
