"""What gates decide is carried out once, written down, and repeated by whoever goes on with the package."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import headrace
from headrace.base import failpoints
from headrace.errors.pipeline import PipelineStepFailed
from headrace.hooks import (
    ColumnsDecided,
    Drop,
    Freeze,
    GateDecided,
    GateFailed,
    JobSkipped,
    NewColumn,
    Park,
    Retype,
    Skip,
    Stop,
    Veto,
)


def pipeline(**more: Any) -> Any:
    return headrace.pipeline("shop", destination="duckdb", dataset_name="raw", **more)


def table(p: Any, name: str, columns: str = "*") -> list[Any]:
    with p.sql_client() as client, client.execute_query(f"SELECT {columns} FROM {name} ORDER BY 1") as cursor:
        return list(cursor.fetchall())


def columns(p: Any, name: str) -> list[str]:
    with p.sql_client() as client, client.execute_query(f"SELECT * FROM {name}") as cursor:
        return [d[0] for d in cursor.description if not d[0].startswith("_dlt")]


class Asked:
    """A gate on columns that gives answers by name, and notes what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers, self.asked = answers, list[NewColumn]()

    def decide(self, change: NewColumn, run: Any) -> Any:
        self.asked.append(change)
        return self.answers.get(change.column)


class Says:
    """A gate on packages with one answer."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.asked = answer, 0

    def check(self, package: Any, run: Any) -> Any:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


# ---- columns ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 4])
def test_columns_are_dropped_and_retyped_in_all_tables(project: Path, workers: int) -> None:
    p, gate = pipeline(), Asked(email=Drop("personal"), zip=Retype("text"))
    p.guard(gate)
    p.extract([{"id": 1, "email": "a@b", "zip": 123, "sub": [{"email": "c@d", "n": 1}]}], table_name="people")
    p.normalize(workers=workers)
    p.load()
    assert columns(p, "people") == ["id", "zip"]
    assert columns(p, "people__sub") == ["n"]
    assert table(p, "people", "id, zip") == [(1, "123")]
    assert [(c.table, c.column, c.path, c.first, c.is_new_table) for c in gate.asked] == [
        ("people", "id", ("id",), 0, True),
        ("people", "email", ("email",), 0, True),
        ("people", "zip", ("zip",), 0, True),
        ("people__sub", "email", ("email",), 0, True),
        ("people__sub", "n", ("n",), 0, True),
    ]
    counts = {
        (c["table"], c["rule"], c["column"]): c["count"]
        for m in p.last_trace.last_load_info.metrics.values()
        for c in m[0]["rejected"]
    }
    assert counts == {("people", "gate:discard_value", "email"): 1, ("people__sub", "gate:discard_value", "email"): 1}
    assert p.last_trace.rejected_counts == {"people": 1, "people__sub": 1}
    assert "1 let go by a gate  gate:discard_value" in str(p.last_trace.last_load_info)


def test_a_dropped_column_is_asked_about_again_declared_or_not(project: Path) -> None:
    p, gate = pipeline(), Asked(email=Drop(), phone=Drop())
    p.guard(gate)
    hints: Any = {"email": {"data_type": "text"}}
    for n in (1, 2):
        p.run([{"id": n, "email": "a@b", "phone": "1"}], table_name="people", columns=hints)
    hints["phone"] = {"data_type": "text"}
    p.run([{"id": 3, "email": "a@b", "phone": "1"}], table_name="people", columns=hints)
    assert columns(p, "people") == ["id"]
    gate.answers.clear()
    p.run([{"id": 4, "email": "a@b", "phone": "1"}], table_name="people", columns=hints)
    assert sorted(columns(p, "people")) == ["email", "id", "phone"]
    assert p.last_trace.rejected_counts == {}


def test_a_declared_column_without_rows_is_asked_about(project: Path) -> None:
    p = pipeline()
    p.guard(Asked(email=Drop()))

    def people() -> Any:
        yield headrace.mark.materialize_table_schema()

    hints: Any = {"id": {"data_type": "bigint"}, "email": {"data_type": "text"}}
    p.run(headrace.resource(people, name="people", columns=hints))
    assert columns(p, "people") == ["id"]


def test_columns_of_frames(project: Path) -> None:
    p, gate = pipeline(), Asked(email=Drop(), zip=Retype("text"))
    p.guard(gate)
    for n in (1, 2):
        p.run(pa.table({"id": [n], "email": ["a@b"], "zip": [5]}), table_name="people")
    assert table(p, "people", "id, zip") == [(1, "5"), (2, "5")]
    assert columns(p, "people") == ["id", "zip"]
    assert [c.column for c in gate.asked] == ["id", "email", "zip", "email"]


def test_what_is_dropped_is_kept_nowhere(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NORMALIZE__KEEP_REJECTED", "true")
    p = pipeline()
    p.guard(Asked(email=Drop()))
    p.run([{"id": 1}], table_name="people")
    contract: Any = {"columns": "evolve", "data_type": "discard_row"}
    p.run([{"id": "x", "email": "secret@b"}], table_name="people", schema_contract=contract)
    (item,) = table(p, "people__rejected", "item")
    assert "secret" not in str(item)
    assert '"x"' in str(item)


def test_freeze_sets_the_package_aside_with_the_reason(project: Path) -> None:
    p = pipeline()
    p.guard(Asked(email=Freeze("no personal data")))
    with pytest.raises(PipelineStepFailed, match="refuses the column: no personal data"):
        p.run([{"id": 1, "email": "a"}], table_name="people")
    assert not p.has_pending_data


def test_keys_cannot_be_dropped(project: Path) -> None:
    p = pipeline()
    p.guard(Asked(id=Drop()))
    with pytest.raises(PipelineStepFailed, match="declared as primary_key"):
        p.run([{"id": 1}], table_name="t", primary_key="id")


def test_a_gate_on_columns_that_fails_keeps_the_package(project: Path) -> None:
    p, gate = pipeline(), Asked()
    gate.decide = lambda change, run: 1 / 0  # type: ignore[method-assign]
    p.guard(gate)
    with pytest.raises(PipelineStepFailed) as caught:
        p.run([{"id": 1}], table_name="t")
    assert isinstance(caught.value.__cause__, GateFailed)
    with pytest.raises(PipelineStepFailed):
        p.run()  # it is not set aside by the next run either
    p.bus.gates.forget(gate)
    p.run()
    assert table(p, "t", "id") == [(1,)]


def test_a_crash_in_normalize_repeats_the_decision(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    p, gate = pipeline(), Asked(email=Drop())
    p.guard(gate)
    p.extract([{"id": 1, "email": "a"}], table_name="t")
    monkeypatch.setattr(failpoints, "hit", dies_at("Normalized:before"))
    with pytest.raises(BaseException, match="Normalized:before"):
        p.normalize()
    monkeypatch.undo()
    other = again(project)
    gate.answers.clear()
    other.guard(gate)
    other.normalize()
    other.load()
    assert len(gate.asked) == 2
    assert columns(other, "t") == ["id"]


def again(project: Path) -> Any:
    """The pipeline, as another process would have it."""
    return headrace.pipeline(
        "shop", destination="duckdb", dataset_name="raw", pipelines_dir=str(project / "data" / "pipelines")
    )


def dies_at(place: str) -> Any:
    def hit(name: str) -> None:
        if name == place:
            raise KeyboardInterrupt(place)

    return hit


# ---- packages --------------------------------------------------------------------------------------------------------


def test_stop_keeps_the_package_until_the_gate_lets_it_pass(project: Path) -> None:
    p, gate = pipeline(), Says(Stop("closed on Sundays", "come back on Monday"))
    p.guard(gate)
    with pytest.raises(PipelineStepFailed, match=r"closed on Sundays(.|\n)*come back on Monday") as caught:
        p.run([{"id": 1}], table_name="t")
    assert isinstance(caught.value.__cause__, Veto)
    assert p.list_normalized_load_packages()
    gate.answer = None
    p.run()
    assert table(p, "t", "id") == [(1,)]
    assert gate.asked == 2


def test_park_sets_aside_and_the_run_goes_on(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    p, gate = pipeline(), Says(Park("too many rows"))
    p.guard(gate)
    info = p.run([{"id": 1}], table_name="t")
    assert [package.state for package in info.load_packages] == ["aborted"]
    assert "parked it: too many rows" in caplog.text
    assert not p.has_pending_data
    gate.answer = None
    p.run([{"id": 2}], table_name="t")
    assert table(p, "t", "id") == [(2,)]


def test_park_is_repeated_by_another_process_that_knows_no_gate(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    p = pipeline()
    p.guard(Says(Park("no")))
    p.extract([{"id": 1}], table_name="t")
    p.normalize()
    monkeypatch.setattr(failpoints, "hit", dies_at("GateDecided:after"))
    with pytest.raises(BaseException, match="GateDecided"):
        p.load()
    monkeypatch.undo()
    other = again(project)
    info = other.load()
    assert [package.state for package in info.load_packages] == ["aborted"]


def test_skip_leaves_tables_as_they_are_and_counts_the_rows(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    p = pipeline()
    two = [
        headrace.resource([{"id": n, "items": [{"k": n}]} for n in (1, 2)], name="orders", write_disposition="replace"),
        headrace.resource([{"id": 7}], name="other"),
    ]
    p.run(two)
    events: list[Any] = []
    p.observe(events.append)
    gate = Says(Skip(tables=["orders"], reason="not today"))
    p.guard(gate)
    info = p.run(
        [
            headrace.resource([{"id": 9, "items": [{"k": 9}]}], name="orders", write_disposition="replace"),
            headrace.resource([{"id": 8}], name="other"),
        ]
    )
    assert table(p, "orders", "id") == [(1,), (2,)]
    assert table(p, "orders__items", "k") == [(1,), (2,)]
    assert table(p, "other", "id") == [(7,), (8,)]
    assert p.last_trace.rejected_counts == {"orders": 1, "orders__items": 1}
    skipped = info.load_packages[0].jobs["skipped_jobs"]
    assert sorted(job.job_file_info.table_name for job in skipped) == ["orders", "orders__items"]
    assert all(Path(job.file_path).exists() and job.failed_message == "not today" for job in skipped)
    states = {m.table_name: m.state for m in info.metrics[info.loads_ids[0]][0]["job_metrics"].values()}
    assert states["orders"] == "skipped"
    assert states["other"] == "completed"
    assert [(e.table, e.rows, e.reason) for e in events if isinstance(e, JobSkipped)] == [
        ("orders", 1, "not today"),
        ("orders__items", 1, "not today"),
    ]
    assert "keeps 2 files" in caplog.text
    (fact,) = [e for e in events if isinstance(e, GateDecided)]
    assert (fact.decision, fact.tables) == ("skip", ["orders", "orders__items"])


def test_skip_of_one_job_and_a_crash(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def first(package: Any) -> Any:
        jobs = package.info().jobs["new_jobs"]
        return Skip(jobs=[j.job_file_info.job_id() for j in jobs if j.job_file_info.table_name == "a"])

    p = pipeline()
    p.guard(first)
    p.extract([headrace.resource([{"id": 1}], name=name) for name in ("a", "b")])
    p.normalize()
    monkeypatch.setattr(failpoints, "hit", dies_at("Planned:before"))
    with pytest.raises(BaseException, match="Planned"):
        p.load()
    monkeypatch.undo()
    other = again(project)
    other.load()
    assert table(other, "a") == []
    assert table(other, "b", "id") == [(1,)]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (ZeroDivisionError("nothing by nothing"), "ZeroDivisionError: nothing by nothing"),
        (True, "the answer True is none of: None, Stop, Park, Skip"),
        ("park", "the answer 'park' is none of"),
        ([Drop()], "is none of: None, Stop, Park, Skip"),
        (Skip(tables=["t__x"]), "is nested in another table"),
        (Skip(tables=["_dlt_pipeline_state"]), "cannot be skipped"),
    ],
)
def test_a_gate_that_cannot_decide_stops_the_load(project: Path, answer: Any, why: str) -> None:
    p, gate = pipeline(), Says(answer)
    p.guard(gate)
    with pytest.raises(PipelineStepFailed) as caught:
        p.run([{"id": 1, "x": [1]}], table_name="t")
    assert isinstance(caught.value.__cause__, GateFailed)
    assert why in str(caught.value)
    gate.answer = None
    p.run()
    assert table(p, "t", "id") == [(1,)]


def test_a_gate_that_names_a_type_that_there_is_not(project: Path) -> None:
    class Gate:
        def decide(self, change: Any, run: Any) -> Retype:
            return Retype("integer")  # type: ignore[arg-type]

    p, gate = pipeline(), Gate()
    p.guard(gate)
    with pytest.raises(PipelineStepFailed, match="`integer` is none of the data types: bigint") as caught:
        p.run([{"id": 1}], table_name="t")
    assert isinstance(caught.value.__cause__, GateFailed)
    p.bus.gates.forget(gate)
    p.run()  # the package has waited
    assert table(p, "t", "id") == [(1,)]


def test_a_gate_that_let_a_package_pass_is_not_asked_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    p, gate = pipeline(), Says(None)
    p.guard(gate)
    p.extract([{"id": 1}], table_name="t")
    p.normalize()
    monkeypatch.setattr(failpoints, "hit", dies_at("JobDone:before"))
    with pytest.raises(BaseException, match="JobDone"):
        p.load()
    monkeypatch.undo()
    other, strict = again(project), Says(Stop("no"))
    other.guard(strict)
    other.load()
    assert strict.asked == 0
    assert table(other, "t", "id") == [(1,)]


def test_without_gates_nothing_is_written_of_them(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    p, events = pipeline(), list[Any]()
    p.observe(events.append)
    with caplog.at_level(logging.WARNING):
        p.run([{"id": 1}], table_name="t")
    assert not [e for e in events if isinstance(e, (GateDecided, ColumnsDecided))]
    assert caplog.text == ""


def test_a_plan_asks_the_gates_on_columns(project: Path) -> None:
    p = pipeline()
    p.guard(Asked(email=Drop()))
    plan = p.plan([{"id": 1, "email": "a"}], table_name="t")
    assert "gate:discard_value" in str(plan)
    p.run(plan)
    assert columns(p, "t") == ["id"]
