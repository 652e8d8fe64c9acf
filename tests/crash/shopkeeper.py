"""A small pipeline over the package and load rooms, to be killed: resumes what it finds, then makes what is missing.

Run as a program (``python -m tests.crash.shopkeeper <folder>``) it dies where ``HEADRACE_FAILPOINT`` says.
"""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import Any

from headrace.base.retry import RetryPolicy
from headrace.load.destination import Destination
from headrace.load.stage import LoadSettings, load
from headrace.package.lock import WorkingFolderLock
from headrace.package.package import Package
from headrace.package.store import PackageStore
from tests.load.shop import make_schema, seal_extracted, seal_normalized, state_rows
from tests.load.sqlite_destination import SqliteDestination

PACKAGES = 3
EVENTS = 12
SETTINGS = LoadSettings(workers=1, retry=RetryPolicy(attempts=2, first_wait=0.001), raise_on_max_retries=2)


def rows_of(number: int, cursor: int) -> dict[str, list[dict[str, Any]]]:
    """What extract number ``number`` yields: new events, a new snapshot, new values of the same accounts."""
    keys = range(number, number + 3)
    return {
        "_dlt_pipeline_state": state_rows(number + 1),
        "events": [{"n": cursor + i, "_dlt_id": f"e{cursor + i}"} for i in range(EVENTS)],
        "snapshot": [{"n": number, "_dlt_id": f"p{number}"}],
        "snapshot__parts": [{"n": i, "_dlt_root_id": f"p{number}", "_dlt_id": f"p{number}.{i}"} for i in range(number)],
        "accounts": [{"n": k, "v": f"{number}", "_dlt_id": f"a{number}.{k}"} for k in keys],
        "accounts__lines": [{"n": number, "_dlt_root_id": f"a{number}.{k}", "_dlt_id": f"l{number}.{k}"} for k in keys],
    }


def open_destination(folder: Path, kind: str, ledger: bool) -> Destination:
    """The small destination of the tests, or the real DuckDB."""
    if kind == "sqlite":
        return SqliteDestination(folder / "db", ledger=ledger)
    from headrace.destinations import duckdb

    destination: Destination = duckdb(str(folder / "db.duckdb"))
    return destination


def work(folder: Path, settings: LoadSettings = SETTINGS, ledger: bool = True, kind: str = "sqlite") -> None:
    """Recover, finish what is pending, then extract, normalize and load until all packages are through."""
    with WorkingFolderLock(folder):
        store = PackageStore(folder / "packages")
        destination = open_destination(folder, kind, ledger)
        pending = store.recover(settings.delete_completed_jobs)
        cursor = max((state["cursor"] for p in store if (state := p.load_state())), default=0)
        for package in pending:
            finish(store, package, destination, settings)
        for number in range(len(store.list()), PACKAGES):
            package = store.create("shop", pipeline_name="pipe")
            rows = rows_of(number, cursor)
            cursor += EVENTS
            seal_extracted(package, make_schema(), rows, {"cursor": cursor})
            finish(store, package, destination, settings)


def finish(store: PackageStore, package: Package, destination: Destination, settings: LoadSettings) -> None:
    """Bring one package to its end."""
    if package.phase == "extracted":
        seal_normalized(package, make_schema())
    load(package, destination, "d", settings=settings)
    store.finish(package, settings.delete_completed_jobs)


def _connect(folder: Path, kind: str) -> Any:
    if kind == "sqlite":
        return sqlite3.connect(folder / "db")
    import duckdb

    connection = duckdb.connect(str(folder / "db.duckdb"))
    connection.execute("use d")
    return connection


def faults(folder: Path, kind: str = "sqlite") -> list[str]:
    """What is wrong with the destination and the folder; nothing, if every row is there once."""
    found = []
    with _connect(folder, kind) as db:

        def rows(sql: str) -> list[tuple[Any, ...]]:
            return list(db.execute(sql).fetchall())

        last = PACKAGES - 1
        want: dict[str, list[tuple[Any, ...]]] = {
            "select n from events order by n": [(n,) for n in range(PACKAGES * EVENTS)],
            "select n from snapshot": [(last,)],
            "select n from snapshot__parts order by n": [(n,) for n in range(last)],
            "select n, v from accounts order by n": [(k, str(min(k, last))) for k in range(last + 3)],
            "select count(*), count(distinct _dlt_root_id) from accounts__lines": [(last + 3, last + 3)],
            "select count(*) from accounts__lines where _dlt_root_id not in (select _dlt_id from accounts)": [(0,)],
            "select version from _dlt_pipeline_state order by 1": [(n + 1,) for n in range(PACKAGES)],
            "select count(*), count(distinct load_id) from _dlt_loads": [(PACKAGES, PACKAGES)],
            "select count(*) from _headrace_jobs": [(0,)],
        }
        found += [f"{sql}: {have} for {good}" for sql, good in want.items() if (have := rows(sql)) != good]
    store = PackageStore(folder / "packages")
    if len(store.list()) != PACKAGES or len(store.list("loaded")) != PACKAGES:
        found.append(f"packages: {store.list()}, loaded: {store.list('loaded')}")
    found += [f"left over: {p}" for p in folder.glob("packages/*/spool")]
    found += [f"left over: {p}" for p in folder.glob("packages/.dropped*")]
    return found


if __name__ == "__main__":
    work(Path(sys.argv[1]))
