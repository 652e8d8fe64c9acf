"""Dropping resources by hand, and deciding whether to try again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.destination import DestinationTerminalException, DestinationTransientException
from headrace.errors.pipeline import PipelineHasPendingDataException, PipelineNeverRan, PipelineStepFailed
from headrace.pipeline.helpers import pipeline_drop, retry_load


@headrace.source(name="zoo")
def zoo() -> Any:
    @headrace.resource(name="animals")
    def animals() -> Any:
        headrace.current.resource_state()["n"] = 1
        headrace.current.source_state()["top"] = {"a": 1, "b": 2}
        yield {"a": 1, "l": [1]}

    @headrace.resource(name="plants")
    def plants() -> Any:
        headrace.current.resource_state()["n"] = 1
        yield {"a": 1}

    return animals, plants


@pytest.fixture
def p(project: Path) -> headrace.Pipeline:
    made = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    made.run(zoo())
    return made


def test_resources_are_dropped_with_tables_and_state(p: headrace.Pipeline) -> None:
    drop = pipeline_drop(p, resources=["animals", "re:nope.*"], state_paths="top.a")
    assert drop.info["tables"] == ["animals__l", "animals"]
    assert drop.info["state_paths"] == ["zoo.top.a"]
    assert not drop.is_empty
    drop()
    assert p.state["sources"]["zoo"] == {"resources": {"plants": {"n": 1}}, "top": {"b": 2}}
    assert p.default_schema.data_table_names() == ["plants"]
    with p.sql_client() as client:
        found = client.execute_sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'raw'")
        assert ("animals",) not in (found or [])
        assert client.execute_sql("SELECT count(*) FROM _dlt_version") == [(1,)]
        assert client.execute_sql("SELECT count(*) FROM plants") == [(1,)]
    p.run(zoo())
    assert p.dataset().animals.fetchall()


def test_the_state_alone_may_go(p: headrace.Pipeline) -> None:
    pipeline_drop(p, resources="plants", state_only=True)()
    assert list(p.state["sources"]["zoo"]["resources"]) == ["animals"]
    assert "plants" in p.default_schema.data_table_names()


def test_everything_may_go(p: headrace.Pipeline) -> None:
    pipeline_drop(p, drop_all=True)()
    assert p.default_schema.data_table_names() == []


def test_nothing_to_drop(p: headrace.Pipeline) -> None:
    assert pipeline_drop(p).is_empty
    unknown = pipeline_drop(p, resources=["ghosts"])
    assert unknown.is_empty
    assert "ghosts" in unknown.info["warnings"][0]
    unknown()


def test_it_refuses_what_it_cannot_do(p: headrace.Pipeline) -> None:
    with pytest.raises(PipelineNeverRan):
        pipeline_drop(headrace.pipeline("never", destination="duckdb"), drop_all=True)
    p.extract([{"x": 1}], table_name="x")
    with pytest.raises(PipelineHasPendingDataException):
        pipeline_drop(p, drop_all=True)


def test_what_is_worth_another_try() -> None:
    def failed(step: str, cause: Exception) -> PipelineStepFailed:
        return PipelineStepFailed(None, step, None, cause)

    worth = retry_load()
    assert worth(failed("load", DestinationTransientException("x")))
    assert worth(failed("load", OSError("x")))
    assert not worth(failed("load", DestinationTerminalException("x")))
    assert not worth(failed("extract", OSError("x")))
    assert not worth(OSError("x"))
    assert retry_load(("extract", "load"))(failed("extract", OSError("x")))
