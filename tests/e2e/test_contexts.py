"""State is at hand where functions run: in sources, resources, transformers, and for a look outside of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.base import PipelineException


def test_sources_see_the_state_of_the_pipeline(project: Path) -> None:
    @headrace.source(name="zoo")
    def zoo() -> Any:
        seen = dict(headrace.current.source_state())

        @headrace.resource(name="animals")
        def animals() -> Any:
            headrace.current.source_state()["fed"] = True
            yield {"seen": str(seen)}

        return animals

    p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    p.run(zoo())
    p.run(zoo())
    assert p.dataset().animals.select("seen").fetchall() == [("{}",), ("{'fed': True}",)]


def test_outside_of_a_run_there_is_no_source(project: Path) -> None:
    headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    with pytest.raises(PipelineException):
        headrace.current.source_state()
    with pytest.raises(PipelineException):
        headrace.current.resource_name()


def test_transformers_and_async_items(project: Path) -> None:
    @headrace.resource(name="numbers")
    def numbers() -> Any:
        yield [1, 2, 3]

    @headrace.transformer(name="squares", data_from=numbers)
    async def squares(items: list[int]) -> Any:
        return [{"n": n, "square": n * n} for n in items]

    p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    p.run(squares)
    assert p.dataset().squares.select("square").fetchall() == [(1,), (4,), (9,)]
