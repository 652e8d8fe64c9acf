"""Incrementals on resources, as a pipeline runs them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import headrace
from headrace.extract.incremental.hashes import digest, to_text
from tests.extract.fakes import run

incremental = headrace.sources.incremental


def test_a_replaced_resource_starts_over_when_only_its_transformer_is_given() -> None:
    """The resource is part of no source then; its disposition counts all the same."""
    starts = []

    @headrace.resource(write_disposition="replace")
    def pages(c: Any = incremental("c")) -> Iterator[Any]:
        starts.append(c.start_value)
        yield [{"c": 1}, {"c": 2}]

    @headrace.transformer
    def rows(page: list[Any]) -> Any:
        yield from page

    state: dict[str, Any] = {}
    for _ in range(2):
        made = run([pages() | rows()], state=state)
        assert made.rows["rows"] == [{"c": 1}, {"c": 2}]
    assert starts == [None, None]


def test_the_empty_incremental_takes_a_hint_away() -> None:
    @headrace.resource
    def events() -> Iterator[Any]:
        yield [{"c": 1}, {"c": 2}]

    resource = events()
    resource.apply_hints(incremental=incremental("c", initial_value=2))
    resource.apply_hints(incremental=incremental.EMPTY)
    made = run(resource)
    assert made.rows["events"] == [{"c": 1}, {"c": 2}]
    assert resource.incremental is None
    assert "incremental" not in str(made.state)


@dataclasses.dataclass
class Event:
    id: int
    c: int


def test_dataclasses_hash_as_in_dlt() -> None:
    """Fields in the order of their declaration; recorded from dlt 1.31."""
    assert to_text(digest(Event(3, 3))) == "fy+2ZcU9r9Rr"
