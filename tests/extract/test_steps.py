"""Maps, filters, limits, metrics and the order of steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

import headrace as hr
from headrace.errors.extract import InvalidStepFunctionArguments
from headrace.extract.steps import FilterItem, MapItem


def pages() -> Iterator[Any]:
    yield [{"b": 0}, {"b": 1}]
    yield {"b": 2}
    yield [{"b": 9}]


def made() -> Any:
    return hr.resource(pages, name="pages")


def test_map_unrolls_pages() -> None:
    assert [i["c"] for i in made().add_map(lambda i: {"c": i["b"]})] == [0, 1, 2, 9]


def test_filter_unrolls_pages_and_drops_what_is_left_empty() -> None:
    assert list(made().add_filter(lambda i: i["b"] > 1).add_step(lambda page: [page])) == [{"b": 2}, [{"b": 9}]]


def test_an_empty_page_stays_an_empty_page() -> None:
    r = hr.resource(lambda: [[]], name="e").add_filter(lambda i: True).add_map(lambda i: i).add_step(lambda p: [p])
    assert list(r) == [[]]


def test_yield_map_gives_all() -> None:
    assert [i["b"] for i in made().add_yield_map(lambda i: [i, i])] == [0, 0, 1, 1, 2, 2, 9, 9]


def test_a_step_gets_pages_whole() -> None:
    assert list(made().add_step(lambda page: [page])) == [[{"b": 0}, {"b": 1}], {"b": 2}, [{"b": 9}]]


def test_none_drops_the_item() -> None:
    assert list(hr.resource([1, 2], name="x").add_map(lambda i: None if i == 1 else i)) == [2]


def test_functions_get_the_mark_if_they_ask() -> None:
    r = hr.resource([hr.mark.with_table_name({"a": 1}, "t"), {"a": 2}], name="x")
    r.add_map(lambda item, meta: {**item, "t": getattr(meta, "table_name", None)})
    assert list(r) == [{"a": 1, "t": "t"}, {"a": 2, "t": None}]


def test_insert_at_counts_from_the_function() -> None:
    r = hr.resource([1], name="x").add_map(lambda i: i * 10).add_map(lambda i: i + 1, insert_at=1)
    assert list(r) == [20]


def test_functions_that_cannot_take_an_item_are_refused() -> None:
    with pytest.raises(InvalidStepFunctionArguments):
        list(made().add_map(lambda a, b, c: a))
    with pytest.raises(TypeError):
        made().add_map(5)


def test_built_in_functions_and_own_steps() -> None:
    class Shout(MapItem):
        def __call__(self, item: Any, meta: Any = None) -> Any:
            return f"{item}!"

    class Never(FilterItem):
        pass

    assert list(hr.resource(["1"], name="x").add_map(int).add_step(Shout(str))) == ["1!"]
    assert list(hr.resource([1], name="x").add_step(Never(lambda i: False))) == []


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ({"max_items": 1}, [0, 1]),
        ({"max_items": 2}, [0, 1, 2]),
        ({"max_items": 0}, []),
        ({"max_items": -1}, [0, 1, 2, 9]),
        ({"max_items": None}, [0, 1, 2, 9]),
        ({"max_items": 1, "count_rows": True}, [0, 1]),
        ({"max_items": 3, "count_rows": True}, [0, 1, 2]),
        ({"max_time": 60}, [0, 1, 2, 9]),
    ],
)
def test_limits_count_yields_or_rows(limit: dict[str, Any], expected: list[int]) -> None:
    assert [i["b"] for i in made().add_limit(**limit)] == expected


def test_a_limit_stands_behind_filters_wherever_it_was_added() -> None:
    assert [i["b"] for i in made().add_limit(1).add_filter(lambda i: i["b"] > 1)] == [2]


def test_a_limit_of_nothing_does_not_start_the_function() -> None:
    started = []

    def begun() -> Iterator[int]:
        started.append(1)
        yield 1

    assert list(hr.resource(begun).add_limit(0)) == []
    assert started == []


def test_a_limit_asks_for_no_item_too_many() -> None:
    asked = []

    def counted() -> Iterator[int]:
        for i in range(10):
            asked.append(i)
            yield i

    assert list(hr.resource(counted).add_limit(2)) == [0, 1]
    assert asked == [0, 1]
    asked.clear()
    assert list(hr.resource(counted, parallelized=True).add_limit(2)) == [0, 1]
    assert asked == [0, 1]


def test_a_limit_in_time_stops_an_endless_source() -> None:
    def endless() -> Iterator[int]:
        while True:
            time.sleep(0.01)
            yield 1

    assert 1 <= len(list(hr.resource(endless).add_limit(max_time=0.1))) < 30


def test_a_limit_on_a_transformer_is_ignored(caplog: pytest.LogCaptureFixture) -> None:
    t = hr.resource([1, 2], name="a") | hr.transformer(lambda i: i, name="t")
    assert list(t.add_limit(1)) == [1, 2]
    assert "no effect" in caplog.text


def test_metrics_are_kept_by_the_resource() -> None:
    def count(items: Any, meta: Any, metrics: dict[str, Any]) -> None:
        metrics["pages"] = metrics.get("pages", 0) + 1

    r = made().add_metrics(count)
    list(r)
    assert r.custom_metrics == {"pages": 3}
    list(r)
    assert r.custom_metrics == {"pages": 3}


def test_select_tables_keeps_only_these() -> None:
    r = hr.resource(
        [{"k": "a"}, {"k": "b"}, hr.mark.with_table_name({"k": "x"}, "a")], name="x", table_name=lambda i: i["k"]
    )
    assert list(r.select_tables("a")) == [{"k": "a"}, {"k": "x"}]
    assert list(hr.resource([1], name="x").select_tables("y")) == []
