"""Rows that failed do not come back beside those that have taken their place since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

import headrace
from headrace.errors.pipeline import PipelineStepFailed
from tests.e2e.project import rows


@pytest.fixture
def p(project: Path, monkeypatch: pytest.MonkeyPatch) -> headrace.Pipeline:
    """A pipeline that passes over jobs that fail."""
    monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    return headrace.pipeline("shop", destination="duckdb", dataset_name="raw")


@headrace.resource(name="orders", primary_key="id")
def orders(upto: int, at: Any = headrace.sources.incremental("id", initial_value=0)) -> Any:
    yield [{"id": n} for n in range(at.last_value + 1, upto + 1)]


@headrace.resource(name="others")
def others() -> Any:
    yield [{"id": 1}]


def ids(p: headrace.Pipeline) -> list[int]:
    return [found[0] for found in rows(p, "orders", "id", "id")]


def fail(p: headrace.Pipeline) -> str:
    """Rows 1 and 2 are loaded, 3 and 4 are not; returns the load that lacks them."""
    p.run(orders(2))
    table("CREATE TABLE raw.new (id BIGINT CHECK (id < 3), _dlt_load_id VARCHAR NOT NULL, _dlt_id VARCHAR NOT NULL)")
    info = p.run(orders(4))
    assert info is not None and info.has_failed_jobs and ids(p) == [1, 2]
    table("CREATE TABLE raw.new (id BIGINT, _dlt_load_id VARCHAR NOT NULL, _dlt_id VARCHAR NOT NULL)")
    return info.loads_ids[0]


def table(create: str) -> None:
    with duckdb.connect("shop.duckdb") as db:
        db.execute(create)
        db.execute("INSERT INTO raw.new SELECT * FROM raw.orders")
        db.execute("DROP TABLE raw.orders")
        db.execute("ALTER TABLE raw.new RENAME TO orders")


@pytest.mark.parametrize("mode", ["drop_sources", "drop_resources", "drop_data"])
def test_tables_were_refreshed(p: headrace.Pipeline, mode: Any) -> None:
    """All rows came anew; those that had failed among them."""
    load_id = fail(p)
    p.run(orders(5), refresh=mode)
    with pytest.raises(PipelineStepFailed, match="written table `orders` since"):
        p.retry_failed_jobs(load_id)
    assert p.retry_failed_jobs() is None
    assert ids(p) == [1, 2, 3, 4, 5]


def test_rows_were_merged(p: headrace.Pipeline) -> None:
    load_id = fail(p)
    p.run([{"id": 3}], table_name="orders", write_disposition="merge", primary_key="id")
    with pytest.raises(PipelineStepFailed, match="written table `orders` since"):
        p.retry_failed_jobs(load_id)
    assert ids(p) == [1, 2, 3]


@pytest.mark.parametrize("how", ["replace", "drop_sources"])
def test_packages_that_tell_so_are_kept(p: headrace.Pipeline, monkeypatch: pytest.MonkeyPatch, how: Any) -> None:
    """While a failed job waits, the package of what has overwritten its table stays; others are deleted."""
    monkeypatch.setenv("LOAD__KEEP_PACKAGES", "1")
    load_id = fail(p)
    last = p.run([{"id": 9}], table_name="orders", **{"write_disposition" if how == "replace" else "refresh": how})
    assert last is not None
    for _ in range(3):
        newest = p.run(others())
    assert newest is not None
    assert p._store.list() == [load_id, *last.loads_ids, *newest.loads_ids]
    with pytest.raises(PipelineStepFailed, match=f"load {last.loads_ids[0]} has written table `orders` since"):
        p.retry_failed_jobs(load_id)
    assert ids(p) == [9]


def test_what_was_undone_overwrites_nothing(p: headrace.Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    load_id = fail(p)
    monkeypatch.setenv("LOAD__KEEP_UNDO", "1")
    p.run([{"id": 9}], table_name="orders", write_disposition="replace")
    p.rollback()
    again = p.retry_failed_jobs(load_id)
    assert again is not None and not again.has_failed_jobs
    assert ids(p) == [1, 2, 3, 4]
