"""Running a plan does exactly what it says, once, or refuses."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.base import ArgumentsOverloadException, TerminalException
from headrace.errors.pipeline import PipelineStepFailed
from headrace.errors.plan import PlanNotAllowed, PlanNotFound, PlanOutdated
from headrace.load.destination import Client
from headrace.load.rehearsal import RehearsalClient
from headrace.pipeline import planning
from tests.crash import forks
from tests.e2e.project import rows
from tests.plan.world import ORDERS, numbers, pipeline


def test_once(project: Path) -> None:
    p = pipeline()
    plan = p.plan(ORDERS, table_name="orders")
    info = p.run(plan)
    assert info is not None
    assert info.loads_ids == plan.load_ids
    assert rows(p, "orders", "id") == [(1,), (2,)]
    assert p.last_trace is not None
    assert [step.step for step in p.last_trace.steps] == ["load", "run"]
    for again in (lambda: p.run(plan), plan.apply):
        with pytest.raises(PlanOutdated, match="was run already"):
            again()
    with pytest.raises(PlanNotFound):
        p.get_plan(plan.id)
    assert rows(p, "orders", "id") == [(1,), (2,)]
    assert not p.has_pending_data
    assert p.first_run is False


def test_in_another_process(project: Path) -> None:
    plan = pipeline().plan(numbers())
    script = f"""
import headrace
p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
assert p.list_plans() == [{plan.id!r}]
print(p.get_plan({plan.id!r}).apply())
"""
    done = forks.python(script, cwd=project)
    assert done.returncode == 0, done.stderr
    assert plan.load_ids[0] in done.stdout
    p = pipeline()
    assert rows(p, "numbers", "id") == [(1,), (2,), (3,)]
    p.run(numbers())
    assert len(rows(p, "numbers", "id")) == 6, "the cursor came with the plan"


def _refused(p: headrace.Pipeline, plan: Any, why: str) -> None:
    before = rows(p, "numbers", "id")
    with pytest.raises(PlanOutdated, match=why) as refused:
        p.run(plan)
    assert isinstance(refused.value, TerminalException)
    assert "plan anew" in str(refused.value)
    assert rows(p, "numbers", "id") == before
    assert plan.id in p.list_plans()


def test_refused_after_another_run(project: Path) -> None:
    p = pipeline()
    p.run(numbers())
    plan = p.plan(numbers())
    p.run(numbers())
    _refused(p, plan, "has run since.*state of the pipeline is another")


def test_refused_when_packages_wait(project: Path) -> None:
    p = pipeline()
    p.run(numbers())
    plan = p.plan(numbers())
    p.extract([{"id": 1}], table_name="other")
    _refused(p, plan, "packages that wait")


def test_refused_when_the_table_has_changed(project: Path) -> None:
    p = pipeline()
    p.run(numbers())
    plan = p.plan([{"id": 1, "more": 1}], table_name="numbers")
    with p.sql_client() as client:
        client.execute_sql("ALTER TABLE numbers ADD COLUMN more BIGINT")
    _refused(p, plan, "no longer to be done: AddColumns `numbers` .more.")


def test_refused_when_a_table_is_gone(project: Path) -> None:
    p = pipeline()
    p.run(numbers())
    p.run([{"id": 1}], table_name="other")
    plan = p.plan([{"id": 2}], table_name="other")
    with p.sql_client() as client:
        client.execute_sql("DROP TABLE other")
    _refused(p, plan, "now also to be done: CreateTable `other`")


def test_refused_after_a_run_elsewhere(project: Path) -> None:
    p = pipeline()
    p.run(numbers())
    plan = p.plan(numbers())
    elsewhere = pipeline(pipelines_dir=str(project / "elsewhere"))
    elsewhere.run(numbers())
    _refused(p, plan, "state of the pipeline")


def test_refused_for_another_destination(project: Path) -> None:
    p = pipeline()
    p.run(numbers())
    plan = p.plan(numbers())
    other = headrace.pipeline("shop", destination="duckdb", dataset_name="other")
    with pytest.raises(PlanOutdated, match="another destination"):
        other.run(plan)


def test_refused_when_others_were_faster(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What changes between the last look and the change itself is seen under the lock of tables."""
    p = pipeline()
    p.run(numbers())
    plan = p.plan([{"id": 100, "more": 1}], table_name="numbers")
    look = planning._verify

    def then_change(p: Any, plan: Any) -> None:
        look(p, plan)
        with p.sql_client() as client:
            client.execute_sql("ALTER TABLE numbers ADD COLUMN more BIGINT")

    monkeypatch.setattr(planning, "_verify", then_change)
    with pytest.raises(PipelineStepFailed) as failed:
        p.run(plan)
    assert isinstance(failed.value.exception, PlanOutdated)
    assert len(rows(p, "numbers", "id")) == 3
    assert not p.has_pending_data, "it does not come back with the next run"
    monkeypatch.undo()
    p.run(numbers())
    assert [n for (n,) in rows(p, "numbers", "id")] == [1, 2, 3, 4, 5, 6]


def test_a_plan_needs_no_hints(project: Path) -> None:
    p = pipeline()
    plan = p.plan(ORDERS, table_name="orders")
    with pytest.raises(ArgumentsOverloadException, match="table_name"):
        p.run(plan, table_name="orders")
    with pytest.raises(TypeError, match="unexpected arguments tablename"):
        p.plan(ORDERS, tablename="orders")


def test_destructive_steps_may_have_to_be_allowed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    p = pipeline()
    p.run(ORDERS, table_name="orders", write_disposition="replace")
    data: Any = ([{"id": 3}],)
    plan = p.plan(*data, table_name="orders", write_disposition="replace")
    with pytest.raises(PlanNotAllowed, match="orders: its write disposition is `replace`"):
        p.run(plan, allow_destructive=False)
    monkeypatch.setenv("PIPELINES__SHOP__CONFIRM_DESTRUCTIVE", "true")
    strict = pipeline()
    with pytest.raises(PlanNotAllowed, match="confirm_destructive"):
        strict.run(plan)
    assert rows(p, "orders", "id") == [(1,), (2,)]
    strict.run(plan, allow_destructive=True)
    assert rows(p, "orders", "id") == [(3,)]
    monkeypatch.delenv("PIPELINES__SHOP__CONFIRM_DESTRUCTIVE")
    again = pipeline()
    again.plan([{"id": 4}], table_name="orders", write_disposition="replace").apply()
    assert rows(p, "orders", "id") == [(4,)], "by default a plan does what it says"


SCRIPT = """
import headrace

@headrace.resource(name="numbers", primary_key="id")
def numbers(at=headrace.sources.incremental("id", initial_value=0)):
    begin = (at.last_value or 0) + 1
    yield [{"id": n} for n in range(begin, begin + 3)]

@headrace.source(name="other")
def other():
    return headrace.resource([{"id": 1}], name="others")

p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
plan = p.plan([numbers(), other()])
p.run(plan)
"""


def _long(place: str) -> Any:
    return pytest.param(place, marks=pytest.mark.long)


def _killed(project: Path, place: str) -> int:
    environment = {**os.environ, "HEADRACE_DATA_DIR": str(project / "data"), "HEADRACE_FAILPOINT": place}
    return forks.python(SCRIPT, cwd=project, env=environment).returncode


@pytest.mark.parametrize("place", ["plan.extracted", _long("Normalized:after"), "plan.written"])
def test_killed_while_planning(project: Path, place: str) -> None:
    """Nothing has happened; what lies around is gone with the next call."""
    p = pipeline()
    p.run(numbers())
    assert _killed(project, place) == -signal.SIGKILL
    left = project / "data/pipelines/shop/plans"
    assert len(list(left.iterdir())) == 1
    p = pipeline()
    p.run()
    assert len(list(left.iterdir())) == len(p.list_plans()) == (1 if place == "plan.written" else 0)
    p.run(numbers())
    assert [n for (n,) in rows(p, "numbers", "id")] == list(range(1, 7))


@pytest.mark.parametrize(
    "place", ["plan.adopted", "plan.moved", _long("plan.moved#2"), _long("job.committed"), _long("Loaded:before")]
)
def test_killed_while_a_plan_runs(project: Path, place: str) -> None:
    """From the moment that its packages are the pipeline's, the next run finishes it, once."""
    p = pipeline()
    p.run(numbers())
    assert _killed(project, place) == -signal.SIGKILL
    p = pipeline()
    p.run()
    assert [n for (n,) in rows(p, "numbers", "id")] == list(range(1, 7))
    assert rows(p, "others", "id") == [(1,)]
    assert p.list_plans() == []
    assert p.state["sources"]["shop"]["resources"]["numbers"]["incremental"]["id"]["last_value"] == 6
    p.run(numbers())
    assert [n for (n,) in rows(p, "numbers", "id")] == list(range(1, 10))


def test_a_dataset_that_is_gone(project: Path) -> None:
    p = pipeline()
    p.run(numbers())
    with p.sql_client() as client:
        client.drop_dataset()
    p = pipeline()
    plan = p.plan(numbers())
    assert p.state["sources"], "the pipeline itself starts afresh with the next run, and not before"
    assert [c.after for c in plan.state_change if c.path.endswith("last_value")] == [3]
    p.run(plan)
    assert rows(p, "numbers", "id") == [(1,), (2,), (3,)]


def test_old_plans_give_way(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headrace.pipeline import plans

    monkeypatch.setattr(plans, "KEEP", 2)
    p = pipeline()
    made = [p.plan([{"id": 1}], table_name="t").id for _ in range(3)]
    assert p.list_plans() == made[1:]
    with pytest.raises(PlanNotFound, match=made[1]):
        p.get_plan(made[0])
    with pytest.raises(PlanNotFound):
        p.get_plan("../packages")
    p.drop()
    assert p.list_plans() == []


def test_no_plan_inside_a_run(project: Path) -> None:
    p = pipeline()

    @headrace.resource(name="t")
    def t() -> Any:
        p.plan([{"id": 1}], table_name="u")
        yield {"id": 1}

    with pytest.raises(PipelineStepFailed, match="cannot plan while it runs"):
        p.run(t())


def test_a_rehearsal_has_no_way_to_write() -> None:
    writing = ("create_dataset", "drop_dataset", "migrate", "apply", "complete", "store_schema", "drop_schema_history")
    assert all(name in vars(RehearsalClient) for name in writing)
    assert all(getattr(Client, name).__doc__ for name in writing), "these are the port's names"
