"""Relations give the rows that they say, read from a real DuckDB file."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from headrace.dataset import Dataset
from headrace.errors import TypeErrorWithKnownTypes, ValueErrorWithKnownValues
from headrace.errors.dataset import (
    DatasetException,
    LineageFailedException,
    RelationHasQueryException,
    RelationUnknownColumnException,
)
from tests.dataset.shop import shop

ANN = (1, "Ann", Decimal("10.50"), dt.date(2000, 1, 2), "l1", "u1")


@pytest.fixture
def raw(tmp_path: Path) -> Dataset:
    return shop(tmp_path)


def test_a_table_is_read_in_every_form(raw: Dataset):
    users = raw.users
    assert users.fetchone() == ANN
    assert users.fetchmany(2)[0] == ANN
    assert len(users.fetchall()) == 3
    assert [len(chunk) for chunk in users.iter_fetch(2)] == [2, 1]
    assert users.arrow().column_names == users.columns
    assert users.arrow().num_rows == 3
    assert list(users.df()["id"]) == [1, 2, 3]
    assert sum(len(frame) for frame in users.iter_df(2)) == 3
    assert [table.num_rows for table in users.iter_arrow(2)] == [2, 1]


def test_columns_are_chosen_by_the_names_of_schema_or_source(raw: Dataset):
    assert raw.users.select("name", "id").fetchone() == ("Ann", 1)
    assert raw.users[["Name", "ID"]].columns == ["name", "id"]
    assert raw.users["id"].fetchall() == [(1,), (2,), (3,)]
    assert raw.users["id", "name"].columns == ["id", "name"]
    with pytest.raises(RelationUnknownColumnException, match="did you mean `balance`"):
        raw.users.select("ballance")
    with pytest.raises(KeyError):
        raw.users["nope"]
    with pytest.raises(TypeErrorWithKnownTypes):
        raw.users[0]


@pytest.mark.parametrize(
    ("column", "operator", "value", "ids"),
    [
        ("id", "gt", 1, [2, 3]),
        ("id", ">=", 2, [2, 3]),
        ("id", "lte", "2", [1, 2]),
        ("name", "eq", "Ann", [1]),
        ("name", "ne", None, [1, 2]),
        ("name", "=", None, [3]),
        ("balance", "lt", Decimal("-0.5"), [2]),
        ("born", "eq", dt.date(2000, 1, 2), [1]),
        ("id", "in", (1, 3), [1, 3]),
        ("id", "not_in", [1, 3], [2]),
        ("id", "in", [], []),
        ("name", "in", "Bob", [2]),
        ("name", "eq", "O'Neil; drop table users", []),
    ],
)
def test_rows_are_filtered_by_typed_values(raw: Dataset, column: str, operator: str, value: object, ids: list[int]):
    found = raw.users.where(column, operator, value).order_by("id").select("id").fetchall()
    assert [row[0] for row in found] == ids


def test_conditions_are_written_in_sql_and_add_up(raw: Dataset):
    assert raw.users.where("id > 1 OR name = 'Ann'").where("id < 3").select("id").fetchall() == [(1,), (2,)]
    assert raw.users.select("name").filter("id", "eq", 2).fetchall() == [("Bob",)]
    with pytest.raises(LineageFailedException, match="condition"):
        raw.users.where("id >")
    with pytest.raises(ValueErrorWithKnownValues, match="not_in"):
        raw.users.where("id", "like", 1)
    with pytest.raises(RelationUnknownColumnException):
        raw.users.where("nope", "eq", 1)
    with pytest.raises(TypeError, match="cannot be compared"):
        raw.users.where("id", "eq", object())


def test_a_condition_on_a_renamed_column_means_the_new_name(raw: Dataset):
    renamed = raw("SELECT id AS name, name AS id FROM users")
    assert renamed.where("name", "eq", 2).select("id").fetchall() == [("Bob",)]
    grouped = raw("SELECT count(*) AS n, _dlt_load_id FROM users GROUP BY _dlt_load_id")
    assert grouped.where("n", "gt", 1).fetchall() == [(2, "l2")]
    assert raw("SELECT id AS x FROM users").select("x").order_by("x", "desc").fetchone() == (3,)


def test_order_and_limits(raw: Dataset):
    assert raw.users.order_by("_dlt_load_id", "desc").order_by("id").select("id").fetchall() == [(2,), (3,), (1,)]
    assert len(raw.users.head(2).fetchall()) == 2
    assert len(raw.users.limit(1).limit(2).fetchall()) == 1
    union = raw("SELECT id FROM users UNION ALL SELECT id FROM orders")
    assert union.order_by("id", "desc").limit(2).fetchall() == [(11,), (10,)]
    with pytest.raises(ValueErrorWithKnownValues):
        raw.users.order_by("id", "up")
    with pytest.raises(ValueError, match="rows from 0"):
        raw.users.limit(-1)


def test_single_values(raw: Dataset):
    assert raw.users.select("id").max().fetchscalar() == 3
    assert raw.users["balance"].min().fetchscalar() == Decimal("-1.00")
    assert raw.users.order_by("id").limit(2).select("id").max().fetchscalar() == 2
    assert raw.users.where("id", "gt", 99).select("id").fetchscalar() is None
    assert raw.users["id"].max().columns_schema["id"]["data_type"] == "bigint"
    with pytest.raises(DatasetException, match="one column"):
        raw.users.max()
    with pytest.raises(ValueError, match="more than one row"):
        raw.users["id"].fetchscalar()
    with pytest.raises(ValueError, match="6 columns"):
        raw.users.limit(1).fetchscalar()


def test_nested_tables_and_references_are_joined_by_themselves(raw: Dataset):
    joined = raw.users.join("users__tags").where("users__tags__value", "eq", "b")
    assert joined.select("name", "users__tags__value").fetchall() == [("Ann", "b")]
    assert raw.users__tags.join("users").select("value", "users__name").order_by("value").fetchone() == ("a", "Ann")
    left = raw.users.join(raw.table("users__tags"), kind="left")
    assert len(left.fetchall()) == 4
    assert left.columns_schema["users__tags__value"]["nullable"] is True
    assert len(raw.orders.join("users").fetchall()) == 2
    way_over_users = raw.orders.join("users__tags").select("id", "users__tags__value").fetchall()
    assert sorted(way_over_users) == [(10, "a"), (10, "b"), (11, "a"), (11, "b")]
    twice = raw.users.join("users__tags").join("orders", alias="o").where("id", "eq", 1)
    assert len(twice.fetchall()) == 4
    assert "o__user_id" in twice.columns


def test_joins_by_a_condition_and_with_queries(raw: Dataset):
    counts = raw("SELECT user_id, count(*) AS n FROM orders GROUP BY user_id")
    joined = raw.users.join(counts, on="users.id = o.user_id", alias="o")
    assert joined.select("name", "o__n").fetchall() == [("Ann", 2)]
    with pytest.raises(RelationHasQueryException):
        raw.users.join(counts)
    with pytest.raises(DatasetException, match="how they belong together"):
        raw.users.join("_dlt_version")
    with pytest.raises(RelationUnknownColumnException):
        raw.users.select("name").join("orders")
    with pytest.raises(ValueErrorWithKnownValues):
        raw.users.join("orders", kind="odd")  # type: ignore[arg-type]


def test_rows_of_some_loads(raw: Dataset):
    assert raw.users.from_loads(["l2"]).select("id").fetchall() == [(2,), (3,)]
    assert raw.table("users__tags", load_ids=["l1"]).select("value").fetchall() == [("a",), ("b",)]
    assert raw.users__tags.from_loads(["l2"], add_load_id_column=True).columns[-1] == "_dlt_load_id"
    assert raw.users__tags.from_loads(["l2"]).columns == raw.users__tags.columns
    assert raw.users__tags.with_load_id_col().select("value", "_dlt_load_id").order_by("value").fetchone() == (
        "a",
        "l1",
    )
    assert raw.users.select("id").with_load_id_col().columns == ["id", "_dlt_load_id"]
    assert raw.users.select("id").from_loads(["l1"]).fetchall() == [(1,)]
    with pytest.raises(RelationHasQueryException):
        raw("SELECT 1 AS one").from_loads(["l1"])
    with pytest.raises(DatasetException, match="add_dlt_load_id"):
        raw.table("_dlt_version").from_loads(["l1"])


def test_text_shows_query_and_columns(raw: Dataset):
    text = str(raw.users.select("id"))
    assert "FROM" in text
    assert "id bigint" in text
    assert "users" in repr(raw.users)
    assert "\n" in raw.users.to_sql(pretty=True)
    assert raw.users.to_sql(_raw_query=True) == 'SELECT * FROM "users"'
    assert raw.users._ipython_key_completions_() == raw.users.columns
    assert raw.users.sqlglot_expression.sql() == 'SELECT * FROM "users"'


def test_a_relation_is_never_changed(raw: Dataset):
    users = raw.users
    before = users.to_sql()
    users.where("id", "eq", 1).limit(1).select("id")
    users.sqlglot_expression.limit(1, copy=False)
    assert users.to_sql() == before
