from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import headrace
from headrace.destinations.impl.filesystem.iceberg_adapter import iceberg_adapter, iceberg_partition
from headrace.destinations.opentables import get_delta_tables, get_iceberg_tables
from headrace.errors.destination import OpenTableFormatNotSupported
from headrace.errors.pipeline import PipelineStepFailed
from tests.crash import forks
from tests.destinations.lake.tables import FORMATS, made_table, merge, rows_of, schema

UPSERT = {"disposition": "merge", "strategy": "upsert"}


def pipeline(home: Path, url: str | None = None, **settings: Any) -> Any:
    destination = headrace.destinations.filesystem(url or str(home / "bucket"), **settings)
    return headrace.pipeline("lake", destination=destination, dataset_name="ds", pipelines_dir=str(home / "work"))


def orders(kind: str, rows: range, note: str, write_disposition: Any = UPSERT, extra: bool = False) -> Any:
    @headrace.resource(name="orders", primary_key="id", table_format=kind, write_disposition=write_disposition)
    def read() -> Any:
        for n in rows:
            row: dict[str, Any] = {"id": n, "note": note, "items": [{"sku": f"{note}{k}"} for k in range(n % 3)]}
            yield {**row, "extra": 1.5} if extra else row

    return read


def state(p: Any) -> dict[int, tuple[str, list[str]]]:
    data = p.dataset()
    items: dict[str, list[str]] = {}
    for parent, sku in data["orders__items"].select("_dlt_parent_id", "sku").fetchall():
        items.setdefault(parent, []).append(sku)
    rows = data["orders"].select("id", "note", "_dlt_id").fetchall()
    assert len(rows) == len({row[0] for row in rows})
    return {n: (note, sorted(items.get(key, []))) for n, note, key in rows}


def wanted(**notes: range) -> dict[int, tuple[str, list[str]]]:
    return {n: (note, [f"{note}{k}" for k in range(n % 3)]) for note, rows in notes.items() for n in rows}


@pytest.mark.parametrize("kind", FORMATS)
def test_loads_of_all_dispositions(kind: str, tmp_path: Path) -> None:
    p = pipeline(tmp_path)
    p.run(orders(kind, range(10), "old"))
    p.run(orders(kind, range(5, 12), "new", extra=True))
    assert state(p) == wanted(old=range(5), new=range(5, 12))
    assert p.dataset()["orders"].arrow()["extra"].null_count == 5
    p.run(orders(kind, range(3), "last", "replace"))
    assert state(p) == wanted(last=range(3))
    p.run(orders(kind, range(3, 6), "more", "append"))
    assert state(p) == wanted(last=range(3), more=range(3, 6))
    p.run(orders(kind, range(4, 6), "again", {"disposition": "merge", "strategy": "delete-insert"}))
    assert state(p) == wanted(last=range(3), more=range(3, 4), again=range(4, 6))


@pytest.mark.parametrize("kind", FORMATS)
def test_tables_that_were_appended_to_first_can_be_merged(kind: str, tmp_path: Path) -> None:
    p = pipeline(tmp_path)
    p.run(orders(kind, range(6), "old", "append"))
    p.run(orders(kind, range(2, 4), "new", {"disposition": "merge", "strategy": "delete-insert"}))
    assert state(p) == wanted(old=range(2)) | wanted(new=range(2, 4)) | wanted(old=range(4, 6))


@pytest.mark.parametrize("kind", FORMATS)
def test_each_table_gets_one_version_a_package(kind: str, tmp_path: Path) -> None:
    p = pipeline(tmp_path)
    for note in ("a", "b"):
        p.run(orders(kind, range(50), note))
    native = (get_delta_tables if kind == "delta" else get_iceberg_tables)(p)
    assert sorted(native) == ["orders", "orders__items"]
    for table in native.values():
        versions = table.version() if kind == "delta" else len(table.metadata.snapshots)
        assert versions == 2
    other = get_iceberg_tables if kind == "delta" else get_delta_tables
    with pytest.raises(OpenTableFormatNotSupported, match="orders"):
        other(p, "orders")


@pytest.mark.destination("iceberg")
def test_iceberg_partitions_by_transform(tmp_path: Path) -> None:
    data = headrace.resource(
        [
            {"id": n, "at": f"2026-0{n % 3 + 1}-01T00:00:00Z", "region": "ab"[n % 2], "code": f"xy{n}"}
            for n in range(12)
        ],
        name="events",
        primary_key="id",
        table_format="iceberg",
        write_disposition=UPSERT,
    )
    iceberg_adapter(
        data,
        ["region", iceberg_partition.month("at"), iceberg_partition.truncate(2, "code")],
        {"write.parquet.compression-codec": "gzip"},
    )
    p = pipeline(tmp_path)
    p.run(data)
    p.run(data)
    table = get_iceberg_tables(p, "events")["events"]
    assert [field.name for field in table.spec().fields] == ["region", "at_month", "code_trunc_2"]
    assert table.properties["write.parquet.compression-codec"] == "gzip"
    assert len({str(task.file.partition) for task in table.scan().plan_files()}) == 6
    assert p.dataset()["events"].arrow().num_rows == 12


@pytest.mark.destination("iceberg")
def test_a_catalog_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sqlalchemy")
    monkeypatch.setenv("ICEBERG_CATALOG__ICEBERG_CATALOG_NAME", f"own{os.getpid()}")
    monkeypatch.setenv("ICEBERG_CATALOG__ICEBERG_CATALOG_TYPE", "sql")
    monkeypatch.setenv("ICEBERG_CATALOG__ICEBERG_CATALOG_CONFIG", f'{{"uri": "sqlite:///{tmp_path}/catalog.db"}}')
    p = pipeline(tmp_path)
    p.run(orders("iceberg", range(6), "old"))
    p.run(orders("iceberg", range(4, 8), "new", extra=True))
    assert state(p) == wanted(old=range(4), new=range(4, 8))
    from pyiceberg.catalog import load_catalog

    catalog = load_catalog(f"own{os.getpid()}", type="sql", uri=f"sqlite:///{tmp_path}/catalog.db")
    assert sorted(catalog.list_tables("ds")) == [("ds", "orders"), ("ds", "orders__items")]


_RUN = """
import sys
from pathlib import Path
from tests.destinations.lake.test_pipelines import orders, pipeline
pipeline(Path(sys.argv[1])).run(orders(sys.argv[2], range(5, 12), "new"))
"""


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("failpoint", ["job.before_commit#2", "job.committed"])
def test_killed_between_commits(kind: str, tmp_path: Path, failpoint: str) -> None:
    p = pipeline(tmp_path)
    p.run(orders(kind, range(10), "old"))
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": root, "HEADRACE_FAILPOINT": failpoint}
    killed = forks.python(_RUN, tmp_path, kind, env=environment)
    assert killed.returncode == -9, killed.stderr[-2000:]
    p.run()
    assert state(p) == wanted(old=range(5), new=range(5, 12))
    native = (get_delta_tables if kind == "delta" else get_iceberg_tables)(p)
    assert {t.version() if kind == "delta" else len(t.metadata.snapshots) for t in native.values()} == {2}


@pytest.mark.parametrize("kind", FORMATS)
def test_writers_that_meet_lose_nothing(kind: str, tmp_path: Path) -> None:
    table = schema("t", id={"data_type": "bigint", "primary_key": True}, v="text")
    made_table(kind, tmp_path, table)
    failed: list[BaseException] = []

    def write(at: int) -> None:
        from headrace.destinations.impl.filesystem import laketable

        try:
            for turn in range(3):
                opened = made_table(kind, tmp_path, table)
                # no lock: as if each thread were a process of its own
                opened.commits = lambda: threading.Lock()
                rows = [{"id": i, "v": f"{at}.{turn}"} for i in range(at * 2, at * 2 + 10)]
                merge(kind, [(opened, table, rows)], "upsert", f"{at}.{turn}")
        except BaseException as error:
            failed.append(error)
        assert laketable.ATTEMPTS > 3

    threads = [threading.Thread(target=write, args=(at,)) for at in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert sorted(row["id"] for row in rows_of(made_table(kind, tmp_path, table))) == list(range(14))


@pytest.mark.parametrize("kind", FORMATS)
def test_on_s3(kind: str, tmp_path: Path, s3_server: Any) -> None:
    p = pipeline(tmp_path, s3_server.bucket(), credentials=s3_server.credentials())
    p.run(orders(kind, range(6), "old"))
    p.run(orders(kind, range(4, 8), "new", extra=True))
    assert state(p) == wanted(old=range(4), new=range(4, 8))
    p.run(orders(kind, range(2), "last", "replace"))
    assert state(p) == wanted(last=range(2))
    with p.destination_client() as client:
        client.drop_tables("orders", "orders__items")
        assert client.describe(["orders"]) == {"orders": None}


@pytest.mark.destination("delta")
def test_delta_on_azure(tmp_path: Path, azure_server: Any) -> None:
    p = pipeline(tmp_path, azure_server.bucket(), credentials=azure_server.connection_string)
    p.run(orders("delta", range(6), "old"))
    p.run(orders("delta", range(4, 8), "new", extra=True))
    assert state(p) == wanted(old=range(4), new=range(4, 8))


@pytest.mark.parametrize("kind", FORMATS)
def test_nested_arrow_columns_are_json(kind: str, tmp_path: Path) -> None:
    frame = pa.table({"id": [1, 2], "parts": [[1, None], None], "doc": [{"a": 1, "b": None}, None]})
    p = pipeline(tmp_path)
    p.run(headrace.resource([frame], name="orders", table_format=kind))
    rows = p.dataset()["orders"].order_by("id").select("id", "parts", "doc").fetchall()
    assert rows == [(1, "[1,null]", '{"a":1,"b":null}'), (2, None, None)]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("before", [None, "native", *FORMATS])
@pytest.mark.parametrize("write_disposition", ["append", "replace"])
@pytest.mark.each(4)
def test_table_format_of_rows_is_not_changed_unawares(
    kind: str, before: Any, write_disposition: Any, tmp_path: Path
) -> None:
    """Old rows would be out of sight; `refresh` drops them in the format that they have."""
    p = pipeline(tmp_path)

    def load(rows: range, table_format: Any, **settings: Any) -> Any:
        data = [{"id": n, "items": [n]} for n in rows]
        return p.run(headrace.resource(data, name="orders", table_format=table_format), **settings)

    load(range(2), before)
    if kind == before:
        load(range(2, 3), kind, write_disposition="append")
    else:
        with pytest.raises(PipelineStepFailed, match=r"`orders` has rows in .* and cannot go on in the table format"):
            load(range(2, 3), kind, write_disposition=write_disposition)
        load(range(3), kind, refresh="drop_resources")
    for column, table in (("id", "orders"), ("value", "orders__items")):
        assert sorted(p.dataset()[table].select(column).fetchall()) == [(0,), (1,), (2,)]
    folder = tmp_path / "bucket" / "ds" / "orders"
    assert (folder / "_delta_log").exists() == (kind == "delta")
    assert (folder / "metadata").exists() == (kind == "iceberg")
