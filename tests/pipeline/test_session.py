"""One client serves a run; a broken or forgotten one is replaced."""

from __future__ import annotations

import time
from typing import Any

import pytest

from headrace.model.schema import Schema
from headrace.pipeline import session as sessions
from headrace.pipeline.session import Session


class FakeClient:
    def __init__(self, log: list[str]) -> None:
        self.log = log

    def __enter__(self) -> FakeClient:
        self.log.append("open")
        return self

    def __exit__(self, *error: object) -> None:
        self.log.append("close")


class FakeDestination:
    def __init__(self) -> None:
        self.log: list[str] = []

    def open(self, dataset_name: str, schema: Schema, facts: Any) -> FakeClient:
        return FakeClient(self.log)


def use(session: Session, destination: Any, dataset: str = "d") -> Any:
    return session.use(destination, dataset, Schema("s"), None)  # type: ignore[arg-type]


def test_the_same_dataset_gets_the_same_client() -> None:
    destination, session = FakeDestination(), Session()
    with use(session, destination) as first, use(session, destination) as second:
        assert first is second
    session.close()
    assert destination.log == ["open", "close"]


def test_another_dataset_gets_another_client() -> None:
    destination, session = FakeDestination(), Session()
    for dataset in ("a", "b"):
        with use(session, destination, dataset):
            pass
    session.close()
    assert destination.log == ["open", "close", "open", "close"]


def test_after_an_error_the_client_is_not_used_again() -> None:
    destination, session = FakeDestination(), Session()
    with pytest.raises(RuntimeError), use(session, destination):
        raise RuntimeError
    assert destination.log == ["open", "close"]


def test_an_idle_client_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "IDLE_SECONDS", 0.01)
    destination, session = FakeDestination(), Session()
    with use(session, destination):
        time.sleep(0.05)
        assert destination.log == ["open"]
    end = time.monotonic() + 60
    while len(destination.log) < 2 and time.monotonic() < end:
        time.sleep(0.005)
    assert destination.log == ["open", "close"]
    with use(session, destination):
        assert destination.log == ["open", "close", "open"]


def test_a_new_client_is_not_kept_when_it_cannot_be_opened() -> None:
    class Refusing(FakeDestination):
        def open(self, dataset_name: str, schema: Schema, facts: Any) -> FakeClient:
            raise ConnectionError

    session = Session()
    with pytest.raises(ConnectionError), use(session, Refusing()):
        pass
    assert session._client is None
