"""What the tests of plans share: a source with a cursor, and what lies in folders."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import headrace


def pipeline(destination: Any = "duckdb", **settings: Any) -> headrace.Pipeline:
    return headrace.pipeline("shop", destination=destination, dataset_name="raw", **settings)


ORDERS = [{"id": 1, "name": "a", "items": [{"x": 1}]}, {"id": 2, "name": "b", "items": []}]


@headrace.resource(name="numbers", primary_key="id")
def numbers(at: Any = headrace.sources.incremental("id", initial_value=0)) -> Any:
    begin = (at.last_value or 0) + 1
    yield [{"id": n} for n in range(begin, begin + 3)]


def files_of(folder: Path, but: tuple[str, ...] = ()) -> dict[str, str]:
    """Every file below a folder with a hash of its content; ``but`` names parts of paths that are left out."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part in path.relative_to(folder).parts for part in but)
    }


def table_of(plan: Any, name: str) -> Any:
    return next(table for table in plan.tables if table.name == name)
