"""Datasets find their tables and schemas, count rows, and handle connections."""

from __future__ import annotations

import copy
import importlib
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from headrace import destinations
from headrace.dataset import Dataset, Relation
from headrace.errors.dataset import DatasetTableNotFound
from headrace.errors.destination import LoadClientNotConnected
from headrace.model.schema import Schema
from headrace.model.tables import new_column, new_table
from tests.dataset.shop import shop, shop_schema


@pytest.fixture
def raw(tmp_path: Path) -> Dataset:
    return shop(tmp_path)


def test_tables_are_found_as_attributes_items_and_by_name(raw: Dataset):
    for found in (raw.users, raw["users"], raw.table("Users"), raw("SELECT * FROM users")):
        assert isinstance(found, Relation)
        assert len(found.fetchall()) == 3
    assert "users" in raw
    assert "nope" not in raw
    assert "users" in dir(raw)


def test_tables_that_do_not_exist_are_said_in_the_error_of_the_way_of_asking(raw: Dataset):
    with pytest.raises(AttributeError, match="users__tags"):
        _ = raw.users__tag
    with pytest.raises(KeyError):
        raw["nope"]
    with pytest.raises(DatasetTableNotFound, match="nope"):
        raw.table("nope")
    with pytest.raises(ValueError, match="nope"):
        raw.table("nope")


def test_data_tables_come_first_and_those_without_rows_are_left_out(raw: Dataset):
    assert raw.tables == ["users", "users__tags", "orders", "_dlt_version", "_dlt_loads"]


def test_row_counts(raw: Dataset):
    assert raw.row_counts().fetchall() == [("users", 3), ("users__tags", 3), ("orders", 2)]
    assert ("_dlt_loads", 3) in raw.row_counts(dlt_tables=True).fetchall()
    assert raw.row_counts(table_names=["users"]).fetchall() == [("users", 3)]
    assert raw.row_counts(load_id="l2").fetchall() == [("users", 2), ("orders", 1)]
    assert raw.row_counts(data_tables=False).fetchall() == []
    assert raw.row_counts().columns == ["table_name", "row_count"]


def test_loads(raw: Dataset):
    assert raw.load_ids() == ["l1", "l2"]
    assert raw.latest_load_id() == "l2"
    assert raw.load_ids("other") == []
    assert raw.latest_load_id("other") is None
    assert raw.loads_table().columns[0] == "load_id"


def test_schemas_are_given_named_or_found(raw: Dataset):
    assert Dataset(raw.destination, "raw").schema.name == "shop"
    assert Dataset(raw.destination, "raw", "shop").schema.tables.keys() == raw.schema.tables.keys()
    unknown = Dataset(raw.destination, "raw", "other")
    assert (unknown.schema.name, unknown.tables) == ("other", ["_dlt_version", "_dlt_loads"])
    missing = Dataset(raw.destination, "not there")
    assert missing.schema.name == "not_there"
    assert "no tables yet" in str(missing)


def test_two_schemas_in_one_dataset(raw: Dataset):
    other = Schema("more")
    other.update_table(new_table("cities", columns=[new_column("name", "text")]))
    both = Dataset(raw.destination, "raw", [shop_schema(), other])
    assert [schema.name for schema in both.schemas] == ["shop", "more"]
    assert both("SELECT u.name, c.name AS city FROM users u JOIN cities c ON c.name = u.name").columns == [
        "name",
        "city",
    ]


def test_a_schema_that_grows_is_seen(raw: Dataset):
    assert "age" not in raw.users.columns
    raw.schema.update_table(new_table("users", columns=[new_column("age", "bigint")]))
    assert "age" in raw.users.columns


def test_inside_with_one_connection_is_shared_and_then_closed(raw: Dataset):
    with raw as same:
        assert same is raw
        session = raw.sql_client
        assert raw.sql_client is session
        with raw:
            assert raw.users.fetchone() is not None
        assert session.execute_sql("SELECT 1") == [(1,)]
    with pytest.raises(LoadClientNotConnected):
        session.execute_sql("SELECT 1")


def test_without_with_two_readings_do_not_disturb_each_other(raw: Dataset):
    rows = raw.users.iter_fetch(1)
    first = next(rows)
    assert len(raw.orders.fetchall()) == 2
    assert [*first, *[row for chunk in rows for row in chunk]] == raw.users.fetchall()


def test_an_iteration_given_up_closes_its_connection(raw: Dataset, tmp_path: Path):
    rows = raw.users.iter_arrow(1)
    next(rows)
    rows.close()
    code = f"import duckdb; duckdb.connect({str(tmp_path / 'shop.duckdb')!r}).execute('select 1')"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_same_place(raw: Dataset, tmp_path: Path):
    twin = Dataset(destinations.duckdb(str(tmp_path / "shop.duckdb")), "raw", raw.schema)
    assert raw.is_same_dataset(twin)
    assert raw.is_same_physical_destination(Dataset(raw.destination, "other", raw.schema))
    assert not raw.is_same_dataset(Dataset(raw.destination, "other", raw.schema))
    assert not raw.is_same_physical_destination(
        Dataset(destinations.duckdb(str(tmp_path / "b.duckdb")), "raw", raw.schema)
    )


def test_the_function_makes_a_dataset_and_keeps_its_name(raw: Dataset):
    from headrace.dataset.dataset import Dataset as again

    assert again is Dataset
    package = importlib.import_module("headrace.dataset")
    assert package.dataset(raw.destination, "raw").users.fetchone() is not None


def test_texts_and_copies(raw: Dataset):
    assert "users, users__tags, orders" in str(raw)
    assert "raw" in repr(raw)
    assert copy.copy(raw).tables == raw.tables
    assert raw._ipython_key_completions_() == raw.tables
    assert raw.sqlglot_schema.column_names("users")[0] == "id"


def test_importing_datasets_loads_nothing_heavy():
    code = "import sys, headrace.dataset; print([m for m in ('sqlglot', 'pyarrow', 'duckdb') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_ibis_reads_the_dataset_and_its_expressions_are_queries(raw: Dataset):
    pytest.importorskip("ibis")
    if int(duckdb.__version__.partition(".")[0]) >= 2:
        pytest.skip("ibis 12 calls methods that DuckDB 2 does not have")
    with raw:
        users = raw.ibis().table("users")
        assert raw.users.to_ibis().count().execute() == 3
        assert raw(users.filter(users.id > 1).select("id")).fetchall() == [(2,), (3,)]
