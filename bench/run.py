"""headrace and dlt side by side: the engines take turns, each measurement in a process of its own, medians are printed.

    python bench/run.py                 all cases, five rounds
    python bench/run.py nested idle     some cases
    python bench/run.py --rounds 3 --scale 0.2

Ratios are against dlt's best configuration in the case. ``raw`` is the limit: the engine alone on the same rows in a
file.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# rows by case; small counts rows a resource
ROWS = {
    "flat": 200_000,
    "nested": 100_000,
    "messy": 100_000,
    "arrow": 1_000_000,
    "merge": 50_000,
    "small": 10,
    "idle": 1_000,
}
# dlt's default settings are measured on fewer rows of the large cases: all of them would take most of an hour
FEWER = {"flat": 0.1, "nested": 0.1, "messy": 0.1, "merge": 0.2}
ENGINES = ("headrace", "dlt", "dlt-parquet", "raw")
RAW = ("flat", "nested", "messy", "arrow")


def measure(engine: str, case: str, rows: int) -> dict[str, Any]:
    """One measurement."""
    done = subprocess.run(
        [sys.executable, str(HERE / "worker.py"), engine, case, str(rows)],
        capture_output=True,
        text=True,
        cwd=HERE,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{engine} {case} failed:\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def compare(case: str, rows: int, rounds: int) -> None:
    """All engines in turn, several rounds, and a line each."""
    engines = [e for e in ENGINES if e != "raw" or case in RAW]
    results: dict[str, list[dict[str, Any]]] = {e: [] for e in engines}
    for _ in range(rounds):
        for engine in engines:
            share = FEWER.get(case, 1.0) if engine == "dlt" else 1.0
            results[engine].append(measure(engine, case, int(rows * share)))
    rates = {e: statistics.median(r["rows"] / r["seconds"] for r in found) for e, found in results.items()}
    best = max(rates["dlt"], rates["dlt-parquet"])
    print(f"\n{case}, {rows:,} rows")
    for engine in engines:
        found = results[engine]
        seconds = statistics.median(r["seconds"] for r in found)
        peak = statistics.median(r["peak_mb"] for r in found)
        resources = 50 if case == "small" else 1
        fewer = "" if found[0]["rows"] == rows else f"  (of {found[0]['rows']:,} rows)"
        print(
            f"  {engine:12} {seconds:8.3f} s  {rates[engine] * resources:12,.0f} rows/s  {peak:6,.0f} MB"
            f"  {rates[engine] / best:6.1f} x dlt's best{fewer}",
            flush=True,
        )


def memory(scale: float) -> None:
    """Peak memory of a streamed load as the number of rows grows."""
    print("\nstreamed nested documents: peak memory")
    for rows in (100_000, 300_000, 1_000_000):
        count = int(rows * scale)
        found = measure("headrace", "streamed", count)
        print(f"  {count:10,} rows  {found['seconds']:8.2f} s  {found['peak_mb']:6,} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [*ROWS, "memory"]
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(known)}; all when none is named")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each engine and case")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the number of rows")
    given = parser.parse_args()
    if strange := [c for c in given.cases if c not in known]:
        parser.error(f"no case is called {', '.join(strange)}; there are {', '.join(known)}")
    cases = given.cases or known
    for case in cases:
        if case == "memory":
            memory(given.scale)
        else:
            rows = ROWS[case] if case in ("small", "idle") else int(ROWS[case] * given.scale)
            compare(case, rows, given.rounds)


if __name__ == "__main__":
    main()
