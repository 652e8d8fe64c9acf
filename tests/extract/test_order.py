"""In which order items come, and what runs at the same time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import headrace as hr
from headrace.errors.extract import ResourceExtractionError
from headrace.extract.settings import ExtractSettings
from headrace.extract.state import resource_name, resource_state
from tests.extract.fakes import run


def source_of(*resources: Any) -> Any:
    return hr.source(lambda: resources, name="s")()


def letters(name: str, n: int) -> Any:
    return hr.resource([f"{name}{i}" for i in range(n)], name=name)


def test_round_robin_takes_one_in_turn() -> None:
    assert list(source_of(letters("a", 3), letters("b", 1), letters("c", 2))) == ["a0", "b0", "c0", "a1", "c1", "a2"]


def test_fifo_reads_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXTRACT__NEXT_ITEM_MODE", "fifo")
    assert list(source_of(letters("a", 2), letters("b", 2))) == ["a0", "a1", "b0", "b1"]


def test_what_a_transformer_makes_comes_before_the_next_item() -> None:
    a = letters("a", 2)
    t = a | hr.transformer(lambda i: (f"{i}.{n}" for n in range(2)), name="t")
    assert list(t) == ["a0.0", "a0.1", "a1.0", "a1.1"]


def test_the_function_goes_on_after_its_item_went_through_all_steps() -> None:
    log: list[str] = []

    def talk() -> Iterator[dict[str, int]]:
        for i in range(3):
            log.append(f"yield {i}")
            yield {"i": i}

    run(hr.resource(talk).add_map(lambda d: log.append(f"map {d['i']}") or d))
    assert log == ["yield 0", "map 0", "yield 1", "map 1", "yield 2", "map 2"]


def test_parallel_resources_wait_together() -> None:
    meet = threading.Barrier(3, timeout=60)

    def waits() -> Iterator[int]:
        meet.wait()
        yield 1

    resources = [hr.resource(waits, name=f"r{i}", parallelized=True) for i in range(3)]
    assert list(source_of(*resources)) == [1, 1, 1]


def test_deferred_functions_run_together_and_no_more_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXTRACT__MAX_PARALLEL_ITEMS", "3")
    monkeypatch.setenv("EXTRACT__WORKERS", "8")
    lock, now, most = threading.Lock(), [0], [0]

    @hr.defer
    def work(i: int) -> int:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.01)
        with lock:
            now[0] -= 1
        return i

    assert sorted(hr.resource(lambda: (work(i) for i in range(20)), name="r")) == list(range(20))
    assert most[0] <= 3


def test_async_items_run_together() -> None:
    here: list[int] = []

    async def wait(i: int) -> int:
        here.append(i)
        for _ in range(6_000):
            if len(here) == 10:
                return i
            await asyncio.sleep(0.01)
        raise AssertionError(f"only {here} run together")

    assert sorted(hr.resource(lambda: (wait(i) for i in range(10)), name="r")) == list(range(10))


def test_async_generators_of_several_resources_run_together() -> None:
    events: list[asyncio.Event] = []

    async def first() -> AsyncIterator[int]:
        events.append(asyncio.Event())
        await asyncio.wait_for(events[0].wait(), 60)
        yield 1

    async def second() -> AsyncIterator[int]:
        while not events:
            await asyncio.sleep(0.01)
        events[0].set()
        yield 2

    assert sorted(source_of(hr.resource(first), hr.resource(second))) == [1, 2]


def test_context_is_seen_in_threads_and_on_the_loop() -> None:
    async def on_loop() -> str:
        return resource_name()

    def both() -> Iterator[Any]:
        yield hr.defer(resource_name)()
        yield on_loop()
        yield resource_name()

    assert list(hr.resource(both, name="me")) == ["me", "me", "me"]


def test_a_parallel_transformer_runs_in_threads() -> None:
    def where(item: int) -> Iterator[str]:
        yield threading.current_thread().name

    a = hr.resource([1, 2], name="a")
    assert all(n.startswith("headrace-extract") for n in a | hr.transformer(where, parallelized=True))
    plain = hr.transformer(lambda i: threading.current_thread().name, name="p", parallelized=True)
    assert all(n.startswith("headrace-extract") for n in a | plain)


def test_an_error_in_a_thread_ends_the_reading_and_the_threads() -> None:
    def fails() -> Iterator[int]:
        yield 1
        raise ValueError("no")

    def goes_on() -> Iterator[int]:
        while True:
            time.sleep(0.005)
            yield 1

    with pytest.raises(ResourceExtractionError, match="fails"):
        list(source_of(hr.resource(fails, parallelized=True), hr.resource(goes_on, parallelized=True)))
    assert not [t for t in threading.enumerate() if t.name.startswith("headrace-extract")]


def test_parallel_generators_are_closed_when_reading_stops() -> None:
    closed: list[str] = []

    def sync() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append("sync")

    async def later() -> AsyncIterator[int]:
        try:
            while True:
                yield 2
        finally:
            closed.append("async")

    for _ in source_of(hr.resource(sync, parallelized=True), hr.resource(later)):
        if _ == 2:
            break
    assert sorted(closed) == ["async", "sync"]


def test_deep_pipes_of_deferred_items() -> None:
    """Each stage multiplies promises, far more than may wait at a time."""

    @hr.transformer
    def spread(i: int) -> Iterator[Any]:
        for n in range(5):
            yield hr.defer(lambda a, b: a * 10 + b)(i, n)

    again = hr.transformer(hr.defer(lambda i: i + 1), name="again")
    found = list(hr.resource(list(range(30)), name="a") | spread | again)
    assert sorted(found) == sorted(i * 10 + n + 1 for i in range(30) for n in range(5))


def test_many_async_generators_of_a_transformer() -> None:
    async def two(i: int) -> AsyncIterator[int]:
        yield i
        await asyncio.sleep(0)
        yield -i

    found = list(hr.resource(list(range(1, 101)), name="a") | hr.transformer(two))
    assert sorted(found) == sorted([*range(1, 101), *range(-100, 0)])


@pytest.mark.parametrize("mode", ["round_robin", "fifo"])
def test_the_stage_keeps_the_order_within_a_resource(mode: str) -> None:
    def mixed(n: int) -> Iterator[Any]:
        for i in range(n):
            yield {"i": i} if i % 7 else [{"i": i}]

    got = run(
        [hr.resource(mixed, name="a")(2500), hr.resource(mixed, name="b")(300)],
        settings=ExtractSettings(next_item_mode=mode),
    )
    assert [r["i"] for r in got.rows["a"]] == list(range(2500))
    assert [r["i"] for r in got.rows["b"]] == list(range(300))


def test_copies_for_transformers_on_request() -> None:
    def change(item: dict[str, int]) -> dict[str, int]:
        item["i"] = 99
        return item

    def both() -> Any:
        a = hr.resource(lambda: [{"i": 1}], name="a")
        return hr.source(lambda: (a, a | hr.transformer(change, name="t")), name="s")()

    assert run(both(), settings=ExtractSettings(copy_on_fork=True)).rows == {"t": [{"i": 99}], "a": [{"i": 1}]}


def test_state_of_resources_is_seen_in_deferred_functions() -> None:
    def counted() -> Iterator[Any]:
        def note() -> dict[str, int]:
            resource_state()["n"] = 1
            return {"i": 1}

        yield note

    assert run(hr.resource(counted)).state["sources"]["shop"]["resources"]["counted"] == {"n": 1}
