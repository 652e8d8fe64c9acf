"""One process of the shop: does what its argument, a JSON document, says."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from typing import Any

import shop

import headrace


def _interrupting(code: int, first: int) -> Any:
    """Orders, and a signal in between."""

    @headrace.resource(name="orders", primary_key="id")
    def read() -> Any:
        yield [shop.order(first)]
        headrace.lineage.flush()  # a run that dies at once was never told of
        os.kill(os.getpid(), code)
        time.sleep(0.2)
        yield [shop.order(first + 1)]

    return read().add_input(dict(shop.API))


def _interrupt_load(code: int) -> None:
    """A signal while the first job is at work."""
    from headrace.destinations.sql.client import SqlJobClient

    apply = SqlJobClient.apply

    def interrupted(self: Any, job: Any, context: Any) -> Any:
        SqlJobClient.apply = apply
        os.kill(os.getpid(), code)
        return apply(self, job, context)

    SqlJobClient.apply = interrupted


def _interrupt_normalize(code: int) -> None:
    """A signal while the first file is normalized."""
    normalizing: Any = importlib.import_module("headrace.pipeline.normalizing")
    one = normalizing._normalize_one

    def interrupted(*args: Any, **more: Any) -> Any:
        os.kill(os.getpid(), code)
        return one(*args, **more)

    normalizing._normalize_one = interrupted


def _leaving(how: str) -> Any:
    """Orders, by a resource that ends the process in between."""

    @headrace.resource(name="orders", primary_key="id")
    def read() -> Any:
        yield [shop.order(90)]
        headrace.lineage.flush()  # a run that dies at once was never told of
        if how == "exit":
            sys.exit(3)
        os._exit(4)

    return read().add_input(dict(shop.API))


def main(order: dict[str, Any]) -> None:
    """Do one thing."""
    pipeline = shop.pipeline(order["spec"], **order.get("pipeline", {}))
    what, settings = order["what"], order.get("settings", {})
    if what == "signal in extract":
        pipeline.run(_interrupting(order["signal"], 1))
        return
    if what == "signal in load":
        _interrupt_load(order["signal"])
        pipeline.run(shop.shop())
        return
    if what == "signal in normalize":
        _interrupt_normalize(order["signal"])
        pipeline.run(shop.shop())
        return
    if what in ("exit", "_exit"):
        pipeline.run(shop.shop(_leaving(what), shop.customers()))
        return
    source = {"orders": shop.orders, "fresh": shop.fresh_orders, "shop": shop.shop}.get(order.get("source", ""))
    getattr(pipeline, what)(*([source(**order.get("arguments", {}))] if source else []), **settings)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main(json.loads(sys.argv[1]))
