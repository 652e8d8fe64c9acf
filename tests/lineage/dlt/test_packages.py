"""Packages that dlt keeps, that other processes finish, and that go while nobody watches: one end for each run, a true
one."""

from __future__ import annotations

import duckdb
import pytest

from tests.lineage.dlt.lab import Lab, written

TWO = """
customers = dlt.resource([{"id": 1}, {"id": 2}], name="customers")
orders = dlt.resource([{"id": 1, "items": [{"n": 1}, {"n": 2}]}], name="orders")
def raises(work):
    try:
        work()
    except Exception:
        return
    raise AssertionError("it did not fail")
"""
UNSEEN = "lineage.detach()\n"


def refuse(lab: Lab, condition: str = "id < 0") -> None:
    with duckdb.connect(str(lab.folder / "wh.duckdb")) as db:
        db.execute("CREATE SCHEMA IF NOT EXISTS raw")
        columns = f"id BIGINT CHECK ({condition}), _dlt_load_id VARCHAR, _dlt_id VARCHAR"
        db.execute(f"CREATE OR REPLACE TABLE raw.customers ({columns})")


def test_a_package_that_failed_and_is_loaded_later(lab: Lab) -> None:
    """The first runs end when dlt gives up, with what is there; the ones that finish the package follow on them."""
    refuse(lab)
    lab.run(TWO + "raises(lambda: pipeline().run([customers, orders]))", {"LOAD__RAISE_ON_FAILED_JOBS": "true"})
    assert lab.one("customers").states[-1] == "FAIL" and lab.one("customers").outputs == []
    assert lab.one("orders").states[-1] == "ABORT"
    assert lab.outputs() == {"raw.orders": 1, "raw.orders__items": 2}
    assert "CHECK" in lab.one("customers").facet("errorMessage")["message"]
    assert lab.stream.invocations[0].end == "FAIL"
    lab.check()

    refuse(lab, "id > 0")
    lab.run("pipeline().run()")
    (first, again), (before, rest) = lab.stream.of("customers"), lab.stream.of("orders")
    assert again.states == rest.states == ["START", "COMPLETE"]
    assert again.facet("jobDependencies")["upstream"][0]["run"]["runId"] == first.id
    assert again.parent == lab.stream.invocations[1].id and first.parent == lab.stream.invocations[0].id
    # what the first runs have told is not told twice
    assert lab.rows() == lab.outputs() == {"raw.customers": 2, "raw.orders": 1, "raw.orders__items": 2}
    assert written(rest)["orders"]["outputFacets"]["outputStatistics"]["rowCount"] == 0
    assert written(before)["orders"]["facets"]["lifecycleStateChange"]["lifecycleStateChange"] == "CREATE"
    assert "lifecycleStateChange" not in written(rest)["orders"]["facets"]
    lab.check()


def test_normalize_that_fails_again_and_again(lab: Lab) -> None:
    """dlt keeps the package: each try has runs of its own, and dropping it in the end tells nothing new."""
    lab.run(
        TWO
        + """
p = pipeline()
p.run(customers)
@dlt.resource(name="customers", schema_contract={"columns": "freeze"})
def wider(): yield {"id": 3, "unheard_of": 1}
raises(lambda: p.run([wider(), orders]))
raises(lambda: p.normalize())
p.drop_pending_packages()
"""
    )
    states = [run.states for run in lab.stream.of("customers")]
    assert states == [["START", "RUNNING", "COMPLETE"], ["START", "RUNNING", "FAIL"], ["START", "FAIL"]]
    assert [run.end for run in lab.stream.of("orders")] == ["ABORT", "ABORT"]
    assert "unheard_of" in lab.stream.of("customers")[1].facet("errorMessage")["message"]
    assert [run.end for run in lab.stream.invocations] == ["COMPLETE", "FAIL", "FAIL"]
    assert lab.rows() == lab.outputs() == {"raw.customers": 2}
    lab.check()


@pytest.mark.parametrize("steps", [pytest.param("p.normalize(); p.load()", marks=pytest.mark.long), "p.load()"])
def test_a_package_that_is_loaded_unseen_is_complete(lab: Lab, steps: str) -> None:
    """The next run with lineage finds it among those that dlt has loaded."""
    normalize = "p.normalize()" if steps == "p.load()" else ""
    lab.run(TWO + f"p = pipeline(); p.run([{{'a': 1}}], table_name='first'); p.extract(orders); {normalize}")
    lab.run(UNSEEN + f"p = pipeline(); {steps}")
    assert lab.one("orders").end == ""
    lab.run("p = pipeline(); p.extract([{'x': 1}], table_name='next')")
    run = lab.one("orders")
    assert run.states == ["START", "RUNNING", "COMPLETE"]
    assert set(written(run)) == {"orders", "orders__items"}
    told = {name: one["outputFacets"].get("outputStatistics", {}).get("rowCount") for name, one in written(run).items()}
    # rows are known where normalize was seen
    assert told == ({"orders": 1, "orders__items": 2} if normalize else {"orders": None, "orders__items": None})
    assert lab.rows() == {"raw.first": 1, "raw.orders": 1, "raw.orders__items": 2}
    lab.run("pipeline().run()")
    lab.check()


@pytest.mark.long
def test_failed_jobs_of_a_package_that_is_loaded_unseen(lab: Lab) -> None:
    """dlt's record of it has them."""
    refuse(lab)
    lab.run(TWO + "p = pipeline(); p.extract([customers, orders]); p.normalize()")
    lab.run(UNSEEN + "pipeline().load()", {"LOAD__RAISE_ON_FAILED_JOBS": "false"})
    lab.run("pipeline().run()")
    assert lab.one("customers").end == "FAIL" and lab.one("orders").end == "COMPLETE"
    assert lab.outputs() == {"raw.orders": 1, "raw.orders__items": 2}
    lab.check()


@pytest.mark.parametrize("store", ["duckdb", pytest.param("filesystem", marks=pytest.mark.long)])
def test_the_destination_is_asked_where_the_folder_is_gone(lab: Lab, store: str) -> None:
    """`_dlt_loads` knows what was loaded; what it does not know was dropped."""
    where = '"p", dlt.destinations.filesystem("files")' if store == "filesystem" else ""
    lab.run(f"p = pipeline({where}); p.run([{{'a': 1}}], table_name='first'); p.extract([{{'a': 1}}], table_name='t')")
    lab.run(
        UNSEEN
        + f"""
p = pipeline({where})
p.normalize(); p.load()
p.extract([{{"a": 1}}], table_name="unseen")
p.drop()
"""
    )
    lab.run(f"p = pipeline({where}); p.extract([{{'a': 1}}], table_name='gone')")
    assert lab.one("t").end == ""  # the destination was not at hand
    lab.run(UNSEEN + f"pipeline({where}).drop()")
    lab.run(f"pipeline({where}).run([{{'a': 1}}], table_name='kept')")
    assert lab.one("t").end == "COMPLETE" and lab.one("t").outputs == []
    assert "not attached" in lab.one("t").facet("extractionError")["errors"][-1]["errorMessage"]
    assert lab.one("gone").end == "ABORT" and "dropped" in lab.one("gone").facet("errorMessage")["message"]
    assert lab.one("kept").end == "COMPLETE"
    assert [run.job for run in lab.stream.runs if not run.end] == []


@pytest.mark.long
def test_nobody_knows(lab: Lab) -> None:
    """Another dataset than the one it was to go to: asked there, and a "no" would say nothing."""
    lab.run("pipeline().extract([{'a': 1}], table_name='t')")
    lab.run(UNSEEN + "pipeline().drop()")
    lab.run("pipeline(dataset='other').run([{'a': 1}], table_name='kept')")
    message = lab.one("t").facet("errorMessage")["message"]
    assert lab.one("t").end == "ABORT" and "cannot be found out" in message and "another destination" in message
    lab.check()


def test_a_package_dropped_at_the_end_of_a_script(lab: Lab) -> None:
    """An older one is still there: so it was deleted, and nobody needs to be asked."""
    lab.run(
        """
        p = pipeline()
        p.run([{"a": 1}], table_name="kept")
        p.extract([{"a": 2}], table_name="gone")
        p.drop_pending_packages()
        lineage.detach()
        """
    )
    assert lab.one("gone").states == ["START", "RUNNING", "ABORT"]
    assert lab.rows() == lab.outputs() == {"raw.kept": 1}
    lab.check()


def test_a_forked_child_tells_its_own_runs(lab: Lab) -> None:
    """The thread that writes does not run in a child, which ends without a word."""
    lab.run(
        """
        import multiprocessing
        files = dlt.destinations.filesystem("files")  # no threads of a database, which must not be forked
        pipeline("p", files).run([{"a": 1}], table_name="t")
        def work():
            pipeline("child", files).run([{"b": 1}, {"b": 2}], table_name="u")
        child = multiprocessing.get_context("fork").Process(target=work)
        child.start(); child.join()
        assert child.exitcode == 0
        pipeline("p", files).run([{"a": 2}], table_name="t")
        """
    )
    jobs = [run.job for run in lab.stream.resources]
    assert jobs == ["p.p.t", "child.child.u", "p.p.t"]
    assert [run.end for run in lab.stream.runs] == ["COMPLETE"] * 6
    assert lab.one("u").outputs[0]["outputFacets"]["outputStatistics"]["rowCount"] == 2
    assert not lab.verdict().findings
