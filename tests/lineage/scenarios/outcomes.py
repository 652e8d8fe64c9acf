"""How runs end: well, at each step, in part; in one process or several; by signals and kills."""

from __future__ import annotations

import signal
import threading
from typing import Any

import headrace
from tests.lineage.scenarios.scenario import (
    LATER,
    NOTHING_READ,
    break_tables,
    ends,
    failing,
    scenario,
    tables_of,
)
from tests.lineage.scenarios.world import World

ALL_JOBS = {"shop", "shop.shop.orders", "shop.shop.customers", "shop.shop.visits"}


@scenario("success")
def success(w: World, patch: Any) -> None:
    w.run(w.shop.shop())
    assert ends(w) == {job: ["COMPLETE"] for job in ALL_JOBS}
    assert tables_of(w, "orders") == {"orders": 3, "orders__items": 6, "orders__items__parts": 12}
    assert tables_of(w, "customers") == {"customers": 4}
    (run,) = w.stream().of("customers")
    (read,) = run.inputs
    assert (read["namespace"], read["name"]) == ("postgres://erp.example.com:5432", "erp.public.customers")
    (run,) = w.stream().of("orders")
    (read,) = run.inputs
    assert (read["namespace"], read["name"]) == ("https://api.example.com", "/v1/orders")


@scenario("one terminal event and one parent when it is run twice", long=True)
def twice(w: World, patch: Any) -> None:
    w.run(w.shop.fresh_orders())
    w.run(w.shop.fresh_orders())
    assert ends(w) == {"shop": ["COMPLETE"] * 2, "shop.shop.orders": ["COMPLETE"] * 2}
    assert tables_of(w, "orders", 1)["orders"] == 3


@scenario("sync fails")
def sync_fails(w: World, patch: Any) -> None:
    w.run(w.shop.shop())
    nowhere = w.shop.destination(["postgres", "postgresql://u:secret-of-postgres@127.0.0.1:9/shop"])
    p = headrace.pipeline("elsewhere", destination=nowhere, dataset_name="raw")
    with failing():
        p.sync_destination()
    with failing():
        p.run(w.shop.shop(w.shop.customers()))
    # a sync loads nothing: it is no run. The second one got no further than that, so no resource was read
    assert ends(w)["elsewhere"] == ["FAIL"]
    assert "elsewhere.shop.customers" not in ends(w)


@scenario("extract fails")
def extract_fails(w: World, patch: Any) -> None:
    @headrace.resource(name="bad")
    def bad() -> Any:
        yield {"id": 1}
        raise ValueError("no more orders")

    w.run(w.shop.shop())
    with failing():
        w.run(w.shop.shop(w.shop.orders(4), bad()))
    w.look()
    told = ends(w)
    assert told["shop"] == ["COMPLETE", "FAIL"]
    assert told["shop.shop.bad"] == ["FAIL"]
    assert told["shop.shop.orders"] == ["COMPLETE", "ABORT"]
    assert "no more orders" in w.stream().of("bad")[0].facet("errorMessage")["message"]


@scenario("normalize fails")
def normalize_fails(w: World, patch: Any) -> None:
    w.run(w.shop.shop())
    with failing():
        w.pipeline().run(w.shop.shop(w.shop.orders(4, schema_contract={"columns": "freeze"}), _wider(w)))
    w.look()
    told = ends(w)
    assert told["shop"] == ["COMPLETE", "FAIL"]
    assert told["shop.shop.customers"] == ["COMPLETE", "FAIL"]
    assert told["shop.shop.orders"][1] in ("ABORT", "FAIL")


def _wider(w: World) -> Any:
    """Customers with a column that the contract does not allow."""

    @headrace.resource(name="customers", schema_contract={"columns": "freeze"})
    def read() -> Any:
        yield [{"id": 9, "Full Name": "n9", "vip": True, "unheard of": 1}]

    return read().add_input(dict(w.shop.TABLE))


@scenario("load fails")
def load_fails(w: World, patch: Any) -> None:
    w.run(w.shop.shop())
    patch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "true")
    break_tables(patch, "customers")
    with failing():
        w.pipeline().run(w.shop.shop(w.shop.orders(4), w.shop.customers()))
    w.look()
    told = ends(w)
    assert told["shop"] == ["COMPLETE", "FAIL"]
    assert told["shop.shop.customers"] == ["COMPLETE", "FAIL"]


@scenario("a job fails and is passed over")
def failed_jobs(w: World, patch: Any) -> None:
    patch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    break_tables(patch, "customers")
    w.run(w.shop.shop(w.shop.orders(), w.shop.customers()))
    told = ends(w)
    assert told["shop.shop.customers"] == ["FAIL"] and told["shop.shop.orders"] == ["COMPLETE"]
    assert told["shop"] == ["FAIL"]
    (run,) = w.stream().of("customers")
    assert run.outputs == [], "nothing of it was written"
    assert "customers is broken" in run.facet("errorMessage")["message"]


@scenario("all jobs fail and are passed over")
def all_jobs_fail(w: World, patch: Any) -> None:
    w.run(w.shop.shop(w.shop.visits()))
    patch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    break_tables(patch, "customers", "orders", "orders__items", "orders__items__parts")
    w.run(w.shop.shop(w.shop.orders(), w.shop.customers()))
    told = ends(w)
    assert told["shop.shop.customers"] == told["shop.shop.orders"] == ["FAIL"]
    assert tables_of(w, "orders") == {}


@scenario("failed jobs are loaded later")
def retried_jobs(w: World, patch: Any) -> None:
    patch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    with patch.context() as broken:
        break_tables(broken, "customers")
        w.run(w.shop.shop(w.shop.orders(), w.shop.customers()))
    w.pipeline().retry_failed_jobs()
    w.look()
    told = ends(w)
    assert told["shop.shop.orders"] == ["COMPLETE"]
    assert told["shop.shop.customers"] == ["FAIL", "COMPLETE"], "the run had ended: what is loaded later is a run anew"
    failed, done = w.stream().of("customers")
    assert done.facet("jobDependencies")["upstream"][0]["run"]["runId"] == failed.id


@scenario("a passing error is retried")
def retries(w: World, patch: Any) -> None:
    from headrace.errors.destination import DestinationTransientException

    patch.setenv("RETRIES__LOAD", "3")
    break_tables(patch, "customers", error=DestinationTransientException, times=1)
    w.run(w.shop.shop())
    assert ends(w) == {job: ["COMPLETE"] for job in ALL_JOBS}


@scenario("load fails for now, and a later run finishes the package", warnings=LATER)
def pending(w: World, patch: Any) -> None:
    from headrace.errors.destination import DestinationTransientException

    patch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")
    with patch.context() as broken:
        break_tables(broken, "customers", error=DestinationTransientException)
        with failing():
            w.run(w.shop.shop())
    assert "" in ends(w)["shop.shop.orders"], "the package waits, so its runs go on"
    w.run(w.shop.shop(w.shop.orders(4)))
    told = ends(w)
    assert told["shop.shop.orders"] == ["COMPLETE"] * 2
    assert told["shop.shop.customers"] == ["COMPLETE"]
    first, second = w.stream().of("orders")
    assert first.parent == w.stream().invocations[0].id
    assert second.parent == w.stream().invocations[1].id


@scenario("extract only, and then never more: dropped", warnings=LATER)
def dropped(w: World, patch: Any) -> None:
    w.run(w.shop.shop())
    p = w.pipeline()
    p.extract(w.shop.shop(w.shop.orders(4)))
    assert ends(w)["shop.shop.orders"] == ["COMPLETE", ""]
    p.drop_pending_packages()
    w.look()
    assert ends(w)["shop.shop.orders"] == ["COMPLETE", "ABORT"]


@scenario("separate steps", warnings=LATER)
def steps(w: World, patch: Any) -> None:
    w.pipeline().extract(w.shop.shop())
    w.pipeline().normalize()
    w.pipeline().load()
    w.look()
    told = ends(w)
    assert all(told[job] == ["COMPLETE"] for job in ALL_JOBS - {"shop"})
    assert told["shop"] == ["COMPLETE"] * 3
    (run,) = w.stream().of("orders")
    assert run.parent == w.stream().invocations[0].id


@scenario("load only: what was extracted before lineage was on")
def load_only(w: World, patch: Any) -> None:
    with patch.context() as off:
        off.setenv("OPENLINEAGE_DISABLED", "true")
        w.pipeline().extract(w.shop.shop())
        w.pipeline().normalize()
    w.pipeline().load()
    w.look()
    assert all(ends(w)[job] == ["COMPLETE"] for job in ALL_JOBS)
    assert tables_of(w, "orders")["orders__items"] == 6


@scenario("separate steps in other processes", warnings=LATER)
def processes(w: World, patch: Any) -> None:
    w.child("extract", "shop")
    w.child("normalize")
    w.child("load")
    told = ends(w)
    assert all(told[job] == ["COMPLETE"] for job in ALL_JOBS - {"shop"})
    (run,) = w.stream().of("orders")
    assert run.parent == w.stream().invocations[0].id
    assert [s for s in run.states if s in ("START", "COMPLETE")] == ["START", "COMPLETE"]


@scenario("eight threads")
def threads(w: World, patch: Any) -> None:
    def one(number: int) -> None:
        w.pipeline(f"shop{number}", dataset_name=f"raw{number}").run(w.shop.shop())

    workers = [threading.Thread(target=one, args=(n,)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for number in range(8):
        w.look(f"raw{number}")
    told = ends(w)
    assert all(found == ["COMPLETE"] for found in told.values()) and len(told) == 32
    for run in w.stream().resources:
        assert all(f".{run.job[:5].replace('shop', 'raw')}." in out["name"] for out in run.outputs)


@scenario("several processes at once", long=True)
def several_processes(w: World, patch: Any) -> None:
    names = ["one", "two", "three"]
    children = [
        w.start("run", "shop", pipeline={"name": f"shop_{n}", "dataset_name": f"raw_{n}", "pipelines_dir": None})
        for n in names
    ]
    assert [c.wait(120) for c in children] == [0] * len(names), w.log()
    for name in names:
        w.look(f"raw_{name}")
    told = ends(w)
    assert all(found == ["COMPLETE"] for found in told.values()) and len(told) == 4 * len(names)


@scenario("Ctrl-C in extract")
def interrupted_extract(w: World, patch: Any) -> None:
    w.child("run", "shop")
    w.child("signal in extract", signal=signal.SIGINT, wanted=None)
    told = ends(w)
    assert told["shop"] == ["COMPLETE", "ABORT"]
    assert told["shop.shop.orders"] == ["COMPLETE", "ABORT"]


@scenario("SIGTERM in load, and a later run finishes it", warnings=LATER)
def terminated_load(w: World, patch: Any) -> None:
    w.child("signal in load", signal=signal.SIGTERM, wanted=None)
    told = ends(w)
    assert told["shop"] == ["ABORT"]
    w.child("run")
    told = ends(w)
    assert told["shop"] == ["ABORT", "COMPLETE"]
    assert all(told[job] == ["COMPLETE"] for job in ALL_JOBS - {"shop"})


@scenario("Ctrl-C in load, and the package is dropped", warnings=LATER, long=True)
def interrupted_load(w: World, patch: Any) -> None:
    w.child("run", "shop", arguments={})
    w.child("signal in load", signal=signal.SIGINT, wanted=None)
    w.child("drop_pending_packages")
    told = ends(w)
    assert told["shop"][:2] == ["COMPLETE", "ABORT"]
    assert all(found[-1] in ("ABORT", "COMPLETE") for found in told.values())


def _killed(place: str) -> Any:
    def play(w: World, patch: Any) -> None:
        w.child("run", "fresh")
        w.killed("run", "fresh", place)
        w.child("run", "fresh")
        told = ends(w)
        assert told["shop"] == ["COMPLETE", "ABORT", "COMPLETE"], told
        assert all(end in ("COMPLETE", "ABORT") for end in told["shop.shop.orders"])
        lost = place in ("PackageCreated:after", "Extracted:before")
        assert told["shop.shop.orders"].count("COMPLETE") == (2 if lost else 3)

    return play


FEW = ("Normalized:after", "Loaded:after")
PLACES = [
    *("PackageCreated:after", "Extracted:before", "Extracted:after", "Normalized:before", "Normalized:after"),
    *("Planned:after", "migrate.before", "migrate.after", "job.committed", "JobDone:after"),
    *("complete.before", "complete.after", "Loaded:before", "Loaded:after"),
]
for _place in PLACES:
    scenario(f"kill -9 at {_place}, and recovery", warnings=LATER, long=_place not in FEW)(_killed(_place))


@scenario("no new data", less=NOTHING_READ)
def nothing_new(w: World, patch: Any) -> None:
    @headrace.resource(name="orders", primary_key="id")
    def read(at: Any = headrace.sources.incremental("id", initial_value=0)) -> Any:
        yield [w.shop.order(n) for n in range(1, 4)]

    def source() -> Any:
        return w.shop.shop(read().add_input(dict(w.shop.API)))

    w.run(source())
    w.run(source())
    assert ends(w)["shop.shop.orders"] == ["COMPLETE", "COMPLETE"]
    assert set(tables_of(w, "orders", 1).values()) <= {0}


@scenario("a resource that yields nothing at all", less=NOTHING_READ)
def empty(w: World, patch: Any) -> None:
    @headrace.resource(name="void")
    def void() -> Any:
        yield from ()

    w.run(w.shop.shop(w.shop.orders(), void().add_input(dict(w.shop.TABLE))))
    assert tables_of(w, "void") == {}
    assert ends(w)["shop.shop.void"] == ["COMPLETE"]
