"""Which events are told, in which order, and that nobody who is told can change what is loaded."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import headrace
from headrace import hooks
from headrace.errors.pipeline import PipelineStepFailed
from headrace.hooks import (
    AnyEvent,
    CastFailed,
    ColumnAdded,
    ContractViolated,
    JobStarted,
    PackageParked,
    Progress,
    Rejected,
    SchemaMigrated,
    StateCommitted,
    TableAdded,
    VariantAdded,
)

ROOT = Path(__file__).parents[2]
ROWS: Any = [{"id": 1, "items": [{"n": 1}]}, {"id": "x", "late": 2}, {"id": 3, "items": [{"n": "y"}]}]


def told(p: Any) -> list[Any]:
    events: list[Any] = []
    p.observe(events.append)
    return events


def facts(events: list[Any]) -> list[Any]:
    """Events without what differs from run to run."""
    hidden = ("run_id", "at", "load_id")
    kinds = (TableAdded, ColumnAdded, VariantAdded, CastFailed)
    return [
        (type(e).__name__, {f: getattr(e, f) for f in e.__struct_fields__ if f not in hidden})
        for e in events
        if isinstance(e, kinds)
    ]


def load(name: str, workers: int) -> list[Any]:
    p = headrace.pipeline(name, destination="duckdb", dataset_name="raw")
    events = told(p)
    p.extract([headrace.resource(ROWS, name=f"t{n}") for n in range(4)])
    p.normalize(workers=workers)
    p.load()
    return facts(events)


def test_events_are_the_same_with_one_worker_and_with_many(project: Path) -> None:
    one, many = load("one", 1), load("many", 4)
    assert [(k, {**e, "schema_name": ""}) for k, e in one] == [(k, {**e, "schema_name": ""}) for k, e in many]
    tables = [e["table"] for k, e in one if k == "TableAdded"]
    assert tables == [f"t{n}" for n in range(4)] + [f"t{n}__items" for n in range(4)]
    columns = [(e["column"], e["first"]) for k, e in one if k == "ColumnAdded" and e["table"] == "t0"]
    assert columns == [("id", 0), ("_dlt_load_id", None), ("_dlt_id", None), ("late", 1)]
    variants = [(e["column"], e["of"]) for k, e in one if k == "VariantAdded" and e["table"].startswith("t0")]
    assert variants == [("id__v_text", "id"), ("n__v_text", "n")]
    nested = next(e for k, e in one if k == "TableAdded" and e["table"] == "t0__items")
    assert (nested["path"], nested["parent"], nested["resource"]) == (["items"], "t0", "t0")


def test_a_second_load_tells_only_what_is_new(project: Path) -> None:
    p = headrace.pipeline("p", destination="duckdb", dataset_name="raw")
    p.run([{"id": 1}], table_name="t")
    events = told(p)
    p.run([{"id": 2, "more": 1}], table_name="t", columns={"said": {"data_type": "text"}})
    assert [(k, e["column"], e["is_new_table"]) for k, e in facts(events)] == [
        ("ColumnAdded", "said", False),
        ("ColumnAdded", "more", False),
    ]
    assert [e.place for e in events if isinstance(e, StateCommitted)] == ["package"]
    assert [e.applied["t"]["columns"].keys() for e in events if isinstance(e, SchemaMigrated)] == [{"said", "more"}]
    assert [e.attempt for e in events if isinstance(e, JobStarted)] == [1]


def test_a_frozen_contract_is_told(project: Path) -> None:
    p = headrace.pipeline("p", destination="duckdb", dataset_name="raw")
    p.run([{"id": 1}], table_name="t")
    events = told(p)
    with pytest.raises(PipelineStepFailed):
        p.run([{"id": 1, "new": 1}], table_name="t", schema_contract={"columns": "freeze"})
    with pytest.raises(PipelineStepFailed):
        p.run([{"id": "x"}], table_name="t", schema_contract={"data_type": "freeze"})
    found = [(e.step, e.entity, e.table, e.column) for e in events if isinstance(e, ContractViolated)]
    assert found == [("normalize", "columns", "t", "new"), ("normalize", "data_type", "t", "id")]
    assert [(e.column, e.outcome) for e in events if isinstance(e, CastFailed)] == [("id", "freeze")]
    assert len([e for e in events if isinstance(e, PackageParked)]) == 2


def test_values_that_do_not_fit_are_told(project: Path) -> None:
    p = headrace.pipeline("p", destination="duckdb", dataset_name="raw")
    p.run([{"id": 1}], table_name="t")
    events = told(p)
    p.run([{"id": "x"}, {"id": "y"}], table_name="t", schema_contract={"data_type": "discard_value"})
    assert [(e.column, e.outcome, e.count) for e in events if isinstance(e, CastFailed)] == [("id", "discard_value", 2)]
    assert [e.count for e in events if isinstance(e, Rejected)] == [2]


# ---- observers do no harm --------------------------------------------------------------------------------------------

EVENTS = sorted(e.__name__ for e in get_args(AnyEvent))


class Raising:
    """Raises at some events."""

    def __init__(self, kinds: set[str], error: type[Exception]) -> None:
        self.kinds, self.error = kinds, error

    def notify(self, event: Any, run: Any) -> None:
        if type(event).__name__ in self.kinds:
            raise self.error(f"at {type(event).__name__}")


def content(p: Any) -> Any:
    with p.sql_client() as client:
        found = []
        for name in ("t", "t__items"):
            with client.execute_query(f"SELECT * FROM {name} ORDER BY 1") as cursor:
                names = [d[0] for d in cursor.description]
                rows = [
                    [v for n, v in zip(names, row, strict=True) if not n.startswith("_dlt")]
                    for row in cursor.fetchall()
                ]
                found.append((names, sorted(rows, key=repr)))
        return found


@settings(
    max_examples=120 if os.environ.get("HEADRACE_LONG") else 6,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    kinds=st.sets(st.sampled_from(EVENTS)),
    error=st.sampled_from([ValueError, KeyError, RuntimeError, OSError, AssertionError]),
)
def test_observers_that_raise_change_nothing(project: Path, kinds: set[str], error: type[Exception]) -> None:
    found = []
    for observer in (None, Raising(kinds, error)):
        folder = project / f"h{len(list(project.iterdir()))}"
        folder.mkdir()
        p = headrace.pipeline(
            "h",
            destination=headrace.destinations.duckdb(str(folder / "h.duckdb")),
            dataset_name="raw",
            pipelines_dir=str(folder),
        )
        if observer is not None:
            p.observe(observer)
        p.run(ROWS, table_name="t")
        found.append((content(p), p.default_schema.version_hash, p.list_normalized_load_packages()))
    assert found[0] == found[1]


# ---- the public names ------------------------------------------------------------------------------------------------


def test_all_events_and_decisions_are_public_names() -> None:
    names = {event.__name__ for event in get_args(AnyEvent)}
    assert names <= set(hooks.__all__)
    for name in hooks.__all__:
        assert getattr(hooks, name) is not None


def test_the_guide_tells_every_event() -> None:
    text = (ROOT / "docs" / "guide" / "hooks.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert sorted(table) == EVENTS
    progress = next(line for line in text.splitlines() if line.startswith(f"| `{Progress.__name__}`"))
    assert progress.count("|") == 5
