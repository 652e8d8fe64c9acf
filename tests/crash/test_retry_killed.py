"""Killed while failed jobs are loaded again: whatever is called next, every row is there once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import headrace
from headrace.base import failpoints
from headrace.errors.pipeline import PipelineStepFailed
from tests.crash import forks
from tests.crash.amount import LONG, some

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

PLACES = [
    "Reopened:before",
    "Reopened:after",
    "job.committed",
    "complete.after",
    "JobDone:after",
    "Loaded:before",
    "migrate.before",
    "migrate.after",
    "job.before_commit",
    "job.applied",
    "JobDone:before",
    "complete.before",
    "complete.before_commit",
    "Loaded:after",
    "package.cleaned",
]


@headrace.resource(name="orders")
def orders(upto: int, at: Any = headrace.sources.incremental("id", initial_value=0)) -> Iterator[Any]:
    yield [{"id": n} for n in range(at.last_value + 1, upto + 1)]


def shop(folder: Path, raising: bool) -> headrace.Pipeline:
    os.environ["LOAD__RAISE_ON_FAILED_JOBS"] = str(raising)
    destination = headrace.destinations.duckdb(str(folder / "shop.duckdb"))
    return headrace.pipeline("shop", destination=destination, dataset_name="raw", pipelines_dir=str(folder / "work"))


def act(folder: Path, raising: bool, steps: list[str], place: str = "") -> None:
    """In the child: steps, one after the other, with a failpoint armed."""
    failpoints._armed.update(failpoints.parse(place))
    p = shop(folder, raising)
    for step in steps:
        if step == "retry":
            p.retry_failed_jobs()
        elif step == "break":
            with duckdb.connect(str(folder / "shop.duckdb")) as db:
                db.execute("CREATE TABLE raw.small (id BIGINT CHECK (id < 3), _dlt_load_id TEXT, _dlt_id TEXT)")
                db.execute("INSERT INTO raw.small FROM raw.orders")
                db.execute("DROP TABLE raw.orders")
                db.execute("ALTER TABLE raw.small RENAME TO orders")
        elif step == "mend":
            with duckdb.connect(str(folder / "shop.duckdb")) as db:
                db.execute("CREATE TABLE raw.wide (id BIGINT, _dlt_load_id TEXT, _dlt_id TEXT)")
                db.execute("INSERT INTO raw.wide FROM raw.orders")
                db.execute("DROP TABLE raw.orders")
                db.execute("ALTER TABLE raw.wide RENAME TO orders")
        else:
            try:
                p.run(orders(int(step)))
            except PipelineStepFailed:
                assert raising


def in_child(*args: Any, **kw: Any) -> int:
    return forks.end_of(forks.start(act, *args, **kw))


@pytest.fixture(scope="module", params=[True, False], ids=["set-aside", "passed-over"])
def broken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bool]:
    """A pipeline whose second load has failed, and whose destination is mended now."""
    folder = tmp_path_factory.mktemp("broken")
    assert in_child(folder, request.param, ["2", "break", "4", "mend"]) == 0
    return folder, request.param


@pytest.mark.parametrize("place", some(PLACES, 3))
def test_each_row_is_there_once(broken: tuple[Path, bool], tmp_path: Path, place: str) -> None:
    """Once the next scheduled run comes first, once the operator repeats the call."""
    template, raising = broken
    ways = [["5", "retry", "6"], ["retry", "6"]]
    for then in ways if LONG else ways[PLACES.index(place) % 2 :][:1]:
        folder = tmp_path / then[0]
        shutil.copytree(template, folder)
        assert in_child(folder, raising, ["retry"], place) == -9, "the place was not passed"
        assert in_child(folder, raising, then) == 0
        with duckdb.connect(str(folder / "shop.duckdb"), read_only=True) as db:
            ids = [row[0] for row in db.sql("SELECT id FROM raw.orders ORDER BY 1").fetchall()]
            loads = db.sql("SELECT load_id FROM raw._dlt_loads").fetchall()
            unknown = db.sql(
                "SELECT count(*) FROM raw.orders WHERE _dlt_load_id NOT IN (SELECT load_id FROM raw._dlt_loads)"
            ).fetchall()
        assert ids == [1, 2, 3, 4, 5, 6]
        assert unknown == [(0,)] and len(loads) == len(set(loads))
