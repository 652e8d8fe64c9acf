"""Sentry is told of runs: the real SDK against a receiver on this machine."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk

import headrace
from headrace.base.version import VERSION
from headrace.errors.pipeline import PipelineStepFailed
from tests.observers.receivers import SentryReceiver, dead, hanging

SECRET = "tr0ub4dor-and-3"


@pytest.fixture
def sentry(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SentryReceiver]:
    receiver = SentryReceiver()
    monkeypatch.setenv("RUNTIME__SENTRY_DSN", receiver.dsn)
    yield receiver
    receiver.close()


@headrace.resource
def customers() -> Iterator[dict[str, Any]]:
    yield {"id": 1}
    password = SECRET
    raise ValueError(f"no page 2 at postgres://loader:{password}@db/shop")


def _pipeline(destination: Any = "duckdb", **more: Any) -> headrace.Pipeline:
    return headrace.pipeline("shop", destination=destination, dataset_name="raw", **more)


def _failing(*tables: str) -> Any:
    return headrace.destinations.dummy(fail_table_names=list(tables))


def _numbers(name: str) -> Any:
    return headrace.resource([{"id": i} for i in range(3)], name=name)


def test_a_run_is_a_transaction_with_spans(sentry: SentryReceiver) -> None:
    p = _pipeline()
    info = p.run([_numbers("orders"), _numbers("lines")])
    assert sentry.events == []
    [told] = sentry.transactions
    assert told["transaction"] == "shop" and told["contexts"]["trace"]["op"] == "headrace.run"
    assert told["contexts"]["trace"]["status"] == "ok"
    tags = told["tags"]
    assert (tags["pipeline_name"], tags["destination"], tags["dataset"]) == ("shop", "duckdb", "raw")
    assert tags["version"] == VERSION and tags["load_id"] == info.loads_ids[0]
    assert (Path(p.working_dir) / "runs" / f"{tags['run_id']}.trace.json").is_file()
    assert tags["destination_type"].endswith("duckdb")
    spans = {span["description"]: span for span in told["spans"]}
    copying = next(name for name in spans if name.startswith("copy orders"))  # small tables share a job
    assert {"sync", "extract", "normalize", "load", "resource orders", "resource lines"} <= set(spans)
    load, copy = spans["load"], spans[copying]
    assert load["parent_span_id"] == told["contexts"]["trace"]["span_id"]
    assert copy["parent_span_id"] == load["span_id"] and copy["op"] == "headrace.job"
    assert copy["data"]["load_id"] == info.loads_ids[0] and copy["data"]["resource"] == "orders"
    assert load["start_timestamp"] <= copy["start_timestamp"] <= copy["timestamp"] <= load["timestamp"]
    assert spans["resource orders"]["data"]["rows"] == 3


def test_an_error_is_told_once_with_its_chain(sentry: SentryReceiver) -> None:
    with pytest.raises(PipelineStepFailed) as failure:
        _pipeline().run(customers)
    [event] = sentry.events
    kinds = [one["type"] for one in event["exception"]["values"]]
    assert kinds == ["ValueError", "ResourceExtractionError", "PipelineStepFailed"]
    assert event["tags"]["step"] == "extract" and event["tags"]["resource"] == "customers"
    assert event["tags"]["load_id"] == failure.value.load_id
    assert event["fingerprint"] == ["{{ default }}", "shop", "extract"]
    assert event["level"] == "error" and event["transaction"] == "shop"
    [told] = sentry.transactions
    assert told["contexts"]["trace"]["status"] == "internal_error"
    assert event["contexts"]["trace"]["trace_id"] == told["contexts"]["trace"]["trace_id"]


def test_neither_secrets_nor_variables_leave(sentry: SentryReceiver) -> None:
    with pytest.raises(PipelineStepFailed):
        _pipeline().run(customers)
    assert "no page 2 at" in sentry.text
    assert SECRET not in sentry.text
    [event] = sentry.events
    frames = [f for one in event["exception"]["values"] for f in (one.get("stacktrace") or {}).get("frames", [])]
    assert any(frame["function"] == "customers" for frame in frames)
    assert all("vars" not in frame for frame in frames) and "request" not in event


def test_a_failed_job_that_raises_is_told_once(sentry: SentryReceiver) -> None:
    with pytest.raises(PipelineStepFailed):
        _pipeline(_failing("lines")).run([_numbers("orders"), _numbers("lines")])
    [event] = sentry.events
    assert event["tags"]["table"] == "lines" and event["tags"]["step"] == "load"
    assert event["exception"]["values"][-1]["type"] == "PipelineStepFailed"
    assert any(c["category"] == "headrace.job" and c["level"] == "error" for c in event["breadcrumbs"]["values"])


def test_a_failed_job_that_is_passed_over_is_told(sentry: SentryReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    info = _pipeline(_failing("lines")).run([_numbers("orders"), _numbers("lines")])
    assert info.has_failed_jobs
    [event] = sentry.events
    assert "lines" in event["message"] and "was left out of package" in event["message"]
    assert event["fingerprint"] == ["headrace", "job failed", "shop", "lines"]
    assert (event["tags"]["table"], event["tags"]["resource"]) == ("lines", "lines")
    spans = {span["description"]: span for span in sentry.transactions[0]["spans"]}
    [job] = [span for name, span in spans.items() if name.endswith(" lines") and name != "resource lines"]
    assert (job.get("status") or job["tags"]["status"]) == "internal_error"  # older SDKs have it in the tags


def test_a_package_that_is_set_aside_is_told(sentry: SentryReceiver) -> None:
    p = _pipeline(_failing("lines"))
    p.extract(_numbers("lines"))
    p.normalize()
    p.run(_numbers("orders"))
    [event] = sentry.events
    assert "was set aside" in event["message"] and event["tags"]["table"] == "lines"
    assert event["fingerprint"] == ["headrace", "package set aside", "shop", "lines"]


def test_what_is_set_aside_by_hand_is_no_failure(sentry: SentryReceiver) -> None:
    p = _pipeline()
    p.extract(_numbers("lines"))
    sent = len(sentry.got)
    p.abort_packages()
    assert len(sentry.got) == sent


def test_an_interrupt_is_no_failure(sentry: SentryReceiver) -> None:
    def stopped() -> Iterator[Any]:
        yield {"id": 1}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _pipeline().run(stopped(), table_name="t")
    assert sentry.events == []
    assert sentry.transactions[0]["contexts"]["trace"]["status"] == "cancelled"


def test_warnings_are_breadcrumbs(sentry: SentryReceiver, capsys: pytest.CaptureFixture[str]) -> None:
    p = _pipeline()
    p.run([{"id": 1}], table_name="t")

    def rows() -> Iterator[Any]:
        yield {"id": 2, "extra": "x"}
        logging.getLogger("headrace").warning("the key is %s", f"password={SECRET}")
        yield {"id": 3, "extra": "x"}

    contract = {"columns": "discard_row"}
    p.run(headrace.resource(rows, name="t", schema_contract=contract))
    with pytest.raises(PipelineStepFailed):
        p.run(customers)

    def broken() -> Iterator[Any]:
        yield {"id": 4, "extra": "x"}
        logging.getLogger("headrace").warning("the key is %s", f"password={SECRET}")
        raise ValueError("no")

    with pytest.raises(PipelineStepFailed):
        p.run(headrace.resource(broken, name="t", schema_contract=contract))
    last = sentry.events[-1]["breadcrumbs"]["values"]
    assert [c["message"] for c in last if c["category"] == "headrace.log"] == ["the key is password=***"]


def test_the_log_of_a_plain_script_goes_on(
    sentry: SentryReceiver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def rows() -> Iterator[Any]:
        logging.getLogger("headrace").warning("half of it is missing")
        yield {"id": 1}

    p = _pipeline()
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    p.run(headrace.resource(rows, name="t"))
    assert "half of it is missing" in capsys.readouterr().err


def test_a_step_that_is_repeated_and_succeeds_is_no_failure(
    sentry: SentryReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"ATTEMPTS": "2", "WAIT": "0"}.items():
        monkeypatch.setenv(f"RETRIES__{name}", value)
    tries: list[int] = []

    def rows() -> Iterator[Any]:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError("the line was cut")
        yield {"id": 1}

    _pipeline().run(headrace.resource(rows, name="t"))
    assert sentry.events == []
    [told] = sentry.transactions
    assert [span["description"] for span in told["spans"]].count("extract") == 2
    assert told["contexts"]["trace"]["status"] == "ok"


def test_settings_of_the_client(sentry: SentryReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME__SENTRY_ENVIRONMENT", "staging")
    monkeypatch.setenv("RUNTIME__SENTRY_TRACES_SAMPLE_RATE", "0")
    monkeypatch.setenv("SENTRY_RELEASE", "shop@7")
    with pytest.raises(PipelineStepFailed):
        _pipeline().run(customers)
    [event] = sentry.events
    assert (event["environment"], event["release"]) == ("staging", "shop@7")
    assert sentry.transactions == []


def test_sentrys_own_variables_count(sentry: SentryReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTRY_ENVIRONMENT", "canary")
    _pipeline().run([{"id": 1}], table_name="t")
    assert sentry.transactions[0]["environment"] == "canary"


def test_a_client_of_the_application_is_used(sentry: SentryReceiver) -> None:
    theirs = SentryReceiver()
    before = sentry_sdk.get_client()
    try:
        sentry_sdk.init(dsn=theirs.dsn, traces_sample_rate=1.0, release="app@1")
        client = sentry_sdk.get_client()
        with sentry_sdk.start_transaction(op="task", name="nightly") as outer:
            with pytest.raises(PipelineStepFailed) as failure:
                _pipeline().run(customers)
            sentry_sdk.capture_exception(failure.value)  # as an integration would: the same error again
            assert sentry_sdk.get_current_span() is outer
        assert sentry_sdk.get_client() is client
        client.flush(2)
    finally:
        sentry_sdk.get_client().close()
        sentry_sdk.get_global_scope().set_client(before)
        theirs.close()
    assert sentry.got == []
    events = [event for event in theirs.events if "exception" in event]
    assert len(events) == 1 and events[0]["release"] == "app@1"
    assert SECRET not in str(events[0])
    ours, nightly = sorted(theirs.transactions, key=lambda t: t["transaction"] != "shop")
    assert ours["contexts"]["trace"]["trace_id"] == nightly["contexts"]["trace"]["trace_id"]
    assert ours["contexts"]["trace"]["parent_span_id"] == nightly["contexts"]["trace"]["span_id"]


def test_nothing_of_the_process_is_changed(sentry: SentryReceiver) -> None:
    hook, call = sys.excepthook, logging.Logger.callHandlers
    _pipeline().run([{"id": 1}], table_name="t")
    assert len(sentry.transactions) == 1
    assert not sentry_sdk.get_client().is_active()
    assert (sys.excepthook, logging.Logger.callHandlers) == (hook, call)


@pytest.mark.parametrize("place", [dead, hanging])
def test_no_answer_is_waited_for_a_while_only(place: Any, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with place() as port:
        monkeypatch.setenv("RUNTIME__SENTRY_DSN", f"http://publickey@127.0.0.1:{port}/42")
        p = _pipeline()
        begun = time.monotonic()
        p.run([{"id": 1}], table_name="t")
        assert time.monotonic() - begun < 60


def test_a_wrong_dsn_is_said_and_harms_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RUNTIME__SENTRY_DSN", "nonsense")
    assert not _pipeline().run([{"id": 1}], table_name="t").has_failed_jobs
    assert "`runtime.sentry_dsn`" in caplog.text


def test_without_the_sdk_the_way_to_it_is_said(
    project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RUNTIME__SENTRY_DSN", "http://publickey@127.0.0.1:9/42")
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    _pipeline().run([{"id": 1}], table_name="t")
    assert 'pip install "headrace[sentry]"' in caplog.text


def test_without_the_settings_nothing_is_loaded(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SENTRY_DSN", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        monkeypatch.setenv(name, "http://publickey@127.0.0.1:9/42")  # these alone switch nothing on
    script = """
import re, sys, headrace
headrace.pipeline('shop', destination='duckdb', dataset_name='raw').run([{'id': 1}], table_name='t')
print(sorted(m for m in sys.modules if re.match('sentry_sdk|opentelemetry|headrace.observers', m)))
"""
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
