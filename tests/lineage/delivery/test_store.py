"""The store: nothing is torn, lost or read twice, whoever writes."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import threading
from pathlib import Path

import pytest

from headrace.observers.lineage import store
from headrace.observers.lineage.store import EventStore
from tests.lineage.delivery.world import event, keys, run_id, story


def test_events_come_back_in_order(tmp_path: Path) -> None:
    events = story(range(20))
    it = EventStore(tmp_path / "lineage")
    it.append(events[:7])
    it.append(events[7:])
    assert list(it.read()) == events
    assert list(EventStore(tmp_path / "lineage").read()) == events


def test_some_of_them(tmp_path: Path) -> None:
    it = EventStore(tmp_path / "a" / "lineage")
    events = story(range(4))
    for number, one in enumerate(events):
        one["eventTime"] = f"2026-01-0{number + 1}T00:00:00.000Z"
    place = it.append(events[:2])
    it.append(events[2:])
    assert list(it.read(run_ids=[run_id(1), run_id(3)])) == [*events[2:4], *events[6:]]
    assert list(it.read(since=dt.datetime(2026, 1, 5, tzinfo=dt.timezone.utc))) == events[4:]
    assert list(it.read(after=place)) == events[2:]
    EventStore(tmp_path / "b" / "lineage").append(story([9]))
    assert store.stored(tmp_path) == ["a", "b"]
    assert len(list(store.read(tmp_path))) == 10
    assert keys(list(store.read(tmp_path, "b"))) == keys(story([9]))


def test_files_are_begun_anew_and_old_ones_go(tmp_path: Path) -> None:
    it = EventStore(tmp_path, segment_bytes=2_000)
    events = story(range(30))
    places = [it.append([one]) for one in events]
    assert len(it.segments()) > 5
    assert list(it.read()) == events
    assert all(path.stat().st_size <= 2_000 for path in it.events.iterdir())
    for number, place in enumerate(places):
        assert list(it.read(after=place)) == events[number + 1 :]
    # what is not sent stays
    assert it.trim(3_000, places[0]) == 0
    assert it.trim(3_000, places[40]) > 0
    left = list(it.read())
    assert left == events[-len(left) :]
    assert it.bytes_after(store.START) >= 3_000 or places[40].segment == it.segments()[0]
    assert list(it.read(after=places[0])) == left, "a place in a file that is gone is the beginning of the next"


def test_half_a_line_of_a_killed_process_spoils_no_other(tmp_path: Path) -> None:
    events = story(range(3))
    it = EventStore(tmp_path)
    it.append(events[:2])
    with (it.events / "00000000.ndjson").open("ab") as stream:
        stream.write(b'{"eventType":"STA')
    assert list(it.read()) == events[:2]
    it.append(events[2:])
    assert list(it.read()) == events


def test_a_full_disk_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it = EventStore(tmp_path)
    it.append(story([1]))
    size = it.bytes_after(store.START)
    real = store.os.write
    calls = []

    def write(fd: int, data: memoryview) -> int:
        calls.append(len(data))
        if len(calls) == 1:
            return real(fd, data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "write", write)
    with pytest.raises(OSError, match="No space"):
        it.append(story([2]))
    monkeypatch.undo()
    assert len(calls) == 2
    assert it.bytes_after(store.START) == size
    it.append(story([3]))
    assert keys(list(it.read())) == keys(story([1, 3]))


def test_a_folder_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    import shutil

    it = EventStore(tmp_path / "lineage")
    it.append(story([1]))
    shutil.rmtree(tmp_path / "lineage")
    it.append(story([2]))
    assert keys(list(EventStore(tmp_path / "lineage").read())) == keys(story([2]))


def _write(folder: Path, first: int) -> None:
    it = EventStore(folder, segment_bytes=20_000)
    for run in range(first, first + 50):
        for one in story([run]):
            it.append([one])


@pytest.mark.parametrize("kind", ["fork", "threads"])
def test_many_writers(tmp_path: Path, kind: str) -> None:
    EventStore(tmp_path).append(story([0]))
    start: type = multiprocessing.get_context("fork").Process if kind == "fork" else threading.Thread
    workers = [start(target=_write, args=(tmp_path, 1_000 * n)) for n in range(1, 5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = keys(list(EventStore(tmp_path).read()))
    assert len(found) == len(set(found)) == 402
    for n in range(1, 5):
        mine = [key for key in found if key[0] in {run_id(1_000 * n + k) for k in range(50)}]
        assert mine == keys(story(range(1_000 * n, 1_000 * n + 50)))


def test_two_handles_of_one_store_in_a_process(tmp_path: Path) -> None:
    one, other = EventStore(tmp_path, 1_000), EventStore(tmp_path, 1_000)
    for number in range(10):
        (one if number % 2 else other).append([event(number)])
    assert keys(list(one.read())) == [(run_id(n), "START") for n in range(10)]
