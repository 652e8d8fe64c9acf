"""Reading while other things go on: streams, shared connections, transactions, threads, memory."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import headrace as dlt
from headrace.dataset import Dataset
from headrace.destinations.impl.duckdb.connections import open_files
from headrace.errors.destination import DestinationTerminalException
from tests.dataset.shop import shop


@pytest.fixture
def raw(tmp_path: Path) -> Dataset:
    return shop(tmp_path)


def users(folder: Path, rows: int, name: str = "p") -> Any:
    pipeline = dlt.pipeline(
        name, destination=dlt.destinations.duckdb(str(folder / "u.duckdb")), dataset_name="raw", pipelines_dir=folder
    )
    pipeline.run(pa.table({"id": range(rows), "cost": [Decimal("1.50")] * rows}), table_name="users")
    return pipeline


def test_a_relation_is_an_arrow_stream(raw: Dataset) -> None:
    polars = pytest.importorskip("polars")
    assert pa.table(raw.users).num_rows == 3
    assert pa.RecordBatchReader.from_stream(raw.users.select("id")).read_all()["id"].to_pylist() == [1, 2, 3]
    assert polars.DataFrame(raw.users.where("id", "gt", 1)).height == 2
    assert open_files() == []


def test_chunks_have_the_size_that_was_asked_for(tmp_path: Path) -> None:
    relation = users(tmp_path, 5000).dataset().users
    for chunk in (1000, 2048, 4999, 10_000):
        expected = [chunk] * (5000 // chunk) + ([5000 % chunk] if 5000 % chunk else [])
        assert [len(f) for f in relation.iter_df(chunk_size=chunk)] == expected
        assert [t.num_rows for t in relation.iter_arrow(chunk_size=chunk)] == expected
        assert [len(r) for r in relation.iter_fetch(chunk_size=chunk)] == expected
    ids = [i for frame in relation.order_by("id").iter_df(700) for i in frame["id"]]
    assert ids == list(range(5000))
    assert (len(relation.df(chunk_size=10)), relation.arrow(chunk_size=10).num_rows) == (10, 10)
    assert open_files() == []


def test_types_do_not_depend_on_the_form(tmp_path: Path) -> None:
    relation = users(tmp_path, 10).dataset().users.select("id", "cost")
    whole = relation.arrow()
    assert next(relation.iter_arrow(3)).schema == whole.schema
    assert relation.where("id", "gt", 99).arrow().schema == whole.schema
    with users(tmp_path, 1).sql_client() as client, client.execute_query("SELECT id, cost FROM users") as cursor:
        assert cursor.arrow(2).schema == whole.schema


def test_readings_in_each_other_do_not_lose_rows(raw: Dataset) -> None:
    """DuckDB ends a stream without a word when its connection runs another statement."""
    with raw:
        ids = []
        for table in raw.users.iter_arrow(1):
            assert len(raw.orders.fetchall()) == 2
            ids += table["id"].to_pylist()
        assert ids == [1, 2, 3]


def test_rows_of_a_statement_that_was_overrun_are_an_error(raw: Dataset) -> None:
    with raw.sql_client as client, client.execute_query("SELECT id FROM users") as cursor:
        assert cursor.fetchmany(1) == [(1,)]
        client.execute_sql("SELECT 1")
        for read in (cursor.fetchone, cursor.fetchall, cursor.fetchmany, cursor.arrow, cursor.df):
            with pytest.raises(DestinationTerminalException, match="another statement"):
                read()


def test_inside_a_transaction_its_changes_are_seen(raw: Dataset) -> None:
    with raw, raw.sql_client.begin_transaction() as client:
        client.execute_sql("DELETE FROM orders")
        assert raw.orders.fetchall() == []
        assert raw.orders.arrow().num_rows == 0
    assert len(raw.orders.fetchall()) == 0


def test_parameters_by_position_and_by_name(raw: Dataset) -> None:
    with raw.sql_client as client:
        assert client.execute_sql("SELECT name FROM users WHERE id = %s AND born < %s", 1, "2001-01-01") == [("Ann",)]
        assert client.execute_sql("SELECT $a, '%(a)s', %(a)s", a=7) == [(7, "%(a)s", 7)]
        assert client.execute_many(["SELECT ?", "SELECT ? + 1"], 1) == [(2,)]
        assert client.execute_fragments(["SELECT ", "$x"], x=1) == [(1,)]
        assert client.make_qualified_table_name_path("t", catalog="c") == ['"c"', '"raw"', '"t"']


def test_a_load_goes_on_while_rows_are_read(tmp_path: Path) -> None:
    pipeline = users(tmp_path, 5000)
    tables = pipeline.dataset().users.iter_arrow(1000)
    first = next(tables)
    pipeline.run(pa.table({"id": [5000], "cost": [Decimal("1.50")]}), table_name="users")
    assert first.num_rows + sum(table.num_rows for table in tables) == 5000
    assert pipeline.dataset().row_counts().fetchall() == [("users", 5001)]
    assert open_files() == []


def test_threads_read_one_dataset(tmp_path: Path) -> None:
    dataset = users(tmp_path, 5000).dataset()
    found: list[int] = []

    def read() -> None:
        found.extend(sum(t.num_rows for t in dataset.users.iter_arrow(999)) for _ in range(5))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [5000] * 20
    assert open_files() == []


def test_databases_without_a_file(tmp_path: Path) -> None:
    import duckdb

    memory = dlt.destinations.duckdb(":memory:")
    own = duckdb.connect()
    for number, destination in enumerate((memory, dlt.destinations.duckdb(own), dlt.destinations.duckdb(":pipeline:"))):
        pipeline = dlt.pipeline(f"m{number}", destination=destination, dataset_name="d", pipelines_dir=tmp_path)
        pipeline.run([{"id": 1}], table_name="t")
        dataset = pipeline.dataset()
        with dataset:
            assert dataset.t.select("id").fetchall() == [(1,)]
        assert dataset.t.select("id").arrow().to_pylist() == [{"id": 1}]
    assert own.execute("SELECT id FROM d.t").fetchall() == [(1,)]
    own.close()


BIG = """
    import sys
    import headrace as dlt
    from headrace.destinations.impl.duckdb.configuration import DuckDbCredentials

    def peak():
        return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM")) // 1024

    credentials = DuckDbCredentials({path!r}, global_config={{"memory_limit": "64MB", "threads": 1}})
    destination = dlt.destinations.duckdb(credentials)
    relation = dlt.dataset(destination, "raw").query("SELECT id, s FROM raw.big", _execute_raw_query=True)
    next(relation.iter_arrow(1000))
    before = peak()
    rows = sum(t.num_rows for t in relation.iter_arrow({chunk}))
    print(rows, peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_two_million_rows_need_the_memory_of_a_chunk(tmp_path: Path) -> None:
    """As Arrow the table has some 250 MB; a chunk has 3."""
    import duckdb

    path = tmp_path / "big.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE SCHEMA raw")
        connection.execute(
            "CREATE TABLE raw.big AS SELECT range AS id, repeat(range::text, 16) AS s FROM range(2000000)"
        )
    code = textwrap.dedent(BIG.format(path=str(path), chunk=20_000))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=env)
    rows, grown = map(int, done.stdout.split())
    assert rows == 2_000_000
    assert grown < 150, f"{grown} MB"
