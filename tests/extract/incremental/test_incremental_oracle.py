"""Any run of any pages, against rules applied row by row."""

from __future__ import annotations

import datetime as dt
import math
import os
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.extract.incremental import Incremental
from headrace.extract.incremental.hashes import digest, to_text

from .driver import UTC, run_with

LONG = 25 if os.environ.get("HEADRACE_LONG") else 1
NUMBERS = st.integers(0, 6)
DAYS = st.integers(1, 6).map(lambda d: dt.date(2020, 1, d))
INSTANTS = st.integers(1, 6).map(lambda d: dt.datetime(2020, 1, d, 12, tzinfo=UTC))
FLOATS = st.one_of(st.sampled_from([0.5, 1.0, 2.5, 3.0]), st.just(math.nan))
TEXTS = st.sampled_from(["a", "b", "ba", "c"])
KINDS = st.sampled_from([NUMBERS, DAYS, INSTANTS, FLOATS, TEXTS])


class Oracle:
    """The rules of a cursor, one row after the other."""

    def __init__(self, options: dict[str, Any], state: dict[str, Any]) -> None:
        self.o = options
        self.fixed = options["end_value"] is not None
        self.doc = {} if self.fixed else state
        if not self.doc:
            first = options["initial_value"]
            self.doc.update(initial_value=first, last_value=first, unique_hashes=[], start_value=first)
        if self.doc["last_value"] is None:
            self.doc["last_value"] = options["initial_value"]
        self.start = self.last = self.doc["last_value"]
        self.dedup = options["range_start"] == "closed" and not self.fixed and options["primary_key"] != ()
        self.seen = set(self.doc["unique_hashes"])
        self.hashes = set(self.seen)
        self.passed_start = self.passed_end = False

    def later(self, a: Any, b: Any) -> bool:
        return bool(a < b) if self.o["last_value_func"] == "min" else bool(a > b)

    def passes(self, row: dict[str, Any]) -> bool:
        value = row.get("c")
        if value is None:
            return bool(self.o["on_cursor_value_missing"] == "include")
        if value != value:
            return True
        end, start = self.o["end_value"], self.start
        beyond = end is not None and (self.later(value, end) or (value == end and self.o["range_end"] == "open"))
        before = start is not None and (
            self.later(start, value) or (value == start and self.o["range_start"] == "open")
        )
        self.passed_end |= beyond
        self.passed_start |= before
        if beyond or before:
            return False
        key = self.o["primary_key"]
        raw = to_text(digest(row if key in (None, ()) else row[key]))
        if self.dedup and value == start and raw in self.seen:
            return False
        if self.last is None or self.later(value, self.last):
            self.last, self.hashes = value, set()
        if value == self.last and self.dedup:
            self.hashes.add(raw)
        return True

    def close(self, some_passed: bool) -> None:
        if some_passed:
            self.doc["start_value"] = self.start
        self.doc["last_value"] = self.last
        self.doc["unique_hashes"] = sorted(self.hashes if self.dedup else ())


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, Any], list[list[list[dict[str, Any]]]]]:
    kind = draw(KINDS)
    bound = kind.filter(lambda v: v == v)
    func = draw(st.sampled_from(["max", "min"]))
    initial, end = draw(st.none() | bound), None
    if initial is not None and draw(st.booleans()):
        end = draw(bound)
        initial, end = sorted((initial, end), reverse=func == "min")
    options = {
        "initial_value": initial,
        "end_value": end,
        "last_value_func": func,
        "primary_key": draw(st.sampled_from([None, "id", ()])),
        "range_start": draw(st.sampled_from(["closed", "open"])),
        "range_end": draw(st.sampled_from(["closed", "open"])),
        "on_cursor_value_missing": draw(st.sampled_from(["include", "exclude"])),
    }
    row = st.fixed_dictionaries({"id": st.integers(0, 3), "c": st.none() | kind})
    page = st.lists(row, max_size=6)
    return options, draw(st.lists(st.lists(page, max_size=3), min_size=1, max_size=3))


def _same(one: Any, other: Any) -> bool:
    """Equality for rows in which NaN equals itself."""
    return _text(one) == _text(other)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{k}: {_text(value[k])}' for k in sorted(value))}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return repr(value)


@settings(max_examples=150 * LONG, deadline=None)
@given(cases())
def test_rows_pass_as_the_rules_say(case: tuple[dict[str, Any], list[list[list[dict[str, Any]]]]]) -> None:
    options, runs = case
    wanted: dict[str, Any] = {}
    state: dict[str, Any] = {}
    for pages in runs:
        oracle = Oracle(options, wanted)
        expected = [[row for row in page if oracle.passes(row)] for page in pages]
        oracle.close(any(expected))
        made = run_with(Incremental("c", **options), pages, state)
        assert _same([page or [] for page in made.passed], expected)
        assert made.cursor.last_value == oracle.last
        window = made.cursor._window
        assert window is not None
        assert (window.passed_start, window.passed_end) == (oracle.passed_start, oracle.passed_end)
        if not oracle.fixed:
            state["c"]["unique_hashes"].sort()
            assert _same(state, {"c": wanted})


@settings(max_examples=80 * LONG, deadline=None)
@given(cases(), st.sampled_from(["table", "batch", "pandas", "polars"]))
def test_frames_pass_as_rows_do(case: tuple[dict[str, Any], list[list[list[dict[str, Any]]]]], make: str) -> None:
    options, runs = case
    by_rows: dict[str, Any] = {}
    by_frames: dict[str, Any] = {}
    for pages in runs:
        pages = [page for page in pages if page]
        some = next((r["c"] for page in pages for r in page if r["c"] is not None), None)
        if make == "pandas" and isinstance(some, float):
            return  # in pandas NaN means null
        kind = pa.scalar(some).type if some is not None else pa.null()
        expected = run_with(Incremental("c", **options), pages, by_rows)
        frames = [_frame(page, kind, make) for page in pages]
        made = run_with(Incremental("c", **options), frames, by_frames)
        assert _same([_rows(frame) for frame in made.passed], [page or [] for page in expected.passed])
        assert made.cursor.last_value == expected.cursor.last_value
        assert by_frames == by_rows


def _frame(page: list[dict[str, Any]], kind: pa.DataType, make: str) -> Any:
    columns = {
        "id": pa.array([r["id"] for r in page], pa.int64()),
        "c": pa.array([r["c"] for r in page], kind),
    }
    table = pa.table(columns)
    if make == "batch":
        return table.combine_chunks().to_batches()[0]
    if make == "pandas":
        import pandas as pd

        return table.to_pandas(types_mapper=pd.ArrowDtype)
    if make == "polars":
        import polars as pl

        return pl.from_arrow(table)
    return table


def _rows(frame: Any) -> list[dict[str, Any]]:
    if frame is None:
        return []
    if isinstance(frame, (pa.Table, pa.RecordBatch)):
        table = pa.table(frame) if isinstance(frame, pa.Table) else pa.Table.from_batches([frame])
    elif hasattr(frame, "to_arrow"):
        table = frame.to_arrow()
    else:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    rows = table.to_pylist()
    for row in rows:
        value = row["c"]
        if isinstance(value, dt.datetime):
            row["c"] = value.astimezone(UTC)
    return list(rows)
