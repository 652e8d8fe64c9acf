"""Loading a package: order, retries, failures, resuming, signals."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.base import signals
from headrace.base.retry import RetryPolicy
from headrace.errors.base import SignalReceivedException
from headrace.errors.destination import (
    DestinationTerminalException,
    DestinationTransientException,
    LoadClientJobFailed,
    LoadClientJobRetry,
    LoadPackageAborted,
)
from headrace.errors.package import LoadPackageNotCompleted
from headrace.load.stage import LoadSettings, load
from headrace.model.events import (
    Event,
    JobDone,
    JobFailed,
    JobRetried,
    Loaded,
    Planned,
    Progress,
    SchemaMigrated,
    SchemaMigrating,
)
from headrace.model.jobs import AnyJob
from headrace.package.store import PackageStore
from tests.load.shop import make_package, make_schema, state_rows
from tests.load.sqlite_destination import SqliteDestination

QUICK = LoadSettings(retry=RetryPolicy(first_wait=0.001, max_wait=0.01))
ROWS: dict[str, list[dict[str, Any]]] = {
    "events": [{"n": 1}, {"n": 2}],
    "snapshot": [{"n": 1, "_dlt_id": "a"}],
    "snapshot__parts": [{"n": 5, "_dlt_root_id": "a"}],
    "accounts": [{"n": 1, "v": "x", "_dlt_id": "r1"}],
    "accounts__lines": [{"n": 7, "_dlt_root_id": "r1"}],
    "skipped": [{"n": 0}],
    "_dlt_pipeline_state": state_rows(1),
}


def failing(job_id: str, times: int, error: Callable[[], Exception]) -> Callable[[AnyJob], None]:
    """A hook that fails one job some times."""
    left = [times]

    def hook(job: AnyJob) -> None:
        if job.id == job_id and left[0] > 0:
            left[0] -= 1
            raise error()

    return hook


def test_all_dispositions_arrive_and_a_second_package_replaces_and_merges(tmp_path: Path) -> None:
    """Append adds, replace replaces the chain, merge replaces by key, skip does nothing."""
    store, schema, destination = PackageStore(tmp_path / "packages"), make_schema(), SqliteDestination(tmp_path / "db")
    first = load(make_package(store, schema, ROWS), destination, "d", settings=QUICK)
    assert first.rows == 7 - 1 + 1
    assert set(first.schema_update) >= {"events", "_dlt_loads", "_dlt_version", "_dlt_pipeline_state"}
    assert "fresh" not in first.schema_update
    second: dict[str, list[dict[str, Any]]] = {
        "events": [{"n": 3}],
        "accounts": [{"n": 1, "v": "y", "_dlt_id": "r2"}, {"n": 2, "v": "z", "_dlt_id": "r3"}],
        "accounts__lines": [{"n": 8, "_dlt_root_id": "r2"}],
    }
    result = load(make_package(store, schema, second, also=["snapshot"]), destination, "d", settings=QUICK)
    assert result.schema_update == {}
    assert destination.rows("events", "n") == [(1,), (2,), (3,)]
    assert destination.rows("snapshot") == destination.rows("snapshot__parts") == []
    assert destination.rows("accounts", "n, v") == [(1, "y"), (2, "z")]
    assert destination.rows("accounts__lines", "n") == [(8,)]
    assert destination.rows("_headrace_jobs") == []
    assert len(destination.rows("_dlt_loads")) == 2
    assert len(destination.rows("_dlt_version")) == 1


def test_a_tiny_load_uses_one_client_on_this_thread(tmp_path: Path) -> None:
    """No thread, no second session, and no question whether a new package is complete already."""
    destination = SqliteDestination(tmp_path / "db")
    package = make_package(PackageStore(tmp_path / "p"), make_schema(), {"events": [{"n": 1}]})
    result = load(package, destination, "d")
    assert destination.opened == 1
    assert destination.threads == {threading.current_thread().name}
    assert destination.calls == ["describe", "create_dataset", "migrate", "copy-0", "complete"]
    assert list(result.job_metrics) == ["events.000.jsonl"]
    assert result.job_metrics["events.000.jsonl"].state == "completed"


def test_a_given_client_is_used_and_left_open(tmp_path: Path) -> None:
    """The conductor's own session serves the load."""
    destination, schema = SqliteDestination(tmp_path / "db"), make_schema()
    package = make_package(PackageStore(tmp_path / "p"), schema, {"events": [{"n": 1}]})
    with destination.open("d", schema) as client:
        load(package, destination, "d", client=client, schema=schema)
        assert destination.opened == 1
        assert client.is_complete(package.load_id)


def test_facts_and_progress_tell_the_load(tmp_path: Path) -> None:
    """The journal has the plan, the change, the jobs and the end; progress counts to the total."""
    events: list[Event] = []
    store = PackageStore(tmp_path / "p", events.append)
    package = make_package(store, make_schema(), ROWS)
    load(package, SqliteDestination(tmp_path / "db"), "d", publish=events.append)
    kinds = [type(fact) for fact in package.journal.facts[3:]]
    assert kinds == [Planned, SchemaMigrating, SchemaMigrated, JobDone, JobDone, JobDone, JobDone, Loaded]
    progress = [e for e in events if isinstance(e, Progress)]
    assert progress[0].total == sum(e.inc for e in progress) == 4
    info = package.info()
    assert len(info.jobs["completed_jobs"]) == 7
    assert info.schema_update.keys() == package.fact(SchemaMigrated).applied.keys()  # type: ignore[union-attr]


@pytest.mark.parametrize("error", [lambda: DestinationTransientException("busy"), lambda: ZeroDivisionError("what")])
@pytest.mark.parametrize("when", ["before", "after"])
def test_what_may_pass_is_tried_again_and_counts_once(tmp_path: Path, error: Any, when: str) -> None:
    """Transient and unknown errors alike, before the commit or after it: the ledger answers."""
    hook = failing("copy-0", 2, error)
    destination = SqliteDestination(tmp_path / "db", **{when: hook})  # type: ignore[arg-type]
    package = make_package(PackageStore(tmp_path / "p"), make_schema(), {"events": [{"n": 1}]})
    result = load(package, destination, "d", settings=QUICK)
    assert destination.rows("events", "n") == [(1,)]
    retries = 2 if when == "before" else 1  # after the commit the second attempt finds its key
    assert [f.attempt for f in package.journal.all(JobRetried)] == [1, 2][:retries]
    assert result.job_metrics["events.000.jsonl"].retry_count == retries
    assert destination.opened == 1 + retries, "a session that failed is not trusted again"


def test_too_many_retries_leave_the_package_for_the_next_run(tmp_path: Path) -> None:
    """Attempts are counted on; other jobs are done; the next load finishes the rest."""
    hook = failing("copy-2", 7, lambda: DestinationTransientException("busy"))
    destination = SqliteDestination(tmp_path / "db", before=hook)
    store = PackageStore(tmp_path / "p")
    package = make_package(store, make_schema(), ROWS)
    with pytest.raises(LoadClientJobRetry) as raised:
        load(package, destination, "d", settings=QUICK)
    assert (raised.value.job_id, raised.value.retry_count) == ("copy-2", 5)
    assert package.phase == "normalized"
    package = PackageStore(tmp_path / "p").recover()[0]
    load(package, destination, "d", settings=QUICK)
    assert [f.attempt for f in package.journal.all(JobRetried)] == [1, 2, 3, 4, 5, 6, 7]
    assert destination.rows("events", "n") == [(1,), (2,)]
    assert destination.calls.count("merge-1") == 1
    assert package.phase == "loaded"


def test_a_job_that_fails_for_good_sets_the_package_aside(tmp_path: Path) -> None:
    """It is never loaded afterwards and is not pending."""
    hook = failing("copy-2", 99, lambda: DestinationTerminalException("no such column"))
    destination = SqliteDestination(tmp_path / "db", before=hook)
    store = PackageStore(tmp_path / "p")
    package = make_package(store, make_schema(), ROWS)
    with pytest.raises(LoadClientJobFailed) as raised:
        load(package, destination, "d", settings=QUICK)
    assert (raised.value.job_id, raised.value.failed_message) == ("copy-2", "no such column")
    assert package.phase == "aborted"
    assert destination.rows("_dlt_loads") == []
    assert destination.rows("_dlt_pipeline_state") == []
    assert store.pending() == PackageStore(tmp_path / "p").recover() == []
    with pytest.raises(LoadPackageAborted, match="no such column"):
        load(package, destination, "d")
    assert [j.failed_message for j in package.info().failed_jobs] == ["no such column"]


def test_failed_jobs_can_be_passed_over(tmp_path: Path) -> None:
    """The rest is loaded, the load is complete, the failures are told and their files kept."""
    hook = failing("merge-1", 99, lambda: DestinationTerminalException("no key"))
    destination = SqliteDestination(tmp_path / "db", before=hook)
    package = make_package(PackageStore(tmp_path / "p"), make_schema(), ROWS)
    settings = LoadSettings(raise_on_failed_jobs=False, delete_completed_jobs=True)
    result = load(package, destination, "d", settings=settings)
    assert result.failed_jobs == ["merge-1"]
    assert package.fact(Loaded).failed_jobs == 1  # type: ignore[union-attr]
    assert destination.rows("events", "n") == [(1,), (2,)]
    assert len(destination.rows("_dlt_loads")) == len(destination.rows("_dlt_pipeline_state")) == 1
    assert sorted(p.name.split(".")[0] for p in package.files_dir.iterdir()) == ["accounts", "accounts__lines"]


def test_rows_are_not_put_beside_those_that_could_not_be_removed(tmp_path: Path) -> None:
    """When emptying fails and is passed over, the copies into those tables fail with it."""
    hook = failing("truncate-0", 99, lambda: DestinationTerminalException("no right"))
    destination = SqliteDestination(tmp_path / "db", before=hook)
    package = make_package(PackageStore(tmp_path / "p"), make_schema(), {"snapshot": [{"n": 1}]})
    settings = LoadSettings(raise_on_failed_jobs=False, replace_strategy="truncate-and-insert")
    result = load(package, destination, "d", settings=settings)
    assert result.failed_jobs == ["truncate-0", "copy-1"]
    assert [f.job_id for f in package.journal.all(JobFailed)] == ["truncate-0", "copy-1"]
    assert destination.rows("snapshot") == []


def test_completed_files_are_deleted_when_asked(tmp_path: Path) -> None:
    """`load.delete_completed_jobs`; without it they stay."""
    store, destination = PackageStore(tmp_path / "p"), SqliteDestination(tmp_path / "db")
    kept, deleted = (make_package(store, make_schema(), {"events": [{"n": 1}]}) for _ in range(2))
    load(kept, destination, "d")
    load(deleted, destination, "d", settings=LoadSettings(delete_completed_jobs=True))
    assert kept.files_dir.exists()
    assert not deleted.files_dir.exists()


def test_loading_twice_does_nothing_twice(tmp_path: Path) -> None:
    """A loaded package is only tidied; one whose end was not written is asked about first."""
    destination = SqliteDestination(tmp_path / "db")
    package = make_package(PackageStore(tmp_path / "p"), make_schema(), ROWS)
    load(package, destination, "d")
    assert load(package, destination, "d").already_complete
    lines = (package.path / "journal").read_bytes().splitlines(keepends=True)
    (package.path / "journal").write_bytes(b"".join(lines[:-1]))
    package = PackageStore(tmp_path / "p").recover()[0]
    destination.calls.clear()
    assert load(package, destination, "d").already_complete
    assert destination.calls == ["is_complete"]
    assert package.phase == "loaded"


def test_an_unfinished_package_cannot_be_loaded(tmp_path: Path) -> None:
    """Extract and normalize come first."""
    package = PackageStore(tmp_path / "p").create("shop")
    with pytest.raises(LoadPackageNotCompleted, match="it is new"):
        load(package, SqliteDestination(tmp_path / "db"), "d")


def until_received() -> None:
    """A signal is for the main thread, whenever that gets its turn."""
    end = time.monotonic() + 60
    while signals.received() is None:
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("code", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_running_jobs_end_and_keeps_the_rest(tmp_path: Path, workers: int, code: int) -> None:
    """The package stays resumable, and no handler is left behind."""
    before = signal.getsignal(code)
    sent: list[str] = []

    def interrupt(job: AnyJob) -> None:
        if not sent:
            sent.append(job.id)
            os.kill(os.getpid(), code)
            until_received()

    destination = SqliteDestination(tmp_path / "db", before=interrupt)
    package = make_package(PackageStore(tmp_path / "p"), make_schema(), ROWS)
    with pytest.raises(SignalReceivedException) as raised, signals.delayed():
        load(package, destination, "d", settings=LoadSettings(workers=workers))
    assert raised.value.signal_code == code
    assert isinstance(raised.value, KeyboardInterrupt)
    assert sent[0] in {f.job_id for f in package.journal.all(JobDone)}
    assert package.phase == "normalized"
    assert signal.getsignal(code) is before
    load(package, destination, "d")
    assert destination.rows("events", "n") == [(1,), (2,)]
    assert destination.rows("accounts", "n") == [(1,)]


def test_independent_jobs_run_side_by_side(tmp_path: Path) -> None:
    """Each thread has its own client; the state waits for all."""
    met = threading.Barrier(3, timeout=60)
    names: set[str] = set()

    def meet(job: AnyJob) -> None:
        names.add(threading.current_thread().name)

    class Meeting(SqliteDestination):
        def open(self, *args: Any) -> Any:
            client = super().open(*args)
            plain = client.apply

            def apply(job: AnyJob, context: Any) -> int:
                if job.id != "copy-3":
                    met.wait()
                return plain(job, context)

            client.apply = apply  # type: ignore[method-assign]
            return client

    destination = Meeting(tmp_path / "db", before=meet)
    package = make_package(PackageStore(tmp_path / "p"), make_schema(), ROWS)
    load(package, destination, "d")
    assert len(names) >= 3
    assert destination.calls.index("copy-3") == destination.calls.index("complete") - 1


def test_a_second_signal_does_not_wait_for_a_job_that_hangs(tmp_path: Path) -> None:
    """The load ends at once; the hanging job ends when it can, its key keeps it from counting twice."""
    free, waited_for = threading.Event(), []

    def hang(job: AnyJob) -> None:
        if threading.current_thread() is not threading.main_thread() and not free.is_set():
            os.kill(os.getpid(), signal.SIGINT)
            until_received()
            os.kill(os.getpid(), signal.SIGINT)
            waited_for.append(not free.wait(60))

    destination = SqliteDestination(tmp_path / "db", before=hang)
    package = make_package(PackageStore(tmp_path / "p"), make_schema(), ROWS)
    with pytest.raises(SignalReceivedException), signals.delayed():
        load(package, destination, "d", settings=LoadSettings(workers=2))
    assert not waited_for
    free.set()
    load(package, destination, "d")
    assert destination.rows("events", "n") == [(1,), (2,)]
    assert destination.rows("accounts", "n") == [(1,)]
