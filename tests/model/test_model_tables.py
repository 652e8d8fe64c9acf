"""Tables and columns as dictionaries."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from headrace.errors.schema import CannotCoerceColumnException, TablePropertiesConflictException
from headrace.model import tables as tb


def named(*columns: dict[str, Any]) -> Any:
    return {c["name"]: c for c in columns}


def test_root_tables_have_a_resource_and_nested_ones_a_parent() -> None:
    assert tb.new_table("x") == {"name": "x", "columns": {}, "write_disposition": "append", "resource": "x"}
    assert tb.new_table("x", parent_table_name="p") == {"name": "x", "columns": {}, "parent": "p"}


def test_new_columns() -> None:
    assert tb.new_column("c") == {"name": "c", "nullable": True}
    expected = {"name": "c", "nullable": False, "data_type": "text", "precision": 3}
    assert tb.new_column("c", "text", nullable=False, precision=3) == expected


def test_the_state_table_is_an_ordinary_one() -> None:
    table = tb.pipeline_state_table(add_dlt_id=True)
    assert table["write_disposition"] == "append"
    assert list(table["columns"])[-2:] == ["_dlt_load_id", "_dlt_id"]


@pytest.mark.parametrize(
    ("prop", "value", "default"),
    [
        ("nullable", True, True),
        ("nullable", None, True),
        ("nullable", False, False),
        ("timezone", False, False),
        ("unique", False, True),
        ("x-mark", False, True),
        ("precision", 0, False),
        ("precision", None, True),
        ("name", "a", False),
    ],
)
def test_which_values_say_nothing(prop: str, value: Any, default: bool) -> None:
    assert tb.is_default_prop(prop, value) is default


def test_defaults_are_removed() -> None:
    column: Any = {"name": "a", "nullable": True, "unique": False, "precision": None, "scale": 0}
    assert tb.remove_column_defaults(column) == {"name": "a", "scale": 0}


def test_merging_a_column_lets_the_new_one_win() -> None:
    stored: Any = {"name": "a", "data_type": "text", "nullable": False}
    assert tb.merge_column(stored, {"name": "a", "nullable": True})["nullable"] is True
    assert tb.merge_column(stored, {"name": "a", "nullable": True}, merge_defaults=False)["nullable"] is False


KEYS = [{"name": "a", "primary_key": True}, {"name": "b", "data_type": "text", "primary_key": True}]


def test_a_completed_column_moves_to_the_end() -> None:
    merged = tb.merge_columns(named(*copy.deepcopy(KEYS)), named({"name": "a", "data_type": "text"}))
    assert list(merged) == ["b", "a"]


def test_keys_add_up_or_replace_each_other() -> None:
    change = named({"name": "c", "data_type": "text", "primary_key": True})
    added = tb.merge_columns(named(*copy.deepcopy(KEYS)), copy.deepcopy(change))
    replaced = tb.merge_columns(named(*copy.deepcopy(KEYS)), copy.deepcopy(change), merge_compound_props=False)
    assert tb.get_columns_names_with_prop({"columns": added}, "primary_key", True) == ["a", "b", "c"]
    assert tb.get_columns_names_with_prop({"columns": replaced}, "primary_key", True) == ["c"]


def test_saying_that_a_column_is_no_key_replaces_nothing() -> None:
    change = named({"name": "c", "primary_key": False})
    merged = tb.merge_columns(named(*copy.deepcopy(KEYS)), change, merge_compound_props=False)
    assert tb.get_columns_names_with_prop({"columns": merged}, "primary_key", True) == ["a", "b"]


def test_merging_changes_the_table_and_returns_the_change() -> None:
    table = tb.new_table("t", columns=[tb.new_column("a", "text")])
    change: Any = {"name": "t", "columns": named({"name": "b"}), "description": "d", "filters": None}
    assert tb.merge_table("s", table, change) is change
    assert list(table["columns"]) == ["a", "b"]
    assert table["description"] == "d"
    assert "filters" not in table


def test_references_are_replaced_by_their_target() -> None:
    table: Any = tb.new_table("t")
    table["references"] = [{"referenced_table": "o", "columns": ["a"], "referenced_columns": ["b"]}]
    for target in ("o", "p"):
        reference = {"referenced_table": target, "columns": ["a"], "referenced_columns": ["c"]}
        tb.merge_table("s", table, {"name": "t", "columns": {}, "references": [reference]})  # type: ignore[list-item]
    assert [(r["referenced_table"], r["referenced_columns"]) for r in table["references"]] == [
        ("o", ["c"]),
        ("p", ["c"]),
    ]


@pytest.mark.parametrize("change", [{"name": "q"}, {"name": "t", "parent": "x"}])
def test_name_and_parent_are_for_good(change: Any) -> None:
    with pytest.raises(TablePropertiesConflictException):
        tb.merge_table("s", tb.new_table("t"), change)


def test_types_are_compared_on_request() -> None:
    table = tb.new_table("t", columns=[tb.new_column("a", "text")])
    change: Any = {"name": "t", "columns": named({"name": "a", "data_type": "bigint"})}
    tb.ensure_compatible_tables("s", table, change, ensure_columns=False)
    with pytest.raises(CannotCoerceColumnException, match=r"`t\.a`"):
        tb.ensure_compatible_tables("s", table, change)


def test_the_difference_is_what_is_new() -> None:
    table = tb.new_table("t", columns=[tb.new_column("a", "text"), tb.new_column("b", "text")])
    change: Any = {"name": "t", "write_disposition": "append", "description": "d"}
    change["columns"] = named(
        {"name": "a", "data_type": "text", "unique": False}, {"name": "b", "unique": True}, {"name": "c"}
    )
    diff = tb.diff_table(table, change)
    assert list(diff["columns"]) == ["b", "c"]
    assert {k: v for k, v in diff.items() if k != "columns"} == {"name": "t", "description": "d"}


def test_incomplete_columns_are_found_with_whether_they_may_be_null() -> None:
    table = {"columns": named({"name": "a"}, {"name": "b", "nullable": False}, {"name": "c", "data_type": "text"})}
    assert [(c["name"], nullable) for c, nullable in tb.find_incomplete_columns(table)] == [("a", True), ("b", False)]


def test_dedup_sort_names_column_and_order() -> None:
    table = {"columns": named({"name": "a", "data_type": "text", "dedup_sort": "desc"})}
    assert tb.get_dedup_sort_tuple(table) == ("a", "desc")
    assert tb.get_dedup_sort_tuple({"columns": {}}) is None


@pytest.fixture
def chain() -> Any:
    tables = [
        tb.new_table("t", resource="r"),
        tb.new_table("t__b", parent_table_name="t"),
        tb.new_table("t__b__c", parent_table_name="t__b"),
        tb.new_table("t__a", parent_table_name="t"),
        tb.new_table("other"),
    ]
    return {t["name"]: t for t in tables}


def test_chains_have_parents_before_children(chain: Any) -> None:
    assert [t["name"] for t in tb.get_nested_tables(chain, "t")] == ["t", "t__b", "t__b__c", "t__a"]
    assert [t["name"] for t in tb.get_nested_tables(chain, "t", include_self=False)] == ["t__b", "t__b__c", "t__a"]


def test_resources_own_whole_chains(chain: Any) -> None:
    groups = tb.group_tables_by_resource(chain)
    assert {r: [t["name"] for t in tables] for r, tables in groups.items()} == {
        "r": ["t", "t__b", "t__b__c", "t__a"],
        "other": ["other"],
    }
    assert list(tb.group_tables_by_resource(chain, re.compile("oth"))) == ["other"]


def test_hints_are_inherited(chain: Any) -> None:
    chain["t"]["table_format"] = "delta"
    assert tb.get_inherited_table_hint(chain, "t__b__c", "table_format") == "delta"
    assert tb.get_inherited_table_hint(chain, "other", "table_format") is None
