"""Load example_source: rows made in Python. Put your own in the place of `ORDERS` and `CUSTOMERS`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import headrace

CUSTOMERS = [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bob"}]
ORDERS = [
    {"id": 1, "customer": 1, "placed_at": "2026-01-05T09:30:00Z", "items": [{"sku": "pen", "qty": 3}]},
    {"id": 2, "customer": 2, "placed_at": "2026-01-06T14:00:00Z", "items": [{"sku": "pad", "qty": 2}, {"sku": "ink"}]},
]


@headrace.source
def example_source() -> Any:
    """All resources; each becomes a table, and the lists in its rows become tables of their own."""

    @headrace.resource(primary_key="id", write_disposition="merge")
    def customers() -> Iterator[Any]:
        """Rows that may change: the newest of an id stays."""
        yield CUSTOMERS

    @headrace.resource(primary_key="id")
    def orders(
        placed_at: Any = headrace.sources.incremental("placed_at", initial_value="2026-01-01T00:00:00Z"),
    ) -> Iterator[Any]:
        """Rows that only come: a run takes those behind the last one it has seen."""
        yield ORDERS

    return customers, orders


if __name__ == "__main__":
    pipeline = headrace.pipeline("example_pipeline", destination="duckdb", dataset_name="example_data")
    print(pipeline.run(example_source()))
