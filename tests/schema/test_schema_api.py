"""What `Schema` offers besides tables: rows of single items, normalizers that change, columns from everywhere."""

from __future__ import annotations

import dataclasses
import datetime as dt
from decimal import Decimal
from typing import Any, TypedDict

import pyarrow as pa
import pytest

import headrace as dlt
from headrace.errors.pipeline import PipelineStepFailed
from headrace.errors.schema import TableIdentifiersFrozen, UnboundColumnException
from headrace.model.tables import new_column, new_table

KEYS = ("_dlt_id", "_dlt_parent_id")


def rows(schema: dlt.Schema, item: Any, table: str = "tab") -> list[Any]:
    return [(at, {k: v for k, v in row.items() if k not in KEYS}) for at, row in _all(schema, item, table)]


def _all(schema: dlt.Schema, item: Any, table: str) -> list[Any]:
    return list(schema.normalize_data_item(item, "123", table))


def test_rows_of_an_item_are_those_of_dlt() -> None:
    # recorded with dlt 1.31
    item = {"id": 1, "a": {"b": 2}, "l": [{"x": 1}, {"x": [1]}], "none": None}
    assert rows(dlt.Schema("demo"), item) == [
        (("tab", (), ("tab",)), {"id": 1, "none": None, "a__b": 2, "_dlt_load_id": "123"}),
        (("tab__l", ("tab",), ("l",)), {"x": 1, "_dlt_list_idx": 0}),
        (("tab__l", ("tab",), ("l",)), {"_dlt_list_idx": 1}),
        (("tab__l__x", ("tab", "l"), ("x",)), {"value": 1, "_dlt_list_idx": 0}),
    ]


def test_rows_of_an_item_hang_together() -> None:
    schema = dlt.Schema("demo")
    disposition: Any = {"name": "tab", "write_disposition": "merge", "x-merge-strategy": "upsert"}
    schema.update_table({**disposition, "columns": {"id": {"name": "id", "primary_key": True}}})
    first, second = _all(schema, {"id": 5, "l": [[1]]}, "tab"), _all(schema, {"id": 5, "l": [[1]]}, "tab")
    assert [at[0] for at, _ in first] == ["tab", "tab__l", "tab__l__list"]
    ids = {at[0]: row["_dlt_id"] for at, row in first}
    assert ids == {at[0]: row["_dlt_id"] for at, row in second}
    assert ids["tab"] == "k2m2W4pvOwjKag"  # what dlt 1.31 makes of the key 5
    nested = {at[0]: row for at, row in first}["tab__l__list"]
    assert nested["_dlt_parent_id"] == ids["tab__l"]


def test_json_and_nesting_limits_hold_for_single_items() -> None:
    schema = dlt.Schema("demo")
    schema.update_table({**new_table("tab", columns=[new_column("raw", "json")]), "x-normalizer": {"max_nesting": 1}})
    [(_, row)] = rows(schema, {"raw": {"k": [1]}, "a": {"b": {"c": 1}}})
    assert row == {"raw": {"k": [1]}, "a__b": {"c": 1}, "_dlt_load_id": "123"}
    assert rows(schema, 7)[0][1] == {"value": 7, "_dlt_load_id": "123"}


def test_normalizers_that_were_changed_are_taken_up() -> None:
    schema = dlt.Schema("demo")
    assert not schema.will_update_normalizers()
    schema.update_table(new_table("orders", columns=[new_column("a__b", "text")]))
    schema.normalizers["names"] = "direct"
    assert schema.will_update_normalizers()
    assert schema.clone().naming.name() == "direct"
    schema.update_normalizers()
    assert (schema.naming.name(), schema.will_update_normalizers()) == ("direct", False)
    schema.tables["orders"]["x-normalizer"] = {"seen-data": True}
    schema.normalizers["names"] = "snake_case"
    with pytest.raises(TableIdentifiersFrozen):
        schema.update_normalizers()


# ---- columns from everywhere ----------------------------------------------------------------------------------------


@dataclasses.dataclass
class Point:
    x: int
    label: str | None
    tags: list[str]


class Typed(TypedDict):
    at: dt.datetime
    amount: Decimal | None


def test_columns_of_a_dataclass_and_a_typed_dictionary() -> None:
    made: Any = dlt.resource([], name="t", columns=Point).compute_table_schema()["columns"]
    assert {n: (c["data_type"], c["nullable"]) for n, c in made.items()} == {
        "x": ("bigint", False),
        "label": ("text", True),
        "tags": ("json", False),
    }
    typed: Any = dlt.resource([], name="t", columns=Typed).compute_table_schema()["columns"]
    assert {n: (c["data_type"], c["nullable"]) for n, c in typed.items()} == {
        "at": ("timestamp", False),
        "amount": ("decimal", True),
    }
    with pytest.raises(ValueError, match="columns cannot be taken from"):
        dlt.resource([], name="t", columns=int)


def test_columns_of_an_arrow_schema_are_those_of_dlt() -> None:
    schema = pa.schema(
        [
            pa.field("a", pa.int32(), nullable=False),
            pa.field("b", pa.string()),
            pa.field("d", pa.decimal128(10, 2)),
            pa.field("ts", pa.timestamp("ms")),
        ]
    )
    made = dlt.resource([{"a": 1}], name="t", columns=schema).compute_table_schema()["columns"]
    # recorded with dlt 1.31
    assert made == {
        "a": {"name": "a", "nullable": False, "data_type": "bigint", "precision": 32},
        "b": {"name": "b", "nullable": True, "data_type": "text"},
        "d": {"name": "d", "nullable": True, "data_type": "decimal", "precision": 10, "scale": 2},
        "ts": {"name": "ts", "nullable": True, "data_type": "timestamp", "precision": 3, "timezone": False},
    }


def test_a_key_that_no_row_has_is_an_error_and_does_not_block_the_next_run() -> None:
    p = dlt.pipeline("keys", destination=dlt.destinations.duckdb("keys.duckdb"))
    with pytest.raises(PipelineStepFailed) as caught:
        p.run([{"id": 1}], table_name="t", primary_key="idd")
    assert isinstance(caught.value.__cause__, UnboundColumnException)
    assert "`idd`" in str(caught.value)
    p.run([{"id": 2}], table_name="u", primary_key="id")
    assert p.dataset().u.select("id").fetchall() == [(2,)]
