"""Pipes against the obvious way to run them: item by item, step by step, in one list comprehension each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace as hr
from tests.extract.fakes import run

numbers = st.integers(0, 20)
document = numbers.map(lambda n: {"n": n})
page = st.lists(document, max_size=4)
STEPS = ("map", "filter", "yield_map", "page_step", "drop")


def add(resource: Any, step: str) -> Any:
    if step == "map":
        return resource.add_map(lambda d: {"n": d["n"] + 1})
    if step == "filter":
        return resource.add_filter(lambda d: d["n"] % 2 == 0)
    if step == "yield_map":
        return resource.add_yield_map(lambda d: ({"n": d["n"] + i} for i in range(2)))
    if step == "page_step":
        return resource.add_step(lambda item: item[:1] if isinstance(item, list) else item)
    return resource.add_map(lambda d: d if d["n"] != 7 else {"n": 0})


def oracle(items: list[Any], step: str) -> list[Any]:
    if step == "map":
        return [[{"n": d["n"] + 1} for d in i] if isinstance(i, list) else {"n": i["n"] + 1} for i in items]
    if step == "filter":
        kept: list[Any] = []
        for i in items:
            if isinstance(i, list):
                kept.append([d for d in i if d["n"] % 2 == 0])
            elif i["n"] % 2 == 0:
                kept.append(i)
        return kept
    if step == "yield_map":
        flat = [d for i in items for d in (i if isinstance(i, list) else [i])]
        return [{"n": d["n"] + n} for d in flat for n in range(2)]
    if step == "page_step":
        return [i[:1] if isinstance(i, list) else i for i in items]

    def swap(d: Any) -> Any:
        return d if d["n"] != 7 else {"n": 0}

    return [[swap(d) for d in i] if isinstance(i, list) else swap(i) for i in items]


def flat(items: list[Any]) -> list[Any]:
    return [d for i in items for d in (i if isinstance(i, list) else [i])]


def sorted_by_n(items: Iterable[Any]) -> list[Any]:
    return sorted(items, key=lambda d: d["n"])


@pytest.mark.parametrize("how", ["generator", "parallel", "sub_iterators"])
@settings(max_examples=60, deadline=None)
@given(items=st.lists(document | page, max_size=12), steps=st.lists(st.sampled_from(STEPS), max_size=4))
def test_pipes_do_what_their_steps_say(how: str, items: list[Any], steps: list[str]) -> None:
    def gen() -> Iterator[Any]:
        for item in items:
            yield iter([item, None]) if how == "sub_iterators" else item

    made = hr.resource(gen, parallelized=how == "parallel")
    expected = items
    for step in steps:
        made = add(made, step)
        expected = oracle(expected, step)
    # while a step yields several items, the next item of a parallel resource may be ready, and takes its turn
    in_turn = sorted_by_n if how == "parallel" and "yield_map" in steps else list
    assert in_turn(made) == in_turn(flat(expected))
    assert in_turn(run(made).rows.get("gen", [])) == in_turn(flat(expected))
