"""Row ids that follow from keys and items: those of the compatible library (recorded with dlt 1.31)."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

import headrace as dlt
from headrace.columns.keys import item_hash, key_ids
from headrace.columns.shred import shred

UTC = dt.timezone.utc
KEYS: list[tuple[Any, str]] = [
    (dt.date(2024, 1, 2), "am97JbvEVM2Chg"),
    (dt.datetime(2024, 1, 2, 3, 4, 5, 123000, tzinfo=UTC), "qy3VfRT1cp8Y7g"),
    (Decimal("100"), "XKon2a/s45Qe0A"),
    (dt.time(1, 2, 3), "aq6ILpFCrBYBfg"),
    (dt.time(1, 2, 3, 4000), "7fxbmTfhsGPsOA"),
    (b"abc", "V+pGb2rrewfe3w"),
    ('é/"\\ x', "Q1yAdBz3rLwl7g"),
    ("2024-05-01T10:00:00Z", "A+tbwg56fEwh1w"),
    ("2024-05-01T10:00:00+02:00", "K+keVG0uebW0HA"),
    (2**53 + 1, "JGKpiixkJRxtrw"),
    (-1, "mLHiIR2LDe/4eQ"),
    (1.5, "ajYxs7YZNhIBVQ"),
    (1.0, "cvXT4XHjvZjFxg"),
    (True, "8tzPerpjGpGGTQ"),
    (uuid.UUID(int=5), "rqdx95xNNmmGRQ"),
]


def row_ids(folder: Path, items: list[Any], strategy: str, key: Any = None) -> list[str]:
    database = folder / "ids.duckdb"
    disposition = {"disposition": "merge", "strategy": strategy}
    pipeline = dlt.pipeline("ids", str(folder), destination=dlt.destinations.duckdb(str(database)), dataset_name="d")
    pipeline.run(dlt.resource(items, name="t", primary_key=key, write_disposition=disposition))
    with duckdb.connect(str(database)) as con:
        return [row[0] for row in con.execute("SELECT _dlt_id FROM d.t ORDER BY place").fetchall()]


@pytest.mark.parametrize(("value", "expected"), KEYS, ids=lambda v: str(v)[:26])
def test_ids_of_keys_are_those_of_dlt(value: Any, expected: str) -> None:
    [table] = shred([{"id": value}])
    assert key_ids({"id": table.columns[0].values.to_pylist()}, 1).to_pylist() == [expected]


@pytest.mark.parametrize("neighbour", ["2", "2.5", "2.123456"])
def test_the_id_of_a_decimal_does_not_depend_on_its_neighbours(tmp_path: Path, neighbour: str) -> None:
    items = [{"id": Decimal("100"), "place": 1}, {"id": Decimal(neighbour), "place": 2}]
    assert row_ids(tmp_path, items, "upsert", "id")[0] == "XKon2a/s45Qe0A"


def test_a_key_of_several_columns(tmp_path: Path) -> None:
    items = [{"b": dt.date(2024, 1, 2), "A": "x", "c": {"d": 5}, "place": 1}]
    assert row_ids(tmp_path, items, "upsert", ["b", "A", "c__d"]) == ["96noKEFjQllJCw"]


def test_versions_of_items_are_those_of_dlt() -> None:
    item = {
        "id": 1,
        "d": dt.date(2024, 1, 2),
        "t": dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
        "x": Decimal("1.50"),
        "n": {"b": [1, 2], "a": None},
        "f": 1.0,
        "tm": dt.time(1, 2),
        "y": b"ab",
    }
    assert item_hash(item) == "+0QdzSlS/qIU9A"
    assert item_hash({"id": uuid.UUID(int=5), "x": {"u": [uuid.UUID(int=6)]}}) == "6Qt+RXVzap+bEQ"
