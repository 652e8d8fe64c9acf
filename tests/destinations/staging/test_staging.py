"""Files go to a bucket, and the destination loads them from there."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.destinations.impl.filesystem.staging import FilesystemStaging
from headrace.errors.destination import (
    DestinationIncompatibleLoaderFileFormatException,
    DestinationLoadingWithoutStagingNotSupported,
    DestinationTransientException,
)
from headrace.errors.pipeline import PipelineStepFailed
from headrace.model.events import Planned
from headrace.model.jobs import PlannedJob, Upload
from tests.destinations.staging.world import DATASET, World, orders, rows, urls


def _planned(pipeline: Any, info: Any) -> list[PlannedJob]:
    return list(pipeline._store.get(info.loads_ids[0]).fact(Planned).jobs)


@pytest.mark.parametrize("file_format", ["parquet", "jsonl", "csv"])
def test_formats(world: World, file_format: str) -> None:
    p = world.pipeline()
    info = p.run(orders(7), loader_file_format=file_format)
    assert rows(p, "id", "note", "price", "paid") == [
        (n, None if n % 3 == 0 else f'ordér {n}, "quoted"\nand broken', n / 4, n % 2 == 0) for n in range(1, 8)
    ]
    assert rows(p, "of", table="orders__items") == [(n,) for n in range(1, 8)]
    assert [a.tzinfo is not None for (a,) in rows(p, "at")] == [True] * 7
    ending = file_format if file_format == "parquet" else f"{file_format}.gz"
    [load_id] = info.loads_ids
    staged = world.files("orders/")
    assert [name.startswith(f"orders/{load_id}.") and name.endswith(f".{ending}") for name in staged] == [True]
    assert urls(info)["orders"].endswith(f"/{DATASET}/{staged[0]}")


@pytest.mark.parametrize("disposition", ["append", "replace", "merge"])
def test_dispositions(pair: World, disposition: str) -> None:
    p = pair.pipeline()
    p.run(orders(6), write_disposition=disposition)
    p.run(orders(9, first=4), write_disposition=disposition)
    whole, second = list(range(1, 10)), list(range(4, 10))
    expected = {"append": [*range(1, 7), *second], "replace": second, "merge": whole}[disposition]
    assert rows(p) == [(n,) for n in sorted(expected)]
    assert rows(p, "of", table="orders__items") == [(n,) for n in sorted(expected)]


@pytest.mark.parametrize("strategy", ["truncate-and-insert", "staging-optimized"])
def test_replace_strategies(pair: World, strategy: str) -> None:
    p = pair.pipeline(destination=pair.destination(replace_strategy=strategy))
    for last in (5, 3):
        p.run(orders(last), write_disposition="replace")
    assert rows(p) == [(1,), (2,), (3,)]


def test_many_jobs(pair: World) -> None:
    """Several uploads at once, each before the job that reads its files."""
    p = pair.pipeline(destination=pair.destination(max_files_per_job=1))
    info = p.run(orders(10))
    assert rows(p) == [(n,) for n in range(1, 11)]
    uploads = [job for job in _planned(p, info) if isinstance(job, Upload)]
    assert len(uploads) == len(pair.files()) == 3


def test_renamed_columns(pair: World) -> None:
    """Columns that another writer has made otherwise: the files keep their names, the rows find their columns."""
    other = pair.pipeline("other")
    other.run([{"id": 1, "v": "a text"}], table_name="mixed")
    p = pair.pipeline("mixed")
    for _ in range(2):
        p.run([{"id": 2, "v": 7}], table_name="mixed", loader_file_format="parquet")
    found = p.dataset()["mixed"].arrow()
    assert sorted(found["id"].to_pylist()) == [1, 2, 2]
    assert found.num_columns >= 5
    assert 7 in [v for name in found.column_names for v in found[name].to_pylist()] or "7" in found["v"].to_pylist()


# ---- what dies, and what gets lost -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pair", "place"),
    [
        pytest.param("duckdb-local", "files.staged", marks=pytest.mark.long),
        ("duckdb-local", "job.before_commit"),
        ("postgres-s3", "JobDone:after"),
        pytest.param("postgres-s3", "complete.after", marks=pytest.mark.long),
    ],
    indirect=["pair"],
)
def test_killed(pair: World, place: str) -> None:
    p = pair.pipeline()
    p.run(orders(3), write_disposition="merge")
    pair.run_killed(place, 8, write_disposition="append")
    p = pair.pipeline()
    info = p.run()
    assert rows(p) == [(n,) for n in sorted([1, 2, 3, *range(1, 9)])]
    assert rows(p, "of", table="orders__items") == rows(p)
    assert {name.split("/")[1].rpartition(".")[0].rpartition(".")[0] for name in pair.files("orders/")} == {
        info.loads_ids[0]
    }


@pytest.mark.parametrize(("pair", "half"), [("duckdb-local", False), ("postgres-s3", True)], indirect=["pair"])
def test_staged_files_that_got_lost_come_again(pair: World, half: bool) -> None:
    pair.run_killed("JobDone:after", 5)
    staged = pair.files("orders/")
    assert len(staged) == 1
    pair.delete(staged[0])
    if half:
        pair.write(staged[0], b"PAR1")
    p = pair.pipeline()
    p.run()
    assert rows(p) == [(n,) for n in range(1, 6)]
    assert pair.files("orders/") == staged


@pytest.mark.parametrize("fault", ["gone", "not taken"])
def test_a_place_with_faults(pair: World, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is deleted before it is loaded, or the place is away for a moment: the next attempt does it."""
    put, calls = FilesystemStaging.put, []

    def badly(self: Any, files: Any, context: Any) -> None:
        calls.append([file.table for file in files])
        if fault == "not taken" and len(calls) == 1:
            raise DestinationTransientException("The place is away.")
        put(self, files, context)
        if fault == "gone" and len(calls) == 1:
            self.delete([self.url_of(file, context) for file in files])

    monkeypatch.setattr(FilesystemStaging, "put", badly)
    p = pair.pipeline()
    info = p.run(orders(4))
    assert rows(p) == rows(p, "of", table="orders__items") == [(n,) for n in range(1, 5)]
    assert calls[0] == calls[1]
    assert len(calls) == 2
    [metrics] = [one for [one] in info.metrics.values()]
    retried = {m.retry_count for m in metrics["job_metrics"].values()}
    assert retried == ({1} if fault == "gone" else {0})


def test_a_place_that_refuses(pair: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is set aside, and the error says where it went wrong; no secret is in it."""

    def refuse(self: Any, sources: Any, temporary: Any) -> None:
        raise PermissionError(13, "not yours")

    monkeypatch.setattr("headrace.destinations.impl.filesystem.store.Store.upload_all", refuse)
    p = pair.pipeline()
    with pytest.raises(PipelineStepFailed) as raised:
        p.run(orders(4))
    told = str(raised.value)
    assert "staging files of `orders`" in told
    assert pair.bucket in told
    assert "secret" not in told


def test_the_next_run_has_no_staging(local: World) -> None:
    """The files are still in the package: they are loaded from there."""
    local.run_killed("JobDone:after", 5)
    p: Any = headrace.pipeline("shop", destination=local.destination(), dataset_name=DATASET, pipelines_dir=local.home)
    assert p.staging is None
    info = p.run()
    assert rows(p) == [(n,) for n in range(1, 6)]
    assert set(urls(info).values()) == {None}


def test_the_next_run_has_no_staging_but_needs_it(local: World) -> None:
    local.run_killed("JobDone:after", 5)
    target = local.destination(supported_loader_file_formats=["csv"], preferred_loader_file_format="csv")
    p: Any = headrace.pipeline("shop", destination=target, dataset_name=DATASET, pipelines_dir=local.home)
    with pytest.raises(Exception) as raised:
        p.load()
    assert isinstance(raised.value.__cause__, DestinationLoadingWithoutStagingNotSupported)


def test_the_place_has_moved(local: World, tmp_path: Path) -> None:
    local.run_killed("JobDone:after", 5)
    moved = local._replace(bucket=str(tmp_path / "elsewhere"))
    p = moved.pipeline()
    p.run()
    assert rows(p) == [(n,) for n in range(1, 6)]
    assert len(moved.files("orders/")) == 1


# ---- what stays in the bucket ----------------------------------------------------------------------------------------


def test_files_of_the_last_load_stay(pair: World) -> None:
    p = pair.pipeline()
    first = p.run(orders(2)).loads_ids[0]
    second = p.run(orders(2)).loads_ids[0]
    assert not [name for name in pair.files("orders") if first in name]
    assert len([name for name in pair.files("orders") if second in name]) == 2  # the nested table's as well


def test_files_of_loads_that_are_not_complete_stay(pair: World) -> None:
    """They may be another process's, which is about to load them."""
    pair.write("orders/1700000000.5.abcdef.parquet", b"of another process")
    pair.write("orders/readme.txt", b"of a person")
    pair.pipeline().run(orders(2))
    assert len(pair.files("orders/")) == 3


def test_all_files_stay(local: World) -> None:
    target = local.destination(truncate_tables_on_staging_destination_before_load=False)
    for _ in range(3):
        local.pipeline(destination=target).run(orders(2))
    assert len(local.files("orders/")) == 3


def test_all_files_stay_by_configuration(local: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESTINATION__DUCKDB__TRUNCATE_TABLES_ON_STAGING_DESTINATION_BEFORE_LOAD", "false")
    for _ in range(2):
        local.pipeline().run(orders(2))
    assert len(local.files("orders/")) == 2


def test_no_file_stays(pair: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD__TRUNCATE_STAGING_DATASET", "true")
    p = pair.pipeline()
    p.run(orders(2))
    assert pair.files() == []
    assert rows(p) == [(1,), (2,)]


def test_a_place_that_cannot_be_tidied_is_no_error(
    local: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from headrace.destinations.impl.filesystem.store import LocalStore

    def refuse(self: Any, paths: Any) -> None:
        raise PermissionError(13, "not yours", *list(paths)[:1])

    p = local.pipeline()
    p.run(orders(2))
    monkeypatch.setattr(LocalStore, "delete", refuse)
    with caplog.at_level(logging.WARNING, logger="headrace"):
        p.run(orders(4))
    assert len(rows(p)) == 6
    assert "staged files could not be deleted" in caplog.text


def test_own_layout(pair: World) -> None:
    staging = pair.staging(layout="{table_name}/y{YYYY}/{load_id}/{file_id}.{ext}")
    p = pair.pipeline(staging=staging)
    p.run(orders(2))
    load_id = p.run(orders(2)).loads_ids[0]
    [name] = pair.files("orders/")
    assert name.split("/")[2] == load_id
    assert len(rows(p)) == 4


def test_a_layout_without_load_ids_keeps_all(local: World) -> None:
    p = local.pipeline(staging=local.staging(layout="{table_name}/{file_id}.{ext}"))
    for _ in range(2):
        p.run(orders(2))
    assert len(local.files("orders/")) == 2


def test_nothing_is_left_beside_the_files(pair: World) -> None:
    p = pair.pipeline()
    p.run(orders(2))
    assert {name.split("/")[0] for name in pair.files()} == {"orders", "orders__items", "_dlt_pipeline_state"}
    left = [os.path.join(at, f) for at, _, names in os.walk(p.working_dir) for f in names if "/staged/" in at]
    assert left == []


# ---- what is told ----------------------------------------------------------------------------------------------------


def test_info(pair: World) -> None:
    info = pair.pipeline(staging=pair.staging(destination_name="way")).run(orders(1))
    assert (info.staging_type, info.staging_name) == ("dlt.destinations.filesystem", "way")
    shown = info.staging_displayable_credentials
    assert shown == (pair.bucket if pair.access else f"file://{pair.bucket}")
    assert "Staged through: way" in str(info)
    for secret in (pair.access or {}).values():
        if "secret" in secret:
            assert secret not in str(info) + str(info.asdict())
    start = pair.bucket if pair.access else Path(pair.bucket).as_uri()
    assert all(url.startswith(f"{start}/{DATASET}/") for url in urls(info).values())


def test_the_plan_has_uploads(local: World) -> None:
    p = local.pipeline()
    planned = _planned(p, p.run(orders(2), write_disposition="merge"))
    kinds = {job.id: (job.kind, job.after) for job in planned}
    assert kinds["merge-0"] == ("merge", ["upload-merge-0-0"])
    assert kinds["upload-merge-0-0"] == ("upload", [])
    for job in planned:
        assert isinstance(job, Upload) or not any(file.remote for file in job.files)


def test_formats_that_cannot_be_staged(local: World) -> None:
    p = local.pipeline()
    with pytest.raises(DestinationIncompatibleLoaderFileFormatException) as raised:
        p.run(orders(1), loader_file_format="arrow")
    assert raised.value.staging == "filesystem"
    assert raised.value.supported_formats == ["parquet", "jsonl", "csv", "model"]
    with pytest.raises(DestinationIncompatibleLoaderFileFormatException):
        local.pipeline(staging=local.staging(supported_loader_file_formats=["insert_values"]))


def test_files_normalized_for_the_destination_itself(local: World) -> None:
    """Such a package is loaded directly: the formats of a place are those of files made for it."""
    p: Any = headrace.pipeline("shop", destination=local.destination(), dataset_name=DATASET, pipelines_dir=local.home)
    p.extract(orders(2))
    p.normalize()
    p = local.pipeline()
    info = p.run()
    assert set(urls(info).values()) == {None}
    assert rows(p) == [(1,), (2,)]
