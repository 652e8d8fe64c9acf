"""Back-ends that are dead, hang, are slow or refuse: no run waits for them, and no event is lost."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import headrace
from headrace.model import events as engine
from headrace.observers.lineage import delivery
from headrace.observers.lineage.delivery import breaker
from headrace.observers.lineage.delivery.breaker import Breaker
from headrace.observers.lineage.delivery.replay import replay
from headrace.observers.lineage.store import FOLDER, EventStore
from tests.lineage.delivery import world
from tests.lineage.delivery.world import Receiver, event, free_port, keys, receiver, run_id, settings, story


class Telling:
    """An observer that emits as lineage does: a START, something with each step, and an end."""

    def __init__(self, sink: delivery.DiskSink) -> None:
        self.sink = sink
        self.number = 0

    def __call__(self, one: Any, run: Any) -> None:
        if isinstance(one, engine.RunStarted):
            self.number += 1
            self.sink.begin()
            self._tell("START")
        elif isinstance(one, engine.StepEnded):
            self._tell("RUNNING")
        elif isinstance(one, engine.RunEnded):
            self._tell("COMPLETE")
            self.sink.end()

    def _tell(self, kind: str) -> None:
        made = event(self.number, kind)
        self.sink.emit(lambda: [made])


def _ids(events: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """No two events are the same here; what was sent twice is told once."""
    return list(dict.fromkeys((*key, one["eventTime"]) for key, one in zip(keys(events), events, strict=True)))


def _pipeline(tmp_path: Path, name: str) -> Any:
    return headrace.pipeline(
        name,
        pipelines_dir=str(tmp_path / "work"),
        destination=headrace.destinations.duckdb(str(tmp_path / f"{name}.duckdb")),
        dataset_name="d",
    )


@pytest.fixture
def silent() -> Iterator[int]:
    """A port where connections are taken and nothing is ever answered."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        yield server.getsockname()[1]


@pytest.mark.parametrize("kind", ["dead", "hanging", "slow", "401", "422", "500"])
def test_a_run_does_not_wait_and_nothing_is_lost(tmp_path: Path, silent: int, backend: Receiver, kind: str) -> None:
    port = free_port() if kind == "dead" else silent
    url = f"http://127.0.0.1:{port}" if kind in ("dead", "hanging") else backend.url
    runs_are_over, waited_for = threading.Event(), []

    def slow(_: Any) -> int:
        waited_for.append(not runs_are_over.wait(60))
        return 200

    if kind == "slow":
        backend.answer, backend.delay = slow, 2.0
    elif kind.isdecimal():
        backend.answer = lambda _: int(kind)
    transport = {"type": "http", "url": url, "timeout": 1.0 if kind == "hanging" else 5.0}
    sink = delivery.sink_for(tmp_path / "work" / "with", settings(transport=transport, drain_seconds=0.3))
    told = _pipeline(tmp_path, "with")
    told.observe(Telling(sink))
    for number in range(3):
        told.run([{"id": number}], table_name="t")
    runs_are_over.set()
    assert True not in waited_for
    started = time.monotonic()
    delivery.close()
    assert time.monotonic() - started < 60
    wanted = _ids(list(EventStore(tmp_path / "work" / "with" / FOLDER).read()))
    assert len([key for key in wanted if key[1] != "RUNNING"]) == 6
    assert len(wanted) > 12
    if kind.isdecimal():
        # what is on its way would else be taken before what was refused
        assert world.until(world.nobody_sends)
    backend.delay, backend.answer = 0.0, lambda _: 200
    backend.ends.set()
    with receiver(port if kind == "dead" else 0) as back:
        again = back if kind in ("dead", "hanging") else backend
        done = replay("with", pipelines_dir=tmp_path / "work", settings=settings(url=again.url))
        assert [(one.left, one.refused, one.error) for one in done] == [(0, 0, None)]
        # what was being sent when time was up may have arrived: it is sent twice, never out of order
        assert _ids(again.events) == wanted


def test_the_end_of_the_program_says_what_a_silent_receiver_has_not_taken(
    tmp_path: Path, silent: int, caplog: pytest.LogCaptureFixture
) -> None:
    transport = {"type": "http", "url": f"http://me:hunter22secret@127.0.0.1:{silent}", "timeout": 300.0}
    sink = delivery.sink_for(tmp_path / "p", settings(transport=transport, drain_seconds=0.1))
    sink.emit(lambda: story([1]))
    assert sink.drain(60)
    assert not delivery.close()
    (told,) = [record.getMessage() for record in caplog.records if "pipeline `p`" in record.getMessage()]
    assert "kept in" in told and "headrace lineage replay" in told and "lineage.drain_seconds" in told
    assert "hunter22secret" not in caplog.text


def test_a_receiver_that_comes_back_gets_everything_in_the_same_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    sink = delivery.sink_for(tmp_path / "p", settings(url=f"http://user:hunter22secret@127.0.0.1:{port}/"))
    for number in range(5):
        sink.emit(lambda n=number: story([n]))  # type: ignore[misc]
    assert not sink.flush(60), "nobody is there, and it is known"
    told = [record.message for record in caplog.records if "takes no events" in record.message]
    assert len(told) == 1
    # how many are there by then is up to the threads
    assert re.search(r"\. \d+ of pipeline `p` are kept", told[0])
    assert f"127.0.0.1:{port}" in told[0]
    assert "hunter22secret" not in caplog.text
    with receiver(port) as back:
        assert world.until(lambda: len(back.events) == 10), "without anything new"
        assert keys(back.events) == keys(story(range(5)))
    assert world.until(lambda: sink.flush(60))
    assert [record for record in caplog.records if "takes events again" in record.message]


def test_a_later_run_sends_what_was_left(tmp_path: Path, backend: Receiver) -> None:
    dead = delivery.sink_for(tmp_path / "p", settings(url=f"http://127.0.0.1:{free_port()}"))
    dead.emit(lambda: story([1, 2]))
    assert not dead.flush(60)
    delivery.close(0)
    sink = delivery.sink_for(tmp_path / "p", settings(url=backend.url))
    sink.emit(lambda: story([3]))
    assert sink.flush(60)
    assert keys(backend.events) == keys(story([1, 2, 3]))


def test_an_event_that_is_refused_holds_up_no_other(
    tmp_path: Path, backend: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    backend.answer = lambda one: 422 if one["run"]["runId"] == run_id(2) else 200
    sink = delivery.sink_for(tmp_path / "p", settings(url=backend.url))
    sink.emit(lambda: story([1, 2, 3]))
    assert sink.flush(60)
    assert keys(backend.events) == keys(story([1, 3]))
    text = (tmp_path / "p" / FOLDER / "delivery" / "refused.ndjson").read_text()
    assert "hunter22hunter" not in text + caplog.text, "the answer repeats a password"
    assert text.count('"status":422') == 2
    assert text.count('{\\"said\\": \\"no\\"') == 2
    assert len([record for record in caplog.records if "did not want" in record.message]) == 1
    # once more in vain, then it is taken
    for status, left in ((422, 2), (200, 0)):
        backend.answer = lambda _, status=status: status  # type: ignore[misc]
        delivery.close(0)
        (done,) = replay("p", pipelines_dir=tmp_path, settings=settings(url=backend.url))
        assert (done.sent, done.refused, done.left) == (2 - left, left, 0)
    assert keys(backend.events) == keys(story([1, 3, 2]))
    assert not (tmp_path / "p" / FOLDER / "delivery" / "refused.ndjson").exists()


def test_an_event_that_the_receiver_dies_of_holds_up_no_other_run(tmp_path: Path, backend: Receiver) -> None:
    backend.answer = lambda one: 500 if one["run"]["runId"] == run_id(2) else 200
    sink = delivery.sink_for(tmp_path / "p", settings(url=backend.url, breaker_failures=5))
    sink.emit(lambda: [*story([1]), event(2, "START"), *story([3])])
    assert world.until(lambda: sink.flush(60))
    # what was tried in its place comes again in its turn
    assert list(dict.fromkeys(keys(backend.events))) == keys(story([1, 3]))
    assert (tmp_path / "p" / FOLDER / "delivery" / "refused.ndjson").read_text().count('"status":500') == 1


def test_a_receiver_that_fails_everything_gets_everything_later(tmp_path: Path, backend: Receiver) -> None:
    backend.answer = lambda _: 500
    sink = delivery.sink_for(tmp_path / "p", settings(url=backend.url, breaker_failures=4, breaker_seconds=600))
    sink.emit(lambda: story([1, 2, 3]))
    assert not sink.flush(60)
    assert not (tmp_path / "p" / FOLDER / "delivery" / "refused.ndjson").exists()
    assert len(backend.asked) <= 6
    backend.answer = lambda _: 200
    delivery.close(0)
    sink.emit(list)
    sink.emit(lambda: story([4]))
    assert sink.flush(60)
    assert keys(backend.events) == keys(story([1, 2, 3, 4]))


def test_two_threads_that_send_for_one_folder(tmp_path: Path, backend: Receiver) -> None:
    """Two configurations in a process: each event is sent by one of them, in order."""
    sinks = [delivery.sink_for(tmp_path / "p", settings(url=backend.url, batch_size=size)) for size in (3, 4)]
    threads = []
    for number, sink in enumerate(sinks):

        def work(number: int = number, sink: delivery.DiskSink = sink) -> None:
            for k in range(20):
                sink.emit(lambda k=k: story([100 * number + k]))  # type: ignore[misc]
                sink.drain(60)

        threads.append(threading.Thread(target=work))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert world.until(lambda: all(sink.flush(60) for sink in sinks))
    assert keys(backend.events) == keys(list(EventStore(tmp_path / "p" / FOLDER).read()))
    assert len(backend.events) == 80


def test_the_breaker(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(breaker, "time", SimpleNamespace(monotonic=lambda: now))
    it = Breaker(failures=2, seconds=0.05)
    assert it.is_closed
    assert not it.bad()
    assert not it.is_open
    assert it.wait() > 0
    assert it.bad()
    assert it.is_open
    now += 0.06
    assert not it.is_open
    assert not it.is_closed
    assert not it.bad(), "told once"
    assert it.wait() > 0.05, "longer each time"
    assert it.good()
    assert not it.good()
    assert it.bad(at_once=True)
    assert it.is_open
