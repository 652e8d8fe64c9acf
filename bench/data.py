"""The data of the benchmark: made the same way in every process, without randomness from outside."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

Row = dict[str, Any]


def flat(count: int, start: int = 0) -> Iterator[Row]:
    """Twenty columns: whole numbers, text, floats, truth values."""
    for i in range(start, start + count):
        yield {
            "id": i,
            **{f"n{j}": i * j for j in range(7)},
            **{f"t{j}": f"value {i % (1000 + j)}" for j in range(7)},
            **{f"f{j}": i / (j + 3) for j in range(4)},
            "flag": i % 2 == 0,
        }


def nested(count: int, start: int = 0) -> Iterator[Row]:
    """Documents of four tables: an object with an object inside, a list of texts, orders with items."""
    for i in range(start, start + count):
        yield {
            "id": i,
            "name": f"customer {i}",
            "email": f"c{i}@example.com",
            "created_at": f"2024-{i % 12 + 1:02d}-{i % 28 + 1:02d}T10:{i % 60:02d}:00Z",
            "active": i % 3 != 0,
            "score": i * 1.5,
            "address": {"street": f"{i} Main Street", "city": "Berlin", "geo": {"lat": 52.5, "lon": i / 1000}},
            "tags": ["new", f"group {i % 10}"],
            "orders": [
                {
                    "order_id": i * 10 + j,
                    "amount": 9.99 * j,
                    "items": [{"sku": f"sku-{k}", "quantity": k + 1} for k in range(2)],
                }
                for j in range(2)
            ],
        }


def messy(count: int, start: int = 0) -> Iterator[Row]:
    """Documents that disagree: missing keys, mixed types, nulls, numbers as text, now an object and now a list."""
    for i in range(start, start + count):
        rng = random.Random(i)
        row: Row = {"id": i, "Value Of": [i, str(i), i / 2, None][i % 4], "maybe": None if i % 5 else f"x{i}"}
        for key in rng.sample(["alpha", "Beta", "gammaRay", "delta_x", "epsilon", "zeta"], 3):
            row[key] = rng.choice([1, 2.5, "text", True, None])
        row["thing"] = {"a": i, "b": "x"} if i % 2 else [{"a": i}, {"a": i + 1, "c": None}]
        yield row


def changed(count: int, share: float = 0.2) -> Iterator[Row]:
    """A fifth of the nested documents, changed, for a merge."""
    for row in nested(int(count * share)):
        yield {**row, "name": row["name"] + " changed", "score": -1.0}


def pages(rows: Iterator[Row], size: int = 1000) -> Iterator[list[Row]]:
    """Rows in pages, as an API hands them out."""
    page: list[Row] = []
    for row in rows:
        page.append(row)
        if len(page) == size:
            yield page
            page = []
    if page:
        yield page
