"""A schema with every type and hint, written by dlt 1.31: round trips change nothing."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, get_args

import yaml

from headrace.model.schema import Schema
from headrace.model.schema_export import from_yaml
from headrace.model.tables import HINT_PROPS, diff_table
from headrace.typing import TDataType

HERE = Path(__file__).parent
DOCUMENT: dict[str, Any] = json.loads((HERE / "everything.json").read_text("utf-8"))


def read() -> Schema:
    return Schema.from_dict(copy.deepcopy(DOCUMENT))


def test_the_document_has_every_type_and_hint() -> None:
    columns = [c for t in DOCUMENT["tables"].values() for c in t["columns"].values()]
    assert {c.get("data_type") for c in columns} >= set(get_args(TDataType))
    assert {p for c in columns for p in c} >= {*HINT_PROPS, "precision", "scale", "timezone", "variant", "description"}


def test_the_hash_and_the_document_are_dlts() -> None:
    schema = read()
    assert schema.version_hash == DOCUMENT["version_hash"]
    assert schema.to_dict() == DOCUMENT
    # the order counts too, in files that people compare
    assert json.dumps(schema.to_dict()["tables"]) == json.dumps(DOCUMENT["tables"])


def test_yaml_without_marks_is_dlts_byte_for_byte() -> None:
    assert read().to_pretty_yaml(remove_processing_hints=True) == (HERE / "everything.yaml").read_text("utf-8")


def test_every_way_there_and_back_keeps_the_hash() -> None:
    schema = read()
    ways = [
        Schema.from_dict(from_yaml(schema.to_pretty_yaml())),
        Schema.from_dict(yaml.safe_load(schema.to_pretty_yaml(remove_defaults=False))),
        Schema.from_dict(json.loads(schema.to_pretty_json())),
        schema.clone(),
        Schema.from_stored_schema(schema.to_dict()),
    ]
    assert {way.version_hash for way in ways} == {DOCUMENT["version_hash"]}


def test_putting_a_table_in_again_changes_nothing_and_differs_in_nothing() -> None:
    schema = read()
    for name, table in DOCUMENT["tables"].items():
        assert diff_table(schema.tables[name], table)["columns"] == {}
        schema.update_table(copy.deepcopy(table), normalize_identifiers=False)
    assert not schema.is_modified
    schema.update_schema(read())
    assert not schema.is_modified
    assert schema.unify_schemas([read()]).version_hash == DOCUMENT["version_hash"]
