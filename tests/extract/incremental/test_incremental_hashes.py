from __future__ import annotations

import base64
import hashlib
import logging
import os
from typing import Any

import pyarrow as pa
import pytest

from headrace.base import json
from headrace.errors.incremental import IncrementalBoundaryTooLarge
from headrace.extract.incremental import Incremental
from headrace.extract.incremental.hashes import Boundary, Seen, digest, to_text

from .driver import at, rows, run, run_with


def raws(count: int) -> list[bytes]:
    return [os.urandom(9) for _ in range(count)]


@pytest.mark.parametrize("count", [1, 5, 10, 11, 50, 1000])
def test_what_was_put_in_is_found_again(count: int) -> None:
    some, others = raws(count), raws(count)
    boundary = Boundary(cap=10)
    for raw in some:
        boundary.add_all([raw])
    texts = json.loads(json.dumps(boundary.to_state()))
    assert len(texts) == (count if count <= 10 else 1)
    seen = Seen(texts)
    assert len(seen) == len(boundary) == count
    assert seen.known(some + others) == [True] * count + [False] * count
    again = Boundary(cap=10)
    seen.pour_into(again)
    again.add_all(some[:3])
    assert again.to_state() == texts


def test_packed_hashes_are_small_and_ordered() -> None:
    some = raws(20_000)
    boundary = Boundary()
    boundary.add_all(some)
    (text,) = boundary.to_state()
    assert text.startswith("packed8:")
    assert len(text) < 20_000 * 10
    reverse = Boundary()
    for raw in reversed(some):
        reverse.add_all([raw])
    assert reverse.to_state() == [text]


def test_rows_that_come_again_do_not_make_it_grow() -> None:
    some = raws(100)
    boundary = Boundary(cap=10)
    for _ in range(500):
        boundary.add_all(some)
    assert len(boundary._packed) <= 8 * 400
    assert len(boundary) == 100


def test_new_rows_join_packed_ones() -> None:
    state: dict[str, Any] = {}
    cursor: Incremental[int] = Incremental("c")
    cursor.max_listed_hashes = 10
    run_with(cursor, [[{"id": i, "c": 1} for i in range(50)]], state, "id")
    assert len(state["c"]["unique_hashes"]) == 1
    second = run_with(cursor, [[{"id": i, "c": 1} for i in range(40, 60)]], state, "id")
    assert [r["id"] for r in second.rows] == list(range(50, 60))
    third = run_with(cursor, [[{"id": i, "c": 1} for i in range(100)]], state, "id")
    assert [r["id"] for r in third.rows] == list(range(60, 100))
    moved = run_with(cursor, [rows(2)], state, "id")
    assert moved.state["c"]["unique_hashes"] == [to_text(digest(0))]


def test_texts_of_unknown_make_are_kept_while_the_cursor_stays() -> None:
    state = {"c": {"initial_value": None, "last_value": 0, "unique_hashes": ["??"], "start_value": 0}}
    assert "??" in run([rows(0)], state, cursor_path="c").state["c"]["unique_hashes"]
    assert "??" not in run([rows(1)], state, cursor_path="c").state["c"]["unique_hashes"]


def legacy_hash(text: str) -> str:
    return base64.b64encode(hashlib.shake_128(text.encode()).digest(15)).decode()


def test_hashes_of_older_dlt_are_recognised() -> None:
    """They are longer, and instants are hashed as text."""
    data = [{"c": 5, "id": i, "t": at(1, tz=None)} for i in (1, 2)]
    old = legacy_hash('{"c":5,"id":1,"t":"2020-01-01T00:00:00"}')
    state = {"c": {"initial_value": None, "last_value": 5, "unique_hashes": [old], "start_value": None}}
    second = run([data], state, cursor_path="c")
    assert [r["id"] for r in second.rows] == [2]
    assert set(second.state["c"]["unique_hashes"]) == {
        old,
        legacy_hash('{"c":5,"id":2,"t":"2020-01-01T00:00:00"}'),
    }
    assert run([data], second.state, cursor_path="c").rows == []
    moved = run([data, [{"c": 6, "id": 3, "t": at(1)}]], second.state, cursor_path="c")
    assert moved.state["c"]["unique_hashes"] == [to_text(digest({"c": 6, "id": 3, "t": at(1)}))]


def test_a_state_that_is_the_same_is_not_written_anew() -> None:
    """dlt's order of hashes is arbitrary."""
    state = run([rows(*[1] * 20)], cursor_path="c").state
    state["c"]["unique_hashes"].reverse()
    assert run([rows(*[1] * 20)], state, cursor_path="c").state == state


def test_many_rows_with_one_value_are_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "headrace"):
        state = run([rows(*[1] * 200)], cursor_path="c").state
        assert not caplog.records
        state = run([rows(*[1] * 201)], state, cursor_path="c").state
        assert len(caplog.records) == 1
        run([rows(*[1] * 202)], state, cursor_path="c")
    assert len(caplog.records) == 1
    assert "201 rows" in caplog.text


def test_a_flood_of_equal_cursors_is_told_apart_within_bounds() -> None:
    pages = [[{"id": i, "c": 7} for i in range(k, k + 2_000)] for k in range(0, 100_000, 2_000)]
    first = run(pages, None, "id", cursor_path="c")
    (text,) = first.state["c"]["unique_hashes"]
    assert len(text) < 9 * 100_000
    second = run([*pages, [{"id": -1, "c": 7}]], first.state, "id", cursor_path="c")
    assert second.rows == [{"id": -1, "c": 7}]


@pytest.mark.parametrize("frames", [False, True])
def test_the_state_does_not_grow_without_end(frames: bool) -> None:
    cursor: Incremental[Any] = Incremental("c", primary_key="id")
    cursor.max_listed_hashes, cursor.max_boundary_rows = 10, 1000
    cursor.bind("orders", {})
    for start in range(0, 50_000, 100):
        page = [{"id": i, "c": 5} for i in range(start, start + 100)]
        cursor(pa.Table.from_pylist(page) if frames else page)
    window = cursor._window
    assert window is not None
    assert len(window.boundary._packed) < 8 * 5000  # nor does memory
    with pytest.raises(IncrementalBoundaryTooLarge) as error:
        cursor.finish()
    for part in ("Resource `orders`", "`c`", "1000 can be remembered", "range_start='open'"):
        assert part in str(error.value)
    # in the middle of the data it does no harm
    cursor([{"id": -1, "c": 6}])
    cursor.finish()
    assert cursor.get_state()["unique_hashes"] == [to_text(digest(-1))]
