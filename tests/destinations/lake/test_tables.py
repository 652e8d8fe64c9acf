from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from headrace.errors.destination import DestinationTerminalException
from tests.destinations.lake.tables import FORMATS, made_table, merge, open_table, rows_of, schema, source

pytestmark = pytest.mark.parametrize("kind", FORMATS)

PEOPLE = schema(
    "people", id={"data_type": "bigint", "nullable": False, "primary_key": True}, name="text", at="timestamp"
)


def people(*names: str, start: int = 1) -> list[dict[str, Any]]:
    at = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
    return [{"id": i, "name": name, "at": at} for i, name in enumerate(names, start)]


def test_a_table_is_made_once_and_described(kind: str, tmp_path: Path) -> None:
    table = open_table(kind, tmp_path, PEOPLE)
    assert table.describe() is None
    table.create(PEOPLE)
    table.create(PEOPLE)
    described = table.describe()
    assert {n: c["data_type"] for n, c in described.items()} == {"id": "bigint", "name": "text", "at": "timestamp"}
    assert described["id"]["nullable"] is False
    assert rows_of(table) == []


def test_rows_are_appended_once_by_key(kind: str, tmp_path: Path) -> None:
    table = made_table(kind, tmp_path, PEOPLE)
    first = table.append(source(PEOPLE, people("Ann", "Bob")), "load.copy-0")
    assert (first.rows, first.changes["people"].inserted) == (2, 2)
    again = open_table(kind, tmp_path, PEOPLE).append(source(PEOPLE, people("Ann", "Bob")), "load.copy-0")
    assert (again.rows, again.changes["people"].inserted) == (0, 2)
    table.append(source(PEOPLE, people("Cid", start=3)), "load.copy-1")
    assert [row["name"] for row in rows_of(table, "id")] == ["Ann", "Bob", "Cid"]


def test_replace_puts_rows_in_the_place_of_all(kind: str, tmp_path: Path) -> None:
    table = made_table(kind, tmp_path, PEOPLE)
    table.append(source(PEOPLE, people("Ann", "Bob")), "1.a")
    changes = table.replace(source(PEOPLE, people("Cid", start=3)), "2.a").changes["people"]
    assert (changes.inserted, changes.deleted) == (1, 2)
    table.replace(source(PEOPLE, people("Cid", start=3)), "2.a")
    assert [row["name"] for row in rows_of(table)] == ["Cid"]
    assert table.replace(None, "3.a").changes["people"].deleted == 1
    assert rows_of(table) == []


def test_types_come_back_as_they_went(kind: str, tmp_path: Path) -> None:
    wide = schema(
        "wide",
        i="bigint",
        small={"data_type": "bigint", "precision": 16},
        f="double",
        b="bool",
        raw="binary",
        day="date",
        at="timestamp",
        naive={"data_type": "timestamp", "timezone": False},
        money={"data_type": "decimal", "precision": 12, "scale": 4},
        big={"data_type": "decimal", "precision": 38, "scale": 9},
        wei="wei",
        clock="time",
        doc="json",
        text="text",
    )
    row = {
        "i": 2**62,
        "small": -5,
        "f": 1.5,
        "b": True,
        "raw": b"\x00\xff",
        "day": dt.date(1899, 12, 31),
        "at": dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.timezone.utc),
        "naive": dt.datetime(2026, 1, 2, 3, 4, 5, 678901),
        "money": Decimal("12345678.1234"),
        "big": Decimal("12345678901234567890123456789.123456789"),
        "wei": Decimal(10**60 + 1),
        "clock": dt.time(23, 59, 59, 999999),
        "doc": '{"a": [1]}',
        "text": "ähm 'quoted'\n",
    }
    empty = dict.fromkeys(row)
    table = made_table(kind, tmp_path, wide)
    table.append(source(wide, [row, empty]), "k")
    wanted = {**row, "wei": str(10**60 + 1)}
    if kind == "delta":
        wanted["clock"] = "23:59:59.999999"
    got = rows_of(table, "i")
    assert got[0] == wanted
    assert got[1] == empty
    merge(
        kind,
        [
            (
                table,
                {**wide, "columns": {**wide["columns"], "i": {**wide["columns"]["i"], "primary_key": True}}},
                [row, empty],
            )
        ],
        "upsert",
        "m",
    )
    assert sorted(rows_of(table), key=str) == sorted([wanted, empty], key=str)


def test_columns_are_added_and_may_become_null(kind: str, tmp_path: Path) -> None:
    table = made_table(kind, tmp_path, PEOPLE)
    table.append(source(PEOPLE, people("Ann")), "1")
    wider = schema(
        "people",
        id="bigint",
        name="text",
        at="timestamp",
        age="bigint",
        seen={"data_type": "timestamp", "timezone": False},
    )
    table.evolve(wider["columns"])
    table.evolve(wider["columns"])
    table.append(source(wider, [{"id": None, "name": "Bob", "age": 7}]), "2")
    got = {row["name"]: (row["id"], row["age"]) for row in rows_of(table)}
    assert got == {"Ann": (1, None), "Bob": (None, 7)}


def test_values_that_do_not_fit_are_refused(kind: str, tmp_path: Path) -> None:
    table = made_table(kind, tmp_path, schema("t", n={"data_type": "bigint", "precision": 32}))
    with pytest.raises(DestinationTerminalException, match=r"t\.n"):
        table.append(source(schema("t", n="bigint"), [{"n": 2**40}]), "1")
    assert rows_of(table) == []


def test_a_stream_of_some_columns(kind: str, tmp_path: Path) -> None:
    table = made_table(kind, tmp_path, PEOPLE)
    table.append(source(PEOPLE, people("Ann", "Bob")), "1")
    reader = table.read(["name"])
    assert isinstance(reader, pa.RecordBatchReader)
    assert sorted(reader.read_all().column("name").to_pylist()) == ["Ann", "Bob"]


def test_duckdb_reads_the_files(kind: str, tmp_path: Path) -> None:
    import duckdb

    table = made_table(kind, tmp_path, PEOPLE)
    table.append(source(PEOPLE, people("Ann", "Bob")), "1")
    merge(kind, [(table, PEOPLE, people("Bea", start=2))], "upsert", "2")
    scan = table.duckdb_scan()
    assert scan is not None
    assert duckdb.sql(f"SELECT id, name FROM {scan} ORDER BY id").fetchall() == [(1, "Ann"), (2, "Bea")]


def test_duckdb_reads_a_dataset(kind: str, tmp_path: Path) -> None:
    import duckdb

    parts = schema("parts", id={"data_type": "bigint", "primary_key": True}, p={"data_type": "date", "partition": True})
    table = made_table(kind, tmp_path, parts)
    rows = [{"id": n, "p": dt.date(2026, 1, n % 3 + 1)} for n in range(9)]
    table.append(source(parts, rows), "1")
    table.evolve({**parts["columns"], "neu": {"name": "neu", "data_type": "double", "nullable": True}})
    dataset = table.arrow_dataset()
    assert dataset is not None
    with duckdb.connect() as con:
        con.register("t", dataset)
        for _ in range(2):
            query = "SELECT id, p FROM t WHERE p >= DATE '2026-01-02' AND neu IS NULL ORDER BY id"
            assert con.execute(query).fetchall() == [(r["id"], r["p"]) for r in rows if r["p"].day >= 2]


def test_a_dropped_table_is_gone(kind: str, tmp_path: Path) -> None:
    table = made_table(kind, tmp_path, PEOPLE)
    table.append(source(PEOPLE, people("Ann")), "1")
    table.drop()
    table.drop()
    assert table.describe() is None
    table.create(PEOPLE)
    assert rows_of(table) == []


@pytest.mark.parametrize("hint", ["text", "date", "bigint", "bool"])
def test_partitions(kind: str, tmp_path: Path, hint: str) -> None:
    values: dict[str, list[Any]] = {
        "text": ["a b/c%", "ü", None, "plain"],
        "date": [dt.date(2026, 1, 1), dt.date(2026, 1, 2), None, dt.date(1900, 1, 1)],
        "bigint": [1, 2, None, -4],
        "bool": [True, False, None, True],
    }
    parts = schema(
        "parts", id={"data_type": "bigint", "primary_key": True}, p={"data_type": hint, "partition": True}, v="text"
    )
    table = made_table(kind, tmp_path, parts)
    rows = [{"id": i, "p": values[hint][i % 4], "v": "old"} for i in range(40)]
    table.append(source(parts, rows, batch=7), "1")
    assert rows_of(table, "id") == sorted(rows, key=lambda r: str(r["id"]))
    news = [{"id": i, "p": values[hint][(i + 1) % 4], "v": "new"} for i in range(30, 50)]
    changes = merge(kind, [(table, parts, news)], "delete-insert", "2").changes["parts"]
    assert (changes.inserted, changes.updated, changes.deleted) == (10, 10, 0)
    assert rows_of(table, "id") == sorted(rows[:30] + news, key=lambda r: str(r["id"]))
