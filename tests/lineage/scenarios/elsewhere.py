"""Every destination that there is: the shop, loaded twice, and its tables replaced and merged where that can be."""

from __future__ import annotations

from typing import Any

import headrace
from tests.lineage.scenarios.scenario import ends, scenario, tables_of
from tests.lineage.scenarios.world import World

COUNTS = {"orders": 3, "orders__items": 6, "orders__items__parts": 12}


def load_twice(w: World) -> None:
    """The shop, and more of it."""

    def source(first: int) -> Any:
        return w.shop.shop(w.shop.orders(first, **w.place.hints), w.shop.customers(**w.place.hints))

    w.run(source(1))
    w.run(source(4))
    assert all(found == ["COMPLETE"] * 2 for found in ends(w).values())
    assert tables_of(w, "orders") == COUNTS
    first, second = w.stream().of("customers")
    life = [
        run.outputs[0]["facets"].get("lifecycleStateChange", {}).get("lifecycleStateChange") for run in (first, second)
    ]
    assert life == ["CREATE", None]


def load_with_a_function(w: World) -> None:
    """A destination that is a function: nothing can be asked of it, so nothing is told that it alone knows."""
    got: list[Any] = []

    @headrace.destination(name="sender", batch_size=2)
    def send(items: Any, table: Any) -> None:
        got.extend(items)

    headrace.pipeline("shop", destination=send, dataset_name="raw").run(w.shop.shop(w.shop.customers()))
    assert len(got) == 4
    assert ends(w)["shop.shop.customers"] == ["COMPLETE"]


def load_nowhere(w: World) -> None:
    """A destination that keeps nothing: no table is told of that is nowhere."""
    headrace.pipeline("shop", destination=headrace.destinations.dummy(completed_prob=1.0), dataset_name="raw").run(
        w.shop.shop(w.shop.customers())
    )
    assert ends(w)["shop.shop.customers"] == ["COMPLETE"]


__all__ = ["load_nowhere", "load_twice", "load_with_a_function", "scenario"]
