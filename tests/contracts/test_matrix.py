"""Every entity, mode and kind of item: what is loaded is what dlt 1.31 loads, and what is not is counted.

The outcomes were recorded by running dlt; where headrace goes another way, the case says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pydantic import BaseModel

import headrace as hr
from headrace.errors.columns import InvalidDataItem
from headrace.errors.pipeline import PipelineStepFailed
from headrace.errors.schema import DataValidationError
from tests.contracts.conftest import rows, tables

KINDS = ("json", "arrow", "pandas", "pydantic")
ENTITIES = ("tables", "columns", "data_type")
MODES = ("evolve", "freeze", "discard_row", "discard_value")


class Model(BaseModel):
    id: int
    v: int | None = None


def as_kind(kind: str, items: list[dict[str, Any]]) -> Any:
    if kind in ("json", "pydantic"):
        return items
    columns = {key: [item.get(key) for item in items] for key in items[-1]}
    if kind == "arrow":
        return pa.table(columns)
    return pd.DataFrame({k: pd.Series(v, dtype=object if str in map(type, v) else "Int64") for k, v in columns.items()})


def bad_items(kind: str, entity: str) -> list[dict[str, Any]]:
    if entity == "columns":
        return [{"id": 2, "v": 2}, {"id": 3, "v": 3, "new": "x"}]
    if entity == "data_type":
        # the column of a frame has one type: the text that is a number is refused with the one that is not
        return [{"id": 2, "v": "7" if kind in ("arrow", "pandas") else 2}, {"id": 3, "v": "abc"}]
    return [{"id": 2, "v": 2}, {"id": 3, "v": 3}]


ONE, TWO, THREE = {"id": 1, "v": 1}, {"id": 2, "v": 2}, {"id": 3, "v": 3}

# loaded rows, and how many rows or values are let go; None: an error
OUTCOMES: dict[tuple[str, str], tuple[list[dict[str, Any]], int] | None] = {
    ("tables", "evolve"): ([TWO, THREE], 0),
    ("tables", "freeze"): None,
    ("tables", "discard_row"): ([], 2),
    ("tables", "discard_value"): ([], 2),
    ("columns", "evolve"): ([ONE, TWO, {**THREE, "new": "x"}], 0),
    ("columns", "freeze"): None,
    ("columns", "discard_row"): ([ONE, TWO], 1),
    ("columns", "discard_value"): ([ONE, TWO, THREE], 1),
    ("data_type", "evolve"): ([ONE, TWO, {"id": 3, "v__v_text": "abc"}], 0),
    ("data_type", "freeze"): None,
    ("data_type", "discard_row"): ([ONE, TWO], 1),
    ("data_type", "discard_value"): ([ONE, TWO, {"id": 3}], 1),
}
FRAMES: dict[tuple[str, str], tuple[list[dict[str, Any]], int] | None] = {
    **OUTCOMES,
    # dlt fails at load, and its package stays pending
    ("data_type", "evolve"): None,
    ("data_type", "discard_row"): ([ONE], 2),
    ("data_type", "discard_value"): ([ONE, {"id": 2}, {"id": 3}], 2),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield tmp_path_factory.mktemp("matrix")


def pipeline_of(shared: Path, kind: str) -> hr.Pipeline:
    """One pipeline a kind, with a table for each case: what one case does must not touch another."""
    p = hr.pipeline(
        kind,
        destination=hr.destinations.duckdb(str(shared / f"{kind}.duckdb")),
        dataset_name="d",
        pipelines_dir=str(shared / "pipelines"),
    )
    if p.first_run:
        cases = [f"t_{entity}_{mode}" for entity in ENTITIES[1:] for mode in MODES]
        p.run([hr.resource(as_kind(kind, [ONE]), name=case) for case in cases])
    return p


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("entity", ENTITIES)
@pytest.mark.parametrize("kind", KINDS)
def test_matrix(shared: Path, kind: str, entity: str, mode: str) -> None:
    p, table = pipeline_of(shared, kind), f"t_{entity}_{mode}"
    hints: dict[str, Any] = {"columns": Model} if kind == "pydantic" else {}
    contract: Any = {entity: mode}
    if kind == "pydantic" and (entity, mode) == ("data_type", "discard_value"):
        with pytest.raises(NotImplementedError):
            hr.resource(bad_items(kind, entity), name=table, schema_contract=contract, **hints)
        return
    data = hr.resource(as_kind(kind, bad_items(kind, entity)), name=table, schema_contract=contract, **hints)
    outcome = (FRAMES if kind in ("arrow", "pandas") else OUTCOMES)[entity, mode]
    if outcome is None:
        with pytest.raises(PipelineStepFailed) as failed:
            p.run(data)
        in_rows = kind == "json" and entity != "tables"
        assert failed.value.step == ("normalize" if in_rows else "extract")
        wanted = InvalidDataItem if mode == "evolve" else DataValidationError
        assert any(isinstance(cause, wanted) for cause in causes(failed.value))
        assert not p.has_pending_data
        assert (rows(p, table) if table in tables(p) else []) == ([] if entity == "tables" else [ONE])
        return
    info = p.run(data)
    loaded, lost = outcome
    assert (rows(p, table) if table in tables(p) else []) == loaded
    assert info is not None
    assert info.rejected_counts == ({table: lost} if lost else {})
    assert p.last_trace is not None
    assert p.last_trace.rejected_counts == info.rejected_counts


def causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__
