"""Schemas of a pipeline: contracts, import and export, pushing to the destination."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.pipeline import PipelineStepFailed
from tests.e2e.project import rows


def pipeline(**settings: Any) -> headrace.Pipeline:
    return headrace.pipeline("shop", **{"destination": "duckdb", "dataset_name": "raw", **settings})


@pytest.fixture
def as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEMAS__EXTERNAL_SCHEMA_FORMAT", "json")


def test_a_frozen_table_refuses_new_columns(project: Path) -> None:
    p = pipeline()
    p.run([{"id": 1}], table_name="t")
    before = p.default_schema.stored_version_hash
    with pytest.raises(PipelineStepFailed):
        p.run([{"id": 2, "new": 1}], table_name="t", schema_contract="freeze")
    assert pipeline().default_schema.stored_version_hash is not None
    assert "new" not in pipeline().default_schema.tables["t"]["columns"]
    assert before is not None
    assert rows(p, "t", "id") == [(1,)]


def test_values_may_be_let_go(project: Path) -> None:
    p = pipeline()
    p.run([{"id": 1}], table_name="t")
    p.run([{"id": 2, "new": 1}], table_name="t", schema_contract={"columns": "discard_value"})
    p.run([{"id": 3, "new": 1}, {"id": 4}], table_name="t", schema_contract={"columns": "discard_row"})
    assert rows(p, "t", "id") == [(1,), (2,), (4,)]


def test_schemas_are_exported_on_change(project: Path, as_json: None) -> None:
    p = pipeline(export_schema_path=str(project / "out"))
    p.run([{"id": 1}], table_name="t")
    exported = json.loads((project / "out" / "shop.schema.json").read_text())
    assert exported["tables"]["t"]["columns"]["id"]["data_type"] == "bigint"


def test_an_edited_import_file_decides(project: Path, as_json: None) -> None:
    p = pipeline(import_schema_path=str(project / "in"))
    p.run([{"id": 1, "at": "x"}], table_name="t")
    path = project / "in" / "shop.schema.json"
    document = json.loads(path.read_text())
    assert "x-normalizer" not in document["tables"].get("t", {})
    document["tables"]["u"] = {"columns": {"id": {"data_type": "text", "nullable": False}}}
    path.write_text(json.dumps(document))
    again = pipeline(import_schema_path=str(project / "in"))
    again.run([{"id": 5}], table_name="u")
    assert rows(again, "u", "id") == [("5",)]
    again.run([{"id": 2, "at": "y"}], table_name="t")
    assert rows(again, "t", "id") == [(1,), (2,)]


def test_data_without_a_source_goes_to_the_default_schema(project: Path) -> None:
    @headrace.source(name="zoo")
    def zoo() -> Any:
        yield headrace.resource([{"a": 1}], name="x")

    p = pipeline()
    p.run(zoo())
    p.run([{"id": 1}], table_name="t")
    assert p.schema_names == ["zoo"]
    assert "t" in p.default_schema.tables


def test_a_schema_can_be_pushed(project: Path) -> None:
    p = pipeline()
    p.run([{"id": 1}], table_name="t")
    p.default_schema.update_table({"name": "t", "columns": {"note": {"name": "note", "data_type": "text"}}})
    assert list(p.sync_schema()["t"]["columns"]) == ["note"]
    assert p.sync_schema() == {}
    assert rows(p, "t", "id, note") == [(1, None)]
    assert len(rows(p, "_dlt_version")) == 2


def test_what_was_set_stays_set(project: Path) -> None:
    """A later run that says nothing about contract and settings does not undo them."""
    p = pipeline()
    p.run([{"id": 1}], table_name="t", schema_contract={"columns": "discard_value"})
    p.default_schema.add_type_detection("timestamp")
    p.sync_schema()
    p.run([{"id": 2, "new": 1}], table_name="t")
    assert p.default_schema.settings["detections"] == ["iso_timestamp", "timestamp"]
    assert p.default_schema.settings["schema_contract"] == {"columns": "discard_value"}
    assert "new" not in p.default_schema.tables["t"]["columns"]


def test_the_schema_of_a_run_is_used(project: Path) -> None:
    p = pipeline()
    p.run([{"id": 1}], table_name="t", schema=headrace.Schema("special"))
    assert p.schema_names == ["special"]


def test_a_pipeline_name_may_be_no_schema_name(project: Path) -> None:
    p = headrace.pipeline("My Shop-2", destination="duckdb", dataset_name="Raw Data")
    p.run([{"id": 1}], table_name="t")
    assert p.default_schema_name == "my_shop_2"
    assert p.dataset_name == "Raw Data"
    assert p.dataset().dataset_name == "raw_data"


def test_two_datasets_for_two_schemas(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USE_SINGLE_DATASET", "false")

    @headrace.source
    def other() -> Any:
        yield headrace.resource([{"a": 1}], name="x")

    p = pipeline()
    p.run([{"id": 1}], table_name="t")
    p.run(other())
    with p.sql_client("other") as client:
        assert client.dataset_name == "raw_other"
        assert client.execute_sql("SELECT a FROM x") == [(1,)]
