"""Refresh: what is dropped or emptied, what is forgotten, what is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.base import ValueErrorWithKnownValues
from tests.e2e.project import rows


def pipeline(**settings: Any) -> headrace.Pipeline:
    return headrace.pipeline("shop", **{"destination": "duckdb", "dataset_name": "raw", **settings})


@headrace.source(name="zoo")
def zoo(new: bool = False) -> Any:
    @headrace.resource(name="animals")
    def animals() -> Any:
        state = headrace.current.resource_state()
        state["runs"] = state.get("runs", 0) + 1
        yield {"legs" if new else "wings": state["runs"], "l": [1]}

    @headrace.resource(name="plants")
    def plants() -> Any:
        state = headrace.current.resource_state()
        state["runs"] = state.get("runs", 0) + 1
        yield {"leaves": state["runs"]}

    return animals, plants


def tables(p: headrace.Pipeline) -> set[str]:
    with p.sql_client() as client:
        found = client.execute_sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'raw'")
    return {name for (name,) in found or () if not name.startswith("_")}


@pytest.fixture
def loaded(project: Path) -> headrace.Pipeline:
    p = pipeline()
    p.run(zoo())
    p.run(headrace.resource([{"id": 1}], name="other"), schema=headrace.Schema("elsewhere"))
    return p


def test_drop_sources(loaded: headrace.Pipeline) -> None:
    loaded.run(zoo(new=True).with_resources("animals"), refresh="drop_sources")
    assert tables(loaded) == {"animals", "animals__l", "other"}
    assert rows(loaded, "animals", "legs") == [(1,)]
    assert rows(loaded, "animals__l", "value") == [(1,)]
    assert "plants" not in loaded.schemas["zoo"].tables
    assert list(loaded.state["sources"]["zoo"]["resources"]) == ["animals"]
    versions = rows(loaded, "_dlt_version", "schema_name")
    assert versions.count(("zoo",)) == 1, "older versions of the schema are erased"
    assert loaded.schemas["zoo"].stored_version == 2
    assert loaded.last_trace is not None
    info = loaded.last_trace.last_load_info
    assert info is not None
    package = info.load_packages[0]
    assert package.refresh == "drop_sources"
    assert sorted(package.dropped_tables) == ["animals", "animals__l", "plants"]
    assert loaded.get_load_package_info(package.load_id).refresh == "drop_sources"


def test_drop_resources(loaded: headrace.Pipeline) -> None:
    loaded.run(zoo(new=True).with_resources("animals"), refresh="drop_resources")
    assert tables(loaded) == {"animals", "animals__l", "plants", "other"}
    assert rows(loaded, "animals", "legs") == [(1,)]
    assert "wings" not in loaded.schemas["zoo"].tables["animals"]["columns"]
    assert loaded.state["sources"]["zoo"]["resources"] == {"animals": {"runs": 1}, "plants": {"runs": 1}}


def test_drop_data(loaded: headrace.Pipeline) -> None:
    loaded.run(zoo(new=True).with_resources("animals"), refresh="drop_data")
    assert rows(loaded, "animals", "wings, legs") == [(None, 1)]
    assert rows(loaded, "animals__l", "value") == [(1,)]
    assert rows(loaded, "plants", "leaves") == [(1,)]
    assert loaded.state["sources"]["zoo"]["resources"]["animals"] == {"runs": 1}


def test_it_may_be_set_for_every_run(project: Path) -> None:
    for _ in range(2):
        p = pipeline(refresh="drop_sources")
        p.run(zoo())
    assert rows(p, "animals", "wings") == [(1,)]


def test_a_first_run_has_nothing_to_refresh(project: Path) -> None:
    p = pipeline()
    p.run(zoo(), refresh="drop_sources")
    assert rows(p, "plants", "leaves") == [(1,)]


def test_the_tables_stay_until_the_new_data_is_loaded(loaded: headrace.Pipeline) -> None:
    loaded.extract(zoo(new=True), refresh="drop_sources")
    assert rows(loaded, "plants", "leaves") == [(1,)]
    loaded.run()
    assert rows(loaded, "animals", "legs") == [(1,)]


def test_unknown_modes_are_refused(project: Path) -> None:
    with pytest.raises(ValueErrorWithKnownValues):
        pipeline().run(zoo(), refresh="drop_everything")  # type: ignore[arg-type]
