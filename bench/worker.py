"""One measurement in a process of its own: one engine, one case. Prints its figures as JSON.

Engines are ``headrace``; ``dlt`` with its defaults or, as ``dlt-FORMAT``, ``dlt-FORMAT-SWITCH``, with others; ``raw``.
"""

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
from targets import TARGETS, Target

PAGE = 1000


def switched_on(engine: str, rows: int, folder: Path) -> dict[str, str]:
    """dlt's settings: ``parallel`` normalizes in two processes, ``adbc`` lets it find SQLite's driver."""
    if engine.endswith("-parallel"):
        return {"NORMALIZE__WORKERS": "2", "SOURCES__DATA_WRITER__FILE_MAX_ITEMS": str(max(PAGE, rows // 4))}
    if engine.endswith("-adbc"):
        import adbc_driver_sqlite

        # dlt asks for a driver called "sqlite", which is found by a manifest as `dbc install sqlite` makes one
        (folder / "sqlite.toml").write_text(
            'manifest_version = 1\nname = "SQLite"\nversion = "1"\n'
            f'[Driver]\nshared = "{adbc_driver_sqlite._driver_path()}"\n'
        )
        return {"ADBC_DRIVER_PATH": str(folder)}
    return {}


class Bench:
    """An engine under the public API both share, a place to load to, and a folder to work in."""

    def __init__(self, engine: str, folder: Path, target: Target | None = None) -> None:
        self.engine, self.folder, self.target = engine, folder, target
        self.format = engine.split("-")[1] if "-" in engine else None
        if isinstance(target, TARGETS["files"]):
            self.format = self.format or "parquet"
        self.dlt: Any = None
        if engine != "raw" or target is not None:
            self.dlt = importlib.import_module("dlt" if engine.startswith("dlt") else "headrace")

    def pipeline(self, name: str = "bench", dataset: str = "data") -> Any:
        file = self.folder / f"{name}.duckdb"
        return self.dlt.pipeline(
            name,
            pipelines_dir=str(self.folder / name),
            destination=self.target.destination(self.dlt) if self.target else self.dlt.destinations.duckdb(str(file)),
            dataset_name=dataset,
        )

    def warm(self) -> None:
        """Load one row elsewhere: what an engine imports when first used is not what is measured here."""
        if self.dlt is not None:
            rows = [{"id": 1, "nested": [{"at": "2024-01-01T00:00:00Z"}]}]
            more = {"loader_file_format": self.format} if self.format else {}
            self.pipeline("warm", "warming").run(rows, table_name="rows", **more)

    def run(self, what: Any, **more: Any) -> Any:
        if self.format:
            more["loader_file_format"] = self.format
        return self.pipeline().run(what, **more)


class Timed:
    """Figures of the work that was timed last."""

    cpu = server = 0.0


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def timed(work: Callable[[], Any], target: Target | None = None) -> float:
    server = target.cpu() if target else 0.0
    cpu, begun = _cpu(), time.perf_counter()
    work()
    seconds = time.perf_counter() - begun
    Timed.cpu = _cpu() - cpu
    if server:
        time.sleep(0.5)  # its processes end after their connections, and count only once they are seen to have ended
        Timed.server = target.cpu() - server if target else 0.0
    return seconds


def load(bench: Bench, resource_: Any) -> float:
    """Load a resource; raw, write what was loaded once more."""
    if bench.engine != "raw":
        return timed(lambda: bench.run(resource_), bench.target)
    assert bench.target is not None
    bench.run(resource_)
    return timed(bench.target.raw(), bench.target)


def documents(bench: Bench, make: Callable[[int], Iterator[data.Row]], rows: int) -> float:
    """Load documents that lie ready in memory, page by page."""
    ready = list(data.pages(make(rows), PAGE))
    if bench.engine == "raw" and bench.target is None:
        return raw_ndjson(bench, [row for page in ready for row in page])
    return load(bench, bench.dlt.resource(iter(ready), name="rows"))


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
    table = pa.concat_tables([part] * -(-rows // part.num_rows)).slice(0, rows)
    if bench.engine == "raw" and bench.target is None:
        import duckdb
        import pyarrow.parquet as pq

        path = bench.folder / "rows.parquet"
        pq.write_table(table, path)
        con = duckdb.connect(str(bench.folder / "bench.duckdb"))
        return timed(lambda: con.execute(f"CREATE TABLE rows AS SELECT * FROM read_parquet('{path}')"))
    batches = [table.slice(i, 50_000) for i in range(0, table.num_rows, 50_000)]
    return load(bench, bench.dlt.resource(iter(batches), name="rows"))


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
    parser.add_argument("engine")
    parser.add_argument("case", help=f"one of {', '.join(CASES)}, or into another place: postgres-nested, files-arrow")
    parser.add_argument("rows", type=int)
    parser.add_argument("--check", action="store_true", help="sum up what was loaded")
    given = parser.parse_args()
    os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
    os.environ.setdefault("RUNTIME__LOG_LEVEL", "ERROR")
    folder = Path(tempfile.mkdtemp(prefix="headrace-bench-"))
    os.chdir(folder)
    try:
        os.environ.update(switched_on(given.engine, given.rows, folder))
        where, _, case = given.case.rpartition("-")
        target = TARGETS[where](folder) if where else None
        bench = Bench(given.engine, folder, target)
        bench.warm()
        seconds = CASES[case](bench, given.rows)
        peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        found = {
            "seconds": seconds,
            "cpu": Timed.cpu,
            "server": Timed.server,
            "rows": given.rows,
            "peak_mb": round(peak / 1024),
            "check": target.check() if target and given.check else None,
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
