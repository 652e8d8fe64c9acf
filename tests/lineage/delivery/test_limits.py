"""A receiver that takes nothing for long fills no disk; whole runs go, and it is said how many."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headrace.observers.lineage import delivery
from headrace.observers.lineage.delivery.replay import replay
from headrace.observers.lineage.store import FOLDER, START, EventStore
from tests.lineage.delivery.world import Receiver, event, free_port, keys, run_id, settings, story


def test_the_oldest_runs_are_given_up(tmp_path: Path, backend: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    limit = 600_000
    values = {"spool_max_bytes": limit, "store_max_bytes": 100_000}
    sink = delivery.sink_for(tmp_path / "p", settings(url=f"http://127.0.0.1:{free_port()}", **values))
    pad = {"text": "x" * 4_000}
    sink.emit(lambda: [event(0, "START", x=pad)])
    for number in range(1, 200):
        sink.emit(lambda n=number: [event(n, "START", x=pad), event(n, "COMPLETE", x=pad)])  # type: ignore[misc]
    sink.emit(lambda: [event(0, "COMPLETE", x=pad), *story([900])])
    assert not sink.flush(30)
    delivery.close(0)
    it = EventStore(tmp_path / "p" / FOLDER)
    assert it.bytes_after(START) < limit * 1.2
    told = [int(found[1]) for r in caplog.records if (found := re.search(r"(\d+) runs \(", r.getMessage()))]
    assert told
    assert _all_sent(tmp_path, backend, values)
    found = [key for key in keys(backend.events) if key[1] != "OTHER"]
    kept = [run_id(n) for n in range(200) if (run_id(n), "START") in found]
    assert 40 < len(kept) < 140
    assert found == keys([e for n in range(200 - len(kept), 200) for e in story([n])] + story([900])), (
        "whole runs: of the first one, whose START was given up, the end is not sent either"
    )
    assert sum(told) >= 200 - len(kept)
    assert it.bytes_after(START) < 300_000, "what is sent is kept up to another limit"


def _all_sent(tmp_path: Path, backend: Receiver, values: dict[str, int]) -> bool:
    sink = delivery.sink_for(tmp_path / "p", settings(url=backend.url, **values))
    sink.emit(list)
    (done,) = replay("p", pipelines_dir=tmp_path, settings=settings(url=backend.url, **values))
    # a file is looked through when the next one is begun
    for _ in range(3):
        sink.emit(lambda: [event(1_000, "OTHER", x={"text": "y" * 60_000})])
        assert sink.drain(5)
    delivery.close(0)
    return done.left == 0 and done.error is None


def test_what_was_sent_is_kept_up_to_a_limit(tmp_path: Path) -> None:
    sink = delivery.sink_for(tmp_path / "p", settings(path="events.ndjson", store_max_bytes=500_000))
    for number in range(200):
        sink.emit(lambda n=number: [event(n, x={"text": "x" * 8_000})])  # type: ignore[misc]
        if number % 20 == 0:
            assert sink.flush(10)
    assert sink.flush(10)
    it = EventStore(tmp_path / "p" / FOLDER)
    assert 400_000 < it.bytes_after(START) < 800_000
    assert len((tmp_path / "events.ndjson").read_bytes().splitlines()) == 200


def test_a_pipeline_has_its_turn_while_another_has_much_to_send(tmp_path: Path, backend: Receiver) -> None:
    dead = free_port()
    for name, count in (("much", 60), ("little", 1)):
        sink = delivery.sink_for(tmp_path / name, settings(url=f"http://127.0.0.1:{dead}", breaker_failures=1))
        sink.emit(lambda name=name, count=count: story(range(count), name))  # type: ignore[misc]
        assert not sink.flush(20)
    delivery.close(0)
    sinks = [
        delivery.sink_for(tmp_path / name, settings(url=backend.url, batch_size=10)) for name in ("much", "little")
    ]
    sinks[0].begin()
    for sink in sinks:
        sink.emit(lambda: [event(99, "OTHER")])
        assert sink.drain(5)
    sinks[0].end()
    assert all(sink.flush(20) for sink in sinks)
    order = [one["job"]["name"] for one in backend.events]
    assert order.index("little") <= 10
    assert len(order) == 124
