"""Queries are understood in any SQL, resolved against the schema, and described without asking the database."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace import destinations
from headrace.dataset import Dataset, query
from headrace.dataset.catalog import Catalog
from headrace.errors.dataset import LineageFailedException
from headrace.model.schema import Schema
from headrace.model.tables import new_column, new_table
from tests.dataset.shop import shop, shop_schema


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return shop(tmp_path_factory.mktemp("shop"))


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT ID, Name FROM Users WHERE id = 1", [(1, "Ann")]),
        ("SELECT U.\"Id\" FROM USERS AS U WHERE u.NAME = 'Bob'", [(2,)]),
        ("SELECT count(*) FROM users u JOIN users__tags t ON u._dlt_id = t._dlt_parent_id", [(3,)]),
        ("WITH users AS (SELECT id FROM users WHERE id > 1) SELECT max(ID) FROM Users", [(3,)]),
        ("WITH x AS (SELECT id AS a FROM users) SELECT sum(X.A) FROM x", [(6,)]),
        ("SELECT id FROM raw.users WHERE id = 1", [(1,)]),
        ("SELECT id FROM (SELECT id FROM users) y WHERE y.id = 1", [(1,)]),
        ("SELECT id FROM users WHERE id IN (SELECT user_id FROM orders)", [(1,)]),
        (
            "SELECT id, (SELECT count(*) FROM orders WHERE user_id = u.id) n FROM users u ORDER BY n DESC LIMIT 1",
            [(1, 2)],
        ),
        ("SELECT id + 1 AS next FROM users GROUP BY next ORDER BY next LIMIT 1", [(2,)]),
        ("SELECT i FROM range(2) AS r(i)", [(0,), (1,)]),
        ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT max(i) FROM n", [(3,)]),
        ("SELECT users.* EXCLUDE (name, balance, born, _dlt_load_id, _dlt_id) FROM users WHERE id = 1", [(1,)]),
        ("SELECT row_number() OVER (ORDER BY id DESC) FROM users WHERE id = 3", [(1,)]),
        ("SELECT list_transform([1], x -> x + 1)[1] AS y FROM users LIMIT 1", [(2,)]),
    ],
)
def test_queries_run_as_people_write_them(raw: Dataset, sql: str, rows: list[tuple[object, ...]]):
    assert raw(sql).fetchall() == rows


def test_other_sql_is_translated(raw: Dataset):
    assert raw.query("SELECT IFNULL(`name`, 'x') AS n FROM `users` LIMIT 3, 1", query_dialect="mysql").fetchall() == []
    top = raw.query("SELECT TOP 1 [id] FROM [users] ORDER BY [id]", query_dialect="tsql")
    assert top.fetchall() == [(1,)]
    assert top.query_dialect == "tsql"
    assert top.destination_dialect == "duckdb"
    assert "LIMIT 1" in top.to_sql()


@pytest.mark.parametrize(
    ("sql", "part"),
    [
        ("SELECT nam FROM users", "did you mean `name`"),
        ("SELECT id FROM user", "did you mean `users`"),
        ("SELECT id FROM users, orders", "column of users and orders"),
        ("DROP TABLE users", "Only one SELECT"),
        ("SELECT 1; SELECT 2", "Only one SELECT"),
        ("SELECT FROM WHERE (", "not a query"),
        ("", "Only one SELECT"),
    ],
)
def test_what_does_not_fit_is_said_before_the_database_is_asked(raw: Dataset, sql: str, part: str):
    with pytest.raises(LineageFailedException, match=part):
        raw(sql).to_sql()


def test_a_raw_query_goes_through_as_it_is(raw: Dataset):
    with raw.sql_client as session:
        session.execute_sql("CREATE OR REPLACE VIEW v AS SELECT id AS q FROM users")
    relation = raw.query("SELECT q FROM v ORDER BY q", _execute_raw_query=True)
    assert relation.fetchall() == [(1,), (2,), (3,)]
    assert relation.columns == ["q"]
    assert "SELECT q FROM v" in str(relation)


def test_tables_of_other_datasets_are_left_to_the_database(raw: Dataset):
    with raw.sql_client as session:
        session.execute_sql("CREATE SCHEMA IF NOT EXISTS other")
        session.execute_sql("CREATE OR REPLACE TABLE other.cities AS SELECT 1 AS user_id, 'Rome' AS city")
    rows = raw("SELECT u.name, c.city FROM users u JOIN other.cities c ON c.user_id = u.id").fetchall()
    assert rows == [("Ann", "Rome")]


def test_result_columns_keep_what_the_schema_knows(raw: Dataset):
    columns = raw(
        "SELECT u.id, balance AS b, balance * 2 AS twice, count(*) OVER () AS n, current_timestamp AS t FROM users u"
    ).columns_schema
    assert columns["id"] == {"name": "id", "data_type": "bigint", "nullable": False}
    assert columns["b"] == {"name": "b", "data_type": "decimal", "nullable": True, "precision": 20, "scale": 2}
    assert columns["twice"]["data_type"] == "decimal"
    assert columns["n"]["data_type"] == "bigint"
    assert columns["t"]["data_type"] == "timestamp"
    through = raw("WITH x AS (SELECT id AS a FROM users) SELECT a FROM (SELECT a FROM x) y").columns_schema
    assert through["a"] == {"name": "a", "data_type": "bigint", "nullable": False}
    assert raw("SELECT id FROM users UNION ALL SELECT id FROM orders").columns == ["id"]


def test_every_data_type_is_described_as_it_is():
    schema = Schema("types")
    kinds = ["text", "double", "bool", "timestamp", "bigint", "binary", "json", "decimal", "wei", "date", "time"]
    columns = [new_column(f"c_{kind}", kind) for kind in kinds]
    schema.update_table(new_table("t", columns=columns))
    catalog = Catalog("raw", [schema])
    resolved = query.resolve(query.parse("SELECT * FROM (SELECT * FROM t)", "duckdb"), catalog, "duckdb")
    described = query.result_columns(resolved, catalog, "duckdb")
    assert [column["data_type"] for column in described.values()] == kinds
    computed = query.resolve(
        query.parse(f"SELECT {', '.join(f'coalesce(c_{k}, c_{k}) AS c_{k}' for k in kinds)} FROM t", "duckdb"),
        catalog,
        "duckdb",
    )
    assert [c["data_type"] for c in query.result_columns(computed, catalog, "duckdb").values()] == kinds


def test_names_that_differ_in_case_are_told_apart():
    schema = Schema("cs", normalizers={"names": "direct"})
    schema.update_table(new_table("Items", columns=[new_column("Id", "bigint"), new_column("id", "text")]))
    catalog = Catalog("raw", [schema])
    for sql, want in (("SELECT Id FROM Items", "Id"), ('SELECT "id" FROM items', "id")):
        resolved = query.resolve(query.parse(sql, "duckdb"), catalog, "duckdb")
        assert list(query.result_columns(resolved, catalog, "duckdb")) == [want]
        assert f'"Items"."{want}"' in query.render(resolved, lambda table: ["raw", table], "duckdb")


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "snowflake", "bigquery", "tsql", "clickhouse", "redshift"])
def test_rendering_quotes_and_qualifies_in_each_sql(dialect: str):
    catalog = Catalog("raw", [shop_schema()])
    resolved = query.resolve(query.parse("SELECT id FROM users WHERE name = 'x'", dialect), catalog, dialect)
    text = query.render(resolved, lambda table: ["db", "raw", table], dialect)
    quotes = {"bigquery": "``", "tsql": "[]"}.get(dialect, '""')
    assert f"{quotes[0]}raw{quotes[1]}.{quotes[0]}users{quotes[1]}" in text.replace("`db.raw.users`", "`raw`.`users`")


def test_a_dataset_named_like_its_database_is_qualified_whole(tmp_path: Path):
    schema = shop_schema()
    destination = destinations.duckdb(str(tmp_path / "same.duckdb"))
    from tests.dataset.shop import fill

    fill(destination, "same", schema)
    assert len(Dataset(destination, "same", schema).users.fetchall()) == 3
