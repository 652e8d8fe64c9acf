"""Runs begin once and end once, whoever works on their packages, in whatever process and order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace import lineage
from headrace.errors.destination import DestinationTerminalException
from headrace.observers.lineage.delivery import close
from headrace.observers.lineage.ids import resource_run_id
from headrace.observers.lineage.opened import OpenInvocation, OpenRuns
from tests.e2e.project import project as project
from tests.lineage.scenarios.stream import RunOf, Stream, validate

PLACE = {"kind": "rest_api", "location": "https://api.example.com", "endpoints": ["/v1/orders"]}
PENDING = ("P107", "P106", "C101")  # a package may wait longer than the run that made it


@pytest.fixture
def events(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LINEAGE__PATH", str(project / "events.ndjson"))
    monkeypatch.setenv("LINEAGE__NAMESPACE", "shops")
    yield project / "events.ndjson"
    close(0)


def pipeline(name: str = "shop", **settings: Any) -> Any:
    return headrace.pipeline(name, destination=headrace.destinations.duckdb("w.duckdb"), dataset_name="raw", **settings)


def orders(*ids: int, name: str = "orders", **hints: Any) -> Any:
    @headrace.resource(name=name, **hints)
    def read() -> Any:
        """All orders."""
        yield [{"id": n, "lines": [{"sku": "a"}]} for n in ids]

    return read().add_input(dict(PLACE))


def told(p: Any, path: Path) -> Stream:
    assert lineage.flush(p)
    found = validate(path, path.with_name("report.json")).findings
    assert [f for f in found if f.split()[1] not in PENDING] == []
    return Stream(path)


def only(stream: Stream, resource: str = "orders") -> RunOf:
    (run,) = stream.of(resource)
    return run


def milestones(run: RunOf) -> list[str]:
    """What a run was told of without what goes on in between, which is told when somebody could read it in time."""
    return [state for state in run.states if state != "RUNNING"]


def test_ids_come_from_the_package(events: Path) -> None:
    p = pipeline()
    info = p.run(orders(1))
    package = p._store.get(info.loads_ids[0])
    run = only(told(p, events))
    assert run.id == resource_run_id(package.created_at, "shops", "shop", "shop", "orders", package.load_id)
    assert milestones(run) == ["START", "COMPLETE"]


def test_steps_of_their_own_continue_the_run(events: Path) -> None:
    pipeline().extract(orders(1))
    (p := pipeline()).normalize()
    assert lineage.flush(p) and only(Stream(events)).states == ["START", "RUNNING"]
    p = pipeline()
    p.load()
    stream = told(p, events)
    run = only(stream)
    assert run.states == ["START", "RUNNING", "COMPLETE"]
    parents = {json.dumps(e["run"]["facets"]["parent"]["run"]) for e in run.events}
    first, second, third = stream.invocations
    assert parents == {json.dumps({"runId": first.id})}
    for later in (second, third):
        (upstream,) = later.last["run"]["facets"]["jobDependencies"]["upstream"]
        assert upstream["run"]["runId"] == run.id and upstream["dependency_type"] == "DIRECT_INVOCATION"
    assert "jobDependencies" not in first.last["run"]["facets"]
    assert not [*(Path(p.working_dir) / "lineage" / "open").iterdir()]


def test_dropped_packages_are_aborted(events: Path) -> None:
    p = pipeline()
    p.extract(orders(1))
    p.drop_pending_packages()
    run = only(told(p, events))
    assert run.states[-1] == "ABORT" and not run.last["outputs"]
    assert "dropped" in run.last["run"]["facets"]["errorMessage"]["message"]


def test_wiped_folders_leave_no_open_run(events: Path) -> None:
    p = pipeline()
    p.extract(orders(1))
    p.drop()
    p.run(orders(2))
    first, second = told(p, events).of("orders")
    assert (first.end, second.end) == ("ABORT", "COMPLETE")


def test_failed_jobs_fail_their_runs_and_a_retry_is_a_run_that_goes_on(
    events: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headrace.destinations.sql.client import SqlJobClient

    monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    apply = SqlJobClient.apply

    def broken(self: Any, job: Any, context: Any) -> Any:
        if "bad" in job.tables:
            raise DestinationTerminalException("no room for password=hunter2secret")
        return apply(self, job, context)

    p = pipeline()
    with monkeypatch.context() as patch:
        patch.setattr(SqlJobClient, "apply", broken)
        info = p.run([orders(1, name="good"), orders(2, name="bad")])
    stream = told(p, events)
    assert (only(stream, "good").end, only(stream, "bad").end) == ("COMPLETE", "FAIL")
    message = only(stream, "bad").last["run"]["facets"]["errorMessage"]["message"]
    assert "no room" in message and "hunter2secret" not in events.read_text()
    assert not only(stream, "bad").last["outputs"] or all(
        o["name"][-3:] != "bad" for o in only(stream, "bad").last["outputs"]
    )
    assert stream.invocations[0].end == "FAIL"
    p.retry_failed_jobs(info.loads_ids[0])
    p.load()
    first, again = told(p, events).of("bad")
    assert again.end == "COMPLETE" and again.id != first.id and milestones(first) == ["START", "FAIL"]
    (upstream,) = again.last["run"]["facets"]["jobDependencies"]["upstream"]
    assert upstream["run"]["runId"] == first.id
    assert len(told(p, events).of("good")) == 1


def test_checkpoints_are_packages_with_runs_of_their_own(events: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXTRACT__CHECKPOINT_ROWS", "2")

    @headrace.resource(name="orders")
    def read(at: Any = headrace.sources.incremental("id", row_order="asc")) -> Any:
        for n in range(5):
            yield [{"id": n}]

    p = pipeline()
    info = p.run(read().add_input(dict(PLACE)))
    runs = told(p, events).of("orders")
    assert len(info.loads_ids) > 1 and len({run.load_id for run in runs}) == len(runs)
    assert {run.load_id for run in runs if run.outputs} == set(info.loads_ids)
    assert all(run.end == "COMPLETE" for run in runs)
    counted = [o["outputFacets"]["outputStatistics"]["rowCount"] for run in runs for o in run.outputs]
    assert sum(counted) == 5


def test_several_sources_of_which_one_moves(events: Path) -> None:
    def source(name: str, *ids: int) -> Any:
        return headrace.source(lambda: orders(*ids), name=name)()

    p = pipeline()
    p.run([source("one", 1), source("two", 2)])
    info = p.run([source("one", 3), source("two", 4)])
    runs = told(p, events).resources
    assert [run.end for run in runs] == ["COMPLETE"] * 4
    assert {run.load_id for run in runs} >= set(info.loads_ids)


def test_pipelines_in_threads_do_not_mix(events: Path) -> None:
    made = [pipeline(f"shop{n}") for n in range(4)]
    for n, p in enumerate(made):
        p.destination = headrace.destinations.duckdb(f"w{n}.duckdb")
    threads = [threading.Thread(target=p.run, args=(orders(n),)) for n, p in enumerate(made)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stream = told(made[0], events)
    parents = {run.id: run.job for run in stream.invocations}
    assert sorted(parents.values()) == [f"shop{n}" for n in range(4)]
    for run in stream.resources:
        assert run.job.startswith(parents[run.last["run"]["facets"]["parent"]["run"]["runId"]] + ".")
        assert run.outputs[0]["name"].startswith(f"w{run.job[4]}.raw.")


def test_what_dead_processes_left_is_closed(events: Path) -> None:
    p = pipeline()
    p.extract(orders(1))
    lineage.flush(p)
    kept = OpenRuns(Path(p.working_dir) / "lineage")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    # an invocation that was going on, and one whose end was still to be told
    run = Stream(events).invocations[0]
    p.load()
    lineage.flush(p)
    opened = _invocation(kept, run.id, dead.pid)
    kept.write(opened)
    p.run(orders(2))
    closed = next(one for one in told(p, events).runs if one.id == opened.run.run_id)
    assert closed.states == ["START", "ABORT"]
    assert "killed" in closed.last["run"]["facets"]["errorMessage"]["message"]
    assert not kept.invocations() and not kept.packages()


def _invocation(kept: OpenRuns, like: str, pid: int) -> OpenInvocation:
    from headrace.base.time import now
    from headrace.observers.lineage.facts import Invocation, Job, JobId
    from headrace.observers.lineage.ids import new_run_id

    job = Job(id=JobId("shops", "shop"), kind="PIPELINE", owners=[("team:a", "OWNER")])
    run_id = new_run_id(now())
    assert run_id != like
    return OpenInvocation(run=Invocation(run_id=run_id, job=job, started_at=now(), pipeline_name="shop"), pid=pid)


def test_the_run_is_handed_on(events: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []

    @headrace.resource
    def calls() -> Any:
        seen.append(lineage.context_env())
        with lineage.exported():
            seen.append({name: os.environ[name] for name in seen[0]})
        yield {"id": 1}

    p = pipeline()
    with lineage.parent("0195f6de-0000-7000-8000-000000000001", job="nightly", namespace="prod"):
        p.run(calls())
    stream = told(p, events)
    context = json.loads(seen[0]["OPENLINEAGE_CONTEXT"])["parent"]
    assert seen[0] == seen[1] == lineage.context_env(p) and "OPENLINEAGE_CONTEXT" not in os.environ
    assert context["run"]["runId"] == stream.invocations[0].id
    assert context["root"]["job"] == {"namespace": "prod", "name": "nightly"}
    assert only(stream, "calls").last["run"]["facets"]["parent"]["root"]["job"]["name"] == "nightly"


def test_events_of_a_plan(events: Path) -> None:
    p = pipeline()
    plan = p.plan(orders(1, primary_key="id"))
    found = lineage.events_of_plan(plan)
    job, resource = found
    assert "run" not in job and resource["job"]["name"] == "shop.shop.orders"
    assert [i["name"] for i in resource["inputs"]] == ["/v1/orders"]
    assert [o["name"] for o in resource["outputs"]] == ["w.raw.orders", "w.raw.orders__lines"]
    fields = resource["outputs"][1]["facets"]["columnLineage"]["fields"]
    assert fields["sku"]["inputFields"][0]["field"] == "lines._element.sku"
    path = events.with_name("plan.ndjson")
    path.write_text("".join(json.dumps(e) + "\n" for e in found))
    assert [f for f in validate(path, path.with_name("r.json")).findings if "C101" not in f] == []
    assert not events.exists()


def test_off_unless_asked_for(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys, headrace; p = headrace.pipeline('shop', destination=headrace.destinations.duckdb('w.duckdb'),"
        "dataset_name='raw'); p.run([{'id': 1}], table_name='t');"
        "print([m for m in sys.modules if 'observers.lineage' in m or m.startswith('openlineage')])"
    )

    def loaded(**variables: str) -> str:
        environ = {**os.environ, **variables}
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ
        ).stdout

    assert loaded().strip() == "[]"
    assert loaded(OPENLINEAGE_DISABLED="true", LINEAGE__ENABLED="true").strip() == "[]"
    assert "observers.lineage.collect" in loaded(LINEAGE__ENABLED="true")


def test_a_plan_that_is_run_begins_its_runs(events: Path) -> None:
    p = pipeline()
    p.run(p.plan(orders(1)))
    stream = told(p, events)
    run = only(stream)
    assert (run.states[0], run.states[-1]) == ("START", "COMPLETE")
    assert run.parent == stream.invocations[0].id
    assert [out["name"].rpartition(".")[2] for out in run.outputs] == ["orders", "orders__lines"]


def test_one_resource_of_two_sources_of_a_name_is_one_run(events: Path) -> None:
    elsewhere = {**PLACE, "endpoints": ["/v2/orders"]}
    p = pipeline()
    p.run([orders(1), orders(2, 3).add_input(elsewhere)])
    run = only(told(p, events))
    assert milestones(run) == ["START", "COMPLETE"]
    assert len(run.inputs) == 2
    assert run.outputs[0]["outputFacets"]["outputStatistics"]["rowCount"] == 3


def test_a_source_is_not_blamed_for_another(events: Path) -> None:
    @headrace.resource
    def bad() -> Any:
        yield {"id": 1}
        raise ValueError("no more")

    @headrace.source
    def one() -> Any:
        return orders(1)

    @headrace.source
    def other() -> Any:
        return bad

    p = pipeline()
    with pytest.raises(headrace.errors.pipeline.PipelineStepFailed):
        p.run([one(), other()])
    stream = told(p, events)
    assert only(stream).states == ["START", "ABORT"]
    assert only(stream, "bad").states == ["START", "FAIL"]


def test_a_child_of_multiprocessing_ends_its_runs(events: Path) -> None:
    code = (
        "import multiprocessing, headrace\n"
        "def load():\n"
        "    p = headrace.pipeline('shop', destination=headrace.destinations.duckdb('w.duckdb'), dataset_name='raw')\n"
        "    p.run([{'id': 1}], table_name='numbers')\n"
        "if __name__ == '__main__':\n"
        "    child = multiprocessing.get_context('fork').Process(target=load)\n"
        "    child.start(); child.join()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    stream = Stream(events)
    assert stream.invocations[0].states == ["START", "COMPLETE"]
    assert only(stream, "numbers").states[-1] == "COMPLETE"


@pytest.mark.parametrize("arrow", [False, True])
def test_resources_that_write_one_table_both_say_so(events: Path, arrow: bool) -> None:
    import pyarrow as pa

    def read(name: str) -> Any:
        def rows() -> Any:
            yield pa.table({"id": [1], name: [2]}) if arrow else [{"id": 1, name: 2, "lines": [3]}]

        return headrace.resource(rows, name=name, table_name="shared")()

    p = pipeline()
    p.run([read("one"), read("two")])
    stream = told(p, events)
    for name in ("one", "two"):
        found = {out["name"].rpartition(".")[2]: out for out in only(stream, name).outputs}
        assert set(found) == ({"shared"} if arrow else {"shared", "shared__lines"})
        # its own rows; what became of the table's rows is told of all at once
        facets = found["shared"]["outputFacets"]
        assert facets["outputStatistics"]["rowCount"] == 1
        assert "rowChanges" not in facets["headrace_write"]
