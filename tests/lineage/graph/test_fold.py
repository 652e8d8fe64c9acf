"""What the graph makes of events: of any producer, in any order, sent twice, or only in part."""

from __future__ import annotations

import random
from typing import Any

import pytest

from headrace.observers.lineage.graph import Graph, View, view
from headrace.observers.lineage.graph.reading import instant
from tests.lineage.graph import samples
from tests.lineage.graph.samples import API, DWH, ORDERS, columns, dataset, event, written

RAW, LINES, MART = f"d:{DWH}|dwh.raw.orders", f"d:{DWH}|dwh.raw.orders__lines", f"d:{DWH}|dwh.marts.fct_orders"
SOURCE = f"d:{API}|/orders"


def made(*events: samples.Event) -> View:
    return view(Graph().add_all(events))


def edges(graph: View) -> set[tuple[str, str, str]]:
    return {(e.source, e.target, e.basis) for e in graph.edges}


def column_edges(graph: View) -> set[tuple[str, str, str, str]]:
    return {(e.source, e.field, e.target, e.column) for e in graph.columns}


def test_explicit_lineage_is_the_graph() -> None:
    graph = made(*samples.load())
    assert edges(graph) == {(SOURCE, RAW, "explicit"), (SOURCE, LINES, "explicit")}
    assert column_edges(graph) == {
        (SOURCE, "id", RAW, "id"),
        (SOURCE, "customer.email", RAW, "customer__email"),
        (SOURCE, "lines._element.sku", LINES, "sku"),
    }
    [generated] = [c.name for c in graph.datasets[RAW].columns if c.generated]
    assert generated == "_dlt_id"
    assert {e.target: (e.rows, e.state) for e in graph.edges} == {RAW: (100, "COMPLETE"), LINES: (200, "COMPLETE")}
    job = graph.jobs["j:prod|shop.orders"]
    assert job.parent == ("prod", "shop") and job.state == "COMPLETE"
    [run] = job.runs
    assert run["started_at"] == instant(samples.at(0)) and run["ended_at"] == instant(samples.at(5))
    assert run["rows_written"] == 300 and run["parent_run_id"] == samples.run_id(1)


def test_producers_meet_in_one_graph() -> None:
    graph = made(*samples.everything())
    lake = "d:s3://lake|warehouse/orders"
    assert edges(graph) == {
        (SOURCE, RAW, "explicit"),
        (SOURCE, LINES, "explicit"),
        (RAW, MART, "columns"),
        (MART, "d:s3://reports|orders/daily", "run"),  # Airflow told datasets on START only
        (MART, lake, "columns"),
        (lake, "", "run"),  # the dashboard reads the table by its name in the catalog
    }
    assert [n.name for n in graph.datasets[lake].names] == ["table/shop/orders"]
    indirect = [e for e in graph.columns if not e.is_direct]
    assert [(e.field, e.target, e.column) for e in indirect] == [("email", lake, "")]


@pytest.mark.parametrize("seed", range(6))
def test_order_and_repetition_change_nothing(seed: int) -> None:
    events = [*samples.everything(), *samples.load(3, 300, rows=7)]
    wanted = made(*events)
    shuffled = [*events, *events[:7]]
    random.Random(seed).shuffle(shuffled)
    got = made(*shuffled)
    assert edges(got) == edges(wanted) and column_edges(got) == column_edges(wanted)
    assert {i: (d.state, d.rows, d.written_at) for i, d in got.datasets.items()} == {
        i: (d.state, d.rows, d.written_at) for i, d in wanted.datasets.items()
    }
    assert {i: (j.state, j.at, j.runs) for i, j in got.jobs.items()} == {
        i: (j.state, j.at, j.runs) for i, j in wanted.jobs.items()
    }


def test_a_run_that_failed_forgets_nothing() -> None:
    graph = made(*samples.load(), *samples.load(3, 100, "FAIL"))
    assert edges(graph) == edges(made(*samples.load()))
    job = graph.jobs["j:prod|shop.orders"]
    assert job.state == "FAIL" and job.runs[0]["error"] == "the server is gone"
    # what was written before is still what is there
    assert graph.datasets[RAW].state == "COMPLETE" and graph.datasets[RAW].rows == 100


def test_a_run_without_new_rows_forgets_nothing() -> None:
    api = dataset(API, "/orders")
    nothing = event("COMPLETE", "shop.orders", 4, 100, [api])
    graph = made(*samples.load(), nothing)
    assert edges(graph) == edges(made(*samples.load()))
    assert graph.jobs["j:prod|shop.orders"].at == instant(samples.at(100))


def test_a_source_that_is_not_read_any_more_leaves() -> None:
    out = dataset(DWH, "t", columnLineage=columns(a=[(DWH, "one", "a")], b=[(DWH, "two", "b")]))
    ins = [dataset(DWH, "one"), dataset(DWH, "two")]
    less = dataset(DWH, "t", columnLineage=columns(a=[(DWH, "one", "a")]))
    graph = made(event("COMPLETE", "j", 1, 0, ins, [out]), event("COMPLETE", "j", 2, 10, ins[:1], [less]))
    assert edges(graph) == {(f"d:{DWH}|one", f"d:{DWH}|t", "columns")}
    assert column_edges(graph) == {(f"d:{DWH}|one", "a", f"d:{DWH}|t", "a")}


def test_less_sure_knowledge_replaces_no_surer() -> None:
    ins = [dataset(DWH, "one"), dataset(DWH, "two")]
    sure = dataset(DWH, "t", columnLineage=columns(a=[(DWH, "one", "a"), (DWH, "two", "a")]))
    graph = made(
        event("COMPLETE", "j", 1, 0, ins, [sure]),
        event("COMPLETE", "j", 2, 10, [*ins, dataset(DWH, "log")], [dataset(DWH, "t")]),
    )
    assert edges(graph) == {(f"d:{DWH}|{n}", f"d:{DWH}|t", "columns") for n in ("one", "two")}


def test_without_lineage_all_inputs_feed_all_outputs() -> None:
    graph = made(event("COMPLETE", "j", 1, 0, [dataset("a", "x"), dataset("a", "y")], [dataset("b", "z")]))
    assert edges(graph) == {("d:a|x", "d:b|z", "run"), ("d:a|y", "d:b|z", "run")}


def test_an_input_that_no_column_mentions_was_read_all_the_same() -> None:
    out = dataset("b", "z", columnLineage=columns(a=[("a", "x", "a")]))
    graph = made(event("COMPLETE", "j", 1, 0, [dataset("a", "x"), dataset("a", "log")], [out]))
    assert edges(graph) == {("d:a|x", "d:b|z", "columns"), ("d:a|log", "d:b|z", "run")}


def test_explicit_lineage_knows_of_no_other_edges() -> None:
    entry = {
        "type": "DATASET",
        "namespace": "b",
        "name": "z",
        "inputs": [{"type": "DATASET", "namespace": "a", "name": "x"}],
    }
    graph = made(
        event(
            "COMPLETE",
            "j",
            1,
            0,
            [dataset("a", "x"), dataset("a", "y")],
            [dataset("b", "z"), dataset("b", "alone")],
            job_facets={"lineage": {"entries": [entry]}},
        )
    )
    assert edges(graph) == {("d:a|x", "d:b|z", "explicit"), ("", "d:b|alone", "run")}


def test_jobs_can_be_declared_before_they_run() -> None:
    declared = event("START", "shop.orders", 1, 0, [dataset(API, "/orders")], [dataset(*ORDERS)])
    del declared["run"], declared["eventType"]
    graph = made(declared)
    assert edges(graph) == {(SOURCE, RAW, "run")}
    assert graph.edges[0].state == "" and graph.jobs["j:prod|shop.orders"].runs == []
    assert edges(made(declared, *samples.load())) == {(SOURCE, RAW, "explicit"), (SOURCE, LINES, "explicit")}


def test_datasets_that_are_dropped_are_marked() -> None:
    def of(change: str, seconds: float) -> samples.Event:
        about = dataset(*ORDERS, lifecycleStateChange={"lifecycleStateChange": change})
        return {"eventTime": samples.at(seconds), "producer": "p", "schemaURL": "s", "dataset": about}

    gone = made(*samples.load(), of("DROP", 50))
    assert gone.datasets[RAW].dropped_at == instant(samples.at(50))
    assert not made(*samples.load(), of("DROP", 50), *samples.load(3, 60)).datasets[RAW].dropped_at
    assert not made(of("DROP", -50), *samples.load()).datasets[RAW].dropped_at


def test_lineage_of_a_dataset_alone_can_be_said_and_taken_back() -> None:
    def of(seconds: float, **facet: Any) -> samples.Event:
        given = {"eventTime": samples.at(seconds), "producer": "p", "schemaURL": "s"}
        return {**given, "dataset": dataset("b", "z", lineage=facet)}

    source = {"type": "DATASET", "namespace": "a", "name": "x"}
    said = of(0, inputs=[source], fields={"c": {"inputs": [{**source, "field": "f"}]}})
    graph = made(said)
    assert edges(graph) == {("d:a|x", "d:b|z", "explicit")} and graph.edges[0].job == ""
    assert column_edges(graph) == {("d:a|x", "f", "d:b|z", "c")}
    assert made(said, of(5, _deleted=True)).edges == []


def test_a_newer_facet_stays_whatever_comes_later() -> None:
    new, old = dataset("a", "x", {"id": "int", "more": "int"}), dataset("a", "x", {"id": "int"})
    graph = made(event("COMPLETE", "j", 2, 100, [new]), event("COMPLETE", "j", 1, 0, [old]))
    assert [c.name for c in graph.datasets["d:a|x"].columns] == ["id", "more"]


def test_nested_fields_have_dots_and_tags() -> None:
    nested = [
        {
            "name": "lines",
            "type": "array",
            "fields": [{"name": "_element", "type": "struct", "fields": [{"name": "sku"}]}],
        }
    ]
    given = dataset(
        "a", "x", schema={"fields": nested}, tags={"tags": [{"key": "pii", "value": "true", "field": "lines"}]}
    )
    graph = made(event("COMPLETE", "j", 1, 0, [given]))
    assert [c.name for c in graph.datasets["d:a|x"].columns] == ["lines", "lines._element", "lines._element.sku"]
    assert graph.datasets["d:a|x"].columns[0].tags == ["pii"]


def of_symlink(name: str, alias: str, kind: str) -> dict[str, Any]:
    return dataset(
        "sqlite:///x.db", name, symlinks={"identifiers": [{"namespace": "file", "name": alias, "type": kind}]}
    )


def test_a_place_that_two_tables_share_joins_nothing() -> None:
    tables = [of_symlink("main.a", "/x.db", "LOCATION"), of_symlink("main.b", "/x.db", "LOCATION")]
    graph = made(event("COMPLETE", "j", 1, 0, [dataset("file", "/x.db")], tables))
    assert {d.name for d in graph.datasets.values()} == {"main.a", "main.b", "/x.db"}
    alone = made(
        event("COMPLETE", "j", 1, 0, [dataset("s", "y")], tables[:1]),
        event("COMPLETE", "k", 2, 0, [dataset("file", "/x.db")]),
    )
    assert {d.name for d in alone.datasets.values()} == {"main.a", "y"}


def test_namespaces_can_be_mapped() -> None:
    events = [
        event("COMPLETE", "a", 1, 0, [], [dataset("postgres://10.0.0.5:5432", "dwh.raw.t")]),
        event("COMPLETE", "b", 2, 0, [dataset("postgres://db:5432", "dwh.raw.t")], [dataset("b", "z")]),
    ]
    graph = view(Graph().add_all(events), {"postgres://10.0.0.5:5432": "postgres://db:5432"})
    assert sorted(graph.datasets) == ["d:b|z", "d:postgres://db:5432|dwh.raw.t"]


def test_what_is_no_event_is_passed_over() -> None:
    graph = Graph()
    bad: list[Any] = [None, 1, [], {}, {"job": 1}, {"job": {"name": 5}, "run": []}, {"dataset": {"name": "x"}}]
    assert not any(graph.add(one) for one in bad)
    odd = event("COMPLETE", "j", 1, 0, [1, {"namespace": "a"}, dataset("a", "x")], [dataset("b", "z")])
    odd["eventTime"] = "yesterday"
    odd["outputs"][0]["facets"] = {
        "schema": {"fields": "none"},
        "columnLineage": {"fields": {"c": {"inputFields": [None]}}},
    }
    odd["job"]["facets"] = {"lineage": {"entries": [None, {"type": "DATASET"}]}, "jobType": None}
    assert graph.add(odd) and edges(view(graph)) == {("d:a|x", "d:b|z", "run")}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00.000000Z"),
        ("2026-11-21T11:00:00.123456789+01:00", "2026-11-21T10:00:00.123456Z"),
        ("2026-11-21T10:00:00.5Z", "2026-11-21T10:00:00.500000Z"),
        ("2026-11-21T10:00:00", "2026-11-21T10:00:00.000000Z"),
        ("soon", "0000"),
        (None, "0000"),
    ],
)
def test_instants(text: Any, wanted: str) -> None:
    assert instant(text) == wanted


def test_numbers_of_the_last_event_stay() -> None:
    one = written(dataset("b", "z"), 10)
    graph = made(
        event("RUNNING", "j", 1, 1, [], [written(dataset("b", "z"), 4)]), event("COMPLETE", "j", 1, 2, [], [one])
    )
    assert graph.datasets["d:b|z"].rows == 10
    late = made(
        event("COMPLETE", "j", 1, 2, [], [one]), event("RUNNING", "j", 1, 1, [], [written(dataset("b", "z"), 4)])
    )
    assert late.datasets["d:b|z"].rows == 10
