"""Finding things by name, trees for the terminal, and the forms of other programs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import msgspec
import pytest

from headrace.observers.lineage.graph import Graph, View, find, part, view
from headrace.observers.lineage.graph.formats import as_dot, as_json, as_mermaid
from headrace.observers.lineage.graph.html import as_html
from headrace.observers.lineage.graph.terminal import Tree
from headrace.observers.lineage.graph.walk import Found, NotInGraph
from tests.lineage.graph import samples
from tests.lineage.graph.samples import DWH, dataset, event

RAW, MART = f"d:{DWH}|dwh.raw.orders", f"d:{DWH}|dwh.marts.fct_orders"


@pytest.fixture(scope="module")
def graph() -> View:
    return view(Graph().add_all(samples.everything()))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("dwh.raw.orders", Found([], [RAW])),
        ("raw.orders", Found([], [RAW])),
        (f"{DWH}/dwh.raw.orders", Found([], [RAW])),
        ("fct_orders.email", Found([], [MART], "email")),
        ("raw.orders.id", Found([], [RAW], "id")),
        ("table/shop/orders", Found([], ["d:s3://lake|warehouse/orders"])),
        ("shop.orders", Found(["j:prod|shop.orders"], [])),
        ("shop", Found(["j:prod|shop", "j:prod|shop.orders"], [])),
        ("nightly", Found(["j:airflow|nightly", "j:airflow|nightly.export"], [])),
    ],
)
def test_names(graph: View, name: str, wanted: Found) -> None:
    assert find(graph, name) == wanted


def test_names_that_are_not_there_or_not_clear(graph: View) -> None:
    with pytest.raises(NotInGraph, match=r"did you mean .*fct_orders"):
        find(graph, "fct_order")
    with pytest.raises(NotInGraph, match=r"several datasets(.|\n)*https://api.shop.example//orders"):
        find(graph, "orders")


def test_parts(graph: View) -> None:
    up = part(graph, find(graph, "fct_orders"), ["upstream"])
    assert {n.name for n in up.datasets.values()} == {"dwh.marts.fct_orders", "dwh.raw.orders", "/orders"}
    near = part(graph, find(graph, "fct_orders"), ["upstream"], 1)
    assert {n.name for n in near.datasets.values()} == {"dwh.marts.fct_orders", "dwh.raw.orders"}
    column = part(graph, find(graph, "fct_orders.email"), ["upstream", "downstream"])
    assert {(e.field, e.column) for e in column.columns} == {
        ("customer.email", "customer__email"),
        ("customer__email", "email"),
        ("email", ""),
    }
    job = part(graph, find(graph, "shop"), ["downstream"])
    assert "j:airflow|nightly.export" in job.jobs and len(job.datasets) == 6


def test_the_tree_of_a_table(graph: View) -> None:
    lines = list(Tree(graph).lines(find(graph, "fct_orders"), ["upstream", "downstream"]))
    assert lines == [
        "dwh.marts.fct_orders  done 2026-11-21 10:01  90 rows",
        "postgres://dwh:5432",
        "",
        "comes from",
        "└─ dwh.raw.orders  by dwh.marts.shop.fct_orders  done 2026-11-21 10:01  90 rows",
        "   └─ https://api.shop.example/orders  by shop.orders  done 2026-11-21 10:00  100 rows",
        "",
        "goes into",
        "├─ orders/daily  by nightly.export  done 2026-11-21 10:02",
        "└─ warehouse/orders  by spark.append  done 2026-11-21 10:03",
        "   └─ only read  by dashboard  done 2026-11-21 10:03",
    ]


def test_the_tree_of_a_column(graph: View) -> None:
    lines = list(Tree(graph).lines(find(graph, "fct_orders.order_id"), ["upstream", "downstream"]))
    assert lines[4:6] == ["└─ dwh.raw.orders  id", "   └─ https://api.shop.example/orders  id"]
    assert lines[-1] == "└─ warehouse/orders  order_id"
    one_step = list(Tree(graph, depth=1).lines(find(graph, "fct_orders.order_id"), ["upstream"]))
    assert one_step[-1] == "└─ dwh.raw.orders  id"


def test_the_tree_of_jobs_with_columns(graph: View) -> None:
    lines = list(Tree(graph, columns=True).lines(find(graph, "shop"), ["upstream"]))
    assert lines == [
        "shop.orders  done 2026-11-21 10:00",
        "├─ dwh.raw.orders  100 rows",
        "│  │  id              ◂ https://api.shop.example/orders  id",
        "│  │  customer__email ◂ https://api.shop.example/orders  customer.email",
        "│  │  _dlt_id         ◂ made by the job",
        "│  └─ ◂ https://api.shop.example/orders",
        "└─ dwh.raw.orders__lines  200 rows",
        "   │  sku ◂ https://api.shop.example/orders  lines._element.sku",
        "   └─ ◂ https://api.shop.example/orders",
    ]


def test_circles_end() -> None:
    round_trip = [
        event("COMPLETE", "a", 1, 0, [dataset("n", "x")], [dataset("n", "y")]),
        event("COMPLETE", "b", 2, 0, [dataset("n", "y")], [dataset("n", "x")]),
    ]
    graph = view(Graph().add_all(round_trip))
    lines = list(Tree(graph).lines(find(graph, "x"), ["upstream"]))
    assert lines[-2:] == [
        "└─ y  by a  done 2026-11-21 10:00".replace("by a", "by b"),
        "   └─ x  by a  done 2026-11-21 10:00  (above)",
    ]


def test_names_do_not_steer_the_terminal() -> None:
    graph = view(
        Graph().add_all([event("COMPLETE", "j\x1b[2J", 1, 0, [dataset("n", "x\nforged")], [dataset("n", "y\x07")])])
    )
    text = "\n".join(Tree(graph, columns=True).lines(None, ["upstream"]))
    assert "\x1b" not in text and "\x07" not in text and "x\\nforged" in text


EVIL = 'a"];\nb --> c\\"<b>\x00'


def test_names_do_not_leave_mermaid_or_dot() -> None:
    given = [
        event(
            "COMPLETE",
            EVIL,
            1,
            0,
            [dataset("n", EVIL, {EVIL: "int"})],
            [dataset("n", "y", columnLineage=samples.columns(c=[("n", EVIL, EVIL)]))],
        )
    ]
    graph = view(Graph().add_all(given))
    for columns in (False, True):
        mermaid = as_mermaid(graph, columns)
        assert all(line.count('"') in (0, 2) for line in mermaid.splitlines()) and "<b>" not in mermaid
        dot = as_dot(graph, columns)
        assert dot.count("\n") == len([line for line in dot.splitlines() if line]) and "\x00" not in dot
        if shutil.which("dot"):
            subprocess.run(["dot", "-Tsvg"], input=dot.encode(), check=True, capture_output=True, timeout=60)


def test_mermaid_and_dot(graph: View) -> None:
    mermaid = as_mermaid(part(graph, find(graph, "shop"), ["upstream"]))
    assert mermaid.startswith("flowchart LR\n") and mermaid.count("-->") == 3 and '(["shop.orders"])' in mermaid
    assert 'label="raw.orders"' in as_dot(graph) and as_dot(graph).count("->") == 10
    assert as_mermaid(graph, True).count("-.->") == 1


def test_each_column_is_one_node_of_mermaid(graph: View) -> None:
    lines = as_mermaid(graph, True).splitlines()
    label, table = {}, ""
    for line in lines:
        if found := re.match(r'\s+subgraph t\d+\["(.*)"\]', line):
            table = found[1]
        elif found := re.match(r'\s+(c\d+_\d+)\["(.*)"\]', line):
            assert found[1] not in label
            label[found[1]] = f"{table}.{found[2]}"
    arrows = [re.fullmatch(r"\s+(\w+) (?:-->|-\.->) (\w+)", line) for line in lines]
    drawn = {(label[one[1]], label[one[2]]) for one in arrows if one}
    name = {i: node.label for i, node in graph.datasets.items()}
    assert drawn == {
        (f"{name[e.source]}.{e.field}", f"{name[e.target]}.{e.column or '(all rows)'}") for e in graph.columns
    }


def test_a_chain_of_any_length_is_drawn() -> None:
    length = 3_000
    steps = [
        event("COMPLETE", f"j{n}", n, n, [dataset("n", f"t{n}")], [dataset("n", f"t{n + 1}")]) for n in range(length)
    ]
    chain = view(Graph().add_all(steps))
    lines = list(Tree(chain).lines(find(chain, f"t{length}"), ["upstream"]))
    assert len(lines) == length + 4 and lines[-1].endswith("└─ t0  by j0  done 2026-11-21 10:00")
    few = list(Tree(chain, depth=2).lines(find(chain, "t5"), ["upstream"]))
    assert [line.split()[1] for line in few[4:]] == ["t4", "t3"]


def test_a_job_that_failed_says_why_although_it_wrote_nothing() -> None:
    error = {"errorMessage": {"message": "no such host\nTraceback", "programmingLanguage": "python"}}
    parent = {"run": {"runId": samples.run_id(1)}, "job": {"namespace": "prod", "name": "shop"}}
    failed = event("FAIL", "shop.orders", 2, 0, run_facets={"parent": parent, **error})
    graph = view(Graph().add_all([event("START", "shop", 1, 0), failed]))
    for asked in (None, find(graph, "shop"), find(graph, "shop.orders")):
        lines = list(Tree(graph).lines(asked, ["upstream"]))
        assert lines == ["shop.orders  failed 2026-11-21 10:00", "!  no such host"]


def test_where_nothing_is_known_nothing_is_said_to_be_made() -> None:
    lineage = samples.columns(a=[], _dlt_id=[])
    out = dataset("n", "t", {"a": "text", "_dlt_id": "text"}, columnLineage=lineage)
    graph = view(Graph().add_all([event("COMPLETE", "j", 1, 0, [], [out])]))
    lines = list(Tree(graph, columns=True).lines(find(graph, "j"), ["upstream"]))
    assert lines[1:] == [
        "└─ t  no source is known",
        "      a       ◂ no source is known",
        "      _dlt_id ◂ made by the job",
    ]


def test_datasets_of_no_job_are_shown_too() -> None:
    one = {"eventTime": samples.at(0), "dataset": dataset("n", "by_hand"), "producer": "x", "schemaURL": "y"}
    lines = list(Tree(view(Graph().add_all([one]))).lines(None, ["upstream"]))
    assert lines[-2:] == ["of no job that is known", "└─ by_hand"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Customer__Email", "did you mean `raw.orders.customer__email`"),
        ("FCT_ORDERS", "did you mean `marts.fct_orders`"),
        ("fct_order", "did you mean `marts.fct_orders`"),
        ("what is this", "shows all"),
    ],
)
def test_what_may_have_been_meant(graph: View, name: str, says: str) -> None:
    with pytest.raises(NotInGraph) as caught:
        find(graph, name)
    assert says in str(caught.value)


def test_an_empty_graph_says_how_it_is_filled() -> None:
    with pytest.raises(NotInGraph, match="the graph is empty") as caught:
        find(view(Graph()), "orders")
    assert "`lineage.enabled = true`" in str(caught.value)


def test_a_namespace_map_with_a_star_joins_in_the_graph_too() -> None:
    steps = [
        event("COMPLETE", "a", 1, 0, [], [dataset("postgres://old-1:5432", "d.t")]),
        event("COMPLETE", "b", 2, 1, [dataset("postgres://new-1:5432", "d.t")], [dataset("n", "u")]),
    ]
    found = view(Graph().add_all(steps), {"postgres://old-*": "postgres://new-*"}).datasets.values()
    assert sorted((one.namespace, one.name) for one in found) == [("n", "u"), ("postgres://new-1:5432", "d.t")]


def test_json_is_the_whole_graph(graph: View) -> None:
    document = json.loads(msgspec.json.encode(as_json(graph)))
    assert {one["id"] for one in document["datasets"]} == set(graph.datasets)
    [edge] = [one for one in document["columns"] if one["column"] == "customer__email"]
    assert edge["field"] == "customer.email" and edge["job"] == "j:prod|shop.orders"
    assert {(one["source"], one["target"]) for one in document["edges"]} >= {("d:s3://lake|warehouse/orders", None)}


def test_the_page_holds_no_markup_of_names() -> None:
    evil = "</script><script>alert(1)</script><!--"
    page = as_html(view(Graph().add_all([event("COMPLETE", evil, 1, 0, [dataset("n", evil)])])), evil)
    assert page.count("<script") == 2 and "alert(1)" in page and "http-equiv" in page
    assert "src=" not in page and "@import" not in page and "@@" not in page
