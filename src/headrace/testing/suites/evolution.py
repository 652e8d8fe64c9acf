"""Schemas that grow: columns, nested tables, wider types."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from headrace.testing.asserts import assert_rows, rows_of
from headrace.testing.kit import Kit

UTC = dt.timezone.utc
EVERY_TYPE: dict[str, Any] = {
    "a_text": "x",
    "a_bigint": 7,
    "a_double": 0.5,
    "a_bool": True,
    "a_timestamp": dt.datetime(2024, 2, 29, 12, tzinfo=UTC),
    "a_date": dt.date(2024, 2, 29),
    "a_time": dt.time(12, 30),
    "a_decimal": Decimal("1.25"),
    "a_binary": b"\x00\xff",
}
WIDER: list[Any] = [
    pytest.param(
        {"data_type": "bigint", "precision": 16}, 1, {"data_type": "bigint", "precision": 64}, 2**40, id="integer"
    ),
    pytest.param(
        {"data_type": "text", "precision": 4}, "four", {"data_type": "text", "precision": 40}, "x" * 40, id="text"
    ),
    pytest.param(
        {"data_type": "decimal", "precision": 10, "scale": 2},
        Decimal("12345678.25"),
        {"data_type": "decimal", "precision": 20, "scale": 4},
        Decimal("1234567890123456.0625"),
        id="decimal",
    ),
    pytest.param(
        {"data_type": "date"},
        dt.date(2024, 2, 29),
        {"data_type": "timestamp"},
        dt.datetime(2024, 3, 1, 6, tzinfo=UTC),
        id="date",
    ),
]


class EvolutionTests(Kit):
    """Tables that are changed by later loads."""

    def test_columns_are_added(self) -> None:
        """A column of every type comes to a table with rows, which are NULL there."""
        p = self.pipeline()
        self.load(p, [{"id": 1}])
        self.load(p, [{"id": 2, **EVERY_TYPE}])
        assert_rows(p, "items", [{"id": 1}, {"id": 2, **EVERY_TYPE}])

    def test_nested_tables_and_their_columns_are_added(self) -> None:
        """A nested table that no earlier row had, and a column in a nested table that has rows."""
        self.need_nesting()
        p = self.pipeline()
        self.load(p, [{"id": 1, "l": [{"n": 1}]}])
        self.load(p, [{"id": 2, "l": [{"n": 2, "m": "x", "k": [True]}]}])
        assert rows_of(p, "items__l", "n", "m") == [(1, None), (2, "x")]
        assert rows_of(p, "items__l__k", "value") == [(True,)]

    def test_values_of_another_type_get_a_column_of_their_own(self) -> None:
        """A text in a column of integers goes into a variant column beside it."""
        p = self.pipeline()
        self.load(p, [{"id": 1, "v": 1}])
        self.load(p, [{"id": 2, "v": "two"}])
        assert rows_of(p, "items", "id", "v", "v__v_text") == [(1, 1, None), (2, None, "two")]

    @pytest.mark.parametrize(("narrow", "first", "wide", "second"), WIDER)
    def test_column_is_widened(self, narrow: dict[str, Any], first: Any, wide: dict[str, Any], second: Any) -> None:
        """A column takes larger values from now on, and keeps what it had."""
        p = self.pipeline()
        self.load(p, [{"id": 1, "v": first}], columns={"v": narrow})
        self.load(p, [{"id": 2, "v": second}], columns={"v": wide})
        kept = dt.datetime(2024, 2, 29, tzinfo=UTC) if wide["data_type"] == "timestamp" else first
        assert dict(rows_of(p, "items", "id", "v")) == {1: kept, 2: second}

    def test_column_may_become_nullable(self) -> None:
        """A column that had to have a value may lack it from now on."""
        p = self.pipeline()
        self.load(p, [{"id": 1, "v": 1}], columns={"v": {"data_type": "bigint", "nullable": False}})
        self.load(p, [{"id": 2, "v": None}], columns={"v": {"data_type": "bigint", "nullable": True}})
        assert rows_of(p, "items", "id", "v") == [(1, 1), (2, None)]
