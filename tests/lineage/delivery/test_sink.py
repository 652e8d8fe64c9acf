"""The sink: order, threads, forks, kills, and what it costs those who emit."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headrace.observers.lineage import delivery
from headrace.observers.lineage.delivery import runtime
from headrace.observers.lineage.store import FOLDER, EventStore
from tests.lineage.delivery import world
from tests.lineage.delivery.world import Receiver, event, free_port, keys, run_id, settings, story


def _stored(folder: Path) -> list[tuple[str, str]]:
    return keys(list(EventStore(folder / FOLDER).read()))


def test_without_a_receiver_events_are_kept(tmp_path: Path) -> None:
    sink = delivery.sink_for(tmp_path / "p", settings(enabled=True))
    sink.emit(lambda: story([1]))
    sink.emit(list)
    sink.emit(lambda: story([2]))
    assert sink.drain(60)
    assert _stored(tmp_path / "p") == keys(story([1, 2]))
    assert sink.flush(60)
    assert not (tmp_path / "p" / FOLDER / "delivery").exists()
    assert "openlineage" not in sys.modules or "openlineage.client" in sys.modules


def test_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = delivery.sink_for(tmp_path / "p", settings(path="out/events.ndjson"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    sink.emit(lambda: story([1]))
    assert sink.flush(60)
    sink.emit(lambda: story([2, 3]))
    assert sink.flush(60)
    lines = (tmp_path / "out" / "events.ndjson").read_bytes().splitlines()
    assert keys([msgspec.json.decode(line) for line in lines]) == keys(story([1, 2, 3]))
    assert lines == [line for _, line in EventStore(tmp_path / "p" / FOLDER).lines()]


def test_a_file_that_cannot_be_written_loses_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "out").write_text("a file where a folder should be")
    sink = delivery.sink_for(tmp_path / "p", settings(path="out/events.ndjson", breaker_failures=1, breaker_seconds=60))
    sink.emit(lambda: story([1]))
    assert not sink.flush(60)
    sink.emit(lambda: story([2]))
    assert not sink.flush(60)
    assert len([r for r in caplog.records if "takes no events" in r.message]) == 1
    delivery.close(0)
    (tmp_path / "out").unlink()
    sink.emit(lambda: story([3]))
    assert sink.flush(60)
    lines = (tmp_path / "out" / "events.ndjson").read_bytes().splitlines()
    assert keys([msgspec.json.decode(line) for line in lines]) == keys(story([1, 2, 3]))


def test_work_that_fails_harms_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = delivery.sink_for(tmp_path / "p", settings(enabled=True))
    sink.emit(lambda: story([1]))
    for _ in range(3):
        sink.emit(lambda: [{"a": 1 // 0}])
    sink.emit(lambda: [{"not": object()}])
    sink.emit(lambda: story([2]))
    assert sink.drain(60)
    assert _stored(tmp_path / "p") == keys(story([1, 2]))
    told = [record.message for record in caplog.records if "could not be made" in record.message]
    assert len(told) == 2
    assert "ZeroDivisionError" in told[0]


def test_eight_threads_of_pipelines(tmp_path: Path, backend: Receiver) -> None:
    def run(number: int) -> None:
        sink = delivery.sink_for(tmp_path / f"p{number}", settings(url=backend.url, path="all.ndjson"))
        for k in range(20):
            one = story([100 * number + k], f"p{number}")
            sink.emit(lambda one=one: one[:1])  # type: ignore[misc]
            sink.emit(lambda one=one: one[1:])  # type: ignore[misc]

    threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert delivery.close(120)
    lines = (tmp_path / "all.ndjson").read_bytes().splitlines()
    for events in (backend.events, [msgspec.json.decode(line) for line in lines]):
        assert len(events) == len(set(keys(events))) == 320
        for n in range(8):
            mine = [one for one in events if one["job"]["name"] == f"p{n}"]
            assert keys(mine) == keys(story(range(100 * n, 100 * n + 20)))


def test_the_work_is_done_on_a_thread_of_its_own(tmp_path: Path) -> None:
    sink = delivery.sink_for(tmp_path / "p", settings(url=f"http://127.0.0.1:{free_port()}"))
    workers, emitted = set(), threading.Event()

    def make(number: int) -> list[dict[str, Any]]:
        assert emitted.wait(60)
        workers.add(threading.get_ident())
        return story([number])

    for number in range(300):
        sink.emit(lambda number=number: make(number))  # type: ignore[misc]
    emitted.set()
    assert sink.drain(60)
    assert len(workers) == 1 and threading.get_ident() not in workers
    assert len(_stored(tmp_path / "p")) == 600


def test_more_work_than_memory_may_hold_is_done_by_who_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "QUEUE_MAX", 5)
    sink = delivery.sink_for(tmp_path / "p", settings(enabled=True))
    most = 0
    for number in range(200):
        sink.emit(lambda number=number: [event(number)])  # type: ignore[misc]
        most = max(most, len(runtime.runtime()._queue))
    assert most <= 6
    assert sink.drain(60)
    assert _stored(tmp_path / "p") == [(run_id(n), "START") for n in range(200)]


def test_a_forked_child_goes_on_by_itself(tmp_path: Path, backend: Receiver) -> None:
    sink = delivery.sink_for(tmp_path / "p", settings(url=backend.url))
    sink.emit(lambda: story([1]))
    assert sink.flush(60)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            sink.emit(lambda: story([2]))
            status = 0 if sink.flush(60) else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    sink.emit(lambda: story([3]))
    assert sink.flush(60)
    assert keys(backend.events) == keys(story([1, 2, 3]))


def test_pipelines_of_many_tasks_share_a_thread_and_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        monkeypatch.setenv("OPENLINEAGE_PARENT_ID", f"airflow/dag.task/{run_id(number)}")
        sink = delivery.sink_for(tmp_path / "p", settings(path="out/events.ndjson"))
        sink.emit(lambda n=number: story([n]))  # type: ignore[misc]
        assert sink.flush(60)
    alive = runtime.runtime()
    assert len(alive._posts) == 1
    del sink
    # the writer's thread may still hold what it has done last
    assert world.until(lambda: gc.collect() >= 0 and not list(alive._of))


def test_what_the_disk_does_not_take_is_not_noted_as_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    sink, told = delivery.sink_for(tmp_path / "p", settings(enabled=True)), []
    with monkeypatch.context() as disk:
        disk.setattr(EventStore, "append", full)
        sink.emit(lambda: story([1]), lambda: told.append(1))
        assert sink.drain(60)
    sink.emit(lambda: story([2]), lambda: told.append(2))
    assert sink.drain(60)
    assert told == [2]


_KILLED = """
    import sys, time
    from pathlib import Path
    from headrace.observers.lineage import delivery
    from tests.lineage.delivery.world import settings, event
    sink = delivery.sink_for(Path(sys.argv[1]), settings(url=sys.argv[2]))
    for number in range(10_000):
        sink.emit(lambda: [event(number, "START"), event(number, "COMPLETE")])
        assert sink.drain(60)
        print(number, flush=True)
"""


@pytest.mark.parametrize("place", ["", "lineage.append#7", "lineage.appended#7"])
def test_a_killed_process_loses_nothing_that_was_written(tmp_path: Path, backend: Receiver, place: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    if place:
        environment["HEADRACE_FAILPOINT"] = place
    program = [sys.executable, "-c", textwrap.dedent(_KILLED), str(tmp_path / "p"), backend.url]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, env=environment, text=True)
    assert process.stdout is not None
    done = 0
    for line in process.stdout:
        done = int(line) + 1
        if not place and done == 40:
            process.send_signal(signal.SIGKILL)
            break
    process.stdout.close()
    assert process.wait(60) == -signal.SIGKILL
    assert done >= 6
    assert _stored(tmp_path / "p")[: 2 * done] == keys(story(range(done)))
    sink = delivery.sink_for(tmp_path / "p", settings(url=backend.url))
    sink.emit(lambda: story([99_999]))
    assert sink.flush(60)
    found = keys(backend.events)
    assert set(found) == set(_stored(tmp_path / "p")) >= set(keys(story([*range(done), 99_999])))
    assert list(dict.fromkeys(found)) == _stored(tmp_path / "p"), "in order"
    # one event may have been taken when the process died before it noted that
    assert len(found) - len(set(found)) <= 1


def test_nothing_of_the_client_is_loaded_where_events_are_emitted(tmp_path: Path) -> None:
    program = """
        import sys, threading, time
        from pathlib import Path
        from headrace.observers.lineage import delivery
        from tests.lineage.delivery.world import settings, story, free_port
        sink = delivery.sink_for(Path(sys.argv[1]), settings(url=f"http://127.0.0.1:{free_port()}"))
        sink.begin()
        sink.emit(lambda: story([1]))
        assert sink.drain(60)
        time.sleep(0.3)
        assert "openlineage.client" not in sys.modules, "a run goes on"
        sink.end()
        sink.flush(60)
        assert "openlineage.client" in sys.modules
        quiet = delivery.sink_for(Path(sys.argv[1] + "2"), settings(path=sys.argv[1] + ".ndjson"))
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "p")],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
