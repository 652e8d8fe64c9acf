"""The configurations of the rooms have dlt's fields and defaults and are found in its sections."""

from __future__ import annotations

import pytest

from headrace.config import ConnectionStringCredentials, configspec, known, run_context
from headrace.config.current import set_pipeline_name


def test_defaults_are_those_of_dlt() -> None:
    extract = dict(known.extract_settings())
    assert extract.pop("checkpoint_rows") is None and extract.pop("checkpoint_seconds") is None  # dlt has none
    assert extract == {
        "max_parallel_items": 20,
        "workers": 5,
        "futures_poll_interval": 0.01,
        "copy_on_fork": False,
        "next_item_mode": "round_robin",
    }
    load = known.load_settings()
    assert (load.workers, load.raise_on_failed_jobs, load.raise_on_max_retries) == (20, True, 5)
    assert not load.delete_completed_jobs and not load.truncate_staging_dataset and load.pool_type == "thread"
    normalize = known.normalize_settings()
    assert dict(normalize.json_normalizer) == {"add_dlt_id": True, "add_dlt_load_id": True}
    assert dict(normalize.parquet_normalizer) == {"add_dlt_id": False, "add_dlt_load_id": False}
    runtime = known.runtime_settings()
    assert (runtime.log_level, runtime.request_timeout, runtime.request_max_attempts) == ("WARNING", 60, 5)
    assert not runtime.dlthub_telemetry


@pytest.mark.parametrize(
    ("name", "read", "value"),
    [
        ("EXTRACT__WORKERS", lambda: known.extract_settings("m", "n").workers, 7),
        ("SOURCES__M__N__EXTRACT__WORKERS", lambda: known.extract_settings("m", "n").workers, 7),
        ("SOURCES__N__EXTRACT__WORKERS", lambda: known.extract_settings("m", "n").workers, 7),
        ("NORMALIZE__WORKERS", lambda: known.normalize_settings().workers, 7),
        ("WORKERS", lambda: known.normalize_settings().workers, 7),
        ("LOAD__WORKERS", lambda: known.load_settings().workers, 7),
        ("PIPE__LOAD__WORKERS", lambda: known.load_settings().workers, 7),
        ("RUNTIME__REQUEST_MAX_ATTEMPTS", lambda: known.runtime_settings().request_max_attempts, 7),
        ("DATA_WRITER__FILE_MAX_ITEMS", lambda: known.data_writer_settings("normalize").file_max_items, 7),
        ("NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS", lambda: known.data_writer_settings("normalize").file_max_items, 7),
        (
            "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID",
            lambda: known.normalize_settings().parquet_normalizer.add_dlt_load_id,
            True,
        ),
        ("PIPELINES__PIPE__DATASET_NAME", lambda: known.pipeline_settings("pipe").dataset_name, "1"),
        ("PIPE__DATASET_NAME", lambda: known.pipeline_settings("pipe").dataset_name, "1"),
        ("PIPELINES__PIPE__RUNTIME__LOG_LEVEL", lambda: known.pipeline_settings("pipe").runtime.log_level, "1"),
        ("SOURCES__SHOP__SCHEMA__NAMING", lambda: known.schema_settings("shop").naming, "1"),
        ("SCHEMA__NAMING", lambda: known.schema_settings("shop").naming, "1"),
    ],
)
def test_settings_are_found_in_their_sections(name, read, value, monkeypatch) -> None:
    set_pipeline_name("pipe")
    monkeypatch.setenv(name, "1" if value in ("1", True) else str(value))
    assert read() == value


def test_a_variable_that_happens_to_have_a_sections_name_does_no_harm(monkeypatch) -> None:
    for name in ("LOAD", "EXTRACT", "RUNTIME", "NORMALIZE", "SCHEMA", "DESTINATION"):
        monkeypatch.setenv(name, "whatever")
    assert known.load_settings().workers == 20 and known.extract_settings().workers == 5
    assert known.runtime_settings().log_level == "WARNING"


def test_named_destinations_have_sections_of_their_own(monkeypatch, write_toml) -> None:
    @configspec
    class Config(known.DwhConfiguration):
        credentials: ConnectionStringCredentials = None

    write_toml(
        "secrets.toml",
        "[destination.prod]\ndestination_type = 'postgres'\ncredentials = 'pg://h1/d'\n"
        "replace_strategy = 'insert-from-staging'\n"
        "[destination.postgres.credentials]\ndrivername = 'pg'\nhost = 'h2'\n",
    )
    prod = known.destination_settings(Config(), "prod")
    assert (prod.credentials.host, prod.replace_strategy) == ("h1", "insert-from-staging")
    assert known.destination_settings(Config(), "postgres").credentials.host == "h2"
    assert known.named_destination_type("prod") == "postgres" and known.named_destination_type("nope") is None
    given = known.destination_settings(Config(), "prod", {"credentials": "pg://h3/d", "dataset_name": "ds"})
    assert (given.credentials.host, given.dataset_name) == ("h3", "ds")
    assert prod.fingerprint() and prod.fingerprint() != given.fingerprint()


def test_the_old_name_of_dev_mode_counts(monkeypatch) -> None:
    monkeypatch.setenv("FULL_REFRESH", "true")
    assert known.pipeline_settings("pipe").dev_mode is True


def test_folders_follow_the_environment(monkeypatch, tmp_path) -> None:
    context = run_context.current()
    home = str(tmp_path / "home")
    assert (context.run_dir, context.local_dir) == (".", ".")
    assert context.global_dir == context.data_dir == f"{home}/.headrace"
    monkeypatch.setenv("DLT_DATA_DIR", "/a")
    monkeypatch.setenv("DLT_LOCAL_DIR", "/l")
    monkeypatch.setenv("DLT_PROJECT_DIR", "/p")
    assert (context.data_dir, context.local_dir, context.settings_dir) == ("/a", "/l", "/p/.dlt")
    assert run_context.get_pipelines_dir() == "/a/pipelines"
    monkeypatch.setenv("HEADRACE_DATA_DIR", "/b")
    assert context.get_data_entity("pipelines") == "/b/pipelines"
    assert context.get_setting("x.toml") == "/p/.dlt/x.toml" and context.uri == "file:///p"


def test_the_users_folder_may_be_where_xdg_says(tmp_path) -> None:
    run_context._home_dir.cache_clear()
    home = tmp_path / "somebody"
    home.mkdir()
    assert run_context._home_dir("headrace", str(home), None) == f"{home}/.headrace"
    assert run_context._home_dir("headrace", str(home), "/xdg") == "/xdg/headrace"
    (home / ".dlt").mkdir()
    assert run_context._home_dir("dlt", str(home), "/xdg") == f"{home}/.dlt"
