"""Slowly changing dimensions; expected results are those seen with dlt 1.31."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from headrace.errors.destination import MergeDispositionException
from tests.destinations.bench import Bench, bench, column, table

START = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)
FROM = column("_dlt_valid_from", "timestamp", **{"x-valid-from": True})
VERSION = column("_dlt_id", "text", nullable=False, **{"x-row-version": True})


def until(marker: str | None = None) -> dict[str, Any]:
    return column("_dlt_valid_to", "timestamp", **{"x-valid-to": True, "x-active-record-timestamp": marker})


def dimension(*columns: dict[str, Any], marker: str | None = None, **facts: Any) -> list[dict[str, Any]]:
    nested = table(
        "t__n",
        column("n"),
        column("_dlt_parent_id", "text", parent_key=True),
        column("_dlt_id", "text", row_key=True),
        parent="t",
    )
    return [table("t", FROM, until(marker), *columns, VERSION, write_disposition="merge", **facts), nested]


def day(number: int) -> float:
    """The boundary of a load: so many days after the start."""
    return (START + dt.timedelta(days=number)).timestamp()


def load(b: Bench, at: int, rows: Sequence[dict[str, Any]]) -> None:
    """Load documents ``{…, "n": [1, 2]}`` whose row version is their content."""
    root, nested = [], []
    for row in rows:
        version = repr(sorted(row.items()))
        root.append({**{k: v for k, v in row.items() if k != "n"}, "_dlt_id": version})
        nested += [
            {"n": n, "_dlt_parent_id": version, "_dlt_id": f"{version}.{i}"} for i, n in enumerate(row.get("n", []))
        ]
    files = [b.file("t", root), *([b.file("t__n", nested)] if nested else [])]
    b.load(b.merge(["t", "t__n"], *files, strategy="scd2"), created_at=day(at))


def history(b: Bench, columns: str) -> list[tuple[Any, ...]]:
    """Records with the days they were valid from and to."""
    days = ", ".join(
        f"date_diff('day', TIMESTAMPTZ '2024-01-01 00:00:00+00', _dlt_valid_{which})" for which in ("from", "to")
    )
    return b.client.sql_client.execute_sql(f"SELECT {columns}, {days} FROM t ORDER BY ALL") or []


def test_records_are_retired_and_come_back(tmp_path: Path) -> None:
    """A changed record gets a new version, a missing one is retired, one that comes back gets a new row."""
    with bench(tmp_path, *dimension(column("id"), column("v"))) as b:
        load(b, 0, [{"id": 1, "v": 1}, {"id": 2, "v": 1}])
        load(b, 1, [{"id": 1, "v": 2}])
        load(b, 2, [{"id": 1, "v": 2}, {"id": 2, "v": 1}])
        assert history(b, "id, v") == [(1, 1, 0, 1), (1, 2, 1, None), (2, 1, 0, 1), (2, 1, 2, None)]


def test_equal_rows_of_one_load_all_stay(tmp_path: Path) -> None:
    """The table shows the source as it was."""
    with bench(tmp_path, *dimension(column("id"), column("v"))) as b:
        for at in (0, 1):
            load(b, at, [{"id": 1, "v": 1}, {"id": 1, "v": 1}])
        assert history(b, "id, v") == [(1, 1, 0, None), (1, 1, 0, None)]


@pytest.mark.parametrize("key", [["id"], ["id", "k"]])
def test_a_merge_key_limits_what_may_be_retired(tmp_path: Path, key: list[str]) -> None:
    """Records whose key is not in the load stay active."""
    columns = [column(name, merge_key=name in key) for name in ("id", "k", "v")]
    with bench(tmp_path, *dimension(*columns)) as b:
        load(b, 0, [{"id": 1, "k": 1, "v": 1}, {"id": 2, "k": 1, "v": 1}])
        load(b, 1, [{"id": 1, "k": 1, "v": 2}])
        assert history(b, "id, v") == [(1, 1, 0, 1), (1, 2, 1, None), (2, 1, 0, None)]


def test_a_literal_marks_active_records(tmp_path: Path) -> None:
    """And the boundary may be given."""
    facts = {"x-boundary-timestamp": "2024-01-05T00:00:00+00:00"}
    with bench(tmp_path, *dimension(column("id"), column("v"), marker="9999-12-31", **facts)) as b:
        load(b, 0, [{"id": 1, "v": 1}])
        load(b, 1, [{"id": 1, "v": 2}])
        forever = (dt.datetime(9999, 12, 31, tzinfo=dt.timezone.utc) - START).days
        assert history(b, "id, v") == [(1, 1, 4, 4), (1, 2, 4, forever)]


def test_a_version_column_of_the_users_own(tmp_path: Path) -> None:
    """What it says counts: the same version with other values is the same record."""
    row_id = column("_dlt_id", "text", nullable=False, row_key=True)
    version = column("h", "text", nullable=False, **{"x-row-version": True})
    tables = dimension(column("v"))
    tables[0]["columns"] = {c["name"]: c for c in (FROM, until(), column("v"), version, row_id)}
    with bench(tmp_path, *tables) as b:
        for at, rows in enumerate([[("x", 1)], [("x", 2), ("y", 2)]]):
            file = b.file("t", [{"h": h, "v": v, "_dlt_id": f"{h}{at}"} for h, v in rows])
            nested = b.file("t__n", [{"n": v, "_dlt_parent_id": f"{h}{at}", "_dlt_id": f"{h}{at}.0"} for h, v in rows])
            b.load(b.merge(["t", "t__n"], file, nested, strategy="scd2"), created_at=day(at))
        assert history(b, "h, v") == [("x", 1, 0, None), ("y", 2, 1, None)]
        assert b.rows("SELECT n, _dlt_parent_id FROM t__n") == [(1, "x0"), (2, "y1")]


def test_nested_rows_come_with_their_version_and_stay(tmp_path: Path) -> None:
    """A version that comes back finds its nested rows there."""
    with bench(tmp_path, *dimension(column("id"))) as b:
        for at, numbers in enumerate(([1], [2], [1])):
            load(b, at, [{"id": 1, "n": numbers}])
        assert history(b, "id") == [(1, 0, 1), (1, 1, 2), (1, 2, None)]
        assert b.rows("SELECT n FROM t__n") == [(1,), (2,)]


def test_missing_hints_are_named(tmp_path: Path) -> None:
    """A chain without validity columns cannot be merged this way."""
    with bench(tmp_path, table("t", column("id"), VERSION, write_disposition="merge"), migrated=True) as b:
        job = b.merge(["t"], b.file("t", [{"id": 1, "_dlt_id": "x"}]), strategy="scd2")
        with pytest.raises(MergeDispositionException, match="x-valid-from"):
            b.load(job)
