"""Documents loaded by dlt and by headrace: the tables must come out alike.

Every document has an ``id`` of its own, so that rows can be told apart without row ids.
"""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from typing import Any

Docs = list[dict[str, Any]]
UTC = dt.timezone.utc


def _numbered(docs: list[dict[str, Any]]) -> Docs:
    return [{"id": i, **d} for i, d in enumerate(docs)]


def _column(*values: Any) -> Docs:
    return _numbered([{"a": v} for v in values])


HAND_MADE: dict[str, tuple[Docs, dict[str, Any]]] = {
    "scalars": (
        _numbered(
            [
                {
                    "i": 1,
                    "f": 1.5,
                    "s": "x",
                    "b": True,
                    "n": None,
                    "bin": b"\x00\xff",
                    "d": dt.date(2024, 2, 29),
                    "t": dt.time(1, 2, 3, 4),
                    "ts": dt.datetime(2024, 1, 1, 12, 30, 15, 123456, UTC),
                    "dec": Decimal("12.345"),
                }
            ]
        ),
        {},
    ),
    "text_first": (_column("x", True, 2.0, 1e20, 1, None, dt.date(2024, 1, 1), b"xx"), {}),
    "bigint_first": (_column(1, 1.0, "2", "0x10", True, 1.5, Decimal("3"), "x", None), {}),
    "double_first": (_column(1.5, 1, "2.5", True, Decimal("1.25"), "zz"), {}),
    "bool_first": (_column(True, 1, "yes", 0.0, "x", "No"), {}),
    "timestamp_first": (
        _column(
            "2024-05-01T10:00:00Z", "2024-05-01", 1700000000, 1.5, "x", dt.date(2024, 1, 1), "2024-05-01 10:00:00+02:00"
        ),
        {},
    ),
    "date_first": (_column(dt.date(2024, 1, 1), "2024-05-01", dt.datetime(2024, 1, 1, 5, tzinfo=UTC), "x"), {}),
    "decimal_first": (_column(Decimal("1.5"), 1, 2.5, "3.5", True, "x"), {}),
    "json_and_scalars": (_numbered([{"a": {"x": 1}, "b": [1]}, {"a": 5, "b": 5}, {"a": "q", "b": "q"}]), {}),
    "lists": (_numbered([{"a": [1, None, "x", {"b": 1}, [2]]}, {"a": {"b": [3]}}, {"a": []}]), {}),
    "lists_of_lists": (_numbered([{"m": [[1, 2], [3, [4, 5]]]}]), {}),
    "late_columns": (_numbered([{"a": 1}, {"b": 2, "a": 3, "l": [{"x": 1}, {"y": 2, "x": 3}]}, {"c": None}]), {}),
    "names": (
        _numbered(
            [
                {
                    "a__b": 1,
                    "A B": 2,
                    "": 3,
                    "x__Y_z": 4,
                    "a": {"b": 5},
                    "l__m": [1],
                    "HTTPServerID": 6,
                    "+1": 7,
                    "ümlaut": 8,
                }
            ]
        ),
        {},
    ),
    "clash": (_numbered([{"userId": 1, "user_id": 2}, {"userId": 3, "user_id": 4}]), {}),
    "nesting_0": (
        _numbered([{"a": {"b": {"c": 1}}, "l": [{"m": [1]}], "ll": [[1, 2], [3]]}]),
        {"max_table_nesting": 0},
    ),
    "nesting_1": (
        _numbered([{"a": {"b": {"c": 1}}, "l": [{"m": [1]}], "ll": [[1, 2], [3]]}]),
        {"max_table_nesting": 1},
    ),
    "nesting_2": (
        _numbered([{"a": {"b": {"c": 1}}, "l": [{"m": [1]}], "ll": [[1, 2], [3]]}]),
        {"max_table_nesting": 2},
    ),
    "nesting_3": (
        _numbered([{"a": {"b": {"c": 1}}, "l": [{"m": [1]}], "ll": [[1, 2], [3]]}]),
        {"max_table_nesting": 3},
    ),
    "declared": (
        _numbered([{"a": "1", "j": {"x": [1]}, "d": "2024-01-01", "p": "1.25", "n": 5}]),
        {
            "columns": {
                "a": {"data_type": "bigint"},
                "j": {"data_type": "json"},
                "d": {"data_type": "date"},
                "p": {"data_type": "decimal", "precision": 10, "scale": 2},
                "n": {"data_type": "bigint", "precision": 16},
                "unseen": {"data_type": "text"},
            }
        },
    ),
    "primary_key": (
        _numbered([{"a": 1, "l": [{"x": 1, "y": [1]}]}]),
        {"primary_key": "id", "write_disposition": "merge"},
    ),
    "upsert": (
        _numbered([{"a": 1, "l": [{"x": 1, "y": [1]}]}]),
        {"primary_key": "id", "write_disposition": {"disposition": "merge", "strategy": "upsert"}},
    ),
}


def _value(r: random.Random, depth: int) -> Any:
    pick = r.randrange(14 if depth else 10)
    if pick < 10:
        return [
            None,
            r.randrange(100),
            r.random() * 10,
            r.random() < 0.5,
            r.choice(["x", "7", "2.5", "yes", "2024-03-01"]),
            "long text",
            dt.date(2024, 1, 1 + r.randrange(20)),
            dt.datetime(2024, 1, 1, r.randrange(20), tzinfo=UTC),
            Decimal(r.randrange(1000)) / 4,
            "text",
        ][pick]
    if pick < 12:
        return {k: _value(r, depth - 1) for k in r.sample(["k", "l", "Mm"], r.randrange(3))}
    return [_value(r, depth - 1) for _ in range(r.randrange(3))]


def random_case(seed: int) -> Docs:
    """A handful of documents that agree about little."""
    r = random.Random(seed)
    keys = ["a", "b", "Cc", "d_e", "f"]
    docs: Docs = []
    for _ in range(r.randrange(1, 8)):
        # an ISO text in a column of another type makes dlt fail at the next text, so these have a key of their own
        at = {"at": r.choice(["2024-03-01T10:00:00Z", "2024-03-01 10:00", None])} if r.random() < 0.5 else {}
        docs.append({**at, **{k: _value(r, 2) for k in r.sample(keys, r.randrange(len(keys)))}})
    return _numbered(docs)


RANDOM_SEEDS = range(120)


def all_cases() -> dict[str, tuple[Docs, dict[str, Any]]]:
    """Every case by name: documents, and arguments of the resource."""
    return {**HAND_MADE, **{f"random_{s}": (random_case(s), {}) for s in RANDOM_SEEDS}}
