"""Schemas as text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.errors.base import MissingDependencyException
from headrace.model.schema import Schema
from headrace.model.schema_export import from_yaml, to_pretty_yaml
from headrace.model.tables import dlt_id_column, dlt_load_id_column, new_column, new_table


@pytest.fixture
def schema() -> Schema:
    made = Schema("demo")
    reference: Any = {"referenced_table": "other", "columns": ["id"], "referenced_columns": ["o"]}
    columns = [new_column("id", "bigint", nullable=False), dlt_load_id_column(), dlt_id_column()]
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
    yaml = pytest.importorskip("yaml")
    document = {"k": value, "list": [value, value], "deep": {"no": {"k": value}}}
    assert yaml.safe_load(to_pretty_yaml(document)) == document


def test_a_schema_as_yaml(schema: Schema) -> None:
    text = schema.to_pretty_yaml()
    assert "  ev__c:\n    columns:\n      _dlt_parent_id:\n        data_type: text\n" in text
    assert "  detections:\n  - iso_timestamp\n" in text
    assert 'description: "a \\"key\\""' in text


def test_yaml_is_read_where_the_library_is_installed(schema: Schema) -> None:
    try:
        document = from_yaml(schema.to_pretty_yaml())
    except MissingDependencyException as error:
        assert "pyyaml" in str(error)
    else:
        assert Schema.from_dict(document).version_hash == schema.version_hash


def test_mermaid(schema: Schema) -> None:
    text = schema.to_mermaid()
    assert text.startswith("erDiagram\n")
    assert "        text o \"a 'key'\"\n" in text
    assert '    ev__c }|--|| ev : "_dlt_parent"\n' in text
    assert '    ev ||--|{ other : ""\n' in text
    assert "bigint" not in schema.to_mermaid(hide_columns=True)
    assert "_dlt_loads" not in schema.to_mermaid(include_dlt_tables=False, hide_columns=True)


def test_dbml(schema: Schema) -> None:
    text = schema.to_dbml(group_by_resource=True)
    assert 'Table "ev" {\n    "id" "bigint" [not null]\n' in text
    assert 'Ref: "ev__c"."_dlt_parent_id" > "ev"."_dlt_id"' in text
    assert 'TableGroup "ev" {\n    "ev"\n    "ev__c"\n}' in text
    assert "_dlt_parent_id > " not in schema.to_dbml(include_parent_child_ref=False)


def test_dot(schema: Schema) -> None:
    text = schema.to_dot(group_by_resource=True)
    assert text.startswith('digraph "demo" {')
    assert '"ev__c":"_dlt_parent_id" -> "ev":"_dlt_id"' in text
    assert "subgraph cluster_0" in text
    assert text.count("{") == text.count("}")
