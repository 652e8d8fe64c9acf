"""OpenTelemetry's providers of headrace's own, for one test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from headrace.observers import otel_providers


@contextmanager
def own_providers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """New ones are made when they are asked for; at the end none of their threads tries to send any more."""
    made: list[Any] = []
    kinds = otel_providers._exporters

    def kept(kind: Any) -> Callable[[], Any]:
        def make() -> Any:
            made.append(kind())
            return made[-1]

        return make

    monkeypatch.setattr(otel_providers, "_exporters", lambda signal: [kept(kind) for kind in kinds(signal)])
    _forget()
    yield
    # first those who wait for a server that does not answer: the others wait for them
    for one in made:
        one.shutdown()
    for own in (otel_providers.own_traces, otel_providers.own_metrics):
        if own.cache_info().currsize and hasattr(own(), "shutdown"):
            own().shutdown()
    _forget()


def _forget() -> None:
    for made in (otel_providers.own_traces, otel_providers.own_metrics, otel_providers._pair):
        made.cache_clear()
