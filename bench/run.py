"""headrace and dlt side by side: the engines take turns, each measurement in a process of its own, medians are printed.

    python bench/run.py                    all cases
    python bench/run.py nested idle        some cases
    python bench/run.py postgres           nested documents, flat ones and Arrow tables into PostgreSQL
    python bench/run.py lineage            what lineage costs: runs with it beside runs without
    python bench/run.py --rounds 3 --scale 0.2

Ratios are against dlt's best configuration in the case. ``raw`` is the limit: into DuckDB the engine alone on the same
rows in a file; elsewhere the driver alone, which writes the rows that lie in the tables once more.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
# rows by case; small counts rows a resource
ROWS = {
    "flat": 200_000,
    "nested": 100_000,
    "messy": 100_000,
    "arrow": 1_000_000,
    "merge": 50_000,
    "small": 10,
    "idle": 1_000,
    "postgres-nested": 30_000,
    "postgres-flat": 30_000,
    "postgres-arrow": 500_000,
    "sqlite-nested": 20_000,
    "sqlite-flat": 30_000,
    "sqlite-arrow": 200_000,
    "files-nested": 30_000,
    "files-flat": 30_000,
    "files-arrow": 1_000_000,
}
GROUPS = {
    **{name: [case for case in ROWS if case.startswith(f"{name}-")] for name in ("postgres", "sqlite", "files")},
    "destinations": [case for case in ROWS if "-" in case],
}
# dlt's default settings are measured on fewer rows of the large cases: all of them would take most of an hour
FEWER = {"flat": 0.1, "nested": 0.1, "messy": 0.1, "merge": 0.2}
ENGINES = ["headrace", "dlt", "dlt-parquet", "raw"]
# the configurations of dlt that are the best of a target's cases, and with --every those that are not
BEST = {
    "postgres": ["dlt-parquet", "dlt-parquet-parallel"],
    "sqlite": ["dlt-parquet-adbc", "dlt-parquet-parallel"],
    "files": ["dlt-parquet", "dlt-parquet-parallel"],
}
OTHERS = {
    "postgres": ["dlt", "dlt-csv", "dlt-csv-parallel"],
    "sqlite": ["dlt", "dlt-parquet"],
    "files": ["dlt-jsonl"],
}
RAW = ("flat", "nested", "messy", "arrow")
# merges into lake tables, by lake.py: the format, and who merges; pyiceberg's own upsert would take minutes
LAKE = {"delta_merge": ("delta", "headrace,native"), "iceberg_merge": ("iceberg", "headrace")}
LAKE_ROWS = 5_000_000


def measure(engine: str, case: str, rows: int, *, check: bool = False, **more: str) -> dict[str, Any]:
    """One measurement."""
    command = [sys.executable, str(HERE / "worker.py"), engine, case, str(rows), *(["--check"] if check else [])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE, check=False, env={**os.environ, **more})
    if done.returncode:
        raise SystemExit(f"{engine} {case} failed:\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def engines_of(case: str, every: bool) -> list[str]:
    """The engines that a case compares."""
    target, _, shape = case.rpartition("-")
    if not target:
        return [e for e in ENGINES if e != "raw" or case in RAW]
    found = BEST[target] + (OTHERS[target] if every else [])
    if shape == "arrow" or (shape == "flat" and not every):  # Arrow tables are not normalized: nothing is parallel
        found = [e for e in found if not e.endswith("-parallel")]
    return ["headrace", *found, "raw"]


def compare(case: str, rows: int, rounds: int, every: bool, server: Any) -> list[str]:
    """All engines in turn, several rounds, and a line each; returns the row of the documentation's table."""
    engines = engines_of(case, every)
    results: dict[str, list[dict[str, Any]]] = {e: [] for e in engines}
    for number in range(rounds):
        for engine in engines:
            share = FEWER.get(case, 1.0) if engine == "dlt" else 1.0
            check = "-" in case and number == 0
            with database(server if case.startswith("postgres-") else None) as where:
                results[engine].append(measure(engine, case, int(rows * share), check=check, **where))
    if "-" in case:
        compare_checks(case, results)
    rates = {e: statistics.median(r["rows"] / r["seconds"] for r in found) for e, found in results.items()}
    best = max(rate for engine, rate in rates.items() if engine.startswith("dlt"))
    print(f"\n{case}, {rows:,} rows")
    for engine in engines:
        found = results[engine]
        seconds, cpu, used, peak = (
            statistics.median(r[name] for r in found) for name in ("seconds", "cpu", "server", "peak_mb")
        )
        resources = 50 if case == "small" else 1
        fewer = "" if found[0]["rows"] == rows else f"  (of {found[0]['rows']:,} rows)"
        of_server = f" + server's {used:6.2f}" if used else ""
        print(
            f"  {engine:20} {seconds:8.3f} s  {rates[engine] * resources:12,.0f} rows/s  CPU {cpu:7.2f} s{of_server}"
            f"  {peak:6,.0f} MB  {rates[engine] / best:6.1f} x dlt's best{fewer}",
            flush=True,
        )
    return [markdown(case, rows, rates, results)]


def compare_checks(case: str, results: dict[str, list[dict[str, Any]]]) -> None:
    """All engines must have loaded the same rows: a fast load of others is worth nothing."""
    wanted = results["headrace"][0]["check"]
    for engine, found in results.items():
        if (check := found[0]["check"]) != wanted:
            raise SystemExit(f"{case}: headrace and {engine} did not load the same rows:\n  {wanted}\n  {check}")
    if not wanted or not all(rows for rows, _ in wanted.values()):
        raise SystemExit(f"{case}: nothing was loaded: {wanted}")


def markdown(case: str, rows: int, rates: dict[str, float], results: dict[str, list[dict[str, Any]]]) -> str:
    """A row of the table in docs/benchmark.md."""
    best = max((e for e in rates if e.startswith("dlt")), key=lambda e: rates[e])

    def cpu(engine: str) -> float:
        return statistics.median(r["cpu"] for r in results[engine])

    raw = f"{rates['raw']:,.0f}" if "raw" in rates else ""
    return (
        f"| {case} | {rows:,} | {rates['headrace']:,.0f} rows/s | {rates[best]:,.0f} (`{best}`) | {raw} "
        f"| {rates['headrace'] / rates[best]:.1f} | {cpu(best) / max(cpu('headrace'), 0.001):.1f} |"
    )


@contextmanager
def database(server: Any) -> Iterator[dict[str, str]]:
    """An empty database for one measurement."""
    if server is None:
        yield {}
        return
    url = server.database()
    yield {"BENCH_POSTGRES": url, "BENCH_POSTGRES_PID": str(server.pid)}
    server.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")


def memory(scale: float) -> None:
    """Peak memory of a streamed load as the number of rows grows."""
    print("\nstreamed nested documents: peak memory")
    for rows in (100_000, 300_000, 1_000_000):
        count = int(rows * scale)
        found = measure("headrace", "streamed", count)
        print(f"  {count:10,} rows  {found['seconds']:8.2f} s  {found['peak_mb']:6,} MB")


def lake(case: str, scale: float) -> None:
    """One per cent merged into a large table: seconds, and peak memory above what the process had before."""
    kind, engines = LAKE[case]
    rows = int(LAKE_ROWS * scale)
    print(f"\n{case}, {rows // 100:,} rows into {rows:,}", flush=True)
    command = [sys.executable, str(HERE / "lake.py"), kind, "--rows", str(rows), "--engines", engines]
    if subprocess.run(command, check=False).returncode:
        raise SystemExit(f"{case} failed")


def lineage(rounds: int, scale: float) -> None:
    """Runs with lineage to a file beside runs without."""
    print("\nlineage to a file: seconds of a run, and CPU until the last event is written", flush=True)
    command = [sys.executable, str(HERE / "lineage.py"), "--rounds", str(3 * rounds), "--scale", str(scale)]
    if subprocess.run(command, check=False, cwd=HERE).returncode:
        raise SystemExit("lineage failed")


def cases_of(given: list[str], known: list[str]) -> list[str]:
    """Cases by their names and those of their groups."""
    named = [case for name in given for case in GROUPS.get(name, [name])]
    if strange := [case for case in named if case not in known]:
        raise SystemExit(f"no case is called {', '.join(strange)}; there are {', '.join([*known, *GROUPS])}")
    return named or known


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [*ROWS, "memory", "lineage", *LAKE]
    names = ", ".join([*known, *GROUPS])
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of {names}; all when none is named")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each engine and case")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the number of rows")
    parser.add_argument("--every", action="store_true", help="also those configurations of dlt that are not its best")
    given = parser.parse_args()
    lines: list[str] = []
    cases = cases_of(given.cases, known)
    with ExitStack() as stack:
        server = None
        if any(case.startswith("postgres-") for case in cases):
            from tests.servers.postgres import Postgres

            server = stack.enter_context(Postgres())
        for case in cases:
            if case == "memory":
                memory(given.scale)
            elif case == "lineage":
                lineage(given.rounds, given.scale)
            elif case in LAKE:
                lake(case, given.scale)
            else:
                rows = ROWS[case] if case in ("small", "idle") else int(ROWS[case] * given.scale)
                lines += compare(case, rows, given.rounds, given.every, server)
    if lines:
        print("\n| case | rows | headrace | dlt's best | raw | ratio | ratio of CPU time |")
        print("|---|---:|---:|---:|---:|---:|---:|")
        print("\n".join(lines))


if __name__ == "__main__":
    main()
