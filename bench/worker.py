"""One measurement in a process of its own: one engine, one case. Prints seconds, rows and peak memory as JSON."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import data

PAGE = 1000


class Bench:
    """An engine under the public API both share, and a folder to work in."""

    def __init__(self, engine: str, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        self.dlt: Any = None
        if engine != "raw":
            self.dlt = importlib.import_module("headrace" if engine == "headrace" else "dlt")

    def pipeline(self, name: str = "bench") -> Any:
        return self.dlt.pipeline(
            name,
            pipelines_dir=str(self.folder / "pipelines"),
            destination=self.dlt.destinations.duckdb(str(self.folder / "bench.duckdb")),
            dataset_name="data",
        )

    def warm(self) -> None:
        """Load one row elsewhere: what an engine imports when first used is not what is measured here."""
        if self.dlt is None:
            return
        pipeline = self.dlt.pipeline(
            "warm",
            pipelines_dir=str(self.folder / "warm"),
            destination=self.dlt.destinations.duckdb(str(self.folder / "warm_up.duckdb")),
            dataset_name="data",
        )
        more = {"loader_file_format": "parquet"} if self.engine == "dlt-parquet" else {}
        pipeline.run([{"id": 1, "nested": [{"at": "2024-01-01T00:00:00Z"}]}], table_name="rows", **more)

    def run(self, what: Any, **more: Any) -> Any:
        if self.engine == "dlt-parquet":
            more["loader_file_format"] = "parquet"
        return self.pipeline().run(what, **more)


def timed(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def documents(bench: Bench, make: Callable[[int], Iterator[data.Row]], rows: int) -> float:
    """Load documents that lie ready in memory, page by page."""
    ready = list(data.pages(make(rows), PAGE))
    if bench.engine == "raw":
        return raw_ndjson(bench, [row for page in ready for row in page])
    return timed(lambda: bench.run(bench.dlt.resource(iter(ready), name="rows")))


def raw_ndjson(bench: Bench, rows: list[data.Row]) -> float:
    """The limit: DuckDB alone reads the same rows from a file of JSON lines."""
    import duckdb

    path = bench.folder / "rows.ndjson"
    path.write_text("\n".join(json.dumps(r) for r in rows))
    con = duckdb.connect(str(bench.folder / "bench.duckdb"))
    return timed(lambda: con.execute(f"CREATE TABLE rows AS SELECT * FROM read_json('{path}')"))


def arrow(bench: Bench, rows: int) -> float:
    import pyarrow as pa

    part = pa.Table.from_pylist(list(data.flat(50_000)))
    table = pa.concat_tables([part] * (rows // part.num_rows))
    if bench.engine == "raw":
        import duckdb
        import pyarrow.parquet as pq

        path = bench.folder / "rows.parquet"
        pq.write_table(table, path)
        con = duckdb.connect(str(bench.folder / "bench.duckdb"))
        return timed(lambda: con.execute(f"CREATE TABLE rows AS SELECT * FROM read_parquet('{path}')"))
    batches = [table.slice(i, 50_000) for i in range(0, table.num_rows, 50_000)]
    return timed(lambda: bench.run(bench.dlt.resource(iter(batches), name="rows")))


def merge(bench: Bench, rows: int) -> float:
    """A fifth of the documents come again, changed; the first load is not timed."""

    def resource(items: Iterator[data.Row]) -> Any:
        return bench.dlt.resource(
            iter(list(data.pages(items))), name="rows", primary_key="id", write_disposition="merge"
        )

    bench.run(resource(data.nested(rows)))
    second = resource(data.changed(rows))
    return timed(lambda: bench.run(second))


def small(bench: Bench, rows: int) -> float:
    """Fifty resources of ``rows`` documents each."""

    @bench.dlt.source(name="many")  # type: ignore[untyped-decorator]
    def many() -> Any:
        for i in range(50):
            yield bench.dlt.resource(list(data.flat(rows)), name=f"resource_{i}")

    source = many()
    return timed(lambda: bench.run(source))


def idle(bench: Bench, rows: int) -> float:
    """An incremental run that finds nothing new."""

    def resource() -> Any:
        @bench.dlt.resource(name="rows", primary_key="id")  # type: ignore[untyped-decorator]
        def rows_since(cursor: Any = bench.dlt.sources.incremental("id")) -> Any:
            yield list(data.flat(rows))

        return rows_since

    bench.run(resource()())
    bench.run(resource()())
    again = resource()()
    return timed(lambda: bench.run(again))


def streamed(bench: Bench, rows: int) -> float:
    """Documents made while they are loaded: what memory does it take?"""
    return timed(lambda: bench.run(bench.dlt.resource(data.pages(data.nested(rows)), name="rows")))


CASES: dict[str, Callable[[Bench, int], float]] = {
    "flat": lambda b, n: documents(b, data.flat, n),
    "nested": lambda b, n: documents(b, data.nested, n),
    "messy": lambda b, n: documents(b, data.messy, n),
    "arrow": arrow,
    "merge": merge,
    "small": small,
    "idle": idle,
    "streamed": streamed,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=["headrace", "dlt", "dlt-parquet", "raw"])
    parser.add_argument("case", choices=list(CASES))
    parser.add_argument("rows", type=int)
    given = parser.parse_args()
    os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
    os.environ.setdefault("RUNTIME__LOG_LEVEL", "ERROR")
    folder = Path(tempfile.mkdtemp(prefix="headrace-bench-"))
    os.chdir(folder)
    try:
        bench = Bench(given.engine, folder)
        bench.warm()
        seconds = CASES[given.case](bench, given.rows)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "rows": given.rows, "peak_mb": round(peak)}))


if __name__ == "__main__":
    main()
