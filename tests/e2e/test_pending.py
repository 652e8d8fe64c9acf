"""Packages of earlier runs: loaded first, set aside when they never can be, never in the way."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.destination import DestinationTerminalException, DestinationTransientException
from headrace.errors.load import LoadClientJobFailed
from headrace.errors.pipeline import PipelineStepFailed
from headrace.errors.schema import DataValidationError
from headrace.load.destination import LoadContext
from headrace.model.jobs import AnyJob
from tests.e2e.project import rows


def pipeline(**settings: Any) -> headrace.Pipeline:
    return headrace.pipeline("shop", **{"destination": "duckdb", "dataset_name": "raw", **settings})


@headrace.resource(name="t", primary_key="id")
def numbers(upto: int, at: Any = headrace.sources.incremental("id", initial_value=0)) -> Any:
    yield [{"id": n} for n in range(1, upto + 1)]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> dict[str, type[Exception]]:
    """Jobs on a table named here fail with the error given for it."""
    from headrace.destinations.sql.client import SqlJobClient

    failing: dict[str, type[Exception]] = {}
    apply = SqlJobClient.apply

    def maybe(self: SqlJobClient, job: AnyJob, context: LoadContext) -> int:
        for table in job.tables:
            if table in failing:
                raise failing[table](f"table {table} is broken")
        return apply(self, job, context)

    monkeypatch.setattr(SqlJobClient, "apply", maybe)
    return failing


def test_steps_one_by_one_in_new_objects(project: Path) -> None:
    pipeline().extract(numbers(3))
    p = pipeline()
    assert p.has_pending_data
    assert len(p.list_extracted_load_packages()) == 1
    p.normalize()
    assert p.list_extracted_load_packages() == []
    (load_id,) = p.list_normalized_load_packages()
    assert p.get_load_package_info(load_id).state == "normalized"
    info = pipeline().load()
    assert info is not None
    assert list(info.loads_ids) == [load_id]
    assert not p.has_pending_data
    assert list(p.list_completed_load_packages()) == [load_id]
    assert rows(p, "t", "id") == [(1,), (2,), (3,)]


def test_a_run_finishes_what_is_pending_and_then_loads_the_new_data(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline().extract(numbers(3))
    p = pipeline()
    with caplog.at_level(logging.WARNING, "headrace"):
        info = p.run(numbers(5))
    assert info is not None
    assert len(info.loads_ids) == 2
    assert "is loaded first" in caplog.text
    assert rows(p, "t", "id") == [(1,), (2,), (3,), (4,), (5,)]
    assert not p.has_pending_data


def test_several_extracts_before_one_load(project: Path) -> None:
    p = pipeline()
    for upto in (2, 4, 6):
        p.extract(numbers(upto))
    info = p.run()
    assert info is not None
    assert len(info.loads_ids) == 3
    assert rows(p, "t", "id") == [(n,) for n in range(1, 7)]


def test_extract_needs_no_destination(project: Path) -> None:
    bare = headrace.pipeline("shop")
    info = bare.extract(numbers(2))
    assert info.row_counts["t"] == 2
    p = pipeline()
    p.run()
    assert rows(p, "t", "id") == [(1,), (2,)]


def test_a_package_that_fails_for_good_is_set_aside_and_its_data_read_again(
    project: Path, broken: dict[str, type[Exception]], caplog: pytest.LogCaptureFixture
) -> None:
    p = pipeline()
    p.run(numbers(2))
    broken["t"] = DestinationTerminalException
    with pytest.raises(PipelineStepFailed) as caught:
        p.run(numbers(4))
    assert caught.value.step == "load"
    assert isinstance(caught.value.exception, LoadClientJobFailed)
    assert not caught.value.has_pending_data
    assert not caught.value.is_package_partially_loaded
    assert "SET ASIDE" in caplog.text
    assert "went back" in caplog.text
    load_id = caught.value.load_id
    assert load_id is not None
    assert p.get_load_package_info(load_id).state == "aborted"
    assert "t" in [job.job_file_info.table_name for job in p.list_failed_jobs_in_package(load_id)]
    broken.clear()
    pipeline().run(numbers(4))
    assert rows(p, "t", "id") == [(1,), (2,), (3,), (4,)]


def test_a_partly_loaded_package_keeps_its_cursor(
    project: Path, broken: dict[str, type[Exception]], caplog: pytest.LogCaptureFixture
) -> None:
    """Reading its data again would double the rows that are loaded already."""
    p = pipeline()
    big = "x" * 40_000_000  # a job of its own
    p.run(numbers(2))
    broken["other"] = DestinationTerminalException
    with pytest.raises(PipelineStepFailed):
        p.run([numbers(4), headrace.resource([{"a": big}], name="other")])
    done = len(rows(p, "t")) > 2
    assert ("cursors stay" in caplog.text) == done
    broken.clear()
    p.run(numbers(4))
    assert rows(p, "t", "id") == [(1,), (2,), (3,), (4,)]


def test_what_may_pass_stays_pending(project: Path, broken: dict[str, type[Exception]]) -> None:
    p = pipeline()
    broken["t"] = DestinationTransientException
    with pytest.raises(PipelineStepFailed) as caught:
        p.run(numbers(2))
    assert caught.value.has_pending_data
    broken.clear()
    info = p.run(numbers(3))
    assert info is not None
    assert len(info.loads_ids) == 2
    assert rows(p, "t", "id") == [(1,), (2,), (3,)]


def test_failed_jobs_may_be_passed_over(
    project: Path, broken: dict[str, type[Exception]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    broken["t"] = DestinationTerminalException
    p = pipeline()
    info = p.run(numbers(2))
    assert info is not None
    assert info.has_failed_jobs
    with pytest.raises(DestinationTerminalException):
        info.raise_on_failed_jobs()
    assert not p.has_pending_data


def test_data_that_can_never_be_normalized_does_not_block(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    p = pipeline()
    p.run([{"id": 1}], table_name="t")
    frozen: Any = {"columns": "freeze"}
    with pytest.raises(PipelineStepFailed) as caught:
        p.run([{"id": 2, "new": 1}], table_name="t", schema_contract=frozen)
    assert caught.value.step == "normalize"
    assert isinstance(caught.value.exception, DataValidationError) or isinstance(
        caught.value.exception.__cause__, DataValidationError
    )
    assert not caught.value.has_pending_data
    assert "SET ASIDE" in caplog.text
    info = p.run([{"id": 3}], table_name="t")
    assert info is not None
    assert rows(p, "t", "id") == [(1,), (3,)]


def test_dropping_pending_packages_lets_cursors_go_back(project: Path) -> None:
    p = pipeline()
    p.run(numbers(2))
    p.extract(numbers(3))
    p.extract(numbers(4))
    p.drop_pending_packages()
    assert not p.has_pending_data
    p.run(numbers(5))
    assert rows(p, "t", "id") == [(n,) for n in range(1, 6)]


def test_packages_can_be_set_aside_by_hand(project: Path) -> None:
    p = pipeline()
    p.extract(numbers(3))
    (load_id,) = p.list_extracted_load_packages()
    assert p.abort_packages() == [load_id]
    assert list(p.list_completed_load_packages()) == [load_id]
    p.run(numbers(3))
    assert rows(p, "t", "id") == [(1,), (2,), (3,)]


def test_a_gate_stops_a_package_before_it_is_loaded(project: Path) -> None:
    from headrace.bus.observer import Veto

    class Closed:
        open = False

        def check(self, package: Any, run: Any) -> None:
            if not self.open:
                raise Veto("closed on Sundays")

    p, gate = pipeline(), Closed()
    p.bus.guard(gate)
    with pytest.raises(PipelineStepFailed, match="closed on Sundays") as caught:
        p.run(numbers(1))
    assert caught.value.has_pending_data
    gate.open = True
    p.run()
    assert rows(p, "t", "id") == [(1,)]


def test_passwords_of_connection_strings_stay_out_of_errors_and_traces(project: Path) -> None:
    p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")

    def rows_of_a_database() -> Any:
        yield {"id": 1}
        raise ConnectionError("no answer from postgresql://reader:hunter2@db.example/shop")

    with pytest.raises(PipelineStepFailed, match=r"ConnectionError: no answer from postgresql://reader:\*\*\*@db") as e:
        p.run(headrace.resource(rows_of_a_database))
    assert "hunter2" not in str(e.value) + str(p.last_trace) + str(p.last_trace.asdict())
    assert not [f for f in Path(p.working_dir).rglob("*.json") if "hunter2" in f.read_text()]


def test_a_change_of_tables_that_cannot_be_is_set_aside(project: Path) -> None:
    """DuckDB has no decimal of fifty digits: the package goes, its column with it, and the next run loads."""
    p = pipeline()
    p.run([{"id": 1}], table_name="before")
    wide: Any = {"a": {"data_type": "decimal", "precision": 50, "scale": 0}}
    with pytest.raises(PipelineStepFailed) as failed:
        p.run([{"a": 1}], table_name="wide", columns=wide)
    assert isinstance(failed.value.__cause__, DestinationTerminalException)
    assert not p.has_pending_data
    assert "wide" not in p.default_schema.tables
    p.run([{"a": 2}], table_name="after")
    assert rows(p, "after", "a") == [(2,)] and rows(p, "before", "id") == [(1,)]


def test_a_first_package_that_fails_leaves_no_schema_behind(project: Path) -> None:
    p = pipeline()
    wide: Any = {"a": {"data_type": "decimal", "precision": 50, "scale": 0}}
    with pytest.raises(PipelineStepFailed):
        p.run([{"a": 1}], table_name="wide", columns=wide)
    p.run([{"a": 2}], table_name="wide")
    assert rows(p, "wide", "a") == [(2,)]
