"""Contracts decide what data may change."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from headrace.errors import ValueErrorWithKnownValues
from headrace.errors.schema import DataValidationError
from headrace.model.contract import (
    EVOLVE,
    apply_contract,
    decide_column,
    decide_table,
    expand_contract,
    refuses_table,
    resolve_contract,
)
from headrace.model.schema import Schema
from headrace.model.tables import new_column, new_table


@pytest.fixture
def schema() -> Schema:
    made = Schema("demo")
    text: Any = {"name": "name", "data_type": "text", "precision": 10}
    made.update_table(new_table("a", columns=[new_column("id", "bigint"), text, {"name": "later"}]))
    made.update_table(new_table("a__b", parent_table_name="a", columns=[new_column("id", "bigint")]))
    made.update_table(new_table("declared", columns=[{"name": "id", "primary_key": True}]))
    return made


def contract(**modes: Any) -> Any:
    return {**EVOLVE, **modes}


def test_a_mode_stands_for_all_entities() -> None:
    assert expand_contract("freeze") == {"tables": "freeze", "columns": "freeze", "data_type": "freeze"}
    assert expand_contract({"columns": "freeze"}) == contract(columns="freeze")
    assert expand_contract(None) == EVOLVE
    default: Any = {"tables": "discard_row"}
    assert expand_contract({"columns": "freeze"}, default) == contract(columns="freeze", tables="discard_row")


@pytest.mark.parametrize("settings", ["frozen", {"columns": "frozen"}, {"column": "freeze"}])
def test_unknown_modes_are_refused(settings: Any) -> None:
    with pytest.raises(ValueErrorWithKnownValues):
        expand_contract(settings)


def test_the_nearest_setting_wins(schema: Schema) -> None:
    schema.set_schema_contract({"columns": "discard_value"})
    schema.tables["a"]["schema_contract"] = {"tables": "freeze"}
    assert resolve_contract(schema, "a") == contract(tables="freeze")
    assert resolve_contract(schema, "a__b") == contract(tables="freeze")
    assert resolve_contract(schema, "unknown") == contract(columns="discard_value")
    schema.tables["a__b"]["schema_contract"] = "discard_row"
    assert resolve_contract(schema, schema.tables["a__b"]) == expand_contract("discard_row")


def test_a_declaration_is_asked_before_the_stored_table(schema: Schema) -> None:
    declared: Any = {"name": "new", "parent": "a", "columns": {}}
    schema.tables["a"]["schema_contract"] = {"tables": "freeze"}
    assert schema.resolve_contract_settings_for_table("new", declared) == contract(tables="freeze")
    declared["schema_contract"] = "discard_row"
    assert schema.resolve_contract_settings_for_table("new", declared) == expand_contract("discard_row")


@pytest.mark.parametrize(("table", "known"), [("a", True), ("unknown", False), ("declared", False), ("_dlt_x", True)])
def test_only_new_tables_are_refused(schema: Schema, table: str, known: bool) -> None:
    """A declared table without a typed column counts as new; system tables are always welcome."""
    assert (decide_table(schema, table, contract(tables="discard_row")) == "evolve") is known
    assert refuses_table(schema, table, contract(tables="discard_value")) is not known


def test_a_frozen_table_is_an_error_that_carries_the_facts(schema: Schema) -> None:
    with pytest.raises(DataValidationError, match="unknown") as caught:
        decide_table(schema, "unknown", contract(tables="freeze"), {"id": 1})
    error = caught.value
    assert (error.schema_name, error.table_name, error.column_name) == ("demo", "unknown", None)
    assert (error.schema_entity, error.contract_mode, error.data_item) == ("tables", "freeze", {"id": 1})


new = {"name": "v", "data_type": "text"}
variant = {"name": "id__v_text", "data_type": "text", "variant": True}
CASES: list[tuple[str, dict[str, Any], str | None]] = [
    ("a", new, "columns"),
    ("a", {"name": "later", "data_type": "text"}, "columns"),
    ("a", variant, "data_type"),
    ("a", {"name": "id", "data_type": "text"}, "data_type"),
    ("a", {"name": "id", "nullable": False}, "data_type"),
    ("a", {"name": "name", "precision": 11}, "data_type"),
    ("a", {"name": "name", "data_type": "text"}, None),
    ("a", {"name": "id", "nullable": True}, None),
    ("a", {"name": "id", "primary_key": True}, None),
    ("a", {"name": "_dlt_x", "data_type": "text"}, None),
    ("declared", new, None),
    ("unknown", new, None),
]


@pytest.mark.parametrize(("table", "column", "entity"), CASES)
@pytest.mark.parametrize("mode", ["discard_row", "discard_value", "freeze"])
def test_each_change_of_columns_concerns_one_entity(
    schema: Schema, table: str, column: Any, entity: str | None, mode: str
) -> None:
    for asked in ("columns", "data_type"):
        modes = contract(**{asked: mode})
        if asked != entity:
            assert decide_column(schema, table, column["name"], modes, column) == "evolve"
        elif mode == "freeze":
            with pytest.raises(DataValidationError) as caught:
                decide_column(schema, table, column["name"], modes, column)
            assert caught.value.schema_entity == entity
        else:
            assert decide_column(schema, table, column["name"], modes, column) == mode


def test_a_table_in_the_making_gets_its_columns(schema: Schema) -> None:
    schema.tables["a"]["x-normalizer"] = {"evolve-columns-once": True}
    frozen: Any = contract(columns="freeze", data_type="discard_row")
    assert decide_column(schema, "a", "v", frozen, new) == "evolve"  # type: ignore[arg-type]
    assert decide_column(schema, "a", "id__v_text", frozen, variant) == "discard_row"  # type: ignore[arg-type]


def test_applying_cuts_a_table_down(schema: Schema) -> None:
    partial: Any = {"name": "a", "columns": {"v": new, "id": {"name": "id", "unique": True}}}
    before = copy.deepcopy(partial)
    kept, discarded = apply_contract(schema, contract(columns="discard_value"), partial)
    assert kept == {"name": "a", "columns": {"id": {"name": "id", "unique": True}}}
    assert discarded == [("columns", "v", "discard_value")]
    assert partial == before


def test_applying_refuses_whole_tables(schema: Schema) -> None:
    partial: Any = {"name": "unknown", "columns": {"v": new}}
    assert schema.apply_schema_contract(contract(tables="discard_row"), partial) == (
        None,
        [("tables", "unknown", "discard_row")],
    )


def test_freezing_can_be_reported_instead_of_raised(schema: Schema) -> None:
    partial: Any = {"name": "a", "columns": {"v": new}}
    with pytest.raises(DataValidationError):
        apply_contract(schema, contract(columns="freeze"), partial)
    kept, discarded = apply_contract(schema, contract(columns="freeze"), partial, raise_on_freeze=False)
    assert (kept, discarded) == ({"name": "a", "columns": {}}, [("columns", "v", "freeze")])


def test_setting_and_removing_the_contract_of_a_schema(schema: Schema) -> None:
    schema.set_schema_contract({"tables": "freeze"})
    assert schema.settings["schema_contract"] == {"tables": "freeze"}
    schema.set_schema_contract({})
    assert "schema_contract" not in schema.settings
    with pytest.raises(ValueErrorWithKnownValues):
        schema.set_schema_contract("frozen")  # type: ignore[arg-type]
