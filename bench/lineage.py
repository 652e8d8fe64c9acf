"""What lineage costs: runs with events to a file take turns with runs without, in one process. At most 3 % is allowed.

    python lineage.py [--rounds 15] [--scale 1.0]

For each shape: seconds of ``pipeline.run`` with and without, and CPU time until the last event is in the file, which is
after the run has ended. The ratio is the median of those of pairs, so that what the machine does beside weighs less.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import data

import headrace

LIMIT = 1.03
SHAPES = {"nested": 20_000, "flat": 50_000, "small": 10, "idle": 1_000}


class Spent(NamedTuple):
    """Seconds of a run, and CPU seconds of the process until all is told."""

    wall: float
    cpu: float


def source(shape: str, rows: int) -> Callable[[], Any]:
    """Makes what is loaded, the same each time."""
    if shape == "small":

        @headrace.source(name="many")
        def many() -> Any:
            return [headrace.resource(list(data.flat(rows)), name=f"resource_{i}") for i in range(50)]

        return many
    if shape == "idle":

        @headrace.resource(name="rows", primary_key="id")
        def rows_since(cursor: Any = headrace.sources.incremental("id")) -> Any:
            yield list(data.flat(rows))

        return lambda: rows_since().add_input(dict(API))
    ready = list(data.pages(getattr(data, shape)(rows), 1000))
    return lambda: headrace.resource(iter(ready), name="rows").add_input(dict(API))


API = {"kind": "rest_api", "location": "https://api.example.com", "endpoints": ["/v1/rows"]}


def once(folder: Path, name: str, what: Any, lineage: bool) -> Spent:
    """One run of a pipeline."""
    if lineage:
        os.environ["LINEAGE__PATH"] = str(folder / "events.ndjson")
    else:
        os.environ.pop("LINEAGE__PATH", None)
    gc.collect()
    pipeline = headrace.pipeline(
        name,
        pipelines_dir=str(folder / "work"),
        destination=headrace.destinations.duckdb(str(folder / f"{name}.duckdb")),
        dataset_name="data",
    )
    cpu, begun = time.process_time(), time.perf_counter()
    pipeline.run(what)
    wall = time.perf_counter() - begun
    if lineage:
        drain()
    return Spent(wall, time.process_time() - cpu)


def drain() -> None:
    """Wait until every event is in the file."""
    from headrace.observers.lineage.delivery.runtime import close

    if not close(60):
        raise SystemExit("events were not written within a minute")


def pair(folder: Path, shape: str, make: Callable[[], Any], number: int) -> tuple[Spent, Spent]:
    """A run with and one without, each of a new pipeline; who is first changes."""
    found: dict[bool, Spent] = {}
    for lineage in (True, False) if number % 2 else (False, True):
        name = f"{shape}_{number}_{'with' if lineage else 'without'}"
        if shape == "idle":
            once(folder, name, make(), lineage)
        found[lineage] = once(folder, name, make(), lineage)
        shutil.rmtree(folder / "work", ignore_errors=True)
        (folder / f"{name}.duckdb").unlink()
    return found[False], found[True]


def measure(folder: Path, shape: str, rows: int, rounds: int) -> dict[str, Any]:
    """All pairs of a shape."""
    make = source(shape, rows)
    pair(folder, shape, make, 10_000)  # imports, caches
    events = folder / "events.ndjson"
    events.unlink()
    pairs = [pair(folder, shape, make, number) for number in range(rounds)]
    middle = statistics.median

    def ratio(what: str) -> float:
        return middle(getattr(with_, what) / getattr(without, what) for without, with_ in pairs)

    return {
        "shape": shape,
        "wall": (middle(a.wall for a, _ in pairs), middle(b.wall for _, b in pairs), ratio("wall")),
        "cpu": (middle(a.cpu for a, _ in pairs), middle(b.cpu for _, b in pairs), ratio("cpu")),
        "events": len(events.read_bytes().splitlines()) // (rounds * (2 if shape == "idle" else 1)),
    }


def told(found: dict[str, Any]) -> str:
    """A line for people."""
    (without, with_, wall), (cpu_without, cpu_with, cpu) = found["wall"], found["cpu"]
    verdict = "" if wall <= LIMIT else f"  over the limit of {LIMIT}"
    return (
        f"  {found['shape']:8} {without:8.3f} s without {with_:8.3f} s with  {wall:6.3f} x   "
        f"CPU {cpu_without:7.3f} s, {cpu_with:7.3f} s  {cpu:6.3f} x   {found['events']} events{verdict}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", help=f"of {', '.join(SHAPES)}")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="headrace-bench-"))
    os.chdir(folder)
    try:
        for shape in given.shapes or SHAPES:
            rows = SHAPES[shape] if shape in ("small", "idle") else int(SHAPES[shape] * given.scale)
            found = measure(folder, shape, rows, given.rounds)
            print(json.dumps(found) if given.json else told(found), flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
