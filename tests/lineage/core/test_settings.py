"""Each setting of `lineage` that says what is told counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace import lineage
from headrace.config.lineage import lineage_settings, may_be_on
from headrace.errors.pipeline import PipelineStepFailed
from headrace.observers import lineage as room
from headrace.observers.lineage.delivery import close
from headrace.observers.lineage.owning import owners_of_table
from tests.e2e.project import project as project
from tests.lineage.scenarios.stream import RunOf, Stream


@pytest.fixture(autouse=True)
def clean(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE_DISABLED", "OPENLINEAGE_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(project))
    yield
    close(0)


def orders() -> Any:
    """All orders."""
    yield {"id": 1, "name": "a"}


def play(monkeypatch: pytest.MonkeyPatch, fails: bool = False, **settings: Any) -> tuple[RunOf, RunOf]:
    """The invocation and the resource run of a run with these settings."""
    path = Path("events.ndjson").resolve()
    for name, value in {"path": path, **settings}.items():
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        monkeypatch.setenv(f"LINEAGE__{name.upper()}", text.strip('"') if isinstance(value, Path) else text)

    def broken() -> Any:
        raise ValueError("no orders today")
        yield

    resource = headrace.resource(broken if fails else orders, name="orders")()
    resource.add_input({"kind": "x", "namespace": "postgres://db.example.com:5432", "name": "w.raw.orders"})
    p = headrace.pipeline("shop", destination=headrace.destinations.duckdb("w.duckdb"), dataset_name="raw")
    try:
        p.run(resource)
        assert not fails
    except PipelineStepFailed:
        assert fails
    assert lineage.flush(p)
    stream = Stream(path)
    return stream.invocations[0], stream.of("orders")[0]


def test_who_owns_what_and_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    settings: Any = {"owners": {"team:data": "MAINTAINER"}, "tags": {"tier": 1}, "run_tags": {"ticket": "A-1"}}
    both = play(monkeypatch, namespace="shops", description="Loads the shop.", **settings)
    for run in both:
        assert run.last["job"]["namespace"] == "shops"
        assert run.job_facet("ownership")["owners"] == [{"name": "team:data", "type": "MAINTAINER"}]
        assert [(t["key"], t["value"]) for t in run.job_facet("tags")["tags"]] == [("tier", "1")]
        assert ("ticket", "A-1") in [(t["key"], t["value"]) for t in run.facet("tags")["tags"]]
    assert both[0].job_facet("documentation")["description"] == "Loads the shop."
    assert both[1].job_facet("documentation")["description"] == "All orders."
    assert both[1].outputs[0]["facets"]["ownership"]["owners"][0]["name"] == "team:data"


def test_owners_of_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    # the first pattern that meets the name, with or without the dataset, decides
    given: dict[str, Any] = {"cust*": ["team:crm"], "raw.ord*": {"team:sales": "STEWARD"}, "orders": ["team:late"]}
    _, run = play(monkeypatch, owners=["team:data"], dataset_owners=given)
    assert run.outputs[0]["facets"]["ownership"]["owners"] == [{"name": "team:sales", "type": "STEWARD"}]
    assert run.job_facet("ownership")["owners"] == [{"name": "team:data", "type": "OWNER"}]
    settings = lineage_settings()
    assert owners_of_table(settings, ["customers"]) == [("team:crm", "OWNER")]
    assert owners_of_table(settings, ["people"]) == [("team:data", "OWNER")]


def test_the_namespace_of_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "from-outside")
    assert play(monkeypatch)[0].last["job"]["namespace"] == "from-outside"


def test_the_run_around(monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = "0195f6de-0000-7000-8000-000000000001"
    invocation, resource = play(monkeypatch, parent=f"prod/nightly/{run_id}")
    assert invocation.parent == run_id and resource.facet("parent")["root"]["run"]["runId"] == run_id


def test_variables_that_may_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGE", "test")
    for run in play(monkeypatch, environment=["STAGE", "NOT_SET"]):
        assert run.facet("environmentVariables")["environmentVariables"] == [{"name": "STAGE", "value": "test"}]


def test_the_code_of_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    _, resource = play(monkeypatch, source_code="true")
    assert "def orders()" in resource.job_facet("sourceCode")["sourceCode"]
    assert resource.job_facet("sourceCode")["language"] == "python"


def test_no_code_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    _, resource = play(monkeypatch)
    assert not resource.job_facet("sourceCode")


@pytest.mark.parametrize("wanted", ["true", "false"])
def test_stacks_of_errors(wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    invocation, resource = play(monkeypatch, fails=True, stack_traces=wanted)
    for run in (invocation, resource):
        error = run.facet("errorMessage")
        assert run.end == "FAIL" and "no orders today" in error["message"]
        assert ("Traceback" in error.get("stackTrace", "")) == (wanted == "true")


def test_namespaces_of_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    _, resource = play(monkeypatch, namespaces={"postgres://db.example.com:5432": "postgres://main:5432"})
    assert [one["namespace"] for one in resource.inputs] == ["postgres://main:5432"]


def test_a_budget_of_column_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    _, resource = play(monkeypatch, column_budget=1)
    assert "columnLineage" not in resource.outputs[0]["facets"] and resource.facet("extractionError")


@pytest.mark.parametrize(
    ("environ", "on"),
    [
        ({}, False),
        ({"LINEAGE__ENABLED": "true"}, True),
        ({"LINEAGE__NAMESPACE": "x"}, True),
        ({"LINEAGE__NAMESPACE": "x", "LINEAGE__ENABLED": "false"}, False),
        ({"OPENLINEAGE_URL": "http://localhost:5000"}, True),
        ({"OPENLINEAGE_URL": "http://localhost:5000", "LINEAGE__ENABLED": "false"}, False),
        ({"OPENLINEAGE__TRANSPORT__TYPE": "console"}, True),
        ({"OPENLINEAGE_URL": "http://localhost:5000", "OPENLINEAGE_DISABLED": "true"}, False),
        ({"LINEAGE__ENABLED": "true", "OPENLINEAGE_DISABLED": "True"}, False),
    ],
)
def test_when_it_is_on(environ: dict[str, str], on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert lineage_settings().is_on() == on
    assert may_be_on(any(name.startswith("LINEAGE__") for name in environ)) >= on


def test_keys_that_mean_nothing_are_told_once(
    project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(room, "_told", set())
    (project / ".dlt").mkdir(exist_ok=True)
    (project / ".dlt" / "config.toml").write_text('[lineage]\nnamspace = "x"\n[lineage.tags]\na = "1"\n')
    monkeypatch.setenv("LINEAGE__PATHH", "events.ndjson")
    for _ in range(2):
        headrace.pipeline("typos", destination="duckdb").run([{"id": 1}], table_name="t")
    assert caplog.text.count("no setting of the section") == 1
    assert "LINEAGE__PATHH (did you mean `path`?)" in caplog.text
    assert "`lineage.namspace` in config.toml (did you mean `namespace`?)" in caplog.text
    assert "`lineage.tags" not in caplog.text


@pytest.mark.parametrize("where", ["openlineage.yml", ".openlineage/openlineage.yml"])
def test_the_file_of_the_client_switches_it_on(where: str, project: Path) -> None:
    assert not may_be_on(False)
    (project / where).parent.mkdir(exist_ok=True)
    (project / where).write_text("transport:\n  type: console\n")
    assert may_be_on(False) and lineage_settings().is_on()
