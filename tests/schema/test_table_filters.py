"""Filters of tables: what paths of documents become no columns. What is expected was recorded with dlt 1.31."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

import headrace as dlt
from headrace.model.tables import new_table

KEYS = ("_dlt_id", "_dlt_load_id", "_dlt_parent_id", "_dlt_list_idx")


def load(folder: Path, items: list[Any], *tables: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Rows by table, without keys and nulls."""
    schema = dlt.Schema("filtered")
    for table in tables:
        schema.update_table({"columns": {}, **table})  # type: ignore[typeddict-item]

    @dlt.source(schema=schema)
    def filtered() -> Any:
        yield dlt.resource(items, name="ev")

    database = str(folder / "f.duckdb")
    pipeline = dlt.pipeline("filtered", str(folder), destination=dlt.destinations.duckdb(database), dataset_name="d")
    pipeline.run(filtered())
    found = {}
    with duckdb.connect(database) as con:
        for name in sorted(pipeline.default_schema.data_table_names()):
            rows = con.execute(f'SELECT * FROM d."{name}"').to_arrow_table().to_pylist()
            found[name] = [{k: v for k, v in row.items() if v is not None and k not in KEYS} for row in rows]
    return found


def test_names_and_expressions_speak_of_paths_below_the_table(tmp_path: Path) -> None:
    item = {
        "id": 1,
        "secret": {"ok": 1, "no": 2},
        "secret_x": 5,
        "plain": 3,
        "plainer": 4,
        "kids": [{"a": 1, "b": 2, "c": [1], "d": {"x": 1}}],
        "plain2": [1, 2],
    }
    filters = {"excludes": ["re:^secret", "plain", "re:^kids__b", "kids__d"], "includes": ["re:^secret__ok"]}
    assert load(tmp_path, [item], {"name": "ev", "filters": filters}) == {
        "ev": [{"id": 1, "secret__ok": 1, "plainer": 4}],
        "ev__kids": [{"a": 1, "d__x": 1}],
        "ev__kids__c": [{"value": 1}],
        "ev__plain2": [{"value": 1}, {"value": 2}],
    }


def test_filters_of_nested_tables_and_rows_of_which_nothing_is_left(tmp_path: Path) -> None:
    item = {"id": 1, "kids": [{"a": 1}], "more": [{"a": 1, "b": 2}], "x": [{"keep": 1, "no": 2}, {"no": 5}]}
    root = {"name": "ev", "filters": {"excludes": ["re:^kids$", "re:^more"], "includes": ["re:^more__a$"]}}
    nested = {"name": "ev__x", "parent": "ev", "filters": {"excludes": ["re:.*"], "includes": ["re:^keep"]}}
    assert load(tmp_path, [item], root, nested) == {
        "ev": [{"id": 1}],
        "ev__kids": [{"a": 1}],
        "ev__more": [{"a": 1}],
        "ev__x": [{"keep": 1}],
    }


def test_a_row_that_is_let_go_takes_its_nested_rows_along(tmp_path: Path) -> None:
    filters = {"excludes": ["re:.*"], "includes": ["re:^a$", "re:^l"]}
    rows = load(tmp_path, [{"a": 1, "b": 2, "l": [7]}, {"b": 3, "l": [8]}], {"name": "ev", "filters": filters})
    assert rows == {"ev": [{"a": 1}], "ev__l": [{"value": 7}]}


def test_a_table_of_which_nothing_is_left_is_not_made(tmp_path: Path) -> None:
    rows = load(tmp_path, [{"a": 1, "l": [{"b": 1}]}], {"name": "ev", "filters": {"excludes": ["re:^l"]}})
    assert rows == {"ev": [{"a": 1}]}


@pytest.mark.parametrize("kind", ["excludes", "includes"])
def test_filters_travel_with_the_document(kind: str) -> None:
    schema = dlt.Schema("s")
    schema.update_table({**new_table("t"), "filters": {kind: ["re:^x"]}})
    again = dlt.Schema.from_dict(schema.to_dict())
    assert again.tables["t"]["filters"] == {kind: ["re:^x"]}
    assert again.version_hash == schema.version_hash
