"""Reading back: people's SQL, Arrow streams with exact numbers, bounded memory, transactions."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from headrace.errors.destination import (
    DatabaseTerminalException,
    DatabaseUndefinedRelation,
    DestinationTerminalException,
)

pytestmark = pytest.mark.destination("postgres")

ROW = {
    "i": 1,
    "f": 0.1,
    "t": "x",
    "b": b"\x00",
    "d": dt.date(2024, 2, 29),
    "at": dt.datetime(2024, 2, 29, 12, 0, 0, 1, tzinfo=dt.timezone.utc),
    "dec": Decimal("0.123456789"),
    "ok": True,
}


def test_arrow_types(pipeline: Any) -> None:
    """Those of the columns, also where there are no rows; sums of integers exact."""
    p = pipeline()
    p.run([ROW], table_name="t")
    kinds = {
        "i": pa.int64(),
        "f": pa.float64(),
        "t": pa.string(),
        "b": pa.binary(),
        "d": pa.date32(),
        "at": pa.timestamp("us", "UTC"),
        "dec": pa.decimal128(38, 9),
        "ok": pa.bool_(),
    }
    columns = ", ".join(kinds)
    for where in ("TRUE", "FALSE"):
        found = p.dataset()(f"SELECT {columns} FROM t WHERE {where}").arrow()
        assert dict(zip(found.schema.names, found.schema.types, strict=True)) == kinds
        assert [{**row, "at": row["at"].astimezone(dt.timezone.utc)} for row in found.to_pylist()] == (
            [ROW] if where == "TRUE" else []
        )
    total = p.dataset()("SELECT sum(i * 9223372036854775807.0) AS s FROM t").arrow()
    assert total["s"][0].as_py() == 9223372036854775807


def test_wei_is_read_as_it_was_loaded(pipeline: Any) -> None:
    """The column has 78 digits behind the point, more than Arrow holds: zeros are let go, other digits are an error."""
    p = pipeline()
    numbers = [2**64, 10**37, -(10**37)]
    p.run([{"i": n, "w": number} for n, number in enumerate(numbers)] + [{"i": len(numbers)}], table_name="t")
    dataset = p.dataset()
    assert dataset("SELECT w FROM t ORDER BY i").arrow()["w"].to_pylist() == [*numbers, None]
    assert dataset("SELECT sum(w) AS s FROM t").arrow()["s"][0].as_py() == 2**64
    assert dataset["t"].arrow().num_rows == 4
    with pytest.raises(DestinationTerminalException, match="does not fit into Arrow's"):
        dataset("SELECT 1e-77::numeric(156, 78) AS s").arrow()


def test_rows_stay_at_the_server_until_they_are_asked_for(pipeline: Any) -> None:
    """The first batch of a result that would fill the memory."""
    p = pipeline()
    p.run([ROW], table_name="t")
    rows = p.dataset()("SELECT repeat('x', 1000) AS x FROM generate_series(1, 20000000)")
    batches = rows.iter_arrow(100)
    assert [next(batches).num_rows for _ in range(3)] == [100, 100, 100]
    batches.close()


def test_sql_of_people(pipeline: Any) -> None:
    """Parameters of both kinds; the dataset's tables by their bare names; statements without rows."""
    p = pipeline()
    p.run([{"id": n} for n in range(5)], table_name="t")
    with p.sql_client() as client:
        assert client.execute_sql("SELECT id FROM t WHERE id > %s AND id %% 2 = 0 ORDER BY 1", 1) == [(2,), (4,)]
        assert client.execute_sql("SELECT id FROM t WHERE id = $x", x=3) == [(3,)]
        assert client.execute_sql("SELECT 5 % 3") == [(2,)]
        assert client.execute_sql("DELETE FROM t WHERE id = 0") is None
        with pytest.raises(DatabaseUndefinedRelation):
            client.execute_sql("SELECT * FROM nothing")
        with pytest.raises(DatabaseTerminalException):
            client.execute_sql("SELEC 1")
        with client.execute_query("SELECT id, 1.5 AS x FROM t ORDER BY id") as cursor:
            assert cursor.columns_schema["id"]["data_type"] == "bigint"
            assert cursor.fetchone() == (1, Decimal("1.5"))
            assert cursor.df().shape == (3, 2)


def test_transactions(pipeline: Any, db: Any) -> None:
    """All or nothing, one inside another, and what was rolled back does not keep the rest."""
    p = pipeline()
    p.run([{"id": 1}], table_name="t")
    insert = "INSERT INTO t SELECT 7, _dlt_load_id, %s FROM t LIMIT 1"
    with p.sql_client() as client:
        with pytest.raises(ZeroDivisionError), client.begin_transaction():
            client.execute_sql(insert, "a")
            raise ZeroDivisionError
        assert db.execute("SELECT count(*) FROM t").fetchone() == (1,)
        with client.begin_transaction():
            client.execute_sql(insert, "b")
            with pytest.raises(DatabaseTerminalException), client.begin_transaction():
                client.execute_sql("INSERT INTO t SELECT * FROM t")
            assert db.execute("SELECT count(*) FROM t").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM t").fetchone() == (2,)


def test_streams_beside_loads(pipeline: Any) -> None:
    """What is read from the dataset may go into it."""
    p = pipeline()
    p.run([{"id": n} for n in range(1000)], table_name="t")
    p.run(p.dataset().t.select("id").iter_arrow(100), table_name="u")
    assert p.dataset()("SELECT count(*) FROM u").fetchscalar() == 1000
