"""What stays in the working folder, and in the staging place, when the data is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

import headrace
from headrace.errors.pipeline import PipelineStepFailed
from tests.e2e.project import rows


@pytest.fixture
def p(project: Path) -> headrace.Pipeline:
    return headrace.pipeline("shop", destination="duckdb", dataset_name="raw")


def load(p: headrace.Pipeline, times: int = 1, size: int = 1) -> list[str]:
    ids = []
    for _ in range(times):
        info = p.run([{"id": 1, "text": os.urandom(size).hex()}], table_name="t")
        assert info is not None
        ids += info.loads_ids
    return ids


def folders(p: headrace.Pipeline) -> list[str]:
    return sorted(path.name for path in Path(p.working_dir, "packages").iterdir() if not path.name.startswith("."))


def older(p: headrace.Pipeline, load_id: str, days: float) -> str:
    """A package becomes one of some days ago."""
    made = f"{time.time() - days * 86400:.9f}"
    packages = Path(p.working_dir, "packages")
    (packages / load_id).rename(packages / made)
    (packages / ".finished").unlink(missing_ok=True)  # only a shortcut; it is made anew
    return made


def test_all_are_kept_by_default(p: headrace.Pipeline) -> None:
    ids = load(p, 4)
    assert folders(p) == ids


def test_by_number(p: headrace.Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = load(p, 3)
    monkeypatch.setenv("LOAD__KEEP_PACKAGES", "2")
    ids += load(p, 2)
    assert folders(p) == ids[-2:] == list(p.list_completed_load_packages())
    monkeypatch.setenv("LOAD__KEEP_PACKAGES", "0")
    ids += load(p)
    assert folders(p) == ids[-1:]
    assert len(rows(p, "t")) == 6


def test_by_age(p: headrace.Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = load(p, 2)
    older(p, first, 8)
    kept = older(p, second, 6)
    p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    monkeypatch.setenv("LOAD__KEEP_PACKAGES_DAYS", "7")
    (new,) = load(p)
    assert folders(p) == [kept, new]


def test_by_size(p: headrace.Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = load(p, 3, size=100_000)
    sizes = [f.stat().st_size for f in Path(p.working_dir, "packages", ids[-1]).rglob("*") if f.is_file()]
    monkeypatch.setenv("LOAD__KEEP_PACKAGES_BYTES", str(int(sum(sizes) * 2.5)))
    ids += load(p, size=100_000)
    assert folders(p) == ids[-2:]


def test_packages_with_failures_are_kept_longer(p: headrace.Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    load(p)
    with duckdb.connect("shop.duckdb") as db:
        db.execute("DROP TABLE raw.t")
        db.execute("CREATE TABLE raw.t (id BIGINT CHECK (id < 1), text TEXT, _dlt_load_id TEXT, _dlt_id TEXT)")
    with pytest.raises(PipelineStepFailed) as raised:
        load(p)
    with duckdb.connect("shop.duckdb") as db:
        db.execute("DROP TABLE raw.t")
    aside = str(raised.value.load_id)
    monkeypatch.setenv("LOAD__KEEP_PACKAGES", "1")
    monkeypatch.setenv("LOAD__KEEP_PACKAGES_DAYS", "1")
    (new,) = load(p)
    assert folders(p) == [aside, new]
    aside = older(p, aside, 31)
    p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    (new,) = load(p)
    assert folders(p) == [aside, new]
    monkeypatch.setenv("LOAD__KEEP_FAILED_PACKAGES_DAYS", "30")
    (new,) = load(p)
    assert folders(p) == [new]


def test_what_waits_is_never_deleted(p: headrace.Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    load(p)
    monkeypatch.setenv("LOAD__KEEP_PACKAGES", "0")
    p.extract([{"id": 2}], table_name="t")
    p.normalize()
    p.extract([{"id": 3}], table_name="t")
    p.load()
    assert p.has_pending_data and len(folders(p)) == 1
    p.run()
    assert not p.has_pending_data
    assert rows(p, "t", "id") == [(1,), (2,), (3,)]


SCRIPT = """
import headrace
from headrace.base import files
import os, signal
real = files.remove_tree
def die(path):
    if ".dropped-" in str(path) and path.exists():
        os.kill(os.getpid(), signal.SIGKILL)
    real(path)
files.remove_tree = die
p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
p.run([{"id": 1, "text": "x"}], table_name="t")
"""


def test_killed_while_it_deletes(p: headrace.Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    load(p, 3)
    monkeypatch.setenv("LOAD__KEEP_PACKAGES", "1")
    assert subprocess.run([sys.executable, "-c", SCRIPT], check=False).returncode == -9
    ids = load(p)
    assert folders(p) == ids
    assert not [path for path in Path(p.working_dir, "packages").iterdir() if path.name.startswith(".dropped-")]
    assert len(rows(p, "t")) == 5


def test_traces(p: headrace.Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def kept() -> int:
        return len(list(Path(p.working_dir, "runs").glob("*.trace.json")))

    load(p, 3)
    assert kept() == 3
    for keep, left in (("2", 2), ("0", 3)):
        monkeypatch.setenv("PIPELINES__SHOP__KEEP_TRACES", keep)
        load(headrace.pipeline("shop", destination="duckdb", dataset_name="raw"))
        assert kept() == left


def test_loader_files_may_be_deleted_at_once(p: headrace.Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """`delete_completed_jobs`: the package stays, to tell what was in it."""
    (before,) = load(p)
    monkeypatch.setenv("LOAD__DELETE_COMPLETED_JOBS", "true")
    (after,) = load(p)
    packages = Path(p.working_dir, "packages")
    assert list((packages / before / "files").iterdir())
    assert not (packages / after / "files").exists()
    assert p.get_load_package_info(after).state == "loaded"


@pytest.mark.parametrize("empty", [False, True])
def test_files_in_the_staging_place(project: Path, monkeypatch: pytest.MonkeyPatch, empty: bool) -> None:
    """`truncate_staging_dataset`: the load's own files go once it is loaded; without it they stay for the next load."""
    monkeypatch.setenv("LOAD__TRUNCATE_STAGING_DATASET", str(empty))
    staging: Any = headrace.destinations.filesystem(str(project / "stage"))
    p = headrace.pipeline("shop", destination="duckdb", staging=staging, dataset_name="raw")
    p.run([{"id": 1}], table_name="t", loader_file_format="parquet")
    left = [path for path in (project / "stage").rglob("*.parquet") if "t" in path.parts]
    assert bool(left) != empty
    assert rows(p, "t", "id") == [(1,)]
