"""Values that are easily misread: dates without a day, objects in frames, types of numpy, one text as data."""

from __future__ import annotations

import datetime as dt
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as dlt
from headrace.columns.values import coerce_value
from headrace.model.types import data_type_of

UTC = dt.timezone.utc


# what dlt 1.31 makes of each
@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2024", dt.date(2024, 1, 1)),
        ("2024-05", dt.date(2024, 5, 1)),
        ("20240501", dt.date(2024, 5, 1)),
        ("2024-05-01", dt.date(2024, 5, 1)),
        ("1700000000", dt.date(2023, 11, 14)),
    ],
)
def test_years_and_months_are_their_first_day(text: str, date: dt.date) -> None:
    assert coerce_value("date", "text", text) == date
    assert coerce_value("timestamp", "text", text).date() == date


def test_detected_dates_land_as_dates(tmp_path: Path) -> None:
    schema = dlt.Schema("dates")
    schema.add_type_detection("iso_date")

    @dlt.source(schema=schema)
    def dates() -> Any:
        yield dlt.resource([{"month": "2024-05", "year": "2024", "day": "2024-05-01"}], name="t")

    target = dlt.destinations.duckdb(str(tmp_path / "d.duckdb"))
    p = dlt.pipeline("dates", str(tmp_path / "work"), destination=target, dataset_name="d")
    p.run(dates())
    assert p.dataset().t.select("month", "year", "day").fetchall() == [
        (dt.date(2024, 5, 1), dt.date(2024, 1, 1), dt.date(2024, 5, 1))
    ]


def test_objects_in_a_polars_frame_are_refused_by_name(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": [1], "thing": polars.Series([object()], dtype=polars.Object)})
    p = dlt.pipeline("objects", str(tmp_path), destination=dlt.destinations.duckdb(str(tmp_path / "d.duckdb")))
    with pytest.raises(Exception, match=r"Object \(of polars\) of column `thing`"):
        p.run(frame, table_name="t")


def test_types_of_numpy_are_known_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kinds: list[Any] = [np.int32, np.float32, np.bool_, np.datetime64, np.str_]
        assert [data_type_of(kind) for kind in kinds] == ["bigint", "double", "bool", "timestamp", "text"]


def test_one_text_for_a_table_is_no_source(tmp_path: Path) -> None:
    p = dlt.pipeline("text", str(tmp_path), destination=dlt.destinations.duckdb(str(tmp_path / "d.duckdb")))
    with pytest.raises(Exception, match=r"put it in a list: `\[item\]`"):
        p.run("abc", table_name="t")
    with pytest.raises(Exception, match="No source is known as `abc`"):
        p.run("abc")
