"""Runs whose outcome chance decides, and what each must have come to."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Any

import headrace
from tests.lineage.scenarios.scenario import break_tables, failing
from tests.lineage.scenarios.world import World

# how often each happens
ACTS = {
    "run": 6,
    "extract fails": 2,
    "job fails": 2,
    "load fails for now": 2,
    "steps": 2,
    "extract and drop": 2,
    "extract": 1,
    "three threads": 1,
    "nothing": 1,
    "interrupt": 1,
}


class Story:
    """A pipeline to which things happen.

    Args:
        w: The world.
        patch: pytest's monkeypatch.
        seed: Decides everything.

    Attributes:
        wanted: How invocations must end, in their order.
        done: What happened, for messages.
    """

    def __init__(self, w: World, patch: Any, seed: int) -> None:
        self.w, self.patch, self.random = w, patch, random.Random(seed)
        self.wanted: dict[str, Counter[str]] = {"shop": Counter()}
        self.resources: Counter[str] = Counter()
        self.waiting = 0  # runs of resources whose package waits
        self.done: list[str] = []
        self.number = 0

    def act(self) -> None:
        """One thing more."""
        what = self.random.choices([*ACTS], [*ACTS.values()])[0]
        self.done.append(what)
        getattr(self, what.replace(" ", "_"))()
        self.w.look()

    def finish(self) -> None:
        """Load what waits."""
        self.run()
        self.w.look()

    # ---- parts -----------------------------------------------------------------------------------------------------

    def source(self, *more: Any) -> tuple[Any, int]:
        """Some resources, and how many."""
        self.number += 3
        shop = self.w.shop
        choices = [shop.orders(self.number, self.random.randint(1, 3)), shop.customers(), shop.visits(2)]
        chosen = [*self.random.sample(choices, self.random.randint(1, 3)), *more]
        return shop.shop(*chosen), len(chosen)

    def ended(self, invocation: str, resource: str = "", count: int = 0) -> None:
        """Note what must have come of it; packages that waited are loaded by what loads."""
        self.wanted["shop"][invocation] += 1
        if resource == "COMPLETE":
            count, self.waiting = count + self.waiting, 0
        self.resources[resource] += count

    # ---- acts ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        source, count = self.source()
        self.w.pipeline().run(source)
        self.ended("COMPLETE", "COMPLETE", count)

    def nothing(self) -> None:
        self.w.pipeline().run(self.w.shop.shop(self.w.shop.customers(0)))
        self.ended("COMPLETE", "COMPLETE", 1)

    def extract_fails(self) -> None:
        @headrace.resource(name="bad")
        def bad() -> Any:
            yield {"id": 1}
            raise ValueError("no more")

        if self.waiting:  # they are loaded before anything is extracted
            self.run()
        source, count = self.source(bad())
        with failing():
            self.w.pipeline().run(source)
        self.ended("FAIL")
        self.resources["FAIL"] += 1
        self.resources["ABORT"] += count - 1

    def job_fails(self) -> None:
        if self.waiting:
            self.run()
        with self.patch.context() as patch:
            patch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
            break_tables(patch, "customers")
            self.w.pipeline().run(self.w.shop.shop(self.w.shop.customers(), self.w.shop.visits()))
        self.ended("FAIL", "COMPLETE", 1)
        self.resources["FAIL"] += 1

    def load_fails_for_now(self) -> None:
        from headrace.errors.destination import DestinationTransientException

        if self.waiting:
            self.run()
        with self.patch.context() as patch:
            patch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")
            break_tables(patch, "customers", error=DestinationTransientException)
            with failing():
                self.w.pipeline().run(self.w.shop.shop(self.w.shop.customers(), self.w.shop.visits()))
        self.ended("FAIL")
        self.waiting += 2

    def steps(self) -> None:
        source, count = self.source()
        self.w.pipeline().extract(source)
        self.w.pipeline().normalize()
        self.w.pipeline().load()
        self.wanted["shop"]["COMPLETE"] += 2
        self.ended("COMPLETE", "COMPLETE", count)

    def extract(self) -> None:
        source, count = self.source()
        self.w.pipeline().extract(source)
        self.ended("COMPLETE")
        self.waiting += count

    def extract_and_drop(self) -> None:
        if self.waiting:
            self.run()
        source, count = self.source()
        p = self.w.pipeline()
        p.extract(source)
        p.drop_pending_packages()
        self.ended("COMPLETE")
        self.resources["ABORT"] += count

    def three_threads(self) -> None:
        def one(name: str, source: Any) -> None:
            self.w.pipeline(name, dataset_name=f"raw_{name}").run(source)

        sources = {f"aside{n}": self.source() for n in range(3)}
        workers = [threading.Thread(target=one, args=(name, source)) for name, (source, _) in sources.items()]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        for name, (_, count) in sources.items():
            self.wanted.setdefault(name, Counter())["COMPLETE"] += 1
            self.resources["COMPLETE"] += count
            self.w.look(f"raw_{name}")

    def interrupt(self) -> None:
        @headrace.resource(name="endless")
        def endless() -> Any:
            yield {"id": 1}
            raise KeyboardInterrupt

        if self.waiting:
            self.run()
        source, count = self.source(endless())
        with failing(BaseException):
            self.w.pipeline().run(source)
        self.ended("ABORT")
        self.resources["ABORT"] += count

    # ---- judging ---------------------------------------------------------------------------------------------------

    def faults(self) -> list[str]:
        """What the events say that is not so."""
        stream = self.w.stream()
        found = self.w.faults()
        told = {name: Counter(r.end for r in stream.invocations if r.job == name) for name in self.wanted}
        if told != self.wanted:
            found.append(f"invocations ended {told}, in truth {self.wanted}")
        ends = Counter(run.end for run in stream.resources)
        if ends != +self.resources:
            found.append(f"resources ended {ends}, in truth {+self.resources}")
        return found
