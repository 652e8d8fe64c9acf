"""Values of rows: they are in the data's own files and tables, and nowhere else."""

from __future__ import annotations

import pickle
import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import pytest

import headrace
from tests.secrets.record import Record


def shop(record: Record) -> Any:
    return record.watch(headrace.pipeline("shop", destination="duckdb", dataset_name="raw"))


def test_rows_that_are_loaded(record: Record, secrets: dict[str, str]) -> None:
    """Also in lists, as key of a merge, and where two rows have it."""
    pipeline = shop(record)
    rows = [{"id": secrets["data"], "tags": [secrets["data"]], "note": {"deep": secrets["data"]}} for _ in range(2)]
    for _ in range(2):
        record.attempt(pipeline.run, rows, table_name="orders", write_disposition="merge", primary_key="id")
        assert record.error is None
    record.pipeline(pipeline)
    record.check()


@pytest.mark.parametrize(
    ("row", "contract"),
    [
        ({"id": 2, "note": "{}", "more": 1}, {"columns": "freeze"}),
        ({"id": "x", "note": "{}"}, {"data_type": "freeze"}),
        ({"id": 2, "note": "{}", "lines": [{"n": 1}]}, {"tables": "freeze"}),
        ({"id": 2, "password": "{}"}, {"columns": "freeze"}),
        ({"id": 2, "hidden": ["{}"]}, {"tables": "freeze"}),
        ({"id": 2, "hidden": "{}"}, {"data_type": "freeze"}),
        ({"id": 2, "note": "{}", "more": "{}"}, {"columns": "discard_row"}),
        ({"id": 2, "note": "{}", "more": "{}"}, {"columns": "discard_value"}),
        ({"id": "{}", "note": "x"}, {"data_type": "discard_row"}),
    ],
)
@pytest.mark.each(3)
def test_a_contract_is_broken(record: Record, secrets: dict[str, str], row: Any, contract: Any) -> None:
    """The error shows the one value that broke it, unless its column is sensitive or named like a secret."""
    pipeline = shop(record)
    columns = {"hidden": {"data_type": "bigint", "x-sensitive": True}}
    record.attempt(pipeline.run, [{"id": 1, "note": "a", "hidden": 1}], table_name="orders", columns=columns)
    planted = {
        k: [secrets["data"]] if isinstance(v, list) and v == ["{}"] else secrets["data"] if v == "{}" else v
        for k, v in row.items()
    }
    record.attempt(pipeline.run, [planted], table_name="orders", schema_contract=contract)
    assert (record.error is not None) == ("freeze" in contract.values())
    record.pipeline(pipeline)
    record.check(expect="contract")


def test_a_model_refuses(record: Record, secrets: dict[str, str]) -> None:
    """A field whose value is shown as the contract says, beside fields whose values are not."""
    from pydantic import BaseModel

    class Order(BaseModel):
        id: int
        note: str

    @headrace.resource(name="orders", columns=Order)
    def orders() -> Any:
        yield {"id": "seven", "note": secrets["data"]}

    pipeline = shop(record)
    record.attempt(pipeline.run, orders)
    assert record.error is not None
    record.pipeline(pipeline)
    record.check(expect="seven")


UNIQUE = "CREATE UNIQUE INDEX once ON raw.orders (note)"


@pytest.mark.parametrize(
    ("sql", "said"), [(UNIQUE, 'key "***"'), ("ALTER TABLE raw.orders ALTER note TYPE integer USING NULL", "INTEGER")]
)
def test_duckdb_shows_a_value(record: Record, secrets: dict[str, str], project: Path, sql: str, said: str) -> None:
    """The table was changed by hand: the message names the value that does not fit."""
    pipeline = shop(record)
    pipeline.run([{"id": 1, "note": "a"}], table_name="orders")
    with duckdb.connect(str(project / "shop.duckdb")) as connection:
        connection.execute(sql)
    record.attempt(pipeline.run, [{"id": n, "note": secrets["data"]} for n in range(2)], table_name="orders")
    assert record.error is not None
    record.pipeline(pipeline)
    record.check(expect=said)


@pytest.mark.destination("postgres")
@pytest.mark.parametrize(
    "sql",
    [
        UNIQUE,
        "ALTER TABLE raw.orders ADD CHECK (note = 'a')",
    ],
)
@pytest.mark.parametrize("disposition", ["append", "merge"])
def test_postgres_shows_a_value(
    record: Record, secrets: dict[str, str], postgres_server: Any, sql: str, disposition: str
) -> None:
    url = postgres_server.database()
    pipeline = record.watch(
        headrace.pipeline("shop", destination=headrace.destinations.postgres(url), dataset_name="raw")
    )
    hints = {"table_name": "orders", "write_disposition": disposition, "primary_key": "id"}
    pipeline.run([{"id": 1, "note": "a", "extra": 1}], **hints)
    postgres_server.execute(sql, url.rpartition("/")[2])
    record.attempt(pipeline.run, [{"id": n, "note": secrets["data"]} for n in (8, 9)], **hints)
    assert record.error is not None
    record.pipeline(pipeline)
    record.check(expect="PostgreSQL failed")


def test_sqlite_shows_a_value(record: Record, secrets: dict[str, str], project: Path) -> None:
    destination = headrace.destinations.sqlalchemy(f"sqlite:///{project / 'shop.db'}")
    pipeline = record.watch(headrace.pipeline("shop", destination=destination, dataset_name="raw"))
    pipeline.run([{"id": 1, "note": "a"}], table_name="orders")
    [file] = project.glob("*raw*.db*")
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE UNIQUE INDEX once ON orders (note)")
    record.attempt(pipeline.run, [{"id": n, "note": secrets["data"]} for n in (8, 9)], table_name="orders")
    assert record.error is not None
    record.pipeline(pipeline)
    record.check(expect="sqlite failed", leave_out=(r"\.db",))


# statements whose errors repeat a value, by database
DUCKDB = [
    "SELECT CAST('{}' AS INTEGER)",
    "SELECT CAST('{}' AS DATE)",
    "SELECT CAST('{}' AS TIMESTAMP)",
    "SELECT CAST('{}' AS UUID)",
    "SELECT CAST('{}' AS DECIMAL(4, 1))",
    "SELECT CAST('{}' AS BOOLEAN)",
    "SELECT CAST('{{\"a\": {}' AS JSON)",
    "SELECT CAST('{}' AS ENUM('a'))",
    "INSERT INTO t VALUES ('{}'), ('{}')",
    "INSERT INTO two VALUES (1, '{}'), (1, '{}')",
    "SELECT CAST('[{}' AS INTEGER[])",
    "SELECT strptime('{}', '%Y-%m-%d')",
    "SELECT error('{}')",
]
POSTGRES = [
    "SELECT CAST(CAST('{}' AS text) AS integer)",
    "SELECT CAST(CAST('{}' AS text) AS date)",
    "SELECT CAST(CAST('{}' AS text) AS timestamptz)",
    "SELECT CAST(CAST('{}' AS text) AS uuid)",
    "SELECT CAST(CAST('{}' AS text) AS numeric)",
    "SELECT CAST(CAST('{}' AS text) AS boolean)",
    "SELECT CAST(CAST('{}' AS text) AS jsonb)",
    "SELECT CAST(CAST('{{\"a\": {}' AS text) AS jsonb)",
    "SELECT CAST(CAST('{}' AS text) AS interval)",
    "SELECT CAST(CAST('{}' AS text) AS bytea) || CAST(CAST('\\x{}' AS text) AS bytea)",
    "INSERT INTO t VALUES ('{}'), ('{}')",
    "INSERT INTO two VALUES (1, '{}'), (1, '{}')",
    "INSERT INTO checked VALUES ('{}', 'x)y')",
]
TABLES = ["CREATE TABLE t (a text UNIQUE)", "CREATE TABLE two (a integer, b text, UNIQUE (a, b))"]


@pytest.mark.parametrize("sql", DUCKDB[:-1])
def test_messages_of_duckdb(sql: str) -> None:
    from headrace.destinations.impl.duckdb.errors import translate

    with duckdb.connect() as connection:
        for table in TABLES:
            connection.execute(table)
        with pytest.raises(duckdb.Error) as caught:
            connection.execute(sql.replace("{}", VALUE))
    assert_no_value(translate(caught.value, "a test"), caught.value)


@pytest.mark.destination("postgres")
@pytest.mark.parametrize("sql", POSTGRES)
def test_messages_of_postgres(postgres_server: Any, sql: str) -> None:
    import psycopg

    from headrace.destinations.impl.postgres.errors import translate

    with psycopg.connect(postgres_server.url()) as connection, connection.transaction(force_rollback=True):
        for table in [*TABLES, "CREATE TABLE checked (a text CHECK (a = 'x'), b text)"]:
            connection.execute(table.replace("TABLE", "TEMPORARY TABLE", 1))
        with pytest.raises(psycopg.Error) as caught, connection.transaction():
            connection.execute(sql.replace("{}", VALUE).encode())
    assert_no_value(translate(caught.value, "a test"), caught.value)


VALUE = 'Da6Wv1Kz8"Xp3(Qt0)Bm5Yr'


def assert_no_value(made: BaseException, original: BaseException) -> None:
    for text in (str(made), repr(made), str(original), repr(original), str(pickle.dumps(made))):
        for part in ("Da6W", "Xp3", "Bm5Yr"):
            assert part not in text, text
