"""The graph in a file: what was added is there for others, pipelines' events are taken once, and by one process."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.observers.lineage.graph import Graph, find, view
from headrace.observers.lineage.graph.local import LocalGraph, of_files
from headrace.observers.lineage.graph.store import FILE, GraphStore
from headrace.observers.lineage.store import EventStore
from tests.lineage.graph import samples


def same(one: Graph, other: Graph) -> bool:
    return one.jobs == other.jobs and one.datasets == other.datasets and one.flows == other.flows


def test_what_is_added_is_there_for_others(tmp_path: Path) -> None:
    events = samples.everything()
    one = GraphStore(tmp_path)
    for event in events:
        assert one.add([event]) == 1
    other = GraphStore(tmp_path)
    assert same(other.graph(), Graph().add_all(events)) and other.changes == len(events)
    assert next(run.run_id for run in other.runs()) == samples.run_id(2)
    one.close()
    other.close()


def test_runs_beyond_memory_are_found(tmp_path: Path) -> None:
    store = GraphStore(tmp_path)
    store.add([e for n in range(40) for e in samples.load(100 + n, n * 10)])
    assert len(store.graph().runs) == 20 and len(list(store.runs())) == 40
    store.add(samples.load(100, 0)[1:])  # an old one again: it is no new run
    assert len(list(store.runs())) == 40
    [shop] = [j for j in view(store.graph()).jobs.values() if j.name == "shop.orders"]
    assert shop.runs[0]["run_id"] == samples.run_id(139)
    store.close()


def test_events_of_pipelines_are_taken_once(tmp_path: Path) -> None:
    events = EventStore(tmp_path / "shop" / "lineage")
    events.append(samples.load())
    graph = LocalGraph(tmp_path)
    changes = graph.refresh()
    assert changes == graph.refresh() == 1
    events.append(samples.dbt())
    assert graph.refresh() == 2
    assert len(graph.view().datasets) == 4
    graph.close()
    events.close()


def test_a_working_folder_made_anew_is_read_from_its_start(tmp_path: Path) -> None:
    import shutil

    events = EventStore(tmp_path / "shop" / "lineage")
    events.append(samples.load())
    graph = LocalGraph(tmp_path)
    graph.refresh()
    events.close()
    # what comes next is longer than what was there: the place alone would not tell
    (tmp_path / "shop" / "lineage").rename(tmp_path / "old")
    events = EventStore(tmp_path / "shop" / "lineage")
    events.append([*samples.dbt(), *samples.airflow(), *samples.spark()])
    graph.refresh()
    assert len(graph.view().datasets) == 6
    shutil.rmtree(tmp_path / "old")
    graph.close()
    events.close()


def test_half_a_line_waits_for_its_end(tmp_path: Path) -> None:
    events = EventStore(tmp_path / "shop" / "lineage")
    events.append(samples.load())
    path = tmp_path / "shop" / "lineage" / "events" / "00000000.ndjson"
    with path.open("ab") as file:
        file.write(b'{"eventType": "COMPL')
    graph = LocalGraph(tmp_path)
    graph.refresh()
    events.append(samples.dbt())
    graph.refresh()
    assert len(graph.view().datasets) == 4
    graph.close()
    events.close()


def test_many_may_add_at_once(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            store = GraphStore(tmp_path)
            for n in range(10):
                out = samples.dataset("n", f"t{number}_{n}")
                store.add([samples.event("COMPLETE", f"j{number}", number * 100 + n, n, [], [out])])
            store.close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = GraphStore(tmp_path)
    assert not errors and len(store.graph().datasets) == 40 and len(list(store.runs())) == 40
    store.close()


def test_tables_of_another_version_are_made_anew(tmp_path: Path) -> None:
    store = GraphStore(tmp_path)
    store.add(samples.load())
    store.close()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("UPDATE meta SET value = '0' WHERE key = 'version'")
    db.close()
    store = GraphStore(tmp_path)
    assert store.graph().jobs == {} and store.changes == 0
    store.close()


def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path) -> None:
    EventStore(tmp_path / "shop" / "lineage").append(samples.load())
    (tmp_path / ".lineage").write_text("a file is in the way")
    graph = LocalGraph(tmp_path)
    graph.refresh()
    assert len(graph.view().datasets) == 3
    graph.close()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / FILE).write_bytes(b"no database" * 1000)
    with pytest.raises(OSError, match=r"graph\.db cannot be used"):
        GraphStore(tmp_path / "bad")


def test_files_of_events(tmp_path: Path) -> None:
    import msgspec

    lines, listed, empty = tmp_path / "a.ndjson", tmp_path / "b.json", tmp_path / "c.txt"
    lines.write_bytes(b"\n".join(msgspec.json.encode(e) for e in samples.load()) + b"\nno event\n")
    listed.write_bytes(msgspec.json.encode(samples.dbt()))
    empty.write_text("hello")
    assert len(of_files([lines, listed]).datasets) == 4
    with pytest.raises(ValueError, match="holds no OpenLineage events"):
        of_files([empty])


# ---- a pipeline's own lineage ----


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> headrace.Pipeline:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LINEAGE__ENABLED", "true")
    monkeypatch.delenv("OPENLINEAGE_DISABLED", raising=False)

    rows = [{"id": 1, "Total Price": 10}, {"id": 2, "Total Price": 20}]
    orders: Any = headrace.resource(rows, name="orders")
    place = {"kind": "rest_api", "location": "https://api.shop.example", "endpoints": ["/orders"]}
    pipeline = headrace.pipeline("shop", destination="duckdb", dataset_name="raw", pipelines_dir=str(tmp_path / "p"))
    pipeline.run(orders.add_input(place))
    return pipeline


def test_lineage_in_the_destination_answers_questions(shop: headrace.Pipeline, tmp_path: Path) -> None:
    from headrace.observers.lineage.graph.loading import load_graph

    before = shop.default_schema.version_hash, shop.default_schema.stored_version
    headrace.lineage.flush()
    for _ in range(2):  # the second load changes nothing
        graph = LocalGraph(shop.pipelines_dir)
        graph.refresh()
        loaded = load_graph(graph, shop, None, None, shop.pipelines_dir)
        graph.close()
    assert loaded.dataset_name == "raw" and loaded.rows["_headrace_lineage_edges"] == 1
    assert (shop.default_schema.version_hash, shop.default_schema.stored_version) == before
    query = """
        SELECT target_name, target_column, count(*) FROM raw._headrace_lineage_column_edges
        WHERE source_field = 'Total Price' AND is_direct GROUP BY ALL
    """
    with shop.sql_client() as client:
        assert client.execute_sql(query) == [("shop.raw.orders", "total_price", 1)]
        runs = client.execute_sql("SELECT job_name, state, rows_written FROM raw._headrace_lineage_runs ORDER BY 1")
        types = client.execute_sql(
            "SELECT data_type FROM information_schema.columns WHERE table_name = '_headrace_lineage_runs' "
            "AND column_name IN ('started_at', 'rows_read') ORDER BY column_name"
        )
    assert runs == [("shop", "COMPLETE", None), ("shop.shop.orders", "COMPLETE", 2)]
    assert types == [("BIGINT",), ("TIMESTAMP WITH TIME ZONE",)]
    # loading lineage is no lineage: nothing is told of it
    assert not (Path(shop.pipelines_dir) / "shop_lineage" / "lineage").exists()


def test_tables_for_a_pipeline_of_ones_own(shop: headrace.Pipeline) -> None:
    headrace.lineage.flush()
    source = headrace.lineage.tables("shop", shop.pipelines_dir)
    assert {name.removeprefix("_headrace_lineage_") for name in source.resources} == {
        "runs",
        "datasets",
        "columns",
        "edges",
        "column_edges",
    }
    graph = headrace.lineage.read_graph(shop.pipelines_dir)
    assert find(graph, "raw.orders").datasets[0].endswith("|shop.raw.orders")


def test_edges_that_are_no_more_leave_the_tables(tmp_path: Path) -> None:
    from headrace.observers.lineage.graph.tables import tables

    place = headrace.destinations.duckdb(str(tmp_path / "x.duckdb"))
    pipeline = headrace.pipeline("lin", destination=place, dataset_name="d", pipelines_dir=str(tmp_path))
    out = {"namespace": "b", "name": "z"}
    both = samples.columns(c=[("a", "x", "f"), ("a", "y", "g")])
    less = samples.columns(c=[("a", "x", "f")])
    first = samples.event("COMPLETE", "j", 1, 0, [], [{**out, "facets": {"columnLineage": both}}])
    second = samples.event("COMPLETE", "j", 2, 9, [], [{**out, "facets": {"columnLineage": less}}])
    other = samples.event("COMPLETE", "k", 3, 0, [samples.dataset("a", "x")], [samples.dataset("b", "q")])
    counts = []
    for events in ([first, other], [first, second]):
        graph = Graph().add_all(events)
        pipeline.run(tables(view(graph), graph.runs.values()))
        with pipeline.sql_client() as client:
            query = "SELECT count(*) FROM d._headrace_lineage_{} WHERE source_name IS NOT NULL"
            counts.append([client.execute_sql(query.format(t))[0][0] for t in ("edges", "column_edges")])
    # the edge of another job stays, though this graph knows nothing of it
    assert counts == [[3, 2], [2, 1]]
