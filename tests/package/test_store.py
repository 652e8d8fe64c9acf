"""Packages on disk: seals, phases, recovery, dropping."""

from __future__ import annotations

import datetime as dt
import decimal
from pathlib import Path
from typing import Any

import pytest

from headrace.errors.package import (
    LoadPackageAlreadyCompleted,
    LoadPackageInconsistent,
    LoadPackageNotCompleted,
    LoadPackageNotFound,
    StorageException,
)
from headrace.model.events import (
    Aborted,
    Event,
    Extracted,
    JobDone,
    JobFailed,
    JobRetried,
    Loaded,
    Normalized,
    PackageCreated,
    PackageParked,
    Planned,
    SchemaMigrated,
)
from headrace.model.jobs import AnyJob, Copy, LoadFile, SpoolFile
from headrace.package.package import Package
from headrace.package.store import PackageStore

SCHEMA: dict[str, Any] = {"name": "shop", "version": 2, "version_hash": "abc", "tables": {}}
STATE: dict[str, Any] = {
    "_state_version": 3,
    "sources": {"s": {"cursor": dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc), "sum": decimal.Decimal("1.50")}},
}


def extracted(store: PackageStore, **kw: Any) -> Package:
    package = store.create("shop", pipeline_name="pipe", **kw)
    (package.spool_dir / "t.1.arrow").write_bytes(b"rows")
    package.seal_extracted(
        [SpoolFile(path="spool/t.1.arrow", table="t", rows=3)], SCHEMA, STATE, id_seed=7, row_counts={"t": 3}
    )
    return package


def normalized(store: PackageStore, files: int = 1) -> Package:
    package = extracted(store)
    made = []
    for number in range(files):
        path = f"files/t.f{number}.arrow"
        (package.path / path).write_bytes(b"loader")
        made.append(LoadFile(id=f"f{number}", table="t", path=path, format="arrow", rows=3, size=6))
    package.seal_normalized(made, SCHEMA, {"t": {"name": "t"}}, {"t": 3})
    return package


def test_a_package_goes_through_its_phases(tmp_path: Path) -> None:
    """Each commit point moves the phase, and a fresh look at the disk tells the same."""
    store = PackageStore(tmp_path)
    package = extracted(store)
    assert (package.phase, PackageStore(tmp_path).get(package.load_id).phase) == ("extracted", "extracted")
    assert package.load_schema() == SCHEMA
    assert package.load_state() == STATE
    package = normalized(store)
    assert package.phase == "normalized"
    assert not package.spool_dir.exists()
    package.seal_loaded()
    again = PackageStore(tmp_path).get(package.load_id)
    assert (again.phase, again.schema_name, again.pipeline_name) == ("loaded", "shop", "pipe")
    assert again.created_at == package.created_at
    assert again.load_schema() == SCHEMA


def test_facts_are_published_after_they_are_written_and_carry_the_run(tmp_path: Path) -> None:
    """An observer that looks at the disk sees the fact it was told of."""
    seen: list[tuple[str, str, bool]] = []

    def publish(event: Event) -> None:
        journal = next(tmp_path.glob("*/journal")).read_bytes()
        seen.append((type(event).__name__, event.run_id, type(event).__name__.encode() in journal))

    store = PackageStore(tmp_path, publish)
    store.run_id = "run-1"
    normalized(store).seal_loaded()
    assert seen == [(name, "run-1", True) for name in ("PackageCreated", "Extracted", "Normalized", "Loaded")]


def test_seals_refuse_the_wrong_phase(tmp_path: Path) -> None:
    """No commit point can be passed twice or out of order."""
    store = PackageStore(tmp_path)
    fresh = store.create("shop")
    with pytest.raises(LoadPackageInconsistent, match="should be extracted"):
        fresh.seal_normalized([], SCHEMA)
    with pytest.raises(LoadPackageNotCompleted):
        fresh.load_schema()
    package = extracted(store)
    with pytest.raises(LoadPackageInconsistent, match="should be new"):
        package.seal_extracted([], SCHEMA, None)
    with pytest.raises(LoadPackageInconsistent):
        package.seal_loaded()


def test_a_missing_spool_file_stops_the_seal(tmp_path: Path) -> None:
    """What cannot be made durable is not committed."""
    package = PackageStore(tmp_path).create("shop")
    with pytest.raises(FileNotFoundError):
        package.seal_extracted([SpoolFile(path="spool/none.arrow", table="t")], SCHEMA, None)
    assert package.phase == "new"


def test_a_schema_changed_by_hand_is_noticed(tmp_path: Path) -> None:
    """The fact names the hash of the document."""
    package = extracted(PackageStore(tmp_path))
    (package.path / "schema.json").write_text("{}")
    with pytest.raises(LoadPackageInconsistent, match=r"schema\.json is not the file"):
        package.load_schema()


def test_recover_deletes_what_was_never_sealed(tmp_path: Path) -> None:
    """Folders without a journal and packages without `Extracted` go; sealed ones stay in order."""
    store = PackageStore(tmp_path)
    first, second = extracted(store), normalized(store)
    unsealed = store.create("shop")
    (unsealed.spool_dir / "t.arrow").write_bytes(b"half")
    (tmp_path / "0.bare").mkdir()
    (tmp_path / ".dropped-5.5").mkdir()
    (first.files_dir / "half.arrow").write_bytes(b"half")
    second.spool_dir.mkdir()
    store = PackageStore(tmp_path)
    assert [(p.load_id, p.phase) for p in store.recover()] == [
        (first.load_id, "extracted"),
        (second.load_id, "normalized"),
    ]
    assert store.list() == [first.load_id, second.load_id]
    assert list(first.files_dir.iterdir()) == []
    assert not second.spool_dir.exists()
    assert not (tmp_path / ".dropped-5.5").exists()
    assert [p.load_id for p in store.pending()] == [first.load_id, second.load_id]


def test_recover_finishes_the_deletion_of_loaded_files(tmp_path: Path) -> None:
    """Half-deleted loader files are deleted to the end; undeleted ones stay unless asked for."""
    store = PackageStore(tmp_path)
    half, whole = normalized(store, files=2), normalized(store)
    for package in (half, whole):
        package.seal_loaded()
    (half.files_dir / "t.f0.arrow").unlink()
    store = PackageStore(tmp_path)
    assert store.recover() == []
    assert not half.files_dir.exists()
    assert whole.files_dir.exists()
    assert store.list("loaded") == [half.load_id, whole.load_id]


def test_finished_packages_are_not_read_again(tmp_path: Path) -> None:
    """Recovery and listing cost one look at finished packages, once."""
    store = PackageStore(tmp_path)
    done, parked, waiting = normalized(store), normalized(store), extracted(store)
    done.seal_loaded()
    parked.abort("no such table")
    store.finish(done)
    PackageStore(tmp_path).recover()
    for package in (done, parked):
        (package.path / "journal").write_bytes(b"")
    store = PackageStore(tmp_path)
    assert [p.load_id for p in store.recover()] == [waiting.load_id]
    assert store.list("loaded") == [done.load_id]
    assert store.list("aborted") == [parked.load_id]
    assert store.list("extracted", "normalized") == [waiting.load_id]


def test_an_aborted_package_is_set_aside_with_its_files(tmp_path: Path) -> None:
    """It blocks nothing and can be looked at."""
    seen: list[Event] = []
    store = PackageStore(tmp_path, seen.append)
    package = normalized(store)
    package.abort("no such table")
    assert package.phase == "aborted"
    assert [type(e) for e in seen[-2:]] == [Aborted, PackageParked]
    assert PackageStore(tmp_path).recover() == []
    assert (package.files_dir / "t.f0.arrow").exists()
    with pytest.raises(LoadPackageAlreadyCompleted):
        package.abort("again")


def test_load_ids_stay_ahead_of_all_that_is_there(tmp_path: Path) -> None:
    """A clock that was set back does not bring packages out of order."""
    store = PackageStore(tmp_path)
    future = store.create("shop", load_id="99999999999.5")
    made = [store.create("shop").load_id for _ in range(3)]
    assert sorted([future.load_id, *made]) == [future.load_id, *made]
    with pytest.raises(StorageException, match="already"):
        store.create("shop", load_id="99999999999.5")


def test_drop_and_get_of_unknown_packages_say_so(tmp_path: Path) -> None:
    """Names that lead out of the folder are unknown too."""
    store = PackageStore(tmp_path / "packages")
    package = extracted(store)
    store.drop(package.load_id)
    assert store.list() == []
    for name in (package.load_id, "../x", "", ".finished", "nope"):
        with pytest.raises(LoadPackageNotFound):
            store.get(name)
        with pytest.raises(LoadPackageNotFound):
            store.drop(name)
    assert not list((tmp_path / "packages").glob(".dropped*"))


def test_a_reader_lists_without_writing(tmp_path: Path) -> None:
    """A command line may look while a run is at work."""
    store = PackageStore(tmp_path)
    package = extracted(store)
    with open(package.path / "journal", "ab") as stream:
        stream.write(b"half a li")
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    reader = PackageStore(tmp_path)
    assert reader.list("extracted") == [package.load_id]
    assert reader.get(package.load_id).info().state == "extracted"
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def test_info_groups_files_by_their_jobs_fate(tmp_path: Path) -> None:
    """Files of one job share its fate; retries, failures and the applied schema change are told."""
    package = normalized(PackageStore(tmp_path), files=5)
    info = package.info()
    assert [len(info.jobs[s]) for s in ("new_jobs", "completed_jobs")] == [5, 0]
    assert info.schema_update == {}  # nothing is at the destination yet
    files: list[LoadFile] = package.journal.all(Normalized)[0].files
    jobs: list[AnyJob] = [
        Copy(id="copy-0", tables=["t"], files=files[:2]),
        Copy(id="copy-1", tables=["t"], files=files[2:3]),
        Copy(id="copy-2", tables=["t"], files=files[3:4]),
        Copy(id="copy-3", tables=["t"], files=files[4:]),
    ]
    load_id = package.load_id
    package.record(Planned(load_id=load_id, jobs=jobs))
    package.record(SchemaMigrated(load_id=load_id, applied={"t": {"name": "t", "columns": {"a": {"name": "a"}}}}))
    package.record(JobDone(load_id=load_id, job_id="copy-0", rows=6))
    package.record(JobFailed(load_id=load_id, job_id="copy-1", message="bad row"))
    package.record(JobRetried(load_id=load_id, job_id="copy-2", attempt=2, message="busy"))
    info = package.info()
    assert {s: [j.job_file_info.file_id for j in jobs] for s, jobs in info.jobs.items()} == {
        "new_jobs": ["f4"],
        "started_jobs": ["f3"],
        "failed_jobs": ["f2"],
        "completed_jobs": ["f0", "f1"],
    }
    assert info.jobs["failed_jobs"][0].failed_message == "bad row"
    assert info.jobs["started_jobs"][0].job_file_info.retry_count == 2
    assert info.schema_update["t"]["columns"] == {"a": {"name": "a"}}
    assert (info.schema_name, info.schema_hash, info.completed_at) == ("shop", "abc", None)
    package.record(JobDone(load_id=load_id, job_id="copy-2"), JobDone(load_id=load_id, job_id="copy-3"))
    package.seal_loaded(failed_jobs=1)
    package.clean(delete_files=True)
    assert [p.name for p in package.files_dir.iterdir()] == ["t.f2.arrow"]
    info = PackageStore(tmp_path).get(load_id).info()
    assert (info.state, len(info.jobs["completed_jobs"]), len(info.failed_jobs)) == ("loaded", 4, 1)
    assert info.completed_at is not None
    assert info.asstr(verbosity=2)


def test_facts_of_a_kind(tmp_path: Path) -> None:
    """`fact` gives the newest one of its kind or nothing."""
    package = extracted(PackageStore(tmp_path))
    assert package.fact(Loaded) is None
    found = package.fact(Extracted)
    assert found is not None
    assert (found.id_seed, found.row_counts) == (7, {"t": 3})
    assert package.fact(PackageCreated) is package.journal.facts[0]


def test_loader_files_in_the_spool_are_refused(tmp_path: Path) -> None:
    """The spool is deleted with the seal: a file that stays there would be lost."""
    package = extracted(PackageStore(tmp_path))
    with pytest.raises(LoadPackageInconsistent, match="is in the spool"):
        package.seal_normalized([LoadFile(id="1", table="t", path="spool/t.1.arrow", format="arrow", rows=3)], SCHEMA)
    assert package.phase == "extracted"
