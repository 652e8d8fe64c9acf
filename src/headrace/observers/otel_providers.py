"""Where spans and metrics go: the application's providers, or our own by the standard variables."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from headrace.base.version import VERSION
from headrace.errors.base import MissingDependencyException

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.trace import Tracer

SCOPE = "headrace"
"""Name of the instrumentation scope of all spans and metrics."""

_PACKAGES = {"otlp_proto_http": "headrace[otel]"}
_PLACEHOLDERS = ("ProxyTracerProvider", "_ProxyMeterProvider")


class Providers:
    """A pair of providers.

    Args:
        traces: Makes tracers.
        metrics: Makes meters.
        own: Those of the pair that we made, and so have to flush.

    Attributes:
        instruments: Of metrics, by name: a meter wants each to be made once.
    """

    def __init__(self, traces: Any, metrics: Any, own: tuple[Any, ...]) -> None:
        self._traces, self._metrics, self._own = traces, metrics, own
        self.instruments: dict[str, Any] = {}
        self._flushing: threading.Thread | None = None

    def tracer(self) -> Tracer:
        """Makes spans."""
        found: Tracer = self._traces.get_tracer(SCOPE, VERSION)
        return found

    def meter(self) -> Meter:
        """Makes instruments."""
        found: Meter = self._metrics.get_meter(SCOPE, VERSION)
        return found

    def flush(self, seconds: float) -> None:
        """Send what waits, for so long at most; the application's providers are its own affair.

        What a receiver that hangs has not taken by then goes on being sent beside the program, and is lost at its end.
        """
        if not self._own:
            return
        # the SDK's own time limit is not kept by its processors; one flush at a time is enough
        if self._flushing is None or not self._flushing.is_alive():
            self._flushing = threading.Thread(target=self._flush, name="headrace-otel-flush", daemon=True)
            self._flushing.start()
            self._flushing.join(seconds)

    def _flush(self) -> None:
        for provider in self._own:
            provider.force_flush()


def providers() -> Providers:
    """The application's providers where it has set them, else our own.

    Raises:
        MissingDependencyException: An exporter that a variable names is not installed.
    """
    from opentelemetry import metrics, trace

    traces: Any = trace.get_tracer_provider()
    own: tuple[Any, ...] = ()
    if type(traces).__name__ in _PLACEHOLDERS:
        traces = own_traces()
        own += (traces,)
    meters: Any = metrics.get_meter_provider()
    if type(meters).__name__ in _PLACEHOLDERS:
        meters = own_metrics()
        own += (meters,)
    return _pair(traces, meters, tuple(one for one in own if hasattr(one, "force_flush")))


@lru_cache(maxsize=4)
def _pair(traces: Any, metrics: Any, own: tuple[Any, ...]) -> Providers:
    return Providers(traces, metrics, own)


@lru_cache(maxsize=1)
def own_traces() -> Any:
    """A provider that sends spans as ``OTEL_TRACES_EXPORTER`` and its kin say: by OTLP when they say nothing."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import NoOpTracerProvider

    made = [BatchSpanProcessor(make()) for make in _exporters("traces")]
    if not made:
        return NoOpTracerProvider()
    # the end of the program must not wait for a receiver that is away: each run has waited its while
    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    for processor in made:
        provider.add_span_processor(processor)
    return provider


@lru_cache(maxsize=1)
def own_metrics() -> Any:
    """The same for metrics, by ``OTEL_METRICS_EXPORTER``."""
    from opentelemetry.metrics import NoOpMeterProvider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    readers = [PeriodicExportingMetricReader(make()) for make in _exporters("metrics")]
    if not readers:
        return NoOpMeterProvider()
    return MeterProvider(metric_readers=readers, resource=_resource(), shutdown_on_exit=False)


def _resource() -> Resource:
    from opentelemetry.sdk.resources import Resource

    # what is given here wins over the variables, so that it is given only where they are silent
    named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return Resource.create({} if named else {"service.name": "headrace"})


def _exporters(signal: str) -> list[Callable[[], Any]]:
    """The classes of the exporters that ``OTEL_<signal>_EXPORTER`` names, several with commas between.

    The variables, their defaults and ``none`` are those of
    https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
    """
    from importlib.metadata import entry_points

    wanted = os.environ.get(f"OTEL_{signal.upper()}_EXPORTER") or "otlp"
    names = [name.strip() for name in wanted.split(",") if name.strip() not in ("", "none")]
    protocol = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL") or os.environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL", ""
    )
    found = []
    for name in names:
        full = ("otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http") if name == "otlp" else name
        points = entry_points(group=f"opentelemetry_{signal}_exporter", name=full)
        if not points:
            package = _PACKAGES.get(full, f"opentelemetry-exporter-{full.replace('_', '-')}")
            raise MissingDependencyException(f"OpenTelemetry, for the {signal} exporter `{full}`,", [package])
        found.append(next(iter(points)).load())
    return found


def parent_context(environ: Mapping[str, str]) -> Context:
    """What a run is a part of: the current span, else the one that ``TRACEPARENT`` names.

    The variables are those of https://opentelemetry.io/docs/specs/otel/context/env-carriers/
    """
    from opentelemetry import context, trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    here = context.get_current()
    if trace.get_current_span(here).get_span_context().is_valid:
        return here
    carrier = {name: environ[name.upper()] for name in ("traceparent", "tracestate") if name.upper() in environ}
    return TraceContextTextMapPropagator().extract(carrier, here)
