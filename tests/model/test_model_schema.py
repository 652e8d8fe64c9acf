"""Schemas: documents, hashes, versions, changes, settings."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vectors import VECTORS

from headrace.errors.schema import (
    IncompatibleSchemaException,
    InvalidSchemaName,
    ParentTableNotFoundException,
    SchemaCorruptedException,
    SchemaEngineNoUpgradePathException,
    SchemaIdentifierNormalizationCollision,
    TableIdentifiersFrozen,
    TableNotFound,
    TablePropertiesConflictException,
)
from headrace.model.schema import Schema
from headrace.model.schema_upgrade import upgrade
from headrace.model.tables import new_column, new_table


@pytest.fixture
def schema() -> Schema:
    made = Schema("demo")
    made.update_table(new_table("events", columns=[new_column("id", "bigint"), {"name": "later"}]))
    made.update_table(new_table("events__items", parent_table_name="events", columns=[new_column("v", "text")]))
    return made


# ---- documents and hashes --------------------------------------------------------------------------------------------


def test_an_empty_schema_is_the_one_of_the_vectors() -> None:
    schema = Schema("demo")
    assert schema.to_dict() == VECTORS["empty_schema_doc"]
    assert schema.version_hash == VECTORS["empty_schema"]["version_hash"]


def test_a_history_of_changes_hashes_as_in_the_compatible_library() -> None:
    schema, seen = Schema("demo"), []
    schema.bump_version()
    for step in copy.deepcopy(VECTORS["history"]["steps"]):
        schema.update_table(step)
        schema.bump_version()
        seen.append([schema.version, schema.version_hash, schema.previous_hashes])
    assert seen == VECTORS["history"]["hashes"]


def test_documents_come_back_as_they_were(schema: Schema) -> None:
    document = schema.to_dict()
    again = Schema.from_dict(document)
    assert again.to_dict() == document
    assert (again.version, again.is_modified, again.is_new) == (1, False, False)


def test_the_short_form_says_the_same(schema: Schema) -> None:
    short = schema.to_dict(remove_defaults=True)
    assert "name" not in short["tables"]["events"]
    assert Schema.from_dict(short).version_hash == schema.version_hash


def test_from_dict_leaves_the_document_alone(schema: Schema) -> None:
    document = schema.to_dict(remove_defaults=True)
    before = copy.deepcopy(document)
    Schema.from_dict(document).update_table(new_table("more"))
    assert document == before


def test_to_dict_is_a_copy(schema: Schema) -> None:
    schema.to_dict()["tables"]["events"]["columns"].clear()
    assert schema.tables["events"]["columns"]


def test_the_order_of_columns_counts() -> None:
    one, other = Schema("demo"), Schema("demo")
    a, b = new_column("a", "text"), new_column("b", "text")
    one.update_table(new_table("t", columns=[a, b]))
    other.update_table(new_table("t", columns=[b, a]))
    assert one.version_hash != other.version_hash


def test_the_order_of_tables_does_not_count() -> None:
    one, other = Schema("demo"), Schema("demo")
    for name in ("a", "b"):
        one.update_table(new_table(name))
    for name in ("b", "a"):
        other.update_table(new_table(name))
    assert one.version_hash == other.version_hash


def test_old_layouts_are_upgraded_as_in_the_compatible_library() -> None:
    upgraded = upgrade(copy.deepcopy(VECTORS["upgrade"]["from"]))
    for name in ("_dlt_version", "_dlt_loads"):
        upgraded["tables"].pop(name)
    upgraded.pop("version_hash")
    assert upgraded == VECTORS["upgrade"]["to"]


def test_an_upgraded_schema_works() -> None:
    schema = Schema.from_dict(VECTORS["upgrade"]["from"])
    assert schema.get_table("a__b")["parent"] == "a"
    assert schema.normalize_column_name("x__y") == "x_y"


def test_a_newer_layout_is_refused() -> None:
    with pytest.raises(SchemaEngineNoUpgradePathException, match="99"):
        Schema.from_dict({**VECTORS["empty_schema_doc"], "engine_version": 99})


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("tables", "_dlt_loads", "columns", "status", "data_type"), "number", "number"),
        (("tables", "_dlt_loads", "columns", "status", "nulable"), True, "nulable"),
        (("tables", "_dlt_loads", "colums"), {}, "colums"),
        (("setings",), {}, "setings"),
        (("settings", "detection"), [], "detection"),
    ],
)
def test_misspelled_documents_are_refused_by_name(path: tuple[str, ...], value: Any, message: str) -> None:
    document = copy.deepcopy(VECTORS["empty_schema_doc"])
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(SchemaCorruptedException, match=message):
        Schema.from_dict(document)


def test_a_document_without_system_tables_is_refused() -> None:
    document = copy.deepcopy(VECTORS["empty_schema_doc"])
    del document["tables"]["_dlt_loads"]
    with pytest.raises(SchemaCorruptedException, match="_dlt_loads"):
        Schema.from_dict(document)


@pytest.mark.parametrize("name", [None, "", "a b", "1a", "a-b", "a" * 65])
def test_odd_schema_names_are_refused(name: Any) -> None:
    with pytest.raises(InvalidSchemaName):
        Schema(name)


# ---- versions --------------------------------------------------------------------------------------------------------


def test_a_new_schema_keeps_version_one_until_it_is_stored(schema: Schema) -> None:
    assert (schema.version, schema.is_new, schema.is_modified) == (1, True, True)
    schema.bump_version()
    assert (schema.version, schema.is_new, schema.is_modified) == (1, False, False)


def test_a_change_is_one_version_however_many_changes_it_is_made_of(schema: Schema) -> None:
    first = schema.bump_version()[1]
    schema.update_table(new_table("b"))
    schema.update_table(new_table("c"))
    assert (schema.version, schema.stored_version, schema.previous_hashes) == (2, 1, [first])
    second = schema.bump_version()[1]
    schema.update_table(new_table("d"))
    assert (schema.version, schema.previous_hashes) == (3, [second, first])
    assert schema.to_dict(bump_version=False)["version"] == 2


def test_only_ten_previous_hashes_are_kept(schema: Schema) -> None:
    for at in range(15):
        schema.update_table(new_table(f"t{at}"))
        schema.bump_version()
    assert len(schema.previous_hashes) == 10


def test_a_changed_document_becomes_a_new_version(schema: Schema) -> None:
    document = schema.to_dict()
    document["tables"]["events"]["description"] = "changed"
    assert Schema.from_dict(document).stored_version == 2
    assert Schema.from_dict(document, bump_version=False).stored_version == 1


def test_a_clone_is_independent(schema: Schema) -> None:
    schema.bump_version()
    clone = schema.clone()
    clone.update_table({"name": "events", "columns": {"id": {"name": "id", "primary_key": True}}})
    assert "primary_key" not in schema.tables["events"]["columns"]["id"]
    assert clone.version == 2


def test_a_renamed_clone_starts_anew(schema: Schema) -> None:
    schema.bump_version()
    clone = schema.clone(with_name="other")
    assert (clone.name, clone.version, clone.is_new, clone.previous_hashes) == ("other", 1, True, [])


def test_a_clone_can_leave_the_marks_of_runs_behind(schema: Schema) -> None:
    schema.tables["events"]["x-normalizer"] = {"seen-data": True}
    assert "x-normalizer" not in schema.clone(remove_processing_hints=True).tables["events"]


def test_replacing_the_content_may_remember_what_was_replaced(schema: Schema) -> None:
    other = Schema("demo")
    before = other.bump_version()[1]
    other.replace_schema_content(schema, link_to_replaced_schema=True)
    assert other.data_table_names() == schema.data_table_names()
    assert before in other.previous_hashes


# ---- changes ---------------------------------------------------------------------------------------------------------


def test_identifiers_are_normalized(schema: Schema) -> None:
    references: Any = [{"referenced_table": "Other T", "columns": ["Col A"], "referenced_columns": ["B c"]}]
    given = new_table("My Table", columns=[{"name": "Col A", "data_type": "text"}], references=references)
    partial = schema.update_table(given)
    stored = schema.tables["my_table"]
    assert partial["name"] == "my_table"
    assert stored["columns"] == {"col_a": {"name": "col_a", "data_type": "text"}}
    assert stored["resource"] == "My Table"
    expected = {"referenced_table": "other_t", "columns": ["col_a"], "referenced_columns": ["b_c"]}
    assert stored["references"] == [expected]
    assert {**expected, "table": "my_table"} in schema.references
    assert given["name"] == "My Table"


def test_columns_whose_names_fall_together_are_merged(schema: Schema, caplog: pytest.LogCaptureFixture) -> None:
    columns: Any = [{"name": "colA", "data_type": "text"}, {"name": "Col A", "nullable": False}]
    schema.update_table(new_table("t", columns=columns))
    assert schema.tables["t"]["columns"] == {"col_a": {"name": "col_a", "data_type": "text", "nullable": False}}
    assert "col_a" in caplog.text


def test_the_stored_table_is_not_the_given_one(schema: Schema) -> None:
    table = new_table("t", columns=[new_column("a", "text")])
    schema.update_table(table)
    table["columns"]["a"]["data_type"] = "bigint"
    assert schema.tables["t"]["columns"]["a"]["data_type"] == "text"


def test_a_completed_column_moves_behind_the_others(schema: Schema) -> None:
    schema.update_table(new_table("events", columns=[new_column("x", "text"), new_column("later", "text")]))
    assert list(schema.tables["events"]["columns"]) == ["id", "x", "later"]


def test_a_parent_has_to_exist(schema: Schema) -> None:
    with pytest.raises(ParentTableNotFoundException, match="nowhere"):
        schema.update_table(new_table("t", parent_table_name="nowhere"))


def test_a_table_keeps_its_parent(schema: Schema) -> None:
    with pytest.raises(TablePropertiesConflictException, match="parent"):
        schema.update_table({"name": "events__items", "columns": {}})


def test_dropping_needs_the_whole_chain(schema: Schema) -> None:
    with pytest.raises(SchemaCorruptedException, match="events__items"):
        schema.drop_tables(["events"])
    assert [t["name"] for t in schema.drop_tables(["events", "events__items"])] == ["events", "events__items"]
    with pytest.raises(TableNotFound):
        schema.drop_tables(["events"])


def test_updating_from_a_schema_takes_tables_and_settings(schema: Schema) -> None:
    other = Schema("other")
    other.update_table(new_table("t", columns=[new_column("a", "text")]))
    other.update_preferred_types({"z": "text"})
    other.set_schema_contract("freeze")
    schema.update_schema(other)
    assert schema.name == "demo"
    assert schema.data_table_names() == ["events", "events__items", "t"]
    assert schema.preferred_type("z") == "text"
    assert schema.settings["schema_contract"] == "freeze"


def test_unifying_refuses_other_types(schema: Schema) -> None:
    other, odd = Schema("other"), Schema("odd", normalizers={"names": "direct"})
    other.update_table(new_table("t", columns=[new_column("a", "text")]))
    unified = schema.unify_schemas([other])
    assert "t" in unified.tables
    assert "t" not in schema.tables
    with pytest.raises(IncompatibleSchemaException):
        schema.unify_schemas([odd], check_naming_convention=True)


# ---- lookups ---------------------------------------------------------------------------------------------------------


def test_tables_are_listed_by_what_is_known_of_them(schema: Schema) -> None:
    schema.update_table(new_table("bare"))
    schema.tables["events"]["x-normalizer"] = {"seen-data": True}
    assert schema.data_table_names() == ["events", "events__items"]
    assert schema.data_table_names(include_incomplete=True) == ["events", "events__items", "bare"]
    assert schema.data_table_names(seen_data_only=True) == ["events"]
    assert schema.dlt_table_names() == ["_dlt_version", "_dlt_loads"]
    assert [schema.is_new_table(n) for n in ("events", "bare", "unknown", "_dlt_loads")] == [False, True, True, False]


def test_columns_without_a_type_are_shown_on_request(schema: Schema) -> None:
    assert list(schema.get_table_columns("events")) == ["id"]
    assert list(schema.get_table_columns("events", include_incomplete=True)) == ["id", "later"]
    with pytest.raises(TableNotFound):
        schema.get_table_columns("unknown")


def test_nested_tables_follow_their_root(schema: Schema) -> None:
    schema.update_table({"name": "events", "columns": {}, "write_disposition": "merge", "x-merge-strategy": "upsert"})
    schema.update_table(new_table("events__items__deep", parent_table_name="events__items"))
    chain = ["events", "events__items", "events__items__deep"]
    assert [t["name"] for t in schema.get_nested_tables("events")] == chain
    assert schema.get_root_table("events__items__deep")["name"] == "events"
    assert {schema.write_disposition(n) for n in chain} == {"merge"}
    assert {schema.merge_strategy(n) for n in chain} == {"upsert"}
    assert (schema.write_disposition("unknown"), schema.merge_strategy("unknown")) == ("append", "delete-insert")


def test_hint_columns(schema: Schema) -> None:
    schema.update_table({"name": "events", "columns": {"id": {"name": "id", "primary_key": True}}})
    assert schema.hint_columns("events", "primary_key") == ["id"]
    assert schema.hint_columns("events", "unique") == []


def test_columns_that_a_destination_lacks(schema: Schema) -> None:
    assert [c["name"] for c in schema.get_new_table_columns("events", {"ID": {}}, case_sensitive=True)] == ["id"]
    assert schema.get_new_table_columns("events", {"ID": {}}, case_sensitive=False) == []


# ---- settings --------------------------------------------------------------------------------------------------------


def test_default_hints_of_system_columns(schema: Schema) -> None:
    assert schema.default_hints_for("_dlt_id") == {"nullable": False, "unique": True, "row_key": True}
    assert schema.default_hints_for("_dlt_parent_id") == {"nullable": False, "parent_key": True}
    assert schema.default_hints_for("other") == {}


def test_remembered_hints_are_forgotten_when_settings_change(schema: Schema) -> None:
    assert schema.default_hints_for("uuid") == {}
    assert schema.preferred_type("ts_created") is None
    schema.merge_hints({"not_null": ["re:^uu"], "dedup_sort": ["uuid"]})
    schema.update_preferred_types({"re:^ts_": "timestamp"})
    assert schema.default_hints_for("uuid") == {"nullable": False, "dedup_sort": "asc"}
    assert schema.preferred_type("ts_created") == "timestamp"
    assert schema.columns_with_preferred(["ts_a", "b"]) == {"ts_a": "timestamp"}


def test_remembered_hints_cannot_be_spoiled(schema: Schema) -> None:
    schema.default_hints_for("_dlt_id").clear()
    assert schema.default_hints_for("_dlt_id")


def test_hints_add_up_unless_replaced(schema: Schema) -> None:
    schema.merge_hints({"unique": ["colA", "re:^Xy$", "re:a.*"]})
    assert schema.settings["default_hints"]["unique"] == ["_dlt_id", "col_a", "re:^xy$", "re:a.*"]
    schema.merge_hints({"unique": ["b"]}, replace=True)
    assert schema.settings["default_hints"]["unique"] == ["b"]


def test_detections_are_added_once(schema: Schema) -> None:
    schema.add_type_detection("timestamp")
    schema.add_type_detection("timestamp")
    schema.remove_type_detection("iso_timestamp")
    schema.remove_type_detection("iso_date")
    assert schema.settings["detections"] == ["timestamp"]


def test_rows_are_filtered_by_hint(schema: Schema) -> None:
    schema.update_table({"name": "events", "columns": {"id": {"name": "id", "primary_key": True}}})
    assert schema.filter_row_with_hint("events", "primary_key", {"id": 1, "later": 2}) == {"id": 1}
    assert schema.filter_row_with_hint("unknown", "not_null", {"_dlt_id": 1, "b": 2}) == {"_dlt_id": 1}


# ---- naming ----------------------------------------------------------------------------------------------------------


def test_a_schema_keeps_its_convention() -> None:
    schema = Schema("demo", normalizers={"names": "sql_cs_v1"})
    schema.update_table(new_table("My Table", columns=[new_column("colA", "text")]))
    again = Schema.from_dict(schema.to_dict())
    assert again.naming.name() == "sql_cs_v1"
    assert list(again.tables["My_Table"]["columns"]) == ["colA"]


def test_the_convention_can_change_before_there_is_data(schema: Schema) -> None:
    schema.set_naming("s3_tables")
    assert list(schema.tables) == ["dlt_version", "dlt_loads", "events", "events__items"]
    assert schema.version_table_name == "dlt_version"
    assert schema.dlt_table_names() == ["dlt_version", "dlt_loads"]
    assert schema.data_table_names() == ["events", "events__items"]


def test_a_length_limit_renames_tables_and_columns(schema: Schema) -> None:
    schema.update_table(new_table("a_rather_long_name_of_a_table", columns=[new_column("a" * 40, "text")]))
    schema.set_naming(max_length=20)
    assert all(len(n) <= 20 for t in schema.tables.values() for n in [t["name"], *t["columns"]])
    assert schema.naming.max_length == 20


def test_tables_with_data_keep_their_names(schema: Schema) -> None:
    schema.tables["events"]["x-normalizer"] = {"seen-data": True}
    with pytest.raises(TableIdentifiersFrozen, match="events"):
        schema.set_naming("sql_cs_v1")
    schema.set_naming(max_length=50)
    schema.update_table({**new_table("a_name_of_thirty_characters_or_so"), "x-normalizer": {"seen-data": True}})
    with pytest.raises(TableIdentifiersFrozen, match="a_name_of_thirty"):
        schema.set_naming(max_length=24)
    schema.set_naming("sql_cs_v1", allow_identifier_change=True)
    assert schema.normalizers["names"] == "sql_cs_v1"


def test_no_two_tables_get_one_name() -> None:
    schema = Schema("demo", normalizers={"names": "sql_cs_v1"})
    schema.update_table(new_table("Events"))
    schema.update_table(new_table("events"))
    with pytest.raises(SchemaIdentifierNormalizationCollision, match="Events"):
        schema.set_naming("sql_ci_v1")


# ---- any history -----------------------------------------------------------------------------------------------------

names = st.sampled_from(["a", "b", "a__b", "Some T"])
columns = st.dictionaries(
    st.sampled_from(["x", "Y z", "_dlt_id", "w"]),
    st.fixed_dictionaries({}, optional={"data_type": st.sampled_from(["text", "bigint"]), "unique": st.booleans()}),
)


@given(st.lists(st.tuples(names, columns)))
def test_any_history_of_updates_gives_a_valid_schema(history: list[tuple[str, dict[str, Any]]]) -> None:
    schema = Schema("demo")
    for name, given_columns in history:
        described = [{"name": n, **c} for n, c in given_columns.items()]
        schema.update_table({**new_table(name), "columns": {c["name"]: c for c in described}})  # type: ignore[misc]
    again = Schema.from_dict(schema.to_dict())
    assert again.version_hash == schema.version_hash
    assert again.clone().to_dict() == again.to_dict()
