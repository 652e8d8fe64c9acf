"""Append, replace and merge, with nested tables, over several runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.destination import DestinationIncompatibleLoaderFileFormatException
from headrace.errors.pipeline import PipelineStepFailed
from tests.e2e.project import rows


def pipeline(**settings: Any) -> headrace.Pipeline:
    return headrace.pipeline("shop", destination="duckdb", dataset_name="raw", **settings)


def test_first_run_makes_tables_and_records(project: Path) -> None:
    p = pipeline()
    info = p.run([{"id": 1, "items": [{"sku": "a"}, {"sku": "b"}]}], table_name="orders")
    assert info is not None
    assert (info.first_run, info.has_failed_jobs, len(info.loads_ids)) == (True, False, 1)
    assert info.dataset_name == "raw"
    assert (project / "shop.duckdb").is_file()
    assert rows(p, "orders", "id") == [(1,)]
    assert rows(p, "orders__items", "sku, _dlt_list_idx") == [("a", 0), ("b", 1)]
    assert rows(p, "_dlt_loads", "load_id, schema_name, status") == [(info.loads_ids[0], "shop", 0)]
    assert rows(p, "_dlt_version", "schema_name, version_hash") == [("shop", p.default_schema.stored_version_hash)]
    assert rows(p, "_dlt_pipeline_state", "version, pipeline_name, _dlt_load_id") == [(1, "shop", info.loads_ids[0])]


def test_append_adds(project: Path) -> None:
    p = pipeline()
    for n in range(3):
        p.run([{"id": n}], table_name="t")
    assert rows(p, "t", "id") == [(0,), (1,), (2,)]
    assert len(rows(p, "_dlt_pipeline_state")) == 1, "the state did not change, so it is not written again"


def test_replace_puts_in_place_of_all_nested_rows_too(project: Path) -> None:
    p = pipeline()
    p.run([{"id": 1, "l": [1, 2]}], table_name="t", write_disposition="replace")
    p.run([{"id": 2, "l": [3]}], table_name="t", write_disposition="replace")
    assert rows(p, "t", "id") == [(2,)]
    assert rows(p, "t__l", "value") == [(3,)]


def test_replace_without_rows_empties(project: Path) -> None:
    p = pipeline()
    p.run([{"id": 1, "l": [1, 2]}], table_name="t", write_disposition="replace")
    info = p.run([], table_name="t", write_disposition="replace")
    assert info is not None
    assert not info.is_empty
    assert rows(p, "t") == rows(p, "t__l") == []


def test_merge_updates_by_key(project: Path) -> None:
    p = pipeline()
    hints: dict[str, Any] = {"table_name": "t", "write_disposition": "merge", "primary_key": "id"}
    p.run([{"id": 1, "v": "a", "l": [1, 2]}, {"id": 2, "v": "b", "l": []}], **hints)
    p.run([{"id": 1, "v": "c", "l": [3]}, {"id": 3, "v": "d", "l": []}], **hints)
    assert rows(p, "t", "id, v") == [(1, "c"), (2, "b"), (3, "d")]
    assert rows(p, "t__l", "value") == [(3,)]


@pytest.mark.parametrize("strategy", ["upsert", "insert-only"])
def test_row_ids_follow_from_the_key_from_the_first_load_on(project: Path, strategy: str) -> None:
    p = pipeline()
    hints: dict[str, Any] = {"write_disposition": {"disposition": "merge", "strategy": strategy}, "primary_key": "id"}
    p.run([{"id": 1, "l": [1, 2]}, {"id": 2, "l": [3]}], table_name="t", **hints)
    # the ids are those that dlt 1.31 makes
    assert rows(p, "t", "id, _dlt_id") == [(1, "z5jIxXIbUnmbKw"), (2, "M6/KlLzJ2FeV/w")]
    assert rows(p, "t__l", "value") == [(1,), (2,), (3,)]
    p.run([{"id": 2, "l": [4]}, {"id": 3, "l": [5]}], table_name="t", **hints)
    assert rows(p, "t__l", "value") == [(1,), (2,), (4,) if strategy == "upsert" else (3,), (5,)]


def test_a_merge_that_lacks_its_key_fails_at_once_and_blocks_nothing(project: Path) -> None:
    p = pipeline()
    hints: dict[str, Any] = {"table_name": "t", "write_disposition": {"disposition": "merge", "strategy": "upsert"}}
    with pytest.raises(PipelineStepFailed, match="`t` has no primary key") as failed:
        p.run([{"id": 1}], **hints)
    assert "tried" not in str(failed.value)
    assert not p.has_pending_data
    p.run([{"id": 2}], primary_key="id", **hints)
    assert rows(p, "t", "id") == [(2,)]


def test_skip_loads_nothing(project: Path) -> None:
    p = pipeline()
    p.run([{"id": 1}], table_name="t", write_disposition="skip")
    assert rows(p, "t") == []


def test_an_unknown_format_is_refused_before_anything_is_read(project: Path) -> None:
    p = pipeline()
    with pytest.raises(DestinationIncompatibleLoaderFileFormatException, match="does not load `csvx` files"):
        p.run([{"id": 1}], table_name="t", loader_file_format="csvx")  # type: ignore[arg-type]
    assert not p.has_data


def test_an_idle_run_makes_no_package(project: Path) -> None:
    p = pipeline()
    p.run([{"id": 1}], table_name="t")
    before = p.state
    info = p.run([], table_name="t")
    assert info is not None
    assert (info.is_empty, list(info.loads_ids), info.first_run) == (True, [], False)
    assert p.state == before
    assert p.run() is None


def test_an_empty_first_run_still_leaves_the_state(project: Path) -> None:
    p = pipeline()
    info = p.run([], table_name="t")
    assert info is not None
    assert len(info.loads_ids) == 1
    assert len(rows(p, "_dlt_pipeline_state")) == 1


def test_several_sources_in_one_run(project: Path) -> None:
    @headrace.source
    def one() -> Any:
        yield headrace.resource([{"a": 1}], name="x")

    @headrace.source
    def two() -> Any:
        yield headrace.resource([{"b": 1}], name="y")

    p = pipeline()
    info = p.run([one(), two()])
    assert info is not None
    assert len(info.loads_ids) == 2
    assert p.schema_names == ["one", "two"]
    assert p.default_schema_name == "one"
    assert rows(p, "x", "a") == rows(p, "y", "b") == [(1,)]


def test_schema_evolves(project: Path) -> None:
    p = pipeline()
    p.run([{"id": 1}], table_name="t")
    first = p.default_schema.stored_version_hash
    p.run([{"id": 2, "name": "x", "l": [{"a": 1}]}, {"id": "z"}], table_name="t")
    assert rows(p, "t", "id, id__v_text, name") == [(1, None, None), (2, None, "x"), (None, "z", None)]
    assert rows(p, "t__l", "a") == [(1,)]
    assert first in p.default_schema.previous_hashes
    assert len(rows(p, "_dlt_version")) == 2


@pytest.mark.parametrize("file_format", ["parquet", "jsonl", "insert_values"])
def test_loader_file_formats(project: Path, file_format: Any) -> None:
    p = pipeline()
    p.run([{"id": 1, "d": {"x": "y"}}], table_name="t", loader_file_format=file_format)
    assert rows(p, "t", "id, d__x") == [(1, "y")]


def test_row_counts_are_told(project: Path) -> None:
    p = pipeline()
    p.run([{"id": 1, "l": [1, 2]}], table_name="t")
    trace = p.last_trace
    assert trace is not None
    assert trace.last_extract_info is not None
    assert trace.last_normalize_info is not None
    assert trace.last_extract_info.row_counts["t"] == 1
    assert trace.last_normalize_info.row_counts == {"t": 1, "t__l": 2, "_dlt_pipeline_state": 1}
    assert [step.step for step in trace.steps] == ["extract", "normalize", "load", "run"]


def test_frames_are_loaded(project: Path) -> None:
    import pandas as pd

    p = pipeline()
    p.run(pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), table_name="t")
    assert rows(p, "t", "a, b") == [(1, "x"), (2, "y")]


def test_datasets_read_back(project: Path) -> None:
    p = pipeline()
    p.run([{"id": 1}, {"id": 2}], table_name="t")
    assert p.dataset().t.select("id").fetchall() == [(1,), (2,)]
    assert p.dataset().row_counts().fetchall() == [("t", 2)]


@pytest.mark.parametrize("hint", [{"hard_delete": True}, {"dedup_sort": "desc"}])
def test_a_hinted_column_that_was_only_none_so_far_is_no_hint_yet(project: Path, hint: dict[str, Any]) -> None:
    """A declared column without a type is not in the table; merging does without it until it has one."""

    @headrace.resource(primary_key="id", write_disposition="merge", columns={"gone": hint})
    def people(stamps: list[str | None]) -> Any:
        yield [{"id": at, "gone": stamp} for at, stamp in enumerate(stamps)]

    p = pipeline()
    p.run(people([None, None]))
    assert rows(p, "people", "id") == [(0,), (1,)]
    p.run(people([None, "2024-05-01"]))
    assert rows(p, "people", "id") == ([(0,)] if "hard_delete" in hint else [(0,), (1,)])


def test_a_dataset_is_readable_on_a_machine_that_never_ran_the_pipeline(project: Path) -> None:
    pipeline().run([{"id": 1}], table_name="t")
    elsewhere = pipeline(pipelines_dir=str(project / "elsewhere"))
    assert elsewhere.dataset()["t"].fetchall()[0][0] == 1
    assert elsewhere.dataset("shop").schema.data_table_names() == ["t"]
    assert pipeline(pipelines_dir=str(project / "third")).dataset("other").schema.data_table_names() == []


def test_documents_on_the_way_to_a_list_do_not_count_for_what_is_in_it(project: Path) -> None:
    p = pipeline()

    @headrace.source(max_table_nesting=2)
    def deep() -> Any:
        return headrace.resource([{"a": {"b": [{"c": [{"d": [1]}]}]}}], name="t")

    p.run(deep())
    # as dlt 1.31 has it
    assert rows(p, "t__a__b__c", "d::VARCHAR") == [("[1]",)]
