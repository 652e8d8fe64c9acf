"""OpenTelemetry is told of runs: the real SDK against a receiver on this machine, or exporters in memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.metrics import _internal as metrics_internal
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util._once import Once

import headrace
from headrace.errors.pipeline import PipelineStepFailed
from headrace.observers import facts, otel, otel_metrics
from tests.observers.providers import own_providers
from tests.observers.receivers import Receiver, dead, hanging

SECRET = "tr0ub4dor-and-3"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture(autouse=True)
def fresh(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test has providers of its own, and the setting on."""
    monkeypatch.setenv("RUNTIME__OTEL", "true")
    monkeypatch.delenv("TRACEPARENT", raising=False)
    with own_providers(monkeypatch):
        yield


class Collector(Receiver):
    """Understands OTLP over HTTP."""

    @property
    def spans(self) -> dict[str, Any]:
        """Spans by name."""
        return {span.name: span for span in self.all_spans}

    @property
    def all_spans(self) -> list[Any]:
        return [
            span
            for path, body in self.got
            if path == "/v1/traces"
            for one in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in one.scope_spans
            for span in scope.spans
        ]

    @property
    def service(self) -> str:
        body = next(body for path, body in self.got if path == "/v1/traces")
        return _plain(ExportTraceServiceRequest.FromString(body).resource_spans[0].resource.attributes)["service.name"]

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """The newest values: by metric, by table, kind, step or outcome."""
        body = [body for path, body in self.got if path == "/v1/metrics"][-1]
        found: dict[str, dict[str, float]] = {}
        for one in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for metric in (m for scope in one.scope_metrics for m in scope.metrics):
                for point in metric.sum.data_points:
                    found.setdefault(metric.name, {})[_key(_plain(point.attributes))] = point.as_int
                for point in metric.histogram.data_points:
                    found.setdefault(metric.name, {})[_key(_plain(point.attributes))] = point.count
        return found


def _plain(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def _key(found: dict[str, Any]) -> str:
    names = ("table.name", "step", "job.kind", "outcome", "contract.rule")
    return " ".join(str(found[f"headrace.{n}"]) for n in names if f"headrace.{n}" in found)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    receiver = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{receiver.port}")
    yield receiver
    receiver.close()


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> tuple[InMemorySpanExporter, InMemoryMetricReader]:
    """An application that has set providers of its own."""
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())
    monkeypatch.setattr(metrics_internal, "_METER_PROVIDER", MeterProvider([reader], shutdown_on_exit=False))
    return spans, reader


@headrace.resource
def customers() -> Iterator[dict[str, Any]]:
    yield {"id": 1}
    raise ValueError(f"no page 2 at postgres://loader:{SECRET}@db/shop")


def _pipeline(destination: Any = "duckdb") -> headrace.Pipeline:
    return headrace.pipeline("shop", destination=destination, dataset_name="raw")


def _numbers(name: str, **more: Any) -> Any:
    return headrace.resource([{"id": i} for i in range(3)], name=name, **more)


def test_a_run_is_a_trace(collector: Collector) -> None:
    info = _pipeline().run([_numbers("orders"), _numbers("lines")])
    spans = collector.spans
    copy = next(span for name, span in spans.items() if name.startswith("copy orders"))
    run, load = spans["run shop"], spans["load"]
    assert {"sync", "extract", "normalize", "resource orders", "resource lines"} <= set(spans)
    assert {span.trace_id for span in spans.values()} == {run.trace_id}
    assert run.parent_span_id == b"" and load.parent_span_id == run.span_id and copy.parent_span_id == load.span_id
    assert spans["resource orders"].parent_span_id == spans["extract"].span_id
    assert load.start_time_unix_nano <= copy.start_time_unix_nano <= copy.end_time_unix_nano <= load.end_time_unix_nano
    said = _plain(run.attributes)
    assert said["headrace.pipeline.name"] == "shop" and said["headrace.dataset.name"] == "raw"
    assert said["headrace.destination.name"] == "duckdb" and said["headrace.run.id"]
    assert [v.string_value for v in said["headrace.load.ids"].values] == info.loads_ids
    job = _plain(copy.attributes)
    assert (job["headrace.load.id"], job["headrace.resource.name"]) == (info.loads_ids[0], "orders")
    assert (job["headrace.job.kind"], job["headrace.step"]) == ("copy", "load") and job["headrace.bytes"] > 0
    assert _plain(spans["resource orders"].attributes)["headrace.rows"] == 3
    assert collector.service == "headrace"


def test_metrics(collector: Collector) -> None:
    p = _pipeline()
    p.run(_numbers("orders"))
    p.run([{"id": 7, "extra": "x"}], table_name="orders", schema_contract={"columns": "discard_row"})
    found = collector.metrics
    assert found["headrace.runs"] == {"ok": 2}
    assert found["headrace.rows.extracted"]["orders"] == 4  # normalize keeps to the contract
    assert found["headrace.rows.normalized"]["orders"] == 3
    assert found["headrace.rows.loaded"]["orders"] == 3
    assert found["headrace.rows.rejected"] == {"orders columns:discard_row": 1}
    for step in ("extracted", "normalized", "loaded"):
        assert found[f"headrace.bytes.{step}"]["orders"] > 0
    assert found["headrace.schema.changes"]["orders"] == 3  # id and two of the system
    assert sum(found["headrace.jobs.done"].values()) >= 1
    assert found["headrace.packages.loaded"] == {"": 2} and found["headrace.load.lag"] == {"": 2}
    assert found["headrace.run.duration"] == {"ok": 2}
    assert {"sync ok", "extract ok", "normalize ok", "load ok"} == set(found["headrace.step.duration"])
    assert "copy done" in found["headrace.job.duration"]


def test_an_error_is_recorded_once_and_without_secrets(collector: Collector) -> None:
    with pytest.raises(PipelineStepFailed):
        _pipeline().run(customers)
    spans = collector.spans
    run, extract = spans["run shop"], spans["extract"]
    assert run.status.code == extract.status.code == 2
    said = _plain(extract.attributes)
    assert said["error.type"] == "ValueError" and said["headrace.resource.name"] == "customers"
    [event] = [event for span in collector.all_spans for event in span.events if event.name == "exception"]
    told = _plain(event.attributes)
    assert told["exception.type"] == "headrace.errors.pipeline.PipelineStepFailed"
    assert "no page 2 at postgres://loader:***@db/shop" in told["exception.message"]
    assert "ResourceExtractionError" in told["exception.stacktrace"] and "customers" in told["exception.stacktrace"]
    assert SECRET not in collector.text
    assert collector.metrics["headrace.runs"] == {"failed": 1}


def test_jobs_that_fail_and_are_passed_over(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    info = _pipeline(headrace.destinations.dummy(fail_table_names=["lines"])).run(
        [_numbers("orders"), _numbers("lines")]
    )
    assert info.has_failed_jobs
    failed = [span for span in collector.all_spans if span.status.code == 2]
    assert [_plain(span.attributes)["headrace.table.name"] for span in failed] == ["lines"]
    assert "fail_table_names" in failed[0].status.message
    assert _plain(collector.spans["run shop"].attributes)["headrace.jobs.failed"] == 1
    assert sum(collector.metrics["headrace.jobs.failed"].values()) == 1


def test_attempts_that_are_repeated(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")
    with pytest.raises(PipelineStepFailed):
        _pipeline(headrace.destinations.dummy(retry_prob=1.0)).run(_numbers("orders"))
    attempts = [s for s in collector.all_spans if "headrace.job.attempt" in _plain(s.attributes)]
    assert attempts and all(span.status.code == 2 for span in attempts)
    assert sum(collector.metrics["headrace.jobs.retried"].values()) == len(attempts)


def test_steps_that_are_repeated(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ATTEMPTS": "3", "WAIT": "0"}.items():
        monkeypatch.setenv(f"RETRIES__{name}", value)
    tries: list[int] = []

    def rows() -> Iterator[Any]:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError(f"cut for the {len(tries)}. time")
        yield {"id": 1}

    _pipeline().run(headrace.resource(rows, name="t"))
    steps = [span for span in collector.all_spans if span.name == "extract"]
    assert [span.status.code for span in steps] == [2, 2, 0]
    assert [sum(event.name == "exception" for event in span.events) for span in steps] == [1, 1, 0]
    assert collector.spans["run shop"].status.code == 0
    assert collector.metrics["headrace.steps.retried"] == {"extract": 2}
    assert collector.metrics["headrace.runs"] == {"ok": 1}


def test_packages_set_aside_are_counted(collector: Collector) -> None:
    p = _pipeline(headrace.destinations.dummy(fail_table_names=["lines"]))
    with pytest.raises(PipelineStepFailed):
        p.run(_numbers("lines"))
    assert collector.metrics["headrace.packages.set_aside"] == {"": 1}


def test_traceparent_of_the_environment_is_the_parent(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEPARENT", f"00-{TRACE}-{PARENT}-01")
    _pipeline().run(_numbers("orders"))
    run = collector.spans["run shop"]
    assert (run.trace_id.hex(), run.parent_span_id.hex()) == (TRACE, PARENT)


def test_providers_of_the_application_are_used(
    application: tuple[InMemorySpanExporter, InMemoryMetricReader],
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spans, reader = application
    monkeypatch.setenv("TRACEPARENT", f"00-{TRACE}-{PARENT}-01")  # what is current goes before it
    seen: list[Any] = []

    @headrace.resource
    def orders() -> Iterator[Any]:
        with trace.get_tracer("shop").start_as_current_span("GET /orders"):
            seen.append(trace.get_current_span())
        yield {"id": 1}

    with trace.get_tracer("shop").start_as_current_span("nightly") as nightly:
        _pipeline().run(orders)
        assert trace.get_current_span() is nightly
    made = {span.name: span for span in spans.get_finished_spans()}
    assert made["run shop"].parent.span_id == nightly.get_span_context().span_id
    assert made["GET /orders"].parent.span_id == made["extract"].context.span_id  # spans of others stand below ours
    assert made["run shop"].context.trace_id == nightly.get_span_context().trace_id
    data = reader.get_metrics_data()
    assert data is not None
    names = {m.name for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics}
    assert {"headrace.rows.loaded", "headrace.run.duration"} <= names
    assert collector.got == []


def test_the_context_is_given_back_after_a_failure(
    application: tuple[InMemorySpanExporter, InMemoryMetricReader],
) -> None:
    for failing in (customers, headrace.resource(_interrupted, name="t")):
        with pytest.raises((PipelineStepFailed, KeyboardInterrupt)):
            _pipeline().run(failing)
        assert not trace.get_current_span().get_span_context().is_valid


def _interrupted() -> Iterator[Any]:
    yield {"id": 1}
    raise KeyboardInterrupt


def test_there_is_an_end_to_jobs(
    application: tuple[InMemorySpanExporter, InMemoryMetricReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "MOST_PIECES", 3)
    _pipeline().run([_numbers(f"t{i}") for i in range(6)])
    made = application[0].get_finished_spans()
    assert sum(span.name.startswith(("resource", "copy")) for span in made) == 3
    run = next(span for span in made if span.name == "run shop")
    assert run.attributes is not None and run.attributes["headrace.spans.left_out"] >= 3


def test_what_only_looks_after_something_is_no_trace(
    application: tuple[InMemorySpanExporter, InMemoryMetricReader],
) -> None:
    p = _pipeline()
    with p.managed_state() as state:
        state["mine"] = 1  # type: ignore[typeddict-unknown-key]
    assert application[0].get_finished_spans() == ()


def test_standard_variables(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "warehouse")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    _pipeline().run(_numbers("orders"))
    assert collector.service == "warehouse"
    assert {path for path, _ in collector.got} == {"/v1/traces"}


def test_an_exporter_that_is_not_there(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin_json")
    assert not _pipeline().run(_numbers("orders")).has_failed_jobs
    assert "opentelemetry-exporter-zipkin-json" in caplog.text and "`runtime.otel`" in caplog.text


@pytest.mark.parametrize("place", [dead, hanging])
def test_no_answer_is_waited_for_a_while_only(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with place() as port:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3600")
        p = _pipeline()
        begun = time.monotonic()
        for _ in range(2):  # the first flush still tries when the second run ends
            p.run(_numbers("orders"))
        assert time.monotonic() - begun < 60


SCRIPT = """
import headrace
headrace.pipeline('shop', destination='duckdb', dataset_name='raw').run([{'id': 1}], table_name='t')
"""


def test_the_program_ends_though_the_receiver_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    with hanging() as port:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3600")
        subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=120)


def test_without_the_sdk_the_way_to_it_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    _pipeline().run(_numbers("orders"))
    assert 'pip install "headrace[otel]"' in caplog.text


def test_no_metric_of_the_meter_is_made_twice(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        _pipeline().run(_numbers("orders"))
    assert [record for record in caplog.records if record.name.startswith("opentelemetry.sdk.metrics")] == []
    assert metrics.get_meter_provider() is metrics_internal._PROXY_METER_PROVIDER  # the process has none of ours


def test_the_guide_names_all_names() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guide" / "monitoring.md").read_text()
    names = {*otel.ATTRIBUTES.values(), *otel_metrics.COUNTERS, *otel_metrics.HISTOGRAMS}
    assert [name for name in sorted(names) if f"`{name}`" not in guide] == []
