"""Runs that are repeated: by tenacity with our predicates, and by the settings `retries`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from tenacity import Retrying, retry, retry_if_exception, stop_after_attempt

import headrace
from headrace.destinations.sql.client import SqlJobClient
from headrace.errors.base import ValueErrorWithKnownValues
from headrace.errors.destination import DestinationTerminalException, DestinationTransientException
from headrace.errors.load import SchemaUpdateError, SchemaUpdateTerminalError
from headrace.errors.pipeline import PipelineStepFailed
from headrace.errors.schema import DataValidationError
from headrace.model.events import StepRetried
from headrace.pipeline.helpers import retry_load, retry_schema_update
from tests.e2e.project import rows


class Faults:
    """Makes calls of a destination's client fail a few times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self.left: list[Exception] = []
        self.calls = 0

    def on(self, method: str, *errors: Exception) -> None:
        self.left, right = list(errors), getattr(SqlJobClient, method)

        def call(client: Any, *args: Any, **kw: Any) -> Any:
            self.calls += 1
            if self.left:
                raise self.left.pop(0)
            return right(client, *args, **kw)

        self._patch.setattr(SqlJobClient, method, call)


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")
    return Faults(monkeypatch)


@pytest.fixture
def p(project: Path) -> headrace.Pipeline:
    return headrace.pipeline("shop", destination="duckdb", dataset_name="raw")


@pytest.fixture
def retries(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Three tries, and nearly no waiting."""
    monkeypatch.setenv("RETRIES__ATTEMPTS", "3")
    monkeypatch.setenv("RETRIES__WAIT", "0.01")
    return monkeypatch


def down() -> Exception:
    return DestinationTransientException("the line is down")


read: list[int] = []


@headrace.resource(name="t")
def numbers(at: Any = headrace.sources.incremental("id", initial_value=0)) -> Iterator[Any]:
    read.append(1)
    yield [{"id": at.last_value + 1}]


@pytest.fixture(autouse=True)
def nothing_read() -> None:
    read.clear()


# ---- by tenacity ---------------------------------------------------------------------------------------------------


def test_tenacity_as_a_loop(p: headrace.Pipeline, faults: Faults) -> None:
    """The package waits, so the second try only loads; what `run` is given again comes behind it."""
    faults.on("apply", down(), down())
    p.extract(numbers())
    p.normalize()
    tries = 0
    for attempt in Retrying(stop=stop_after_attempt(5), retry=retry_if_exception(retry_load()), reraise=True):
        with attempt:
            tries += 1
            p.load()
    assert tries == 3 and rows(p, "t", "id") == [(1,)] and len(read) == 1


def test_tenacity_as_a_decorator(p: headrace.Pipeline, faults: Faults) -> None:
    faults.on("apply", down())

    @retry(stop=stop_after_attempt(3), retry=retry_if_exception(retry_load(("extract", "load"))), reraise=True)
    def work() -> Any:
        return p.run(numbers())

    work()
    assert rows(p, "t", "id") == [(1,), (2,)]


def test_tenacity_gives_up_what_will_not_pass(p: headrace.Pipeline, faults: Faults) -> None:
    faults.on("apply", DestinationTerminalException("no"), DestinationTerminalException("no"))
    with pytest.raises(PipelineStepFailed):
        for attempt in Retrying(stop=stop_after_attempt(3), retry=retry_if_exception(retry_load()), reraise=True):
            with attempt:
                p.run(numbers())
    assert len(faults.left) == 1


def test_changes_of_tables_may_be_tried_again(p: headrace.Pipeline, faults: Faults) -> None:
    """Whatever the destination says of it; other failures are left to other predicates."""
    faults.on("migrate", DestinationTerminalException("column exists"))
    again = retry_if_exception(retry_schema_update())
    for attempt in Retrying(stop=stop_after_attempt(3), retry=again, reraise=True):
        with attempt:
            p.run(numbers())
    assert rows(p, "t", "id") == [(1,)]
    faults.on("migrate", DestinationTerminalException("column exists"))
    with pytest.raises(PipelineStepFailed) as raised:
        p.run([{"id": 1, "more": 1}], table_name="t")
    error = raised.value.exception
    assert isinstance(error, SchemaUpdateTerminalError) and isinstance(error, SchemaUpdateError)
    assert isinstance(error.__cause__, DestinationTerminalException) and "t" in error.table_names
    assert "column exists" in str(error)
    assert retry_schema_update()(raised.value) and not retry_load()(raised.value)
    faults.on("apply", DestinationTerminalException("no"))
    with pytest.raises(PipelineStepFailed) as raised:
        p.run(numbers())
    assert not retry_schema_update()(raised.value) and not retry_schema_update()(ValueError())


# ---- by the settings -----------------------------------------------------------------------------------------------


def test_a_load_is_repeated_alone(
    p: headrace.Pipeline, faults: Faults, retries: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    faults.on("apply", down(), OSError("who knows"))
    told: list[StepRetried] = []
    p.observe(lambda event: told.append(event) if isinstance(event, StepRetried) else None)
    info = p.run(numbers())
    assert info is not None and len(info.loads_ids) == 1 and info.load_packages[0].state == "loaded"
    assert rows(p, "t", "id") == [(1,)] and len(read) == 1
    assert [(event.step, event.attempt) for event in told] == [("load", 1), ("load", 2)]
    assert told[0].wait <= 0.01 and "the line is down" in told[0].error
    assert "try 2 of 3" in caplog.text and "try 3 of 3" in caplog.text
    trace = p.last_trace
    assert trace is not None
    assert [(step.step, bool(step.step_exception)) for step in trace.steps] == [
        ("extract", False),
        ("normalize", False),
        ("load", True),
        ("load", True),
        ("load", False),
        ("run", False),
    ]
    assert "the line is down" in str(trace)


def test_what_was_loaded_before_is_told(p: headrace.Pipeline, faults: Faults, retries: pytest.MonkeyPatch) -> None:
    """Two packages wait; the second one needs another try: the info has both, each once."""
    p.extract(numbers())
    p.extract(numbers())
    p.normalize()
    right = SqlJobClient.apply
    jobs: list[str] = []

    def apply(client: Any, job: Any, context: Any) -> Any:
        jobs.append(context.load_id)
        if len(jobs) == 2:
            raise down()
        return right(client, job, context)

    retries.setattr(SqlJobClient, "apply", apply)
    info = p.run()
    assert info is not None and len(info.loads_ids) == 2 and info.loads_ids == sorted(set(info.loads_ids))
    assert [package.state for package in info.load_packages] == ["loaded", "loaded"]
    assert len(info.metrics) == 2


def test_nothing_is_repeated_by_default(p: headrace.Pipeline, faults: Faults) -> None:
    faults.on("apply", down())
    with pytest.raises(PipelineStepFailed):
        p.run(numbers())
    assert faults.calls == 1


def test_what_will_not_pass_is_not_repeated(p: headrace.Pipeline, faults: Faults, retries: pytest.MonkeyPatch) -> None:
    faults.on("apply", DestinationTerminalException("no"), DestinationTerminalException("no"))
    with pytest.raises(PipelineStepFailed):
        p.run(numbers())
    assert len(faults.left) == 1


def test_a_package_set_aside_is_not_passed_over(p: headrace.Pipeline, retries: pytest.MonkeyPatch) -> None:
    """A second normalize would find nothing to do, and the run would seem to have gone well."""
    p.run([{"id": 1}], table_name="t")
    with pytest.raises(PipelineStepFailed) as raised:
        p.run([{"id": 2, "new": 1}], table_name="t", schema_contract={"columns": "freeze"})
    assert isinstance(raised.value.exception.__cause__, DataValidationError)
    assert rows(p, "t", "id") == [(1,)]


def test_steps_may_be_chosen(p: headrace.Pipeline, faults: Faults, retries: pytest.MonkeyPatch) -> None:
    retries.setenv("RETRIES__STEPS", '["extract"]')
    faults.on("apply", down())
    with pytest.raises(PipelineStepFailed):
        p.run(numbers())
    retries.setenv("RETRIES__STEPS", '["loud"]')
    faults.on("apply", down())
    with pytest.raises((PipelineStepFailed, ValueErrorWithKnownValues)) as raised:
        p.run(numbers())
    assert "retries.steps" in str(raised.value)


def test_settings_may_be_of_one_pipeline(p: headrace.Pipeline, faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP__RETRIES__ATTEMPTS", "2")
    monkeypatch.setenv("SHOP__RETRIES__WAIT", "0")
    faults.on("apply", down())
    p.run(numbers())
    faults.on("apply", down(), down())
    with pytest.raises(PipelineStepFailed):
        p.run(numbers())


# ---- reading again -------------------------------------------------------------------------------------------------


def flaky(times: int, error: Exception) -> Any:
    """A function of rows that fails so many times, behind its first row."""
    left = [error] * times

    def rows_of() -> Iterator[Any]:
        read.append(1)
        yield {"id": 1}
        if left:
            raise left.pop()
        yield {"id": 2}

    return rows_of


@pytest.mark.parametrize("kind", ["function", "resource", "source", "transformer", "list"])
def test_functions_are_read_again(p: headrace.Pipeline, retries: pytest.MonkeyPatch, kind: str) -> None:
    function = flaky(2, OSError("cut"))
    resource = headrace.resource(function, name="t")

    @headrace.transformer(data_from=resource, name="u")
    def same(item: Any) -> Any:
        return item

    @headrace.source(name="s")
    def one() -> Any:
        return resource

    data: Any = {
        "function": function,
        "resource": resource,
        "source": one(),
        "transformer": same,
        "list": [resource],
    }[kind]
    p.run(data, table_name="t")
    assert rows(p, "t", "id") == [(1,), (2,)] and len(read) == 3


@pytest.mark.parametrize("kind", ["generator", "resource", "iterator"])
def test_generators_are_not(
    p: headrace.Pipeline, retries: pytest.MonkeyPatch, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    generator = flaky(1, OSError("cut"))()
    data = {
        "generator": lambda: generator,
        "resource": lambda: headrace.resource(generator, name="t"),
        "iterator": lambda: map(dict, generator),
    }[kind]()
    with pytest.raises(PipelineStepFailed):
        p.run(data, table_name="t")
    assert "NOT repeated" in caplog.text and "cannot be read a second time" in caplog.text
    assert len(read) == 1


# ---- web requests --------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[tuple[str, list[int]]]:
    """A server that answers with the statuses of a list, then with rows."""
    statuses: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = statuses.pop(0) if statuses else 200
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b'[{"id": 1}]')

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    found = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{found.server_port}", statuses
    found.shutdown()
    found.server_close()


@pytest.mark.parametrize(("statuses", "tries"), [([503, 429], 3), ([404, 404], 1)])
def test_statuses_decide(
    p: headrace.Pipeline,
    retries: pytest.MonkeyPatch,
    server: tuple[str, list[int]],
    statuses: list[int],
    tries: int,
) -> None:
    """The resource's own exception stays what it is; its class and status are judged where it is the cause."""
    url, answers = server
    answers += statuses

    @headrace.resource(name="t")
    def page() -> Iterator[Any]:
        read.append(1)
        response = requests.get(url, timeout=60)
        response.raise_for_status()
        yield response.json()

    if tries == 3:
        p.run(page)
        assert rows(p, "t", "id") == [(1,)]
    else:
        with pytest.raises(PipelineStepFailed) as raised:
            p.run(page)
        assert isinstance(raised.value.exception.__cause__, requests.HTTPError)
        assert not retry_load(("extract",))(raised.value)
        trace = p.last_trace
        assert trace is not None
        assert any(told["is_terminal"] for told in trace.steps[0].exception_traces or [])
    assert len(read) == tries
