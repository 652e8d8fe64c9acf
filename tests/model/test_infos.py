"""Infos keep the field's shapes in `asdict`, and say in `str` what a person wants to know."""

from __future__ import annotations

import pickle
import subprocess
import sys

import infoparts as parts
import pytest

from headrace.errors.destination import DestinationHasFailedJobs
from headrace.errors.masking import without_secrets
from headrace.model.infos import (
    DataWriterAndCustomMetrics,
    DataWriterMetrics,
    LoadInfo,
    ParsedLoadJobFileName,
    PipelineRef,
    describe_hints,
)
from headrace.model.jobs import LoadFile
from headrace.model.metrics import EMPTY_METRICS, dataset_outputs, table_metrics
from headrace.model.wording import human_bytes

COMMON = ["loads_ids", "load_packages", "first_run"]


def test_load_info_has_the_keys_in_the_order_of_the_field():
    assert list(parts.load_info().asdict()) == [
        "pipeline",
        "destination_type",
        "destination_displayable_credentials",
        "destination_name",
        "environment",
        "staging_type",
        "staging_name",
        "staging_displayable_credentials",
        "destination_fingerprint",
        "dataset_name",
        *COMMON,
        "started_at",
        "finished_at",
        "job_metrics",
        "outputs",
        "row_changes",
    ]


def test_package_dict_lists_jobs_flat_and_tables_with_their_columns():
    [package] = parts.load_info().asdict()["load_packages"]
    assert list(package) == [
        "load_id",
        "package_path",
        "state",
        "completed_at",
        "jobs",
        "refresh",
        "dropped_tables",
        "truncated_tables",
        "has_pending_transitions",
        "schema_hash",
        "schema_name",
        "schema_migrated",
        "tables",
    ]
    assert list(package["jobs"][0]) == [
        "state",
        "file_path",
        "file_size",
        "created_at",
        "elapsed",
        "failed_message",
        "table_name",
        "file_id",
        "retry_count",
        "file_format",
        "is_compressed",
        "job_id",
    ]
    [table] = package["tables"]
    assert (table["schema_name"], table["load_id"], table["name"]) == ("shop", parts.LOAD_ID, "users")
    assert table["columns"][0] == {
        "name": "id",
        "data_type": "bigint",
        "nullable": False,
        "primary_key": True,
        "table_name": "users",
        "schema_name": "shop",
        "load_id": parts.LOAD_ID,
    }
    assert package["schema_migrated"] is True
    assert isinstance(parts.USERS["columns"], dict), "the schema itself is left as it was"


def test_extract_info_rows_carry_load_id_and_index():
    fields = parts.extract_info().asdict()
    assert list(fields) == [
        "pipeline",
        *COMMON,
        "started_at",
        "finished_at",
        "job_metrics",
        "table_metrics",
        "resource_metrics",
        "dag",
        "hints",
        "inputs",
    ]
    assert list(fields["job_metrics"][0]) == [
        "file_path",
        "items_count",
        "file_size",
        "created",
        "last_modified",
        "load_id",
        "extract_idx",
        "job_id",
        "table_name",
    ]
    resource = fields["resource_metrics"][0]
    assert resource["incremental"] == [{"x": 1}]
    assert resource["custom_metrics"] == {"n": 1}
    assert fields["dag"] == [
        {"load_id": parts.LOAD_ID, "extract_idx": 0, "parent_name": "users", "resource_name": "users"}
    ]
    assert isinstance(fields["hints"][0]["columns"], str)
    assert fields["hints"][0]["original_columns"] == "dict"


def test_normalize_info_counts_rows_by_table():
    info = parts.normalize_info()
    assert info.row_counts == {"users": 3, "users__tags": 6}
    assert list(info.asdict())[-2:] == ["job_metrics", "table_metrics"]


def test_an_empty_load_has_no_times_and_says_so():
    info = parts.load_info()._replace(metrics={}, loads_ids=[], load_packages=[])
    assert info.is_empty
    assert info.started_at is None
    assert "started_at" not in info.asdict()
    assert "nothing to load" in str(info)


def test_text_of_a_load_names_pipeline_package_destination_rows_and_changes():
    text = parts.load_info().asstr(verbosity=1)
    for part in (
        "shop",
        parts.LOAD_ID,
        "duckdb:///shop.duckdb",
        "raw",
        "3 rows",
        "2.0 kB",
        "1.50 s",
        "new table users",
    ):
        assert part in text
    assert "_dlt_pipeline_state" not in str(parts.load_info())
    assert "users.aa.arrow" in parts.load_info().asstr(verbosity=2)


def test_text_of_a_load_never_shows_a_password():
    text = parts.load_info(credentials="postgresql://loader:sesame@db:5432/shop?password=sesame").asstr(2)
    assert "sesame" not in text
    assert "loader" in text


def test_failed_jobs_are_said_and_raised():
    failed = parts.job("users", "aa", "failed_jobs", "column `id` is too long\nmore")
    info = parts.load_info(parts.package("loaded", failed_jobs=[failed]))
    assert info.has_failed_jobs
    assert "column `id` is too long" in str(info)
    assert "1 job FAILED" in str(info)
    with pytest.raises(DestinationHasFailedJobs, match=parts.LOAD_ID):
        info.raise_on_failed_jobs()


def test_an_aborted_package_counts_as_failed_and_a_good_one_does_not():
    assert parts.load_info(parts.package("aborted")).has_failed_jobs
    good = parts.load_info()
    good.raise_on_failed_jobs()
    assert not good.has_failed_jobs


@pytest.mark.parametrize(
    ("name", "table", "retry", "file_format", "gz"),
    [
        ("users.ab12.0.jsonl.gz", "users", 0, "jsonl", True),
        ("users__tags.ab12.3.insert_values", "users__tags", 3, "insert_values", False),
        ("a/b/users.ab12.parquet", "users", 0, "parquet", False),
        ("x.y.ab12.1.typed-jsonl", "x.y", 1, "typed-jsonl", False),
    ],
)
def test_job_file_names_are_taken_apart(name: str, table: str, retry: int, file_format: str, gz: bool):
    parsed = ParsedLoadJobFileName.parse(name)
    assert (parsed.table_name, parsed.retry_count, parsed.file_format, parsed.is_compressed) == (
        table,
        retry,
        file_format,
        gz,
    )
    assert parsed.with_retry().retry_count == retry + 1
    assert parsed.job_id() == parsed.with_retry().job_id()


def test_metrics_add_up_and_keep_what_steps_measured():
    one = DataWriterMetrics("a", 1, 10, 5.0, 6.0)
    two = DataWriterMetrics("b", 2, 20, 4.0, 9.0)
    assert one + two == ("", 3, 30, 4.0, 9.0)
    assert EMPTY_METRICS + one == ("", 1, 10, 5.0, 6.0)
    custom = DataWriterAndCustomMetrics.extended(one, {"n": 7})
    assert (custom + two).custom_metrics == {"n": 7}
    assert pickle.loads(pickle.dumps(custom)).custom_metrics == {"n": 7}


def test_hints_become_storable_and_saying_them_twice_changes_nothing():
    said = describe_hints(
        {"columns": [{"name": "a", "data_type": "bigint"}], "table_name": lambda i: "t", "merge_key": None}
    )
    assert said["original_columns"] == "list"
    assert said["table_name"] == "<lambda>"
    assert "merge_key" not in said
    assert describe_hints(said) == said


def test_rows_by_table_and_tables_by_resource_come_from_the_files():
    schema = parts.package().schema
    files = [LoadFile(id=i, table="users", path="f", format="arrow", rows=2, size=10) for i in "ab"]
    assert table_metrics(files)["users"][1:3] == (4, 20)
    [output] = dataset_outputs({"users"}, schema, dataset_name="raw", location="x.duckdb", destination_name="duckdb")
    assert (output["resource_name"], output["tables"], output["physical_dataset_name"]) == ("users", ["users"], "raw")
    assert output["schemas"] == [{"name": "shop", "version_hash": schema.stored_version_hash}]


def test_sizes_and_secrets_in_words():
    assert [human_bytes(n) for n in (0, 1023, 1536, 5 * 1024**3)] == ["0 B", "1023 B", "1.5 kB", "5.0 GB"]
    assert without_secrets("s3://bucket/path") == "s3://bucket/path"
    assert "abc" not in without_secrets("md:db?motherduck_token=abc")


def test_infos_are_named_tuples():
    assert isinstance(parts.load_info(), tuple)
    assert LoadInfo._fields[:3] == ("pipeline", "metrics", "destination_type")
    assert PipelineRef("x").pipeline_name == "x"


def test_importing_infos_and_traces_loads_nothing_heavy():
    heavy = ("pyarrow", "duckdb", "sqlglot", "numpy", "tqdm", "rich")
    code = f"import sys, headrace.model.trace, headrace.bus.bus; print([m for m in {heavy} if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
