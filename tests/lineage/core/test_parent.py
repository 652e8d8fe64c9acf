"""The run around a run: where it is looked for, what is passed over, what is handed on."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import headrace
from headrace import lineage
from headrace.observers.lineage import parent as room
from headrace.observers.lineage.facts import JobId, Parent, RunRef
from headrace.observers.lineage.parent import below, find_parent, from_id, variables
from tests.e2e.project import project as project

RUN, ROOT = "0195f6de-0000-7000-8000-000000000001", "0195f6de-0000-7000-8000-000000000002"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (room.CONTEXT, room.PARENT_ID, room.ROOT_PARENT_ID, "OPENLINEAGE_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    for name in [n for n in sys.modules if n.split(".")[0] in ("airflow", "dagster", "prefect")]:
        monkeypatch.delitem(sys.modules, name)
    room._complained.clear()


def context(**root: Any) -> dict[str, Any]:
    parent = {"run": {"runId": RUN}, "job": {"namespace": "prod", "name": "daily.ingest"}}
    return {"parent": {**parent, **root}}


ROOT_OBJECT = {"run": {"runId": ROOT}, "job": {"namespace": "prod", "name": "daily"}}


def test_nothing_around() -> None:
    assert find_parent() is None


@pytest.mark.parametrize(
    "document",
    [context(root=ROOT_OBJECT), {**context(), "root": ROOT_OBJECT}, {**context(root=ROOT_OBJECT), "later": {"x": 1}}],
)
def test_the_context_of_openlineage(document: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(room.CONTEXT, json.dumps(document))
    found = find_parent()
    assert found is not None
    assert (found.run_id, found.job) == (RUN, JobId("prod", "daily.ingest"))
    assert (found.root.run_id, found.root.job) == (ROOT, JobId("prod", "daily"))


def test_without_a_root_the_parent_is_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(room.CONTEXT, json.dumps(context()))
    found = find_parent()
    assert found is not None and found.root.run_id == RUN


def test_ids_as_dbt_and_airflow_write_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(room.PARENT_ID, f"prod/a/job/with/slashes/{RUN}")
    monkeypatch.setenv(room.ROOT_PARENT_ID, f"prod/daily/{ROOT}")
    found = find_parent()
    assert found is not None
    assert found.job == JobId("prod", "a/job/with/slashes") and found.root.job.name == "daily"


@pytest.mark.parametrize("text", ["", "x", "a/b", f"a/{RUN}", "a/b/not-a-uuid", f"/b/{RUN}"])
def test_ids_that_are_none(text: str) -> None:
    with pytest.raises(ValueError):
        from_id(text)


def test_what_cannot_be_read_is_named_once_and_passed_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(room.CONTEXT, '{"parent": {"run": {"runId": "password=hunter2secret"}}}')
    monkeypatch.setenv(room.PARENT_ID, f"prod/daily/{RUN}")
    with caplog.at_level(logging.WARNING):
        first, second = find_parent(), find_parent()
    assert first is not None and first == second and first.run_id == RUN
    assert [room.CONTEXT in record.getMessage() for record in caplog.records] == [True]
    assert "hunter2secret" not in caplog.text


def test_what_is_nearer_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(room.PARENT_ID, f"prod/far/{ROOT}")
    assert (found := find_parent(f"prod/set/{RUN}")) is not None and found.job.name == "set"
    with lineage.parent(RUN, job="around", namespace="here") as given:
        assert find_parent(f"prod/set/{RUN}") == given
    assert given.root.job == JobId("here", "around")
    with pytest.raises(ValueError), lineage.parent("no uuid", job="x"):
        pass
    with pytest.raises(ValueError), lineage.parent(RUN):
        pass


def test_what_is_handed_on_can_be_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    root = RunRef(run_id=ROOT, job=JobId("prod", "daily"))
    above = Parent(run_id=ROOT, job=root.job, root=root)
    own = RunRef(run_id=RUN, job=JobId("default", "shop"), facets={"job": {"jobType": {"jobType": "PIPELINE"}}})
    told = variables(below(own, above))
    assert told[room.PARENT_ID] == f"default/shop/{RUN}" and told[room.ROOT_PARENT_ID] == f"prod/daily/{ROOT}"
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    found = find_parent()
    assert found == below(own, above)
    monkeypatch.delenv(room.CONTEXT)
    assert (older := find_parent()) is not None and (older.run_id, older.root.run_id) == (RUN, ROOT)


# ---- orchestrators -------------------------------------------------------------------------------------------------


def module(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> ModuleType:
    made = ModuleType(name)
    made.__path__ = []
    for key, value in members.items():
        setattr(made, key, value)
    monkeypatch.setitem(sys.modules, name, made)
    return made


def airflow(monkeypatch: pytest.MonkeyPatch, running: bool, where: str = "airflow.sdk", roots: bool = True) -> None:
    def current() -> dict[str, Any]:
        if not running:
            raise RuntimeError("Current context was requested but no context was found!")
        return {"ti": SimpleNamespace(task_id="ingest")}

    parts = where.split(".")
    for count in range(1, len(parts)):
        module(monkeypatch, ".".join(parts[:count]))
    module(monkeypatch, where, get_current_context=current)
    for name in ("airflow.providers", "airflow.providers.openlineage", "airflow.providers.openlineage.plugins"):
        module(monkeypatch, name)
    macros: dict[str, Any] = {
        "lineage_job_namespace": lambda: "airflow-prod",
        "lineage_job_name": lambda ti: f"daily.{ti.task_id}",
        "lineage_run_id": lambda ti: RUN,
    }
    if roots:
        macros |= {
            "lineage_root_job_namespace": lambda ti: "airflow-root",
            "lineage_root_job_name": lambda ti: "daily",
            "lineage_root_run_id": lambda ti: ROOT,
        }
    module(monkeypatch, "airflow.providers.openlineage.plugins.macros", **macros)


@pytest.mark.parametrize("where", ["airflow.sdk", "airflow.operators.python"])
def test_a_task_of_airflow(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    airflow(monkeypatch, True, where)
    found = find_parent()
    assert found is not None
    assert (found.run_id, found.job) == (RUN, JobId("airflow-prod", "daily.ingest"))
    assert (found.root.run_id, found.root.job) == (ROOT, JobId("airflow-root", "daily"))


def test_airflow_without_a_task_or_with_an_old_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow(monkeypatch, False)
    assert find_parent() is None
    airflow(monkeypatch, True, roots=False)
    assert (found := find_parent()) is not None and found.root.run_id == RUN
    monkeypatch.setitem(sys.modules, "airflow.providers.openlineage.plugins.macros", None)
    assert find_parent() is None


@pytest.mark.parametrize(
    ("macros", "root"),
    [
        ({"lineage_run_id": lambda ti: "scheduled__2026"}, None),
        ({"lineage_run_id": lambda ti: None}, None),
        ({"lineage_job_namespace": lambda: None}, None),
        ({"lineage_job_name": lambda ti: ""}, None),
        ({"lineage_job_name": lambda ti: 1 / 0}, None),
        ({"lineage_root_run_id": lambda ti: ""}, RUN),
        ({"lineage_root_job_name": lambda ti: 1 / 0}, RUN),
    ],
)
def test_macros_that_say_nothing_of_use(macros: Any, root: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    airflow(monkeypatch, True)
    for name, macro in macros.items():
        monkeypatch.setattr(sys.modules["airflow.providers.openlineage.plugins.macros"], name, macro)
    found = find_parent()
    assert (found and found.root.run_id) == root


def test_orchestrators_that_are_not_what_they_are_called(
    monkeypatch: pytest.MonkeyPatch, project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    airflow(monkeypatch, True)
    monkeypatch.setattr(sys.modules["airflow.sdk"], "get_current_context", lambda: None)
    module(monkeypatch, "dagster", OpExecutionContext=SimpleNamespace(get=lambda: SimpleNamespace(run_id="x")))
    module(monkeypatch, "prefect")
    monkeypatch.setenv("LINEAGE__PATH", "events.ndjson")
    pipeline = headrace.pipeline("alone", destination=headrace.destinations.dummy(completed_prob=1.0))
    pipeline.run([{"id": 1}], table_name="t")
    headrace.lineage.flush(pipeline)
    events = [json.loads(line) for line in Path("events.ndjson").read_text().splitlines()]
    runs = [(e["job"]["name"], e["eventType"]) for e in events if e["eventType"] in ("START", "COMPLETE")]
    assert sorted(runs) == [(job, state) for job in ("alone", "alone.alone.t") for state in ("COMPLETE", "START")]
    assert all("parent" not in e["run"]["facets"] for e in events if e["job"]["name"] == "alone")
    assert "Observer" not in caplog.text


def test_a_step_of_dagster(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nothing:
        @staticmethod
        def get() -> Any:
            raise RuntimeError("No current OpExecutionContext in scope.")

    class Running:
        @staticmethod
        def get() -> Any:
            return SimpleNamespace(run_id=RUN, job_name="ingest")

    module(monkeypatch, "dagster", OpExecutionContext=Nothing, AssetExecutionContext=Nothing)
    assert find_parent() is None
    module(monkeypatch, "dagster", OpExecutionContext=Nothing, AssetExecutionContext=Running)
    assert (found := find_parent()) is not None and found.job == JobId("dagster", "ingest")
    monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "prod")
    assert (found := find_parent()) is not None and found.job == JobId("prod", "ingest")


def test_a_flow_of_prefect(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = SimpleNamespace(id=None, flow_name=None)
    module(monkeypatch, "prefect")
    module(monkeypatch, "prefect.runtime", flow_run=flow)
    assert find_parent() is None
    flow.id, flow.flow_name = RUN, "nightly"
    assert (found := find_parent()) is not None and (found.run_id, found.job.name) == (RUN, "nightly")


def test_no_orchestrator_is_imported() -> None:
    find_parent()
    assert not {"airflow", "dagster", "prefect"} & sys.modules.keys()


def test_the_environment_is_given_back() -> None:
    before = dict(os.environ)
    with lineage.exported(SimpleNamespace(_watchers={})) as told:
        assert told == {}
    assert dict(os.environ) == before
