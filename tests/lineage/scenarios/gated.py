"""What gates decide, as events tell it: a column that is dropped, another type, a table left out, a load that waits."""

from __future__ import annotations

from typing import Any

import headrace
from headrace.hooks import Drop, Freeze, Park, Retype, Skip, Stop
from tests.lineage.scenarios.scenario import LATER, break_tables, ends, failing, scenario, tables_of
from tests.lineage.scenarios.world import World


class Columns:
    """Drops and retypes columns by their names."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def decide(self, change: Any, run: Any) -> Any:
        return self.answers.get(change.column)


def _things(w: World, *rows: dict[str, Any], name: str = "things", **hints: Any) -> Any:
    @headrace.resource(name=name, **hints)
    def things() -> Any:
        """Things."""
        yield from rows

    return things().add_input(dict(w.shop.TABLE))


def _output(w: World, resource: str, table: str, index: int = -1) -> dict[str, Any]:
    run = w.stream().of(resource)[index]
    return next(out for out in run.outputs if out["name"].rpartition(".")[2] == table)


@scenario("a gate drops a column and gives others another type")
def columns(w: World, patch: Any) -> None:
    p = w.pipeline()
    p.guard(Columns(e_mail=Drop("personal data"), zip=Retype("text"), n=Retype("bigint"), items__secret=Drop("no")))
    rows = [{"id": 1, "E-Mail": "a@b.ch", "zip": 3000, "n": "7", "l": [{"x": 1, "e_mail": "c@d.ch"}]}]
    w.run(w.shop.shop(_things(w, *rows, {"id": 2, "E-Mail": None, "zip": "CH-1", "n": "no number"})), p)
    out = _output(w, "things", "things")
    fields = {f["name"]: f["type"] for f in out["facets"]["schema"]["fields"]}
    lineage = out["facets"]["columnLineage"]["fields"]
    assert "e_mail" not in fields and "e_mail" not in lineage
    assert (fields["zip"], fields["n"]) == ("VARCHAR", "BIGINT")
    assert lineage["zip"]["inputFields"][0]["field"] == "zip"
    assert "e_mail" not in {f["name"] for f in _output(w, "things", "things__l")["facets"]["schema"]["fields"]}
    let_go = out["facets"]["headrace_schemaChange"]["rejected"]
    assert {"rule": "gate:discard_value", "count": 1, "column": "e_mail"} in let_go
    # once more: the decision of the first load is not asked again, the column stays away
    w.run(w.shop.shop(_things(w, {"id": 3, "E-Mail": "x@y.ch", "zip": 1})), p)
    assert "e_mail" not in {f["name"] for f in _output(w, "things", "things")["facets"]["schema"]["fields"]}


@scenario("a gate leaves a table out")
def left_out(w: World, patch: Any) -> None:
    p = w.pipeline()
    p.guard(lambda package: Skip(tables=["orders"], reason="frozen for the audit"))
    w.run(w.shop.shop(), p)
    assert ends(w)["shop.shop.orders"] == ["COMPLETE"], "nothing failed: what was decided was done"
    assert set(tables_of(w, "orders").values()) <= {0}
    assert tables_of(w, "customers") == {"customers": 4}
    (run,) = w.stream().of("orders")
    assert run.inputs, "it was read all the same"
    assert any("gate" in str(test) for test in run.facet("test").get("tests", []))


@scenario("a gate leaves a file out", long=True)
def left_out_file(w: World, patch: Any) -> None:
    import pyarrow as pa

    patch.setenv("NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS", "10")
    p = w.pipeline()

    @headrace.resource(name="things")
    def things() -> Any:
        yield from (pa.table({"id": list(range(n, n + 60))}) for n in range(0, 180, 60))

    def first_file(package: Any) -> Any:
        from headrace.hooks import Normalized

        files = [f for f in package.fact(Normalized).files if f.table == "things"]
        return Skip(jobs=[f"{files[0].table}.{files[0].id}.{files[0].format}"], reason="this one is not good")

    p.guard(first_file)
    w.run(w.shop.shop(things().add_input(dict(w.shop.FILES))), p, loader_file_format="jsonl")
    assert ends(w)["shop.shop.things"] == ["COMPLETE"]
    assert tables_of(w, "things") == {"things": 120}


@scenario("a gate stops a load, and lets it go on later", warnings=LATER)
def stopped(w: World, patch: Any) -> None:
    w.run(w.shop.shop())
    p, may = w.pipeline(), [False]
    p.guard(lambda package: None if may[0] else Stop("not on Fridays"))
    with failing():
        p.run(w.shop.shop(w.shop.orders(4), w.shop.customers()))
    w.look()
    assert ends(w)["shop"] == ["COMPLETE", "FAIL"]
    assert ends(w)["shop.shop.orders"] == ["COMPLETE", ""]
    assert "not on Fridays" in w.stream().invocations[1].facet("errorMessage")["message"]
    may[0] = True
    w.run(None, p)
    assert ends(w)["shop"] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert ends(w)["shop.shop.orders"] == ["COMPLETE", "COMPLETE"]


@scenario("a gate sets a package aside")
def parked(w: World, patch: Any) -> None:
    p = w.pipeline()
    w.run(w.shop.shop(w.shop.customers()), p)
    p.guard(lambda package: Park("more rows than in a year"))
    p.run(w.shop.shop(w.shop.orders(), w.shop.customers()))
    w.look()
    assert ends(w)["shop"] == ["COMPLETE", "COMPLETE"]
    assert ends(w)["shop.shop.orders"] == ["ABORT"]
    assert ends(w)["shop.shop.customers"] == ["COMPLETE", "ABORT"]
    assert "more rows than in a year" in w.stream().of("orders")[0].facet("errorMessage")["message"]


@scenario("a gate freezes a column", long=True)
def frozen(w: World, patch: Any) -> None:
    p = w.pipeline()
    w.run(w.shop.shop(w.shop.customers()), p)
    p.guard(Columns(new=Freeze("ask first")))
    with failing():
        p.run(w.shop.shop(_things(w, {"id": 1, "new": 2}), w.shop.customers()))
    w.look()
    assert ends(w)["shop"] == ["COMPLETE", "FAIL"]
    assert ends(w)["shop.shop.things"] == ["FAIL"]
    assert ends(w)["shop.shop.customers"] == ["COMPLETE", "ABORT"]


@scenario("a gate leaves a table out, a job of another fails, and is loaded later", long=True)
def left_out_and_failed(w: World, patch: Any) -> None:
    patch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    p = w.pipeline()
    p.guard(lambda package: Skip(tables=["orders"], reason="frozen"))
    with patch.context() as broken:
        break_tables(broken, "customers")
        w.run(w.shop.shop(), p)
    assert ends(w)["shop.shop.customers"] == ["FAIL"]
    assert ends(w)["shop.shop.orders"] == ["COMPLETE"]
    w.pipeline().retry_failed_jobs()
    w.look()
    assert ends(w)["shop.shop.customers"] == ["FAIL", "COMPLETE"]
    assert ends(w)["shop.shop.orders"] == ["COMPLETE"]
