"""The destination that keeps nothing does what its settings say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.destination import (
    DestinationTerminalException,
    DestinationTransientException,
    LoadClientJobFailed,
    LoadClientJobRetry,
)
from headrace.testing import assert_load_failed, assert_load_ok


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "2")

    def run(**settings: Any) -> Any:
        destination = headrace.destinations.dummy(**settings)
        p = headrace.pipeline("p", destination=destination, dataset_name="ds", pipelines_dir=str(tmp_path))
        return p.run([headrace.resource([{"a": 1}], name=name) for name in ("one", "two")])

    return run


def test_accepts(run: Any) -> None:
    info = assert_load_ok(run(completed_prob=1.0))
    assert info.destination_type == "dlt.destinations.dummy"


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"fail_prob": 1.0}, LoadClientJobFailed),
        ({"fail_terminally_in_init": True}, LoadClientJobFailed),
        ({"timeout": 0.0}, LoadClientJobFailed),
        ({"retry_prob": 1.0}, LoadClientJobRetry),
        ({"exception_prob": 1.0, "completed_prob": 1.0}, LoadClientJobRetry),
        ({"fail_transiently_in_init": True}, LoadClientJobRetry),
        ({"fail_schema_update": True}, DestinationTerminalException),
        ({"fail_schema_update_transiently": True}, DestinationTransientException),
    ],
    ids=str,
)
def test_fails(run: Any, settings: dict[str, Any], kind: type[BaseException]) -> None:
    """The error names the setting that made it."""
    with assert_load_failed(kind, f"by the setting `{next(iter(settings))}`"):
        run(**settings)


def test_refuses_tables_by_name(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    info = run(fail_table_names=["two"])
    failed = [job.job_file_info.table_name for p in info.load_packages for job in p.jobs["failed_jobs"]]
    assert failed == ["two"]


def test_settings_come_from_the_configuration(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESTINATION__DUMMY__COMPLETED_PROB", "1.0")
    monkeypatch.setenv("DESTINATION__DUMMY__LOADER_FILE_FORMAT", "parquet")
    info = assert_load_ok(run())
    formats = {job.job_file_info.file_format for p in info.load_packages for job in p.jobs["completed_jobs"]}
    assert formats == {"parquet"}


def test_some_succeed_in_the_end(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chances are thrown anew at each attempt."""
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1000")
    monkeypatch.setattr("headrace.base.retry.RetryPolicy.wait", lambda self, failures: 0.0)
    assert_load_ok(run(retry_prob=0.5, completed_prob=0.5))
