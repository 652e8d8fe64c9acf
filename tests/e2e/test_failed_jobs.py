"""Jobs that fail for good: told, kept with their message, and loaded exactly once when the cause is mended."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import headrace
from headrace.errors.destination import DestinationHasFailedJobs, DestinationTransientException, LoadClientJobFailed
from headrace.errors.package import LoadPackageNotFound
from headrace.errors.pipeline import CannotRetryJobs, PipelineStepFailed
from headrace.load.destination import Applied
from headrace.model.events import JobFailed
from tests.e2e.project import rows

SECRET = "s3cr3t-pass-word"


@pytest.fixture
def p(project: Path, monkeypatch: pytest.MonkeyPatch) -> headrace.Pipeline:
    """A pipeline that passes over jobs that fail."""
    monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    return headrace.pipeline("shop", destination="duckdb", dataset_name="raw")


@pytest.fixture
def strict(project: Path) -> headrace.Pipeline:
    """A pipeline as it is by default: a job that fails for good ends the run."""
    return headrace.pipeline("shop", destination="duckdb", dataset_name="raw")


@headrace.resource(name="orders", primary_key="id")
def orders(upto: int, at: Any = headrace.sources.incremental("id", initial_value=0)) -> Iterator[Any]:
    yield [{"id": n, "lines": [{"n": n}]} for n in range(at.last_value + 1, upto + 1)]


def db(statement: str) -> None:
    with duckdb.connect("shop.duckdb") as connection:
        connection.execute(statement)


def loads(pipeline: headrace.Pipeline) -> list[str]:
    return [found[0] for found in rows(pipeline, "_dlt_loads", "load_id")]


def ids(pipeline: headrace.Pipeline, table: str = "orders") -> list[int]:
    return [found[0] for found in rows(pipeline, table, "id", "id")]


def break_orders() -> None:
    """The table refuses rows, as one does that somebody has changed by hand."""
    db("ALTER TABLE raw.orders ALTER COLUMN id SET DATA TYPE VARCHAR USING 'n' || id::VARCHAR")
    db("DROP TABLE raw.orders")
    db("CREATE TABLE raw.orders (id BIGINT CHECK (id < 3), _dlt_load_id VARCHAR, _dlt_id VARCHAR)")
    db("INSERT INTO raw.orders VALUES (1, 'x', 'a'), (2, 'x', 'b')")


def mend_orders() -> None:
    db("CREATE TABLE raw.whole (id BIGINT, _dlt_load_id VARCHAR, _dlt_id VARCHAR)")
    db("INSERT INTO raw.whole SELECT id, _dlt_load_id, _dlt_id FROM raw.orders")
    db("DROP TABLE raw.orders")
    db("ALTER TABLE raw.whole RENAME TO orders")


def test_others_complete_and_the_failure_is_loud(p: headrace.Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    p.run([orders(2), headrace.resource([{"id": 1}], name="others")])
    break_orders()
    told: list[JobFailed] = []
    p.observe(lambda event: told.append(event) if isinstance(event, JobFailed) else None)
    info = p.run([orders(4), headrace.resource([{"id": 2}], name="others")])
    assert info is not None and info.has_failed_jobs
    (load_id,) = info.loads_ids
    assert ids(p, "others") == [1, 2]
    assert load_id in loads(p)
    (event,) = told
    assert event.tables == ["orders", "orders__lines"] and len(event.files) == 2
    assert "CHECK" in event.message
    failed = p.list_failed_jobs_in_package(load_id)
    assert {job.job_file_info.table_name for job in failed} == {"orders", "orders__lines"}
    assert all(Path(job.file_path).is_file() and "CHECK" in str(job.failed_message) for job in failed)
    (line,) = [record for record in caplog.records if "FAILED" in record.getMessage()]
    assert line.levelno == logging.ERROR
    assert all(word in line.getMessage() for word in (load_id, "orders", "CHECK", failed[0].file_path, "retry_job"))
    assert "FAILED" in str(info) and "FAILED" in str(p.last_trace)
    with pytest.raises(DestinationHasFailedJobs, match="retry_failed_jobs") as raised:
        info.raise_on_failed_jobs()
    assert {job.file_path for job in raised.value.failed_jobs} == {job.file_path for job in failed}


def test_failed_jobs_are_loaded_once_when_the_destination_is_mended(p: headrace.Pipeline) -> None:
    p.run(orders(2))
    break_orders()
    info = p.run(orders(4))
    assert info is not None
    (load_id,) = info.loads_ids
    again = p.retry_failed_jobs(load_id)
    assert again is not None and again.has_failed_jobs
    assert p.get_load_package_info(load_id).state == "loaded"
    mend_orders()
    again = p.retry_failed_jobs()
    assert again is not None and not again.has_failed_jobs and again.loads_ids == [load_id]
    assert again.metrics[load_id][0]["job_metrics"]
    assert ids(p) == [1, 2, 3, 4]
    assert sorted(loads(p)) == sorted(set(loads(p)))
    assert p.list_failed_jobs_in_package(load_id) == []
    assert p.retry_failed_jobs() is None
    assert p.retry_failed_jobs(load_id) is None
    p.run(orders(5))
    assert ids(p) == [1, 2, 3, 4, 5]
    assert rows(p, "_headrace_jobs") == []
    (state,) = rows(p, "_dlt_pipeline_state", "max(version)")
    assert state[0] == p.state["_state_version"]


def test_a_file_may_be_mended(p: headrace.Pipeline) -> None:
    """The operator finds the file at the path that is told, and corrects it."""
    info = p.run([{"id": 1}], table_name="t", loader_file_format="jsonl")
    assert info is not None
    db("CREATE TABLE raw.small (id BIGINT CHECK (id < 3), _dlt_load_id VARCHAR, _dlt_id VARCHAR)")
    db("DROP TABLE raw.t")
    db("ALTER TABLE raw.small RENAME TO t")
    info = p.run([{"id": 7}], table_name="t", loader_file_format="jsonl")
    assert info is not None
    (job,) = p.list_failed_jobs_in_package(info.loads_ids[0])
    path = Path(job.file_path)
    assert '"id":7' in path.read_text()
    path.write_text(path.read_text().replace('"id":7', '"id":2'))
    assert not p.retry_job(info.loads_ids[0], job.job_file_info.job_id()).has_failed_jobs  # type: ignore[union-attr]
    assert ids(p, "t") == [2]


def test_one_job_of_several(p: headrace.Pipeline) -> None:
    def both(n: int) -> Any:
        return [headrace.resource([{"id": n}], name=name) for name in ("a", "b")]

    p.run(both(1))
    for name in ("a", "b"):
        db(f"DROP TABLE raw.{name}")
        db(f"CREATE TABLE raw.{name} (id BIGINT CHECK (id < 1), _dlt_load_id VARCHAR, _dlt_id VARCHAR)")
    info = p.run(both(2))
    assert info is not None
    (load_id,) = info.loads_ids
    for name in ("a", "b"):
        db(f"DROP TABLE raw.{name}")
    first, second = sorted(p.list_failed_jobs_in_package(load_id), key=lambda j: j.job_file_info.table_name)
    again = p.retry_job(load_id, first.job_file_info.job_id())
    assert again is not None and again.has_failed_jobs
    states = {k.split(".")[0]: m.state for k, m in again.metrics[load_id][0]["job_metrics"].items()}
    assert (states["a"], states["b"]) == ("completed", "failed")
    assert ids(p, "a") == [2]
    assert p.list_failed_jobs_in_package(load_id)[0].job_file_info.job_id() == second.job_file_info.job_id()
    with pytest.raises(CannotRetryJobs, match="no failed job"):
        _raise(p, load_id, first.job_file_info.job_id())
    with pytest.raises(LoadPackageNotFound):
        _raise(p, "1.0", "x")
    again = p.retry_job(load_id, second.job_file_info.job_id())
    assert again is not None and not again.has_failed_jobs
    assert ids(p, "a") == ids(p, "b") == [2]


def _raise(p: headrace.Pipeline, load_id: str, job_id: str) -> None:
    """The cause of the failure of a retry."""
    try:
        p.retry_job(load_id, job_id)
    except PipelineStepFailed as failure:
        raise failure.exception from None


def test_by_default_a_failed_job_ends_the_run(strict: headrace.Pipeline) -> None:
    p = strict
    p.run(orders(2))
    break_orders()
    with pytest.raises(PipelineStepFailed) as raised:
        p.run(orders(4))
    assert isinstance(raised.value.__cause__, LoadClientJobFailed)
    load_id = raised.value.load_id
    assert load_id is not None and load_id not in loads(p)
    assert "retry_failed_jobs" in str(raised.value)
    failed = p.list_failed_jobs_in_package(load_id)
    assert failed and all(Path(job.file_path).is_file() for job in failed)
    with pytest.raises(PipelineStepFailed):
        p.retry_failed_jobs()
    assert p.get_load_package_info(load_id).state == "aborted"
    mend_orders()
    info = p.retry_failed_jobs()
    assert info is not None and info.loads_ids == [load_id] and not info.has_failed_jobs
    assert load_id in loads(p)
    p.run(orders(5))
    assert ids(p) == [1, 2, 3, 4, 5]


def test_a_package_set_aside_is_not_loaded_when_its_data_was_read_again(strict: headrace.Pipeline) -> None:
    p = strict
    p.run(orders(2))
    break_orders()
    with pytest.raises(PipelineStepFailed) as raised:
        p.run(orders(4))
    mend_orders()
    p.run(orders(4))
    with pytest.raises(PipelineStepFailed, match="extracted again"):
        p.retry_failed_jobs(raised.value.load_id)
    assert p.retry_failed_jobs() is None
    assert ids(p) == [1, 2, 3, 4]


@pytest.mark.parametrize("disposition", ["merge", "replace"])
def test_old_rows_do_not_go_over_newer_ones(p: headrace.Pipeline, disposition: Any) -> None:
    def load(name: str) -> Any:
        return p.run([{"id": 1, "name": name}], table_name="t", primary_key="id", write_disposition=disposition)

    load("first")
    db("ALTER TABLE raw.t RENAME TO away")
    db("CREATE VIEW raw.t AS SELECT * FROM raw.away")
    info = load("second")
    assert info.has_failed_jobs
    assert rows(p, "t", "name") == [("first",)]
    db("DROP VIEW raw.t")
    db("ALTER TABLE raw.away RENAME TO t")
    load("third")
    with pytest.raises(PipelineStepFailed, match="written table `t` since"):
        p.retry_failed_jobs(info.loads_ids[0])
    assert p.retry_failed_jobs() is None
    assert rows(p, "t", "name") == [("third",)]
    again = p.retry_failed_jobs(info.loads_ids[0], force=True)
    assert again is not None and not again.has_failed_jobs
    assert rows(p, "t", "name") == [("second",)]


def test_what_was_emptied_and_not_filled_does_not_pass_for_loaded(
    p: headrace.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`truncate-and-insert` cannot take back what it emptied: the load fails in both modes; others are loaded."""
    monkeypatch.setenv("DESTINATION__REPLACE_STRATEGY", "truncate-and-insert")

    def both(n: int) -> Any:
        return [
            headrace.resource([{"id": n}], name="t", write_disposition="replace"),
            headrace.resource([{"id": n}], name="others"),
        ]

    p.run(both(1))
    db("DROP TABLE raw.t")
    db("CREATE TABLE raw.t (id BIGINT CHECK (id < 2), _dlt_load_id VARCHAR, _dlt_id VARCHAR)")
    with pytest.raises(PipelineStepFailed) as raised:
        p.run(both(2))
    load_id = raised.value.load_id
    assert load_id is not None and load_id not in loads(p)
    assert ids(p, "t") == [] and ids(p, "others") == [1, 2]
    db("DROP TABLE raw.t")
    db("CREATE TABLE raw.t (id BIGINT, _dlt_load_id VARCHAR, _dlt_id VARCHAR)")
    info = p.retry_failed_jobs(load_id)
    assert info is not None and not info.has_failed_jobs
    assert ids(p, "t") == [2] and ids(p, "others") == [1, 2]
    assert load_id in loads(p)


def test_an_atomic_replace_keeps_the_old_rows(p: headrace.Pipeline) -> None:
    """With the default strategy a replace that fails leaves the table, nested ones too, as it was."""

    def load(n: int) -> Any:
        return p.run([{"id": n, "l": [{"x": n}]}], table_name="t", write_disposition="replace")

    load(1)
    db("DROP TABLE raw.t__l")
    db("CREATE TABLE raw.t__l (x BIGINT CHECK (x < 2), _dlt_parent_id VARCHAR, _dlt_list_idx BIGINT, _dlt_id VARCHAR)")
    info = load(2)
    assert info.has_failed_jobs
    assert ids(p, "t") == [1]
    db("DROP TABLE raw.t__l")
    again = p.retry_failed_jobs()
    assert again is not None and not again.has_failed_jobs
    assert ids(p, "t") == [2] and rows(p, "t__l", "x") == [(2,)]


def test_a_retry_that_cannot_reach_the_destination_waits(p: headrace.Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    p.run(orders(2))
    break_orders()
    p.run(orders(4))
    mend_orders()
    from headrace.destinations.sql.client import SqlJobClient

    def away(*args: Any) -> Applied:
        raise DestinationTransientException("the line is down")

    with monkeypatch.context() as patched:
        patched.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")
        patched.setattr(SqlJobClient, "apply", away)
        with pytest.raises(PipelineStepFailed) as raised:
            p.retry_failed_jobs()
    assert raised.value.has_pending_data
    headrace.pipeline("shop", destination="duckdb", dataset_name="raw").run()
    assert ids(p) == [1, 2, 3, 4]


def test_a_retry_may_be_given_up(p: headrace.Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is at the destination is never `aborted`: it goes back to being loaded with failed jobs."""
    p.run(orders(2))
    break_orders()
    info = p.run(orders(4))
    assert info is not None
    (load_id,) = info.loads_ids
    p._store.reopen(p._store.get(load_id), ["copy-0"])
    assert p.abort_packages() == [load_id]
    assert p.get_load_package_info(load_id).state == "loaded"


def test_messages_tell_no_secret(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    from headrace.errors.destination import DestinationTerminalException

    @headrace.destination(batch_size=10, name="sink")
    def sink(items: Any, table: Any) -> None:
        raise DestinationTerminalException(f"no way: postgres://me:{SECRET}@host/db password={SECRET}")

    p = headrace.pipeline("sunk", destination=sink)
    told: list[Any] = []
    p.observe(told.append)
    info = p.run([{"id": 1}], table_name="t")
    assert info is not None and info.has_failed_jobs
    (event,) = [e for e in told if isinstance(e, JobFailed)]
    assert "no way" in event.message and SECRET not in str(told)
    assert SECRET not in str(info) + str(info.asdict()) + str(p.last_trace)
    for file in Path(p.working_dir).rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file
