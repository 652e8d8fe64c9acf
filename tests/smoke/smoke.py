"""A small run that touches what depends on DuckDB's version. `make smoke` calls it on both ends of what is supported.

python tests/smoke/smoke.py
"""

from __future__ import annotations

import datetime as dt
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

import headrace as dlt
from headrace.errors.load import LoadClientJobFailed
from headrace.errors.pipeline import PipelineStepFailed

MORNING = dt.datetime(2024, 5, 1, 6, tzinfo=dt.timezone.utc)
ROWS = [
    {
        "id": n,
        "big": 2**70,
        "price": Decimal("1.50"),
        "ordered": MORNING + dt.timedelta(minutes=n),
        "day": dt.date(2024, 5, 1),
        "raw": b"\x00\x01",
        "who": {"name": f"n{n}", "tags": ["a", "b"]},
        "parts": [{"sku": "x", "sizes": [1, 2]}, {"sku": "y"}],
    }
    for n in range(100)
]


@dlt.resource(primary_key="id", write_disposition="merge")
def orders(first: int, known: Any = dlt.sources.incremental("ordered")) -> Any:
    yield [row for row in ROWS if row["id"] < first]


@dlt.resource(write_disposition="replace")
def frames(n: int) -> Any:
    nested = [{"in": {"x": i}} for i in range(n)]
    # slices of nested structs are what DuckDB reads wrong
    yield pa.table({"i": pa.array(range(n)), "s": pa.array(nested)}).slice(n // 2)


def check(folder: Path) -> None:
    pipeline = dlt.pipeline(
        "smoke",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.duckdb(str(folder / "smoke.duckdb")),
        dataset_name="d",
    )

    def ask(sql: str) -> Any:
        with pipeline.sql_client() as client:
            return client.execute_sql(sql)

    print(pipeline.run([orders(50), frames(10)]))
    pipeline.run([orders(100), frames(20)])
    assert ask("SELECT count(*), count(DISTINCT id), max(big), max(ordered) FROM orders") == [
        (100, 100, 2**70, MORNING + dt.timedelta(minutes=99))
    ]
    assert ask("SELECT count(*) FROM orders__parts__sizes") == [(200,)]
    assert ask("SELECT min(i), max(i), count(*) FROM frames") == [(10, 19, 10)]
    assert ask("SELECT status, count(*) FROM _dlt_loads GROUP BY ALL") == [(0, 2)]
    assert ask("SELECT count(*) FROM _headrace_jobs") == [(0,)]
    assert len(pipeline.dataset().orders.select("id", "price").fetchall()) == 100
    refuse(pipeline, ask)
    pipeline.drop()
    pipeline.sync_destination()
    pipeline.run(orders(100))
    assert pipeline.last_trace.last_normalize_info.row_counts.get("orders", 0) <= 1


def refuse(pipeline: Any, ask: Any) -> None:
    """What DuckDB refuses for good is not tried again, and leaves nothing behind."""
    pipeline.run([{"n": 1}], table_name="strict")
    ask("ALTER TABLE strict ALTER n SET NOT NULL")
    try:
        pipeline.run([{"n": 2}, {"m": 3}], table_name="strict")
    except PipelineStepFailed as failure:
        assert isinstance(failure.exception, LoadClientJobFailed), failure.exception
    else:
        raise AssertionError("a NULL went into a column that is NOT NULL")
    pipeline.run([{"n": 4}], table_name="strict")
    assert ask("SELECT n FROM strict ORDER BY n") == [(1,), (4,)]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as where:
        check(Path(where))
    print(f"DuckDB {duckdb.__version__}, pyarrow {pa.__version__}: fine")
