"""Arrow batches through the binary COPY: what PostgreSQL then says the values are."""

from __future__ import annotations

import datetime as dt
import decimal
import random
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.destinations.impl.postgres import copying
from headrace.destinations.impl.postgres.binarycopy import encode, is_direct
from headrace.destinations.impl.postgres.nul import NulCharacters
from headrace.errors.destination import DestinationTerminalException

pytestmark = pytest.mark.destination("postgres")

CASES: dict[str, tuple[pa.Array, list[str | None]]] = {
    "boolean": (pa.array([True, None, False]), ["true", None, "false"]),
    "smallint": (pa.array([-(2**15), None, 2**15 - 1]), ["-32768", None, "32767"]),
    "integer": (pa.array([-(2**31), 2**31 - 1]), ["-2147483648", "2147483647"]),
    "bigint": (pa.array([-(2**63), None, 2**63 - 1]), ["-9223372036854775808", None, "9223372036854775807"]),
    "real": (pa.array([0.5, float("-inf")], pa.float32()), ["0.5", "-Infinity"]),
    "double precision": (
        pa.array([0.1, float("nan"), float("inf"), -0.0, 5e-324, None]),
        ["0.1", "NaN", "Infinity", "-0", "5e-324", None],
    ),
    "numeric": (pa.array([Decimal("-0.001"), Decimal(0), None], pa.decimal128(20, 3)), ["-0.001", "0.000", None]),
    "text": (pa.array(["", "ä€🎈", None, "x" * 100_000]), ["", "ä€🎈", None, "x" * 100_000]),
    "varchar": (pa.array(["a", "bc"], pa.large_string()), ["a", "bc"]),
    "jsonb": (pa.array(['{"b": 1, "a": [null]}', None, "[]"]), ['{"a": [null], "b": 1}', None, "[]"]),
    "json": (pa.array(['{"b":  1}']), ['{"b":  1}']),
    "bytea": (pa.array([b"", b"\x00\xff", None]), ["\\x", "\\x00ff", None]),
    "date": (
        pa.array([dt.date(1, 1, 1), dt.date(1999, 12, 31), dt.date(9999, 12, 31), None]),
        ["0001-01-01", "1999-12-31", "9999-12-31", None],
    ),
    "time": (pa.array([dt.time(), dt.time(23, 59, 59, 999999)]), ["00:00:00", "23:59:59.999999"]),
    "timestamp": (
        pa.array([-62135596800000000, 253402300799999999, None], pa.timestamp("us")),
        ["0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", None],
    ),
    "timestamptz": (
        pa.array([0, -1, None], pa.timestamp("ms", "Europe/Berlin")),
        ["1970-01-01 00:00:00+00", "1969-12-31 23:59:59.999+00", None],
    ),
    # types that PostgreSQL must read from text
    "uuid": (pa.array(["6f1c6b0e-0d5e-4c53-8c67-0a1d3a1b2c3d", None]), ["6f1c6b0e-0d5e-4c53-8c67-0a1d3a1b2c3d", None]),
    "inet": (pa.array(["10.0.0.1"]), ["10.0.0.1/32"]),
    "interval": (pa.array(["1 day"]), ["1 day"]),
    "integer[]": (pa.array(["{1,2}"]), ["{1,2}"]),
    "numeric(8,2)": (pa.array([0.1, 1234.5]), ["0.10", "1234.50"]),
    "double precision ": (pa.array([Decimal("0.5")]), ["0.5"]),
    "text ": (pa.array([1, None]), ["1", None]),
    "jsonb ": (pa.array([{"a": [1, None], "b": {"c": "d"}}, None]), ['{"a": [1, null], "b": {"c": "d"}}', None]),
    "numeric ": (pa.array([2**64 - 1, None], pa.uint64()), ["18446744073709551615", None]),
    "varchar ": (pa.array(["x", None, "x"]).dictionary_encode(), ["x", None, "x"]),
    "numeric(156,78)": (pa.array([str(2**256 - 1)]), [f"{2**256 - 1}.{'0' * 78}"]),
}


@pytest.fixture(scope="module")
def session(shared_url: str) -> Any:
    from headrace.destinations.impl.postgres.capabilities import CAPABILITIES
    from headrace.destinations.impl.postgres.configuration import PostgresCredentials
    from headrace.destinations.impl.postgres.dialect import PostgresDialect
    from headrace.destinations.impl.postgres.session import PostgresSqlClient

    arguments = PostgresCredentials(shared_url).connection_arguments()
    with PostgresSqlClient("public", arguments, PostgresDialect(), CAPABILITIES) as opened:
        yield opened


def through(session: Any, kind: str, batches: list[pa.RecordBatch]) -> list[Any]:
    """The values as text, after they went through a table with a column of the type."""
    from headrace.destinations.impl.postgres.client import PostgresClient
    from headrace.model.schema import Schema

    client = PostgresClient(session, Schema("s"))
    with session.begin_transaction():
        session.run(f"CREATE TEMP TABLE t (n serial, v {kind}) ON COMMIT DROP")
        plan = copying.plan(batches[0].schema, {}, session.column_kinds("t"), "t")
        pieces = copying.encoded(batches, plan, NulCharacters(False, "t"))
        assert client._send("t", plan, pieces) == sum(b.num_rows for b in batches)
        return [value for (value,) in session.fetch("SELECT v::text FROM t ORDER BY n")]


@pytest.mark.parametrize("kind", CASES)
def test_values_arrive(session: Any, kind: str) -> None:
    values, wanted = CASES[kind]
    assert through(session, kind, [pa.record_batch({"v": values})]) == wanted


@pytest.mark.parametrize("kind", ["boolean", "bigint", "numeric", "text", "jsonb", "date", "timestamptz", "bytea"])
def test_slices_and_empty_batches(session: Any, kind: str) -> None:
    """Arrays that begin within their buffers, all nulls, and no rows at all."""
    values, wanted = CASES[kind]
    batch = pa.record_batch({"v": pa.concat_arrays([values, values])})
    parts = [batch.slice(0, 0), batch.slice(1), pa.record_batch({"v": pa.nulls(2, values.type)})]
    assert through(session, kind, parts) == [*(wanted + wanted)[1:], None, None]


digits = st.integers(1, 76).flatmap(lambda p: st.tuples(st.just(p), st.integers(0, p)))


@settings(max_examples=60, deadline=None)
@given(digits, st.integers(0, 2**32), st.booleans())
def test_decimals_of_all_sizes(session: Any, size: tuple[int, int], seed: int, nulls: bool) -> None:
    """Up to Arrow's 76 digits, on either side of the point."""
    precision, scale = size
    rng = random.Random(seed)
    numbers = [rng.choice((-1, 1)) * rng.randrange(10 ** rng.randint(1, precision)) for _ in range(20)]
    with decimal.localcontext(decimal.Context(prec=100)):
        exact: list[Decimal | None] = [Decimal(n).scaleb(-scale) for n in numbers]
    exact += [None] * nulls
    kind = pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
    found = through(session, "numeric", [pa.record_batch({"v": pa.array(exact, kind)})])
    assert found == [None if value is None else format(abs(value) if value == 0 else value, "f") for value in exact]


def test_many_columns_and_rows(session: Any) -> None:
    """Texts of all lengths between numbers and nulls, over several pieces."""
    rng = random.Random(7)
    rows = [
        (
            n,
            rng.choice([None, "x" * rng.randrange(90)]),
            rng.choice([None, n / 7]),
            rng.choice([None, b"y" * (n % 50)]),
            None,
        )
        for n in range(30_000)
    ]
    kinds = (pa.int64(), pa.string(), pa.float64(), pa.binary(), pa.bool_())
    columns = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), kinds, strict=True)]
    batch = pa.RecordBatch.from_arrays(columns, names=list("abcde"))
    with session.begin_transaction():
        session.run("CREATE TEMP TABLE t (a bigint, b text, c double precision, d bytea, e boolean) ON COMMIT DROP")
        pieces = list(encode(batch, ["int8", "text", "float8", "bytea", "bool"]))
        assert len(pieces) > 1
        with session.native_connection.cursor() as cursor:
            assert copying.copy_rows(cursor, "t", "a, b, c, d, e", pieces) == len(rows)
        assert session.fetch("SELECT * FROM t ORDER BY a") == rows


@pytest.mark.parametrize(
    ("kind", "values", "told"),
    [
        ("int4", pa.array([2**31]), "column `v`"),
        ("timestamp", pa.array([-(2**63) + 1], pa.timestamp("us")), "column `v`"),
        ("timestamp", pa.array([2**62], pa.timestamp("s")), "column `v`"),
    ],
)
def test_what_does_not_fit_is_told(kind: str, values: pa.Array, told: str) -> None:
    """Before anything is sent, with the column's name."""
    plan = [copying.Column("v", "v", kind, "")]
    with pytest.raises(DestinationTerminalException, match=told):
        list(copying.encoded([pa.record_batch({"v": values})], plan, NulCharacters(True, "t")))


def test_time_zones_and_units_are_told_apart() -> None:
    """Instants do not go into columns without a zone as they are, nor texts into numbers."""
    assert is_direct(pa.timestamp("s", "UTC"), "timestamptz")
    assert not is_direct(pa.timestamp("s", "UTC"), "timestamp")
    assert not is_direct(pa.string(), "int8")
    assert not is_direct(pa.float64(), "numeric")
    assert not is_direct(pa.decimal128(5, -2), "numeric")


def test_broken_stream_is_refused(url: str) -> None:
    """PostgreSQL checks the number of fields of each row."""
    batch = pa.record_batch({"v": pa.array([1])})
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE two (a bigint, b bigint)")
        with pytest.raises(psycopg.errors.BadCopyFileFormat):
            copying.copy_rows(cursor, "two", "a, b", encode(batch, ["int8"]))
