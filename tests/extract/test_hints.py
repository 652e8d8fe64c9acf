"""From hints to tables. The expected tables are what dlt 1.31 computes for the same hints."""

from __future__ import annotations

from typing import Any

import pytest

import headrace as hr
from headrace.errors import ValueErrorWithKnownValues
from headrace.errors.extract import (
    DataItemRequiredForDynamicTableHints,
    DltResourceException,
    InconsistentTableTemplate,
)
from headrace.model import naming

PLAIN = {"name": "items", "resource": "items", "write_disposition": "append", "columns": {}}
SNAKE = naming.get("snake_case")(None)


def made(**hints: Any) -> Any:
    return hr.resource([{"id": 1}], name="items", **hints)


def key(name: str, hint: str) -> dict[str, Any]:
    return {"name": name, "nullable": False, hint: True}


@pytest.mark.parametrize(
    ("hints", "table"),
    [
        ({}, PLAIN),
        (
            {"primary_key": "id", "merge_key": ["x", "y"], "write_disposition": "merge"},
            {
                **PLAIN,
                "write_disposition": "merge",
                "columns": {
                    "id": key("id", "primary_key"),
                    "x": key("x", "merge_key"),
                    "y": key("y", "merge_key"),
                },
            },
        ),
        (
            {"columns": {"id": {"nullable": True}, "X Y": {"hard_delete": True}}, "primary_key": "id"},
            {
                **PLAIN,
                "columns": {
                    "id": {"name": "id", "nullable": True, "primary_key": True},
                    "X Y": {"name": "X Y", "hard_delete": True},
                },
            },
        ),
        (
            {"columns": [{"name": "a", "data_type": "text"}]},
            {**PLAIN, "columns": {"a": {"name": "a", "data_type": "text"}}},
        ),
        ({"max_table_nesting": 1}, {**PLAIN, "x-normalizer": {"max_nesting": 1}}),
        ({"schema_contract": "freeze"}, {**PLAIN, "schema_contract": "freeze"}),
        (
            {"table_format": "delta", "file_format": "parquet"},
            {**PLAIN, "table_format": "delta", "file_format": "parquet"},
        ),
        ({"write_disposition": {"disposition": "append"}}, PLAIN),
        (
            {"write_disposition": {"disposition": "merge", "deduplicated": True}},
            {**PLAIN, "write_disposition": "merge", "x-stage-data-deduplicated": True},
        ),
        (
            {"write_disposition": {"disposition": "merge", "strategy": "upsert"}, "primary_key": "id"},
            {
                **PLAIN,
                "write_disposition": "merge",
                "x-merge-strategy": "upsert",
                "columns": {"id": key("id", "primary_key")},
            },
        ),
        (
            {"write_disposition": {"disposition": "replace", "strategy": "truncate-and-insert"}},
            {**PLAIN, "write_disposition": "replace", "x-replace-strategy": "truncate-and-insert"},
        ),
        (
            {
                "write_disposition": {
                    "disposition": "merge",
                    "strategy": "scd2",
                    "validity_column_names": ["f", "t"],
                    "active_record_timestamp": "9999-12-31",
                    "row_version_column_name": "h",
                    "boundary_timestamp": "2024-01-01",
                }
            },
            {
                **PLAIN,
                "write_disposition": "merge",
                "x-merge-strategy": "scd2",
                "x-boundary-timestamp": "2024-01-01",
                "columns": {
                    "f": {"name": "f", "data_type": "timestamp", "nullable": True, "x-valid-from": True},
                    "t": {
                        "name": "t",
                        "data_type": "timestamp",
                        "nullable": True,
                        "x-valid-to": True,
                        "x-active-record-timestamp": "9999-12-31",
                    },
                    "h": {
                        "name": "h",
                        "nullable": False,
                        "x-row-version": True,
                        "unique": False,
                        "row_key": False,
                    },
                },
            },
        ),
    ],
)
def test_tables_of_hints(hints: dict[str, Any], table: dict[str, Any]) -> None:
    assert made(**hints).compute_table_schema() == table


def test_history_has_default_columns() -> None:
    columns = made(write_disposition={"disposition": "merge", "strategy": "scd2"}).compute_table_schema()["columns"]
    assert list(columns) == ["_dlt_valid_from", "_dlt_valid_to", "_dlt_id"]
    assert columns["_dlt_valid_to"]["x-active-record-timestamp"] is None
    assert columns["_dlt_id"]["unique"] is False


def test_more_properties_of_tables() -> None:
    table = made().apply_hints(additional_table_hints={"x-a": 1}, parent_table_name="par").compute_table_schema()
    assert table == {"name": "items", "parent": "par", "columns": {}, "x-a": 1}


def test_an_incremental_marks_its_column() -> None:
    cursor = hr.sources.incremental("updated_at")
    table = made(incremental=cursor).compute_table_schema()
    assert table["columns"] == {"updated_at": {"name": "updated_at", "incremental": True}}
    assert made(incremental={"cursor_path": "a"}).compute_table_schema()["columns"]["a"]["incremental"]
    assert made(incremental=hr.sources.incremental("a.b")).compute_table_schema()["columns"] == {}


def test_functions_of_the_item() -> None:
    r = made(table_name=lambda i: "t_" + i["kind"], columns=lambda i: [{"name": i["kind"]}], primary_key=lambda i: "k")
    assert r.has_dynamic_table_name
    assert r.has_other_dynamic_hints
    table = r.compute_table_schema({"kind": "q"})
    assert (table["name"], list(table["columns"])) == ("t_q", ["q", "k"])
    with pytest.raises(DataItemRequiredForDynamicTableHints):
        r.compute_table_schema()
    with pytest.raises(InconsistentTableTemplate):
        made(write_disposition=lambda i: "merge")


class TestChangingHints:
    def test_none_leaves_and_empty_removes(self) -> None:
        r = made(columns={"a": {"data_type": "text"}}, primary_key="id", table_name="tn", schema_contract="freeze")
        r.apply_hints(columns={"a": {"nullable": False}, "b": {"data_type": "bool"}})
        assert r.columns == {
            "a": {"name": "a", "data_type": "text", "nullable": False},
            "b": {"name": "b", "data_type": "bool"},
        }
        assert r.table_name == "tn"
        r.apply_hints(primary_key="", table_name="", columns=[], schema_contract="")
        assert r.compute_table_schema() == PLAIN

    def test_keys_replace_older_ones(self) -> None:
        r = made(primary_key="a").apply_hints(primary_key=["b", "c"])
        assert list(r.compute_table_schema()["columns"]) == ["b", "c"]

    def test_functions_may_follow_a_table_name_that_is_one(self) -> None:
        r = made(table_name=lambda i: "x").apply_hints(write_disposition=lambda i: "merge")
        assert r.compute_table_schema({})["write_disposition"] == "merge"

    def test_variants_do_not_touch_the_resource(self) -> None:
        r = made(primary_key="id")
        r.apply_hints("special", columns={"x": {"data_type": "text"}}, create_table_variant=True)
        assert r.compute_table_schema()["columns"].keys() == {"id"}
        variant = r.compute_table_schema(meta=hr.mark.with_table_name({}, "special").meta)
        assert (variant["name"], list(variant["columns"])) == ("special", ["x", "id"])
        other = r.compute_table_schema(meta=hr.mark.with_table_name({}, "other").meta)
        assert (other["name"], list(other["columns"])) == ("other", ["id"])

    def test_variants_need_a_plain_name_and_plain_hints(self) -> None:
        with pytest.raises(ValueError, match="table_name"):
            made().apply_hints(create_table_variant=True)
        with pytest.raises(InconsistentTableTemplate):
            made().apply_hints("a", write_disposition=lambda i: "append", create_table_variant=True)
        with pytest.raises(InconsistentTableTemplate):
            made().apply_hints("a", incremental=hr.sources.incremental("x"), create_table_variant=True)

    @pytest.mark.parametrize(
        "hints",
        [
            {"write_disposition": "abc"},
            {"write_disposition": {"disposition": "abc"}},
            {"write_disposition": {"disposition": "merge", "strategy": "abc"}},
            {"schema_contract": "abc"},
            {"schema_contract": {"rows": "freeze"}},
        ],
    )
    def test_unknown_values_are_refused_at_once(self, hints: dict[str, Any]) -> None:
        with pytest.raises(ValueErrorWithKnownValues):
            made(**hints)

    def test_timestamps_are_read_at_once(self) -> None:
        with pytest.raises(ValueError, match="no ISO timestamp"):
            made(write_disposition={"disposition": "merge", "strategy": "scd2", "boundary_timestamp": "soon"})

    def test_setting_properties(self) -> None:
        r = made()
        r.table_name, r.write_disposition, r.max_table_nesting = "t", "merge", 2
        assert (r.table_name, r.write_disposition, r.max_table_nesting) == ("t", "merge", 2)


class TestNested:
    def test_nested_tables(self) -> None:
        r = made(
            nested_hints={
                ("a", "b"): {"columns": {"c": {"data_type": "text"}}},
                "k": {"primary_key": "id", "write_disposition": "merge"},
                "m": hr.mark.make_nested_hints(merge_key="x"),
            }
        )
        assert r.compute_nested_table_schemas("items", SNAKE) == [
            {
                "name": "items__k",
                "resource": "items",
                "write_disposition": "merge",
                "columns": {"id": key("id", "primary_key")},
            },
            {
                "name": "items__m",
                "resource": "items",
                "write_disposition": "append",
                "columns": {"x": key("x", "merge_key")},
            },
            {
                "name": "items__a__b",
                "parent": "items__a",
                "columns": {"c": {"name": "c", "data_type": "text"}},
            },
        ]
        assert [t["name"] for t in r.compute_tables(SNAKE)] == ["items", "items__k", "items__m", "items__a__b"]

    def test_functions_need_an_item(self) -> None:
        r = made(nested_hints={"a": {"columns": lambda i: {i["n"]: {}}}})
        assert list(r.compute_nested_table_schemas("items", SNAKE, {"n": "z"})[0]["columns"]) == ["z"]
        with pytest.raises(DataItemRequiredForDynamicTableHints):
            r.compute_nested_table_schemas("items", SNAKE)

    def test_unknown_hints_are_refused(self) -> None:
        with pytest.raises(DltResourceException, match="max_table_nesting"):
            made(nested_hints={"a": {"max_table_nesting": 1}}).compute_nested_table_schemas("items", SNAKE)


def test_columns_with_an_unknown_type_or_shape_are_refused_where_they_are_written() -> None:
    with pytest.raises(ValueErrorWithKnownValues, match=r"columns\.a\.data_type.*'int'(.|\n)*'bigint'"):
        made(columns={"a": {"data_type": "int"}})
    with pytest.raises(ValueErrorWithKnownValues, match=r"columns\.a\.data_type"):
        made(columns=[{"name": "a", "data_type": "string"}])
    with pytest.raises(TypeError, match="column `a` must be a dictionary"):
        made(columns={"a": "text"})
