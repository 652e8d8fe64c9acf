"""The 29 defects of another tracker for dlt, verified there: none of them is here. Each test names the numbers."""

from __future__ import annotations

import json
import uuid

import pytest

from tests.lineage.dlt.lab import Lab, columns, edges, long, written

FAILING = """
    @dlt.resource(columns={"id": {"data_type": "bigint", "nullable": False}})
    def bad(): yield [{"id": 1, "x": "a"}]
    @dlt.resource
    def good(): yield [{"id": 1}, {"id": 2}]
    # DuckDB refuses the rows: a file of the package is spoiled between normalize and load
    def spoil(load_id, table):
        import glob
        for path in glob.glob(f"pipelines/p/load/normalized/{load_id}/new_jobs/{table}.*"):
            open(path, "wb").write(b"INSERT INTO nonsense\\nVALUES (1);")
"""


def test_1_failed_jobs_are_not_reported_as_loaded(lab: Lab) -> None:
    """1: when all jobs failed, outputs were the whole schema. 3: `COMPLETE` although jobs failed."""
    lab.run(
        FAILING
        + """
    p = pipeline()
    p.extract(bad()); p.normalize()
    spoil(p.list_normalized_load_packages()[0], "bad")
    p.load(raise_on_failed_jobs=False)
    """
    )
    run = lab.one("bad")
    assert run.end == "FAIL" and run.outputs == []
    assert "bad" in run.facet("errorMessage")["message"]
    assert lab.stream.invocations[-1].end == "FAIL"
    assert lab.rows().get("raw.bad", 0) == 0
    lab.check()


def test_3_one_failed_table_fails_its_resource_alone(lab: Lab) -> None:
    """3 and 13: one of two tables failed: the failed resource fails, the other one is complete with its own edges."""
    lab.run(
        FAILING
        + """
    p = pipeline()
    p.extract([bad(), good()]); p.normalize()
    spoil(p.list_normalized_load_packages()[0], "bad")
    p.load(raise_on_failed_jobs=False)
    """
    )
    assert lab.one("bad").end == "FAIL" and lab.one("bad").outputs == []
    assert lab.one("good").end == "COMPLETE" and set(written(lab.one("good"))) == {"good"}
    assert lab.outputs()["raw.good"] == lab.rows()["raw.good"] == 2
    package = lab.one("bad").facet("headrace_loadPackage")
    assert package["state"] == "loaded" and package["failedJobs"][0]["table"] == "bad"
    lab.check()


def test_4_one_terminal_event_when_jobs_fail_with_raising(lab: Lab) -> None:
    """4: every failure was told twice."""
    lab.run(
        FAILING
        + """
    p = pipeline()
    p.extract([bad(), good()]); p.normalize()
    spoil(p.list_normalized_load_packages()[0], "bad")
    try:
        p.load(raise_on_failed_jobs=True)
        raise AssertionError("it did not fail")
    except Exception as error:
        assert "bad" in str(error), error
    """
    )
    assert lab.stream.invocations[-1].states == ["START", "FAIL"]
    assert lab.one("bad").states == ["START", "RUNNING", "FAIL"] and lab.one("bad").outputs == []
    assert "(table bad): AssertionError" in lab.one("bad").facet("errorMessage")["message"]  # of dlt, in its client
    assert lab.one("good").states == ["START", "RUNNING", "ABORT"]  # dlt gave up: the package is not committed
    assert lab.outputs() == {"raw.good": 2} and lab.rows()["raw.good"] == 2  # that is there nevertheless
    assert lab.rows()["raw.bad"] == 0
    lab.check()
    lab.run("pipeline().abort_packages()")  # nobody tried again: the runs have ended already
    assert lab.one("bad").states[-1] == "FAIL" and lab.one("good").states[-1] == "ABORT"
    lab.check()


def test_2_nothing_new_has_no_outputs(lab: Lab) -> None:
    """2: a run without new rows reported its table again. 8, 7: its name is the same each time."""
    script = """
        @dlt.resource
        def inc(updated=dlt.sources.incremental("id")):
            yield [{"id": 1}, {"id": 2}]
        p = pipeline()
        p.run(inc())
        p.run(inc())
    """
    lab.run(script)
    first, second = lab.stream.of("inc")
    assert set(written(first)) == {"inc"} and first.end == "COMPLETE"
    assert second.outputs == [] and second.end == "COMPLETE"
    assert lab.rows() == {"raw.inc": 2} and lab.outputs() == {"raw.inc": 2}
    lab.check()


def test_5_three_pipelines_in_threads(lab: Lab) -> None:
    """5: one run id for the process."""
    lab.run(
        """
        from concurrent.futures import ThreadPoolExecutor
        def one(n):
            p = dlt.pipeline(f"thr{n}", destination=dlt.destinations.duckdb(f"wh{n}.duckdb"), dataset_name="raw",
                             pipelines_dir="pipelines")
            p.run([{"n": n, "i": i} for i in range(n + 1)], table_name=f"t{n}")
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(one, range(3)))
        """
    )
    assert not lab.verdict().findings
    tops = {run.id: run.job for run in lab.stream.invocations}
    assert sorted(tops.values()) == ["thr0", "thr1", "thr2"]
    assert all(run.states[0] == "START" and run.end == "COMPLETE" for run in lab.stream.runs)
    for run in lab.stream.resources:
        n = tops[run.parent].removeprefix("thr")
        assert set(written(run)) == {f"t{n}"}
        assert run.outputs[0]["namespace"] == f"duckdb://{lab.folder}/wh{n}.duckdb"
        assert run.outputs[0]["outputFacets"]["outputStatistics"]["rowCount"] == int(n) + 1


@long
def test_6_a_sink_that_hangs_holds_nothing_up(lab: Lab) -> None:
    """6: synchronous sending on the pipeline's thread; the rest of it is tested where delivery is."""
    took = lab.run(
        """
        import time
        lineage.detach()
        class Hangs:
            def emit(self, make):
                import threading
                threading.Thread(target=lambda: time.sleep(600), daemon=True).start()
            def drain(self, seconds): return True
        lineage = attach_to_dlt(sink=Hangs())
        begun = time.perf_counter()
        pipeline().run([{"a": 1}], table_name="t")
        result = time.perf_counter() - begun
        """
    )
    assert took < 60


def test_7_8_names_of_outputs_are_places(lab: Lab) -> None:
    """7: a Python class was the namespace. 8: two databases had one name. 26: no data source."""
    lab.run(
        """
        pipeline("a").run([{"i": 1}], table_name="t")
        pipeline("b", dlt.destinations.duckdb("other.duckdb")).run([{"i": 1}], table_name="t")
        pipeline("c", dlt.destinations.filesystem("files")).run([{"i": 1}], table_name="t")
        """
    )
    found = {run.job: (run.outputs[0]["namespace"], run.outputs[0]["name"]) for run in lab.stream.resources}
    assert found["a.a.t"] == (f"duckdb://{lab.folder}/wh.duckdb", "wh.raw.t")
    assert found["b.b.t"] == (f"duckdb://{lab.folder}/other.duckdb", "other.raw.t")
    assert found["c.c.t"] == ("file", f"{lab.folder}/files/raw/t")
    assert any((lab.folder / "files/raw/t").iterdir())
    source = lab.one("t") if len(lab.stream.of("t")) == 1 else lab.stream.of("t")[0]
    assert source.outputs[0]["facets"]["dataSource"]["uri"].startswith("duckdb:///")
    assert not lab.verdict().findings


def test_9_12_14_separate_steps_are_one_run(lab: Lab) -> None:
    """14: three unrelated runs; invented outputs; no inputs at load. 12: nested tables hang in the air."""
    step = """
        p = pipeline()
        @dlt.resource
        def users(): yield [{"id": 1, "tags": ["a", "b"]}, {"id": 2, "tags": []}]
    """
    lab.run(step + "    p.extract(users())\n")
    assert lab.one("users").states == ["START", "RUNNING"]
    lab.run("pipeline().normalize()")
    lab.run("pipeline().load()")
    run = lab.one("users")
    assert run.states == ["START", "RUNNING", "COMPLETE"]
    assert run.inputs == []  # 9: no input is made up of the table's name
    assert lab.outputs() == lab.rows() == {"raw.users": 2, "raw.users__tags": 2}
    nested = written(run)["users__tags"]
    assert nested["outputFacets"]["headrace_write"]["parentTable"] == "users"
    assert edges(run) == {"users": ["JOB"], "users__tags": ["JOB"]}
    extract, normalize, load = lab.stream.invocations
    assert run.parent == extract.id and extract.end == normalize.end == load.end == "COMPLETE"
    assert all(one.last["outputs"] == [] for one in lab.stream.invocations)
    upstream = load.facet("jobDependencies")["upstream"]
    assert [one["run"]["runId"] for one in upstream] == [run.id]
    lab.check()


def test_15_a_pending_package_is_finished_by_a_later_run(lab: Lab) -> None:
    """15: a new run without inputs. 6b: the failure itself is told once."""
    lab.run(
        """
        p = pipeline()
        p.run([{"id": 0}], table_name="first")
        p.extract([{"id": 1}], table_name="late"); p.normalize()
        """
    )
    lab.run("pipeline().run([{'id': 5}], table_name='ignored')")
    run = lab.one("late")
    assert run.states == ["START", "RUNNING", "COMPLETE"] and lab.stream.of("ignored") == []
    assert lab.outputs() == lab.rows() == {"raw.first": 1, "raw.late": 1}
    lab.check()


def test_15_a_dropped_package_is_an_abort(lab: Lab) -> None:
    """What is thrown away ends, and says so."""
    lab.run("p = pipeline(); p.extract([{'id': 1}], table_name='gone'); p.normalize()")
    lab.run("pipeline().drop_pending_packages(); pipeline().run([{'id': 2}], table_name='kept')")
    assert lab.one("gone").end == "ABORT" and lab.one("gone").outputs == []
    assert lab.one("kept").end == "COMPLETE"
    assert lab.rows() == {"raw.kept": 1}
    lab.check()


def test_16_two_schemas_in_one_run(lab: Lab) -> None:
    """16: only the default schema's tables had a `schema` facet. 13: every resource fed every table."""
    lab.run(
        """
        @dlt.source(name="one")
        def one(): return dlt.resource([{"a": 1}], name="t1")
        @dlt.source(name="two")
        def two(): return dlt.resource([{"b": "x"}], name="t2")
        pipeline().run([one(), two()])
        """
    )
    jobs = {run.job: run for run in lab.stream.resources}
    assert set(jobs) == {"p.one.t1", "p.two.t2"}
    for job, table in (("p.one.t1", "t1"), ("p.two.t2", "t2")):
        assert set(written(jobs[job])) == {table}
        assert written(jobs[job])[table]["facets"]["schema"]["fields"]
    lab.check()


def test_17_the_schema_facet_is_what_the_destination_has(lab: Lab) -> None:
    """17: columns that do not exist, `unknown` types, dlt's types, no descriptions."""
    lab.run(
        """
        @dlt.resource(columns={"ghost": {"nullable": True}, "id": {"data_type": "bigint", "description": "The key"}})
        def t(): yield [{"id": 1, "name": "a", "at": "2024-01-01T00:00:00Z", "price": 1.5}]
        pipeline().run(t())
        """
    )
    import duckdb

    with duckdb.connect(str(lab.folder / "wh.duckdb"), read_only=True) as connection:
        real = dict(
            connection.execute(
                "select column_name, data_type from information_schema.columns where table_name='t'"
            ).fetchall()
        )
    told = {one["name"]: one for one in written(lab.one("t"))["t"]["facets"]["schema"]["fields"]}
    assert {name: one["type"] for name, one in told.items()} == real
    assert "ghost" not in told and told["id"]["description"] == "The key"
    lab.check()


def test_18_19_errors_have_no_secrets_and_a_real_traceback(lab: Lab) -> None:
    """18: passwords in messages. 19: the stack trace was the message. 4: told twice."""
    lab.run(
        """
        @dlt.resource
        def leaks():
            yield {"a": 1}
            raise ValueError("cannot reach postgres://u:HUNTER2secret@db/x with api_key=AKIA-HUNTER2-KEY")
        try:
            pipeline().run(leaks())
        except Exception:
            pass
        @dlt.source
        def shop(pass_phrase=dlt.secrets.value):
            @dlt.resource
            def tells():
                raise ValueError(f"{pass_phrase} is refused")
                yield {"a": 1}
            return tells
        try:
            pipeline("q").run(shop())
        except Exception:
            pass
        """,
        {"LINEAGE__STACK_TRACES": "true", "SOURCES__PASS_PHRASE": "plain-HUNTER2-words"},
    )
    assert lab.one("tells").end == "FAIL"
    assert "HUNTER2" not in (lab.folder / "events.ndjson").read_text()
    run = lab.one("leaks")
    assert run.end == "FAIL" and lab.stream.invocations[0].states == ["START", "FAIL"]
    error = run.facet("errorMessage")
    assert "cannot reach" in error["message"] and error["stackTrace"] != error["message"]
    assert "in leaks" in error["stackTrace"]
    assert not lab.verdict().findings


@pytest.mark.parametrize("where", ["extract", "load"])
def test_20_ctrl_c_is_an_abort(lab: Lab, where: str) -> None:
    """20: Ctrl-C was FAIL, twice."""
    lab.run(
        """
        import signal
        @dlt.resource
        def slow():
            yield {"a": 1}
            if where == "extract":
                os.kill(os.getpid(), signal.SIGINT)
        p = pipeline()
        if where == "load":
            p.extract(slow()); p.normalize()
            from dlt.load.load import Load
            def interrupted(*args, **kwargs): raise KeyboardInterrupt()
            Load.run = interrupted
        try:
            p.run(slow()) if where == "extract" else p.load()
            raise AssertionError("it was not interrupted")
        except BaseException as error:
            assert not isinstance(error, AssertionError), error
        """,
        where=where,
    )
    last = lab.stream.invocations[-1]
    assert last.states == ["START", "ABORT"]
    run = lab.one("slow")
    # the package of an interrupted load is pending: its run goes on
    assert run.end == ("ABORT" if where == "extract" else "")
    if where == "load":
        lab.run("pipeline().load()")
        assert lab.one("slow").end == "COMPLETE" and lab.outputs() == lab.rows() == {"raw.slow": 1}
        lab.check()


def test_21_22_24_parent_namespace_and_stable_ids(lab: Lab) -> None:
    """21: no parent facet. 22: `OPENLINEAGE_NAMESPACE` was not read. 24: random ids of version 4."""
    parent = "0190b6f0-0000-7000-8000-000000000001"
    context = {"parent": {"run": {"runId": parent}, "job": {"namespace": "air", "name": "dag.task"}}}
    load_id = lab.run(
        "result = pipeline().run([{'a': 1}], table_name='t').loads_ids[0]",
        {"OPENLINEAGE_NAMESPACE": "team", "OPENLINEAGE_CONTEXT": json.dumps(context)},
    )
    top, run = lab.stream.invocations[0], lab.one("t")
    assert top.parent == parent and run.parent == top.id
    assert run.facet("parent")["root"]["run"]["runId"] == parent
    assert {e["job"]["namespace"] for e in lab.stream.events} == {"team"}
    from headrace.observers.lineage.dlt_facts import created_at
    from headrace.observers.lineage.ids import resource_run_id

    assert run.id == resource_run_id(created_at(load_id), "team", "p", "p", "t", load_id)
    assert {uuid.UUID(one.id).version for one in lab.stream.runs} == {7}
    lab.check()


def test_23_attaching_twice(lab: Lab) -> None:
    """23: a second call was ignored without a word; a url was demanded where a transport was configured."""
    lab.run(
        """
        assert attach_to_dlt() is lineage
        try:
            attach_to_dlt("elsewhere.ndjson")
            raise AssertionError("two trackers")
        except ValueError as error:
            assert "detach()" in str(error)
        pipeline().run([{"a": 1}], table_name="t")
        lineage.detach()
        pipeline().run([{"a": 1}], table_name="unseen")
        """
    )
    assert [run.job for run in lab.stream.runs] == ["p", "p.p.t"]
    lab.check()


def test_25_29_every_event_is_whole_and_ours(lab: Lab) -> None:
    """25: facets on START only, the client's producer. 29: a page in the place of a schema."""
    lab.run("pipeline().run([{'a': 1}], table_name='t')")
    for event in lab.stream.events:
        assert event["run"]["facets"]["processing_engine"]["name"] == "dlt"
        assert event["run"]["facets"]["processing_engine"]["version"].startswith("1.31")
        assert event["job"]["facets"]["jobType"]["integration"] == "DLT"
        assert "headrace" in event["producer"]
    parent = lab.one("t").facet("parent")
    assert parent["run"]["facets"]["processing_engine"]["name"] == "dlt"
    assert parent["job"]["facets"]["jobType"]["integration"] == "DLT"
    text = (lab.folder / "events.ndjson").read_text()
    assert "openlineage-python" not in text
    lab.check()


def test_26_lifecycle_and_version(lab: Lab) -> None:
    """26: no lifecycle for create, alter, replace; no version."""
    lab.run(
        """
        p = pipeline()
        p.run([{"a": 1}], table_name="t")
        p.run([{"a": 1, "b": 2}], table_name="t")
        p.run([{"a": 1}], table_name="t")
        p.run([{"a": 9}], table_name="t", write_disposition="replace")
        """
    )
    told = [written(run)["t"] for run in lab.stream.of("t")]
    changes = [one["facets"].get("lifecycleStateChange", {}).get("lifecycleStateChange") for one in told]
    assert changes[:3] == ["CREATE", "ALTER", None] and changes[3] in ("TRUNCATE", "OVERWRITE")
    assert told[1]["facets"]["headrace_schemaChange"]["columnsAdded"] == ["b"]
    versions = [one["facets"]["version"]["datasetVersion"] for one in told]
    assert len(set(versions)) == 4 and lab.rows() == {"raw.t": 1}
    lab.check()


def test_27_a_trace_that_is_switched_off_is_warned_about(lab: Lab) -> None:
    """27: no events and no word."""
    lab.run("pipeline().run([{'a': 1}], table_name='t')", {"ENABLE_RUNTIME_TRACE": "false"})
    assert lab.stream.events == [] and lab.rows() == {"raw.t": 1}
    assert "`enable_runtime_trace` is off" in lab.log


def test_28_rows_are_those_written(lab: Lab) -> None:
    """28: the rows of the batch for those of the table. dlt does not tell what a merge changed: nothing is said."""
    lab.run(
        """
        @dlt.resource(write_disposition="merge", primary_key="id")
        def m(): yield [{"id": 1, "v": 1}, {"id": 1, "v": 2}, {"id": 1, "v": 3}]
        pipeline().run([m(), dlt.resource([{"x": 1}, {"x": 2}], name="app")])
        """
    )
    merged, appended = lab.one("m"), lab.one("app")
    assert "rowCount" not in written(merged)["m"]["outputFacets"]["outputStatistics"]
    assert merged.facet("headrace_loadPackage")["rowCounts"] == {"m": 3}  # handed over
    assert lab.rows() == {"raw.m": 1, "raw.app": 2} and lab.outputs()["raw.app"] == 2
    assert written(appended)["app"]["facets"]["dataQualityMetrics"]["rowCount"] == 2
    lab.check()


def test_9_10_11_13_sql_database(lab: Lab) -> None:
    """9: inputs were output tables. 10: nothing of the source. 11: no columns. 13: all inputs times all outputs."""
    lab.run(
        """
        import sqlite3
        with sqlite3.connect("src.db") as db:
            db.executescript('create table Customers(Id integer primary key, "Full Name" text);'
                             "insert into Customers values (1,'a'),(2,'b');"
                             "create table Orders(id integer primary key, total real);"
                             "insert into Orders values (7, 1.5);")
        from dlt.sources.sql_database import sql_table
        def shout(row):
            row["total"] *= 2
            return row
        orders = sql_table("sqlite:///src.db", table="Orders").add_map(shout)
        pipeline().run([sql_table("sqlite:///src.db", table="Customers"), orders])
        """
    )
    run = lab.one("Customers")
    (source,) = run.inputs
    assert (source["namespace"], source["name"]) == (f"sqlite://{lab.folder}/src.db", "main.Customers")
    assert source["inputFacets"]["inputStatistics"]["rowCount"] == 2
    table = written(run)["customers"]
    assert columns(table) == {"id": ["Id"], "full_name": ["Full Name"], "_dlt_load_id": [], "_dlt_id": []}
    assert edges(run) == {"customers": ["main.Customers"]}
    orders = written(lab.one("Orders"))["orders"]
    how = orders["facets"]["columnLineage"]["fields"]["total"]["inputFields"][0]["transformations"][0]
    assert how["subtype"] == "TRANSFORMATION" and "shout" in how["description"]
    assert edges(lab.one("Orders")) == {"orders": ["main.Orders"]}
    assert lab.outputs() == lab.rows() == {"raw.customers": 2, "raw.orders": 1}
    lab.check()
