"""What dlt's own sources and destinations read and write, against what is really there."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.lineage.dlt.lab import Lab, columns, edges, long, written


class _Api(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        answer = {
            "/v1/users": b'[{"Id": 1, "address": {"city": "x"}}, {"Id": 2, "address": {"city": "y"}}]',
            "/v1/users/1/orders": b'[{"n": 10}]',
            "/v1/users/2/orders": b'[{"n": 20}, {"n": 21}]',
        }[path]
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Api)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def test_rest_api_endpoints_are_inputs(lab: Lab, api: int) -> None:
    """10: endpoints and the parent of a dependent one; columns are not claimed, and the number of them is told."""
    lab.run(
        """
        from dlt.sources.rest_api import rest_api_source
        source = rest_api_source({
            "client": {"base_url": f"http://127.0.0.1:{port}/v1", "paginator": "single_page"},
            "resources": [
                {"name": "users", "endpoint": {"path": "users", "params": {"api_key": "SECRET-TOKEN-1"}}},
                {"name": "orders", "endpoint": {"path": "users/{resources.users.Id}/orders"}},
            ],
        })
        pipeline().run(source)
        """,
        port=api,
    )
    users, orders = lab.one("users"), lab.one("orders")
    space = f"http://127.0.0.1:{api}"
    assert [(i["namespace"], i["name"]) for i in users.inputs] == [(space, "/v1/users")]
    own, parent = sorted(orders.inputs, key=lambda i: -len(i["name"]))
    assert own["name"].startswith("/v1/users/{") and own["name"].endswith("/orders")
    assert parent["name"] == "/v1/users"
    assert edges(users) == {"users": ["/v1/users"]}
    assert set(edges(orders)["orders"]) == {own["name"], parent["name"]}
    told = columns(written(users)["users"])
    assert "id" not in told and told["_dlt_id"] == []  # `Id` or `id`: nobody knows any more
    assert "2" in users.facet("extractionError")["errors"][0]["errorMessage"]
    assert "SECRET-TOKEN" not in (lab.folder / "events.ndjson").read_text()
    assert lab.outputs() == lab.rows() == {"raw.users": 2, "raw.orders": 3}
    lab.check()


def test_files_are_inputs_of_the_resource_that_writes(lab: Lab) -> None:
    """dlt counts the folder to the hidden resource that lists it: the edge follows the way of the items."""
    (lab.folder / "in/a").mkdir(parents=True)
    (lab.folder / "in/a/1.jsonl").write_text('{"x": 1}\n{"x": 2}\n')
    lab.run(
        """
        from dlt.sources.filesystem import filesystem, read_jsonl
        pipeline().run((filesystem(bucket_url="in", file_glob="a/*.jsonl") | read_jsonl()).with_name("js"))
        """
    )
    run = lab.one("js")
    (source,) = run.inputs
    assert (source["namespace"], source["name"]) == ("file", f"{lab.folder}/in/a")
    assert source["inputFacets"]["subset"]["inputCondition"]["locations"] == ["a/*.jsonl"]
    assert edges(run) == {"js": [source["name"]]}
    assert [one.job for one in lab.stream.resources] == ["p.filesystem.js"] or len(lab.stream.resources) == 1
    assert lab.outputs() == lab.rows() == {"raw.js": 2}
    lab.check()


def test_a_transformer_reads_what_its_parent_reads(lab: Lab) -> None:
    """A generator has no invented input, and neither has what is made of its items."""
    lab.run(
        """
        @dlt.resource(selected=False)
        def numbers(): yield from [1, 2, 3]
        @dlt.transformer(data_from=numbers)
        def squares(n): yield {"n": n, "square": n * n}
        pipeline().run(squares)
        """
    )
    assert [run.job.rpartition(".")[2] for run in lab.stream.resources] == ["squares"]
    assert lab.one("squares").inputs == [] and edges(lab.one("squares")) == {"squares": ["JOB"]}
    assert lab.outputs() == lab.rows() == {"raw.squares": 3}
    lab.check()


def test_two_columns_of_one_normalized_name_are_not_claimed(lab: Lab) -> None:
    """Columns are claimed when they are certain, and only then."""
    with sqlite3.connect(lab.folder / "src.db") as db:
        db.executescript('create table t("A b" int, a_b int, "C" int); insert into t values (1, 2, 3)')
    lab.run(
        """
        from dlt.sources.sql_database import sql_database
        pipeline().run(sql_database("sqlite:///src.db", table_names=["t"]))
        """
    )
    run = lab.one("t")
    told = columns(written(run)["t"])
    assert told["c"] == ["C"] and "a_b" not in told
    assert "1" in run.facet("extractionError")["errors"][0]["errorMessage"]
    lab.check()


def test_sqlite_and_files_as_destinations(lab: Lab) -> None:
    """Names and rows as the stores have them."""
    lab.run(
        """
        data = [{"i": 1}, {"i": 2}]
        pipeline("s", dlt.destinations.sqlalchemy(f"sqlite:///{os.getcwd()}/out.sqlite")).run(data, table_name="t")
        pipeline("f", dlt.destinations.filesystem("files")).run(data, table_name="t")
        """
    )
    found = {run.job: run.outputs[0] for run in lab.stream.resources}
    lite = found["s.s.t"]
    path = lite["namespace"].removeprefix("sqlite://")
    with sqlite3.connect(path) as db:
        assert db.execute(f"select count(*) from {lite['name'].rpartition('.')[2]}").fetchone() == (2,)
    assert lite["outputFacets"]["outputStatistics"]["rowCount"] == 2
    files = found["f.f.t"]
    folder = lab.folder / files["name"].removeprefix(f"{lab.folder}/")
    assert files["namespace"] == "file" and sum(1 for _ in folder.iterdir()) == 1
    assert not lab.verdict().findings


def test_a_merge_that_fails_behind_its_files_wrote_nothing(lab: Lab) -> None:
    """The files are in the staging dataset; the table has none of them."""
    lab.run(
        """
        @dlt.resource(write_disposition="merge", primary_key="id")
        def m(): yield [{"id": 1}]
        import dlt.destinations.sql_jobs as jobs
        real = jobs.SqlMergeFollowupJob.generate_sql
        jobs.SqlMergeFollowupJob.generate_sql = classmethod(lambda cls, *a, **k: ["select nonsense"])
        try:
            pipeline().run(m(), loader_file_format=None)
        except Exception:
            pass
        p = pipeline()
        if p.list_normalized_load_packages():
            p.abort_packages()
        """,
        {"LOAD__RAISE_ON_FAILED_JOBS": "false"},
    )
    assert lab.rows().get("raw.m", 0) == 0
    assert lab.one("m").end == "FAIL" and lab.one("m").outputs == []
    lab.check()


@long
def test_several_resources_of_a_failed_extract(lab: Lab) -> None:
    """The one at fault fails, the others are stopped; nothing is in the destination."""
    lab.run(
        """
        @dlt.resource
        def fine(): yield {"a": 1}
        @dlt.resource
        def broken():
            yield {"a": 1}
            raise ValueError("no")
        try:
            pipeline().run([fine(), broken()])
        except Exception:
            pass
        pipeline().run([{"b": 1}], table_name="later")
        """
    )
    assert lab.one("broken").end == "FAIL" and lab.one("fine").end == "ABORT"
    assert lab.rows() == lab.outputs() == {"raw.later": 1}
    lab.check()


def test_a_killed_process_is_ended_by_the_next_one(lab: Lab) -> None:
    """kill -9 in load: the invocation is aborted, the package goes on."""
    script = """
        import signal
        @dlt.resource
        def t(): yield {"a": 1}
        p = pipeline()
        p.run([{"x": 1}], table_name="first")
        from dlt.load.load import Load
        Load.run = lambda *a, **k: (lineage.drain(5), os.kill(os.getpid(), signal.SIGKILL))
        p.run(t())
    """
    with pytest.raises(RuntimeError, match="died"):
        lab.run(script)
    lab.run("pipeline().run()")
    assert lab.one("t").states == ["START", "RUNNING", "COMPLETE"]
    ends = [run.end for run in lab.stream.invocations]
    assert ends == ["COMPLETE", "ABORT", "COMPLETE"]
    assert lab.rows() == lab.outputs() == {"raw.first": 1, "raw.t": 1}
    lab.check()


def test_replaced_and_dropped_tables(lab: Lab) -> None:
    """Lifecycle of a refresh."""
    lab.run(
        """
        @dlt.source
        def s(): return dlt.resource([{"a": 1}], name="t")
        p = pipeline()
        p.run(s())
        p.run(s(), refresh="drop_sources")
        """
    )
    first, second = (written(run)["t"] for run in lab.stream.of("t"))
    assert first["facets"]["lifecycleStateChange"]["lifecycleStateChange"] == "CREATE"
    assert set(second["outputFacets"]["headrace_write"]["lifecycle"]) >= {"DROP", "CREATE"}
    assert lab.rows() == {"raw.t": 1}
    lab.check()


def test_columns_through_a_step_of_the_user(lab: Lab) -> None:
    """A score of what can be told at all: everything but what dlt has no data for."""
    with sqlite3.connect(lab.folder / "src.db") as db:
        db.executescript("create table t(id int primary key, v text); insert into t values (1, 'x'), (2, 'y')")
    lab.run(
        """
        from dlt.sources.sql_database import sql_table
        cursor = dlt.sources.incremental("id")
        t = sql_table("sqlite:///src.db", table="t", incremental=cursor, write_disposition="merge")
        pipeline().run(t)
        """
    )
    table = written(lab.one("t"))["t"]["facets"]["columnLineage"]
    indirect = {(ref["field"], ref["transformations"][0]["subtype"]) for ref in table["dataset"]}
    assert indirect == {("id", "FILTER"), ("id", "JOIN")}
    subset = lab.one("t").inputs[0]["inputFacets"]["subset"]["inputCondition"]
    assert subset["left"] == {"type": "field", "field": "id"}
    assert subset["comparison"] == "LESS_EQUAL_THAN" and subset["right"]["value"] == "2"
    assert lab.verdict().score >= 84
    lab.check()


@long
def test_older_dlt_says_that_it_does_not_know_inputs(old_lab: Lab) -> None:
    """dlt 1.20 has no locations: no input is invented, outputs and rows are true, and the gap is told."""
    with sqlite3.connect(old_lab.folder / "src.db") as db:
        db.executescript("create table t(id int); insert into t values (1), (2)")
    old_lab.run(
        """
        from dlt.sources.sql_database import sql_table
        pipeline().run([sql_table("sqlite:///src.db", table="t"), dlt.resource([{"tags": ["a"]}], name="g")])
        """
    )
    run = old_lab.one("t")
    assert run.inputs == [] and run.end == "COMPLETE"
    assert "dlt before 1.31" in run.facet("extractionError")["errors"][0]["errorMessage"]
    assert columns(written(run)["t"]).keys() == {"_dlt_id", "_dlt_load_id"}
    assert edges(run) == edges(old_lab.one("g")) == {}  # that there are no inputs is not known
    assert old_lab.outputs() == old_lab.rows() == {"raw.t": 2, "raw.g": 1, "raw.g__tags": 1}
    old_lab.check()
