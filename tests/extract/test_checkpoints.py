"""Extracts that fail and are resumed from their checkpoints: every row once, wherever they fail."""

from __future__ import annotations

import copy
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace
from headrace.extract.checkpoint import Checkpoint, CheckpointPlan
from headrace.extract.settings import ExtractSettings
from headrace.extract.stage import extract_source
from headrace.extract.state import state_scope
from headrace.extract.wrap import wrap_data
from headrace.model.schema import Schema

from .fakes import MemorySink

EXAMPLES = 3000 if os.environ.get("HEADRACE_LONG") else 150
Rows = dict[str, list[Any]]


class CountingSink(MemorySink):
    """Also says how many rows each table has, as the real one does."""

    @property
    def row_counts(self) -> dict[str, int]:
        counts = {table: len(rows) for table, rows in self.rows.items()}
        for table, frames in self.frames.items():
            counts[table] = counts.get(table, 0) + sum(frame.num_rows for frame in frames)
        return counts

    def all_rows(self) -> Rows:
        found = {table: list(rows) for table, rows in self.rows.items()}
        for table, frames in self.frames.items():
            found.setdefault(table, []).extend(row for frame in frames for row in frame.to_pylist())
        return found


class Warehouse:
    """What was sealed: rows and state together, as packages are."""

    def __init__(self, every: int | None = 1, seconds: float | None = None) -> None:
        self.every, self.seconds = every, seconds
        self.rows: dict[str, list[Any]] = {}
        self.state: dict[str, Any] = {}
        self.sealed = 0
        self.schema = Schema("shop")

    def run(self, data: Any, *, mode: str = "round_robin") -> bool:
        """Extract; whether it came to its end. What was not sealed is gone if it did not."""
        document = copy.deepcopy(self.state)
        sinks: list[CountingSink] = []
        main = CountingSink()

        def new_sink() -> Any:
            sinks.append(CountingSink())
            return sinks[-1]

        def seal(found: Checkpoint) -> None:
            sinks.remove(found.sink)  # type: ignore[arg-type]
            self._keep(found.sink)
            resources = self.state.setdefault("sources", {}).setdefault(found.source, {}).setdefault("resources", {})
            resources.update(copy.deepcopy(found.states))
            self.sealed += 1

        plan = CheckpointPlan(self.every, self.seconds, new_sink, seal)
        options = ExtractSettings(next_item_mode=mode)
        with state_scope(document):
            try:
                for source in wrap_data(data, default_schema_name="shop"):
                    extract_source(source, self.schema, main, options, None, plan)
            except headrace.errors.extract.ResourceExtractionError:
                return False
        for sink in (main, *sinks):
            self._keep(sink)
        self.state = document
        return True

    def _keep(self, sink: Any) -> None:
        for table, rows in sink.all_rows().items():
            self.rows.setdefault(table, []).extend(rows)

    def until_done(self, make: Callable[[int | None], Any], faults: list[int], **options: Any) -> None:
        """Runs that fail after so many items each, and one that does not."""
        for fault in faults:
            if self.run(make(fault), **options):
                return  # it has come to the end before the fault
        assert self.run(make(None), **options)


def counted(rows: list[Any]) -> Counter[str]:
    return Counter(repr(sorted(row.items())) for row in rows)


class Feed:
    """Pages of rows; fails behind the given item."""

    def __init__(self, pages: list[list[dict[str, Any]]], shape: str) -> None:
        self.pages, self.shape = pages, shape

    def __call__(self, fault: int | None) -> Iterator[Any]:
        count = 0
        for page in self.pages:
            items: list[Any] = page if self.shape == "rows" else [page]
            for item in items:
                if count == fault:
                    raise ConnectionError("gone")
                count += 1
                yield pa.Table.from_pylist(item) if self.shape == "arrow" else copy.deepcopy(item)

    def all(self) -> Counter[str]:
        return counted([row for page in self.pages for row in page])


PAGES = st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=5), min_size=1, max_size=8)
FAULTS = st.lists(st.integers(0, 25), max_size=3)


def numbered(pages: list[list[int]], order: str) -> list[list[dict[str, Any]]]:
    """Rows with the values as cursor, in the order that is asked for, pages as long as they were."""
    values = [v for page in pages for v in page]
    if order != "any":
        values.sort(reverse=order == "falling")
    found = iter(enumerate(values))
    return [[{"id": i, "c": v} for i, v in (next(found) for _ in page)] for page in pages]


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    PAGES,
    FAULTS,
    st.integers(1, 8),
    st.sampled_from(["rows", "pages", "arrow"]),
    st.sampled_from(["rising", "falling", "any"]),
    st.sampled_from(["asc", "asc", "desc", None]),
    st.sampled_from(["closed", "open"]),
    st.sampled_from([None, "id", ()]),
    st.booleans(),
)
def test_each_row_arrives_once_wherever_it_fails(
    pages: list[list[int]],
    faults: list[int],
    every: int,
    shape: str,
    order: str,
    row_order: Any,
    range_start: Any,
    key: Any,
    mapped: bool,
) -> None:
    if row_order == "asc" and order == "any":
        row_order = None  # a source that says so and does not do so is another test
    feed = Feed(numbered(pages, order), shape)
    func = "min" if order == "falling" else "max"

    def make(fault: int | None) -> Any:
        @headrace.resource(name="events")
        def events(
            c: Any = headrace.sources.incremental(
                "c", row_order=row_order, range_start=range_start, primary_key=key, last_value_func=func
            ),
        ) -> Iterator[Any]:
            yield from feed(fault)

        return events().add_yield_map(lambda item: iter([item])) if mapped and shape != "arrow" else events()

    warehouse = Warehouse(every)
    warehouse.until_done(make, faults)
    assert counted(warehouse.rows.get("events", [])) == feed.all()


@settings(max_examples=EXAMPLES // 3, deadline=None)
@given(PAGES, PAGES, FAULTS, st.integers(1, 6), st.sampled_from(["round_robin", "fifo"]), st.booleans())
def test_several_resources_and_transformers(
    pages: list[list[int]], others: list[list[int]], faults: list[int], every: int, mode: str, deferred: bool
) -> None:
    ordered, plain = Feed(numbered(pages, "rising"), "pages"), Feed(numbered(others, "any"), "pages")

    def make(fault: int | None) -> Any:
        @headrace.source(name="shop")
        def shop() -> Any:
            @headrace.resource
            def orders(c: Any = headrace.sources.incremental("c", row_order="asc")) -> Iterator[Any]:
                yield from ordered(None)

            @headrace.transformer(data_from=orders)
            def lines(page: list[Any]) -> Any:
                def of_page() -> list[Any]:
                    return [{"order": row["id"], "n": n} for row in page for n in range(2)]

                return headrace.defer(of_page)() if deferred else of_page()

            @headrace.resource(write_disposition="replace")
            def rates() -> Iterator[Any]:
                yield from plain(fault)

            @headrace.resource
            def log(c: Any = headrace.sources.incremental("c")) -> Iterator[Any]:
                yield from plain(None)

            return orders, lines, rates, log

        return shop()

    warehouse = Warehouse(every)
    warehouse.until_done(make, faults, mode=mode)
    rows = warehouse.rows
    assert counted(rows["orders"]) == ordered.all()
    assert counted(rows["lines"]) == counted(
        [{"order": r["id"], "n": n} for page in ordered.pages for r in page for n in range(2)]
    )
    assert counted(rows["log"]) == plain.all()
    assert counted(rows["rates"]) == plain.all()


@settings(max_examples=EXAMPLES // 3, deadline=None)
@given(st.integers(1, 40), FAULTS, st.integers(1, 6), st.booleans(), st.booleans())
def test_state_of_its_own_with_marks(months: int, faults: list[int], every: int, parallel: bool, before: bool) -> None:
    def make(fault: int | None) -> Any:
        @headrace.resource(name="months", parallelized=parallel)
        def read() -> Iterator[Any]:
            state = headrace.current.resource_state()
            for month in range(state.get("done", 0), months):
                if fault is not None and month - state.get("begun", 0) >= fault:
                    raise ConnectionError("gone")
                if before:
                    state["done"] = month + 1
                yield {"month": month}
                yield [{"month": month, "part": 2}]
                state["done"] = month + 1
                yield headrace.mark.checkpoint()

        return read()

    warehouse = Warehouse(every)
    warehouse.until_done(make, faults)
    assert counted(warehouse.rows["months"]) == counted(
        [row for m in range(months) for row in ({"month": m}, {"month": m, "part": 2})]
    )
    assert warehouse.state["sources"]["shop"]["resources"]["months"]["done"] == months


# ---- what is not cut, and what is said of it -----------------------------------------------------------------------


def _failing(values: list[Any], at: int, **options: Any) -> Any:
    """A resource of rows that fails at an index."""
    cursor = options.pop("cursor", {})

    @headrace.resource(name="events", **options)
    def events(c: Any = headrace.sources.incremental("c", **cursor)) -> Iterator[Any]:
        for i, value in enumerate(values):
            if i == at:
                raise ConnectionError("gone")
            yield {"id": i, "c": value}

    return events()


SCD2 = {"disposition": "merge", "strategy": "scd2"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"cursor": {}}, "not known to come in order"),
        ({"cursor": {"row_order": "desc"}}, "not known to come in order"),
        ({"cursor": {"row_order": "asc", "initial_value": 0, "end_value": 99}}, "leaves no state"),
        ({"cursor": {"row_order": "asc", "last_value_func": lambda v: max(v)}}, "neither max nor min"),
        ({"cursor": {"row_order": "asc", "primary_key": ()}}, "pass the cursor in every run"),
        ({"cursor": {"row_order": "asc", "lag": 1}}, "pass the cursor in every run"),
        ({"cursor": {"row_order": "asc"}, "write_disposition": "replace"}, "replaced as a whole"),
        ({"cursor": {"row_order": "asc"}, "write_disposition": SCD2}, "complete snapshots"),
        ({"cursor": {"row_order": "asc"}, "write_disposition": "merge", "merge_key": "day"}, "merge_key"),
    ],
)
def test_rows_that_cannot_be_cut_wait_for_the_end(
    options: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    warehouse = Warehouse(3)
    assert not warehouse.run(_failing(list(range(20)), 15, **options))
    assert (warehouse.sealed, warehouse.rows) == (0, {})
    told = [r.getMessage() for r in caplog.records if "makes no checkpoints" in r.getMessage()]
    assert len(told) == 1
    assert "`events`" in told[0]
    assert reason in told[0]


@pytest.mark.parametrize("lag", [None, 2])
def test_merges_may_read_rows_again(lag: int | None) -> None:
    warehouse = Warehouse(3)
    options: Any = {"write_disposition": "merge", "primary_key": "id", "cursor": {"row_order": "asc", "lag": lag}}
    assert not warehouse.run(_failing(list(range(20)), 15, **options))
    assert warehouse.sealed == 4
    assert warehouse.run(_failing(list(range(20)), 99, **options))
    assert {row["id"] for row in warehouse.rows["events"]} == set(range(20))


def test_a_broken_promise_of_order_ends_the_checkpoints(caplog: pytest.LogCaptureFixture) -> None:
    warehouse = Warehouse(2)
    values = [1, 2, 3, 4, 9, 5, 6, 7, 8, 10, 11, 12]
    assert not warehouse.run(_failing(values, 11, cursor={"row_order": "asc"}))
    sealed = [row["c"] for row in warehouse.rows["events"]]
    assert sealed == [1, 2, 3, 4]
    assert "rows came out of order" in caplog.text


def test_rows_without_a_value_are_not_sealed_in_parts(caplog: pytest.LogCaptureFixture) -> None:
    warehouse = Warehouse(2)
    cursor = {"row_order": "asc", "on_cursor_value_missing": "include"}
    assert not warehouse.run(_failing([1, 2, 3, None, 4, 5, 6, 7], 7, cursor=cursor))
    assert [row["c"] for row in warehouse.rows["events"]] == [1, 2]
    assert "pass the cursor in every run" in caplog.text


def test_a_finished_resource_is_sealed_while_others_are_read() -> None:
    @headrace.source(name="shop")
    def shop(at: int) -> Any:
        return _failing([3, 1, 2, 5], 99), headrace.resource(_endless(at), name="more")

    def _endless(at: int) -> Iterator[Any]:
        for i in range(50):
            if i == at:
                raise ConnectionError("gone")
            yield [{"n": i}]

    warehouse = Warehouse(3)
    assert not warehouse.run(shop(40))
    assert [row["c"] for row in warehouse.rows["events"]] == [3, 1, 2, 5]
    assert "more" not in warehouse.rows
    assert warehouse.run(shop(99))
    assert len(warehouse.rows["events"]) == 4
    assert len(warehouse.rows["more"]) == 50


def test_a_transformer_with_a_cursor_keeps_its_tree_together(caplog: pytest.LogCaptureFixture) -> None:
    @headrace.transformer(name="lines")
    def lines(row: dict[str, Any], at: Any = headrace.sources.incremental("at")) -> Any:
        return {"at": 100 - row["c"]}

    warehouse = Warehouse(2)
    assert not warehouse.run(_failing(list(range(9)), 8, cursor={"row_order": "asc"}) | lines)
    assert warehouse.sealed == 0
    assert "its transformer `lines` has a cursor of its own" in caplog.text


def test_time_makes_checkpoints_too() -> None:
    warehouse = Warehouse(None, seconds=0.0)
    assert not warehouse.run(_failing(list(range(20)), 15, cursor={"row_order": "asc"}))
    assert [row["c"] for row in warehouse.rows["events"]] == list(range(14))


def test_without_the_settings_a_mark_does_nothing() -> None:
    @headrace.resource(name="months")
    def months() -> Iterator[Any]:
        yield {"m": 1}
        yield headrace.mark.checkpoint()
        yield {"m": 2}

    assert list(months()) == [{"m": 1}, {"m": 2}]
