"""Types of users' Arrow columns, and the way of their values into a table's columns."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest

from headrace.columns.arrow_schema import column_of, compile_arrow_plan, rearrange
from headrace.errors.columns import UnsupportedArrowTypeException
from headrace.model.capabilities import Capabilities


def moved(array: pa.Array, column: dict[str, object]) -> list[object]:
    """Values after the way into a column named `a`."""
    batch = pa.record_batch([array], names=["a"])
    columns = {"a": {"name": "a", **column}}
    plan = compile_arrow_plan(batch.schema, {"a": "a"}, columns, Capabilities())  # type: ignore[arg-type]
    values: list[object] = rearrange(batch, plan).column("a").to_pylist()
    return values


def test_a_decimal_wider_than_38_digits_is_exact_text() -> None:
    wide = pa.array([Decimal("1" * 45 + ".23"), None], pa.decimal256(60, 2))
    column = column_of(pa.field("a", wide.type))
    assert column == {"nullable": True, "data_type": "text"}
    assert moved(wide, column) == ["1" * 45 + ".23", None]


def test_nanoseconds_of_times_are_cut() -> None:
    assert moved(pa.array([1001], pa.time64("ns")), {"data_type": "time"}) == [dt.time(0, 0, 0, 1)]


@pytest.mark.parametrize("kind", [pa.duration("s"), pa.dense_union([pa.field("x", pa.int64())]), pa.uuid()])
def test_a_type_without_a_place_is_named_with_its_column_and_table(kind: pa.DataType) -> None:
    with pytest.raises(UnsupportedArrowTypeException, match="column `a` of table `items`"):
        column_of(pa.field("a", kind), "items")


def test_a_value_that_does_not_fit_names_its_column() -> None:
    with pytest.raises(pa.ArrowInvalid, match="column `a` of type string into int64"):
        moved(pa.array(["x"]), {"data_type": "bigint"})


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()])
def test_floating_point_numbers_take_the_digits_of_a_decimal_but_keep_their_fraction(kind: pa.DataType) -> None:
    column = {"data_type": "decimal", "precision": 10, "scale": 2}
    assert moved(pa.array([0.1, None, -19.99, 1.5625], kind), column) == [
        Decimal("0.10"),
        None,
        Decimal("-19.99"),
        Decimal("1.56"),
    ]
    with pytest.raises(pa.ArrowInvalid, match=r"1\.5 is no whole number"):
        moved(pa.array([1.5], kind), {"data_type": "wei", "precision": 20, "scale": 0})


def test_the_noise_of_the_last_bits_is_no_digit() -> None:
    assert moved(pa.array([0.1 + 0.2]), {"data_type": "decimal", "precision": 10, "scale": 2}) == [Decimal("0.30")]


@pytest.mark.parametrize(
    ("array", "data_type", "why"),
    [
        (pa.array([1704067200]), "timestamp", "unit of time"),
        (pa.array([dt.datetime(2024, 1, 1)]), "bigint", "unit of time"),
        (pa.array([dt.datetime(2024, 1, 1, 5)]), "time", "date would be lost"),
    ],
)
def test_casts_that_change_the_meaning_are_refused(array: pa.Array, data_type: str, why: str) -> None:
    with pytest.raises(pa.ArrowInvalid, match=why):
        moved(array, {"data_type": data_type})
