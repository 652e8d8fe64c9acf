"""Processes that die while they tell: between what is loaded, what is written down of it, and what is sent."""

from __future__ import annotations

import signal
import sys
from typing import Any

import headrace
from tests.lineage.scenarios.scenario import LATER, ends, failing, scenario
from tests.lineage.scenarios.world import World


@scenario("a process dies when it has told the end, and before it has noted that")
def told_and_not_noted(w: World, patch: Any) -> None:
    from headrace.observers.lineage import opened

    with patch.context() as dying:
        dying.setattr(opened.OpenRuns, "forget", lambda *_: None)
        w.run(w.shop.fresh_orders())
        w.stream()  # all of it is told
    with patch.context() as later:
        later.setattr(opened, "is_alive", lambda _: False)
        w.run(w.shop.fresh_orders())
    assert ends(w) == {"shop": ["COMPLETE"] * 2, "shop.shop.orders": ["COMPLETE"] * 2}


@scenario("sys.exit in a resource")
def left(w: World, patch: Any) -> None:
    @headrace.resource(name="leaving")
    def leaving() -> Any:
        yield {"id": 1}
        sys.exit(3)

    with failing(SystemExit):
        w.pipeline().run(w.shop.shop(leaving(), w.shop.customers()))
    w.look()
    told = ends(w)
    assert told["shop"] == ["ABORT"] and told["shop.shop.leaving"] == ["ABORT"], told
    w.run(w.shop.shop())
    assert ends(w)["shop.shop.customers"] == ["ABORT", "COMPLETE"]


@scenario("sys.exit and os._exit in a resource, in other processes", long=True)
def left_for_good(w: World, patch: Any) -> None:
    w.child("exit", wanted=3)
    assert ends(w)["shop"] == ["ABORT"]
    w.child("_exit", wanted=4)
    w.child("run", "shop")
    told = ends(w)
    assert told["shop"] == ["ABORT", "ABORT", "COMPLETE"], told
    assert told["shop.shop.customers"] == ["ABORT", "ABORT", "COMPLETE"]


@scenario("an error in a resource that is read by threads")
def threaded(w: World, patch: Any) -> None:
    @headrace.resource(name="bad", parallelized=True)
    def bad() -> Any:
        yield {"id": 1}
        raise ValueError("no more, in a thread")

    @headrace.resource(name="good", parallelized=True)
    def good() -> Any:
        yield from ({"id": n} for n in range(3))

    w.run(w.shop.shop(w.shop.customers()))
    with failing():
        w.pipeline().run(w.shop.shop(bad(), good()))
    w.look()
    assert ends(w)["shop.shop.bad"] == ["FAIL"]
    assert ends(w)["shop.shop.good"] == ["ABORT"]
    assert "no more, in a thread" in w.stream().of("bad")[0].facet("errorMessage")["message"]


def _signalled(step: str, code: signal.Signals) -> Any:
    def play(w: World, patch: Any) -> None:
        w.child("run", "shop")
        w.child(f"signal in {step}", signal=code, wanted=None)
        # in extract nobody is in the way of SIGTERM: the next run closes what it has cut off
        assert ends(w)["shop"][1] == ("" if (step, code) == ("extract", signal.SIGTERM) else "ABORT"), w.log()
        w.child("run", "shop")
        told = ends(w)
        assert told["shop"] == ["COMPLETE", "ABORT", "COMPLETE"]
        assert all(found[-1] == "COMPLETE" for found in told.values())

    return play


for _step, _code in (
    *(("extract", code) for code in (signal.SIGTERM,)),
    *(("normalize", code) for code in (signal.SIGINT, signal.SIGTERM)),
    ("load", signal.SIGINT),
):
    scenario(f"{_code.name} in {_step}, and a later run", warnings=LATER, long=True)(_signalled(_step, _code))


def _while_telling(place: str) -> Any:
    def play(w: World, patch: Any) -> None:
        w.child("run", "fresh")
        for hit in range(1, 14):
            # what threads do is in no order: the last places may not be reached
            code = w.child("run", "fresh", wanted=None, failpoint=f"{place}#{hit}")
            assert code in (0, -signal.SIGKILL), w.log()
        w.child("run", "fresh")

    return play


for _place in ("lineage.append", "lineage.appended", "lineage.sent"):
    scenario(f"kill -9 at each {_place}", warnings=LATER, long=True)(_while_telling(_place))
