"""Processes that die while they tell: between what is loaded, what is written down of it, and what is sent."""

from __future__ import annotations

import signal
from typing import Any

from tests.lineage.scenarios.scenario import LATER, ends, scenario
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
