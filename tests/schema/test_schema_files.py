"""Schema files written by real releases of dlt load here as they load in dlt 1.31: same version, hash and history."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

import headrace as dlt
from headrace.model.schema import Schema

FILES = Path(__file__).with_name("old_schemas")
# what dlt 1.31 says of each file: version, hash, previous hashes
EXPECTED: dict[str, list[Any]] = json.loads((FILES / "expected.json").read_text("utf-8"))


def read(name: str) -> dict[str, Any]:
    text = (FILES / name).read_text("utf-8")
    found: dict[str, Any] = json.loads(text) if name.endswith("json") else yaml.safe_load(text)
    return found


@pytest.mark.parametrize("name", EXPECTED)
def test_files_of_dlt_load_as_in_dlt(name: str) -> None:
    schema = Schema.from_dict(read(name))
    assert [schema.version, schema.version_hash, schema.previous_hashes] == EXPECTED[name]


@pytest.mark.parametrize("name", ["dlt_1.31.0.yaml", "dlt_1.31.0.json"])
def test_a_file_is_written_again_byte_for_byte(name: str) -> None:
    schema = Schema.from_dict(read(name))
    if name.endswith("yaml"):
        assert schema.to_pretty_yaml() == (FILES / name).read_text("utf-8")
    else:
        assert json.loads(schema.to_pretty_json(remove_defaults=False)) == read(name)


# ---- import and export folders of a pipeline ------------------------------------------------------------------------


@dlt.source(name="shop")
def shop() -> Any:
    item = {"id": 1, "Name": "a", "tags": ["x"], "raw": {"k": [1]}}
    columns: Any = {"raw": {"data_type": "json"}}
    yield dlt.resource([item], name="orders", primary_key="id", write_disposition="merge", columns=columns)


def pipeline(folder: Path) -> dlt.Pipeline:
    return dlt.pipeline(
        "files",
        str(folder / "work"),
        destination=dlt.destinations.duckdb(str(folder / "d.duckdb")),
        dataset_name="d",
        import_schema_path=str(folder / "import"),
        export_schema_path=str(folder / "export"),
    )


def edit(path: Path, **columns: Any) -> None:
    document = yaml.safe_load(path.read_text("utf-8"))
    document["tables"]["orders"]["columns"].update(columns)
    path.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")


def test_the_import_file_is_what_the_source_declared_and_the_export_what_came(tmp_path: Path) -> None:
    p = pipeline(tmp_path)
    p.run(shop())
    imported = yaml.safe_load((tmp_path / "import/shop.schema.yaml").read_text("utf-8"))
    exported = yaml.safe_load((tmp_path / "export/shop.schema.yaml").read_text("utf-8"))
    assert "x-normalizer" not in imported["tables"]["orders"]
    assert list(imported["tables"]["orders"]["columns"]) == ["raw", "id"]
    assert Schema.from_dict(exported).version_hash == p.schemas["shop"].version_hash
    assert "name" in exported["tables"]["orders"]["columns"]


def test_an_edited_import_file_replaces_the_schema_once(tmp_path: Path) -> None:
    p = pipeline(tmp_path)
    p.run(shop())
    before = p.schemas["shop"].version_hash
    edit(
        tmp_path / "import/shop.schema.yaml",
        name={"data_type": "text", "description": "said"},
        extra={"data_type": "double"},
    )
    p.run(shop())
    schema = p.schemas["shop"]
    # as dlt 1.31: declared columns keep their places, those of data come behind
    assert list(schema.tables["orders"]["columns"]) == ["raw", "name", "extra", "id", "_dlt_load_id", "_dlt_id"]
    assert schema.tables["orders"]["columns"]["name"]["description"] == "said"
    assert before in schema.previous_hashes
    version = schema.version
    p.run(shop())
    assert p.schemas["shop"].version == version
    # another process comes to the same
    assert pipeline(tmp_path).schemas["shop"].version_hash == schema.version_hash


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    p = pipeline(tmp_path)
    p.run(shop())
    file = tmp_path / "import/shop.schema.yaml"
    for text in ("a: [", "- 1"):
        file.write_text(text, "utf-8")
        with pytest.raises(Exception, match=r"import/shop\.schema\.yaml") as caught:
            p.run(shop())
        assert "mend the file" in str(caught.value)
    file.unlink()
    p.run(shop())


def test_marks_of_runs_in_an_import_file_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    p = pipeline(tmp_path)
    p.run(shop())
    shutil.copy(tmp_path / "export/shop.schema.yaml", tmp_path / "import/shop.schema.yaml")
    with caplog.at_level(logging.WARNING, "headrace"):
        p.run(shop())
    assert "x-normalizer" in caplog.text


def test_json_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEMAS__EXTERNAL_SCHEMA_FORMAT", "json")
    pipeline(tmp_path).run(shop())
    assert (tmp_path / "import/shop.schema.json").is_file()
    assert json.loads((tmp_path / "export/shop.schema.json").read_text("utf-8"))["name"] == "shop"


@pytest.mark.parametrize("mode", ["drop_sources", "drop_resources"])
def test_a_refresh_makes_the_tables_as_the_edited_import_file_declares_them(tmp_path: Path, mode: Any) -> None:
    pipeline(tmp_path).run(shop())
    edit(tmp_path / "import/shop.schema.yaml", id={"name": "id", "data_type": "text", "nullable": False})
    p = pipeline(tmp_path)
    info = p.run(shop(), refresh=mode)
    assert p.default_schema.tables["orders"]["columns"]["id"]["data_type"] == "text"
    assert "orders" in info.load_packages[0].dropped_tables
    assert p.dataset().orders.select("id").fetchall() == [("1",)]


def test_a_source_asks_for_root_keys_whatever_the_disposition(tmp_path: Path) -> None:
    @dlt.source(root_key=True)
    def zoo() -> Any:
        yield dlt.resource([{"id": 1, "a": [{"b": [{"c": 1}]}]}], name="animals")

    p = pipeline(tmp_path)
    p.run(zoo())
    tables = p.default_schema.tables
    assert tables["animals__a__b"]["columns"]["_dlt_root_id"]["root_key"]
    propagated = p.default_schema.normalizers["json"]["config"]["propagation"]["tables"]  # type: ignore[index]
    assert propagated == {"animals": {"_dlt_id": "_dlt_root_id"}}
    data = p.dataset()
    assert data.animals__a__b.select("_dlt_root_id").fetchall() == data.animals.select("_dlt_id").fetchall()
