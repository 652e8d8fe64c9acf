"""Schemas as text."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from headrace.model.schema import Schema
from headrace.model.schema_export import from_yaml, to_pretty_yaml
from headrace.model.tables import dlt_id_column, dlt_load_id_column, new_column, new_table


@pytest.fixture
def schema() -> Schema:
    made = Schema("demo")
    reference: Any = {"referenced_table": "other", "columns": ["id"], "referenced_columns": ["o"], "label": "owner"}
    columns = [{"name": "untyped"}, new_column("id", "bigint", nullable=False), dlt_load_id_column(), dlt_id_column()]
    made.update_table(new_table("ev", columns=columns, references=[reference]))
    made.update_table(new_table("other", columns=[{**new_column("o", "text"), "description": 'a "key"'}]))
    parent: Any = {"name": "_dlt_parent_id", "data_type": "text", "parent_key": True}
    made.update_table(new_table("ev__c", parent_table_name="ev", columns=[parent]))
    return made


def test_json_is_the_short_form(schema: Schema) -> None:
    assert json.loads(schema.to_pretty_json()) == schema.to_dict(remove_defaults=True)
    assert json.loads(schema.to_pretty_json(remove_defaults=False)) == schema.to_dict()


ODD: list[Any] = [
    "plain", "two words", "no", "On", "null", "1.5", "2024-01-01", "a: b", "- a", "#x", "", " x", "ü", 'say "x"',
    "a\nb", "re:^_dlt", "*", "{x}", "x #y", "e1", "~", "_", 1, 1.5, None, True, [], {},
    [1, [2, 3]], [{"a": 1, "b": [2]}],
]  # fmt: skip


@pytest.mark.parametrize("value", ODD)
def test_yaml_reads_back_as_what_was_written(value: Any) -> None:
    document = {"k": value, "list": [value, value], "deep": {"no": {"k": value}}}
    assert yaml.safe_load(to_pretty_yaml(document)) == document


def test_a_schema_as_yaml(schema: Schema) -> None:
    text = schema.to_pretty_yaml()
    assert "  ev__c:\n    columns:\n      _dlt_parent_id:\n        data_type: text\n" in text
    assert "  detections:\n  - iso_timestamp\n" in text
    assert 'description: a "key"' in text


def test_yaml_is_read_again(schema: Schema) -> None:
    assert Schema.from_dict(from_yaml(schema.to_pretty_yaml())).version_hash == schema.version_hash
    with pytest.raises(ValueError, match="not valid YAML"):
        from_yaml("a: [")


def test_mermaid(schema: Schema) -> None:
    text = schema.to_mermaid()
    assert text.startswith("erDiagram\n")
    assert "        text o \"a 'key'\"\n" in text
    assert '    ev__c }|--|| ev : "_dlt_parent"\n' in text
    assert '    ev ||--|{ other : "owner"\n' in text
    assert '    _dlt_version }|--|{ _dlt_loads : "_dlt_schema_name"\n' in text
    assert "        text _dlt_id UK\n" in text
    assert "untyped" not in text
    assert "bigint" not in schema.to_mermaid(hide_columns=True)
    assert "_dlt_loads" not in schema.to_mermaid(include_dlt_tables=False, hide_columns=True)


def test_dbml(schema: Schema) -> None:
    text = schema.to_dbml(group_by_resource=True)
    assert 'Table "ev" {\n    "id" "bigint" [not null]\n' in text
    assert 'Ref: "ev__c"."_dlt_parent_id" > "ev"."_dlt_id"' in text
    assert 'Ref: "ev"."id" < "other"."o"' in text
    assert 'TableGroup "_dlt" {\n    "_dlt_version"\n    "_dlt_loads"\n}' in text
    assert 'TableGroup "ev" {\n    "ev"\n    "ev__c"\n}' in text
    assert "_dlt_parent_id > " not in schema.to_dbml(include_parent_child_ref=False)


def test_dot(schema: Schema) -> None:
    text = schema.to_dot(group_by_resource=True)
    assert text.startswith('digraph "demo" {')
    assert '"ev__c":"_dlt_parent_id" -> "ev":"_dlt_id"' in text
    assert "subgraph cluster_0" in text
    assert text.count("{") == text.count("}")


def test_references_are_those_of_users_and_those_of_system_columns(schema: Schema) -> None:
    found = [(r.get("label"), r["table"], *r["columns"], r["referenced_table"]) for r in schema.references]
    assert found == [
        ("_dlt_load", "ev", "_dlt_load_id", "_dlt_loads"),
        ("owner", "ev", "id", "other"),
        ("_dlt_parent", "ev__c", "_dlt_parent_id", "ev"),
        ("_dlt_schema_version", "_dlt_version", "version_hash", "_dlt_loads"),
        ("_dlt_schema_name", "_dlt_version", "schema_name", "_dlt_loads"),
    ]


@pytest.mark.parametrize(
    ("cardinality", "mermaid", "dbml"),
    [
        ("many_to_one", "}|--||", ">"),
        ("one_to_one", "||--||", "-"),
        ("many_to_many", "}|--|{", "<>"),
        ("zero_to_many", "|o--|{", "-"),
        ("one_to_zero", "||--o|", "-"),
    ],
)
def test_cardinality_is_drawn(cardinality: str, mermaid: str, dbml: str) -> None:
    made = Schema("demo")
    reference: Any = {
        "referenced_table": "b",
        "columns": ["x"],
        "referenced_columns": ["y"],
        "cardinality": cardinality,
    }
    made.update_table(new_table("a", columns=[new_column("x", "text")], references=[reference]))
    made.update_table(new_table("b", columns=[new_column("y", "text")]))
    assert f"    a {mermaid} b : " in made.to_mermaid()
    assert f'"a"."x" {dbml} "b"."y"' in made.to_dbml()
