"""The same scenarios for two engines and three emitters: a script for headrace, and for dlt with an add-on.

    python stories.py EMITTER STORY FOLDER

EMITTER is ``headrace``, ``dlt-openlineage`` (the add-on, on dlt) or ``attached`` (`headrace.lineage.attach_to_dlt`, on
dlt). Events go to FOLDER/events.ndjson, what the destination held after each step to FOLDER/steps.json. Everything is
public API that headrace and dlt share, so nothing here knows which of them it is.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

API = {"kind": "rest_api", "location": "https://api.example.com", "endpoints": ["/v1/orders"]}
TABLE = {
    "kind": "sql_database",
    "location": "postgresql://erp.example.com:5432",
    "database": "erp",
    "db_schema": "public",
    "tables": ["customers"],
}
INPUTS = {"orders": "/v1/orders", "customers": "erp.public.customers"}
SECRET = "Uq7zXwVk3JrLm"


class Told:
    """A scenario at work.

    Args:
        library: headrace or dlt.
        folder: Of its own.
    """

    def __init__(self, library: Any, folder: Path) -> None:
        self.lib, self.folder = library, folder
        self.steps: list[dict[str, Any]] = []
        self.seen: set[str] = set()

    # ---- what is loaded --------------------------------------------------------------------------------------------

    def orders(self, first: int = 1, count: int = 3, **hints: Any) -> Any:
        """Orders of an API, with lists in them."""

        @self.lib.resource(name="orders", **hints)
        def read() -> Any:
            yield [
                {"id": n, "Customer Name": f"c{n}", "items": [{"sku": "a", "qty": n}, {"sku": "b", "qty": 1}]}
                for n in range(first, first + count)
            ]

        return read().add_input(dict(API))

    def customers(self, count: int = 4, **hints: Any) -> Any:
        """Customers of a database."""

        @self.lib.resource(name="customers", **hints)
        def read() -> Any:
            yield [{"id": n, "Full Name": f"n{n}"} for n in range(count)]

        return read().add_input(dict(TABLE))

    def source(self, *resources: Any, name: str = "shop") -> Any:
        """A source of them."""

        @self.lib.source(name=name)
        def made() -> Any:
            return list(resources)

        return made()

    def pipeline(self, name: str = "shop", dataset: str = "raw") -> Any:
        """Into a DuckDB file."""
        where = str(self.folder / "warehouse.duckdb")
        return self.lib.pipeline(
            name,
            destination=self.lib.destinations.duckdb(where),
            dataset_name=dataset,
            pipelines_dir=str(self.folder / "work"),
        )

    def sql(self, *statements: str) -> None:
        """Do something in the database by hand."""
        import duckdb

        with duckdb.connect(str(self.folder / "warehouse.duckdb")) as db:
            for statement in statements:
                db.execute(statement)

    # ---- what became of it -----------------------------------------------------------------------------------------

    def step(self, work: Callable[[], Any], ends: list[str]) -> None:
        """Do something, and look.

        Args:
            work: It; errors are part of the story.
            ends: How the invocations in it end.
        """
        with contextlib.suppress(Exception, KeyboardInterrupt):
            work()
        rows, columns = self._look()
        now = dt.datetime.now(dt.timezone.utc).isoformat()
        self.steps.append({"until": now, "ends": ends, "rows": rows, "columns": columns})

    def _look(self) -> tuple[dict[str, int], dict[str, list[str]]]:
        """Rows that were not there at the last look, and columns, by ``dataset.table``."""
        import duckdb

        rows, columns, seen = {}, {}, set()
        with duckdb.connect(str(self.folder / "warehouse.duckdb")) as db:
            found = db.execute(
                "select table_schema, table_name, list(column_name order by ordinal_position) "
                "from information_schema.columns "
                "where table_schema like 'raw%' and table_schema not like '%staging' group by all"
            ).fetchall()
            for schema, table, names in found:
                if table.startswith("_"):
                    continue
                key = f"{schema}.{table}"
                columns[key] = names
                ids = {f"{key} {i}" for (i,) in db.execute(f"select _dlt_id from {key}").fetchall()}
                rows[key] = len(ids - self.seen)
                seen |= ids
        self.seen |= seen
        return rows, columns


STORIES: dict[str, Callable[[Told], None]] = {}


def story(name: str) -> Callable[[Callable[[Told], None]], Callable[[Told], None]]:
    """Puts a scenario into the table."""

    def add(tell: Callable[[Told], None]) -> Callable[[Told], None]:
        STORIES[name] = tell
        return tell

    return add


@story("success")
def success(t: Told) -> None:
    t.step(lambda: t.pipeline().run(t.source(t.orders(), t.customers())), ["COMPLETE"])


@story("extract fails")
def extract_fails(t: Told) -> None:
    @t.lib.resource(name="bad")
    def bad() -> Iterator[Any]:
        yield {"id": 1}
        raise ValueError(f"postgres://u:{SECRET}@db.example.com/erp refused us")

    t.step(lambda: t.pipeline().run(t.source(t.customers())), ["COMPLETE"])
    t.step(lambda: t.pipeline().run(t.source(t.orders(), bad())), ["FAIL"])


@story("normalize fails")
def normalize_fails(t: Told) -> None:
    def wider() -> Any:
        @t.lib.resource(name="customers", schema_contract={"columns": "freeze"})
        def read() -> Any:
            yield [{"id": 9, "Full Name": "n", "unheard of": 1}]

        return read().add_input(dict(TABLE))

    t.step(lambda: t.pipeline().run(t.source(t.customers())), ["COMPLETE"])
    t.step(lambda: t.pipeline().run(t.source(wider())), ["FAIL"])


def _refuse(t: Told) -> None:
    t.sql(
        "CREATE SCHEMA IF NOT EXISTS raw",
        "CREATE TABLE raw.customers (id BIGINT CHECK (id < 0), full_name VARCHAR, "
        "_dlt_load_id VARCHAR, _dlt_id VARCHAR)",
    )


@story("load fails")
def load_fails(t: Told) -> None:
    _refuse(t)
    os.environ["LOAD__RAISE_ON_FAILED_JOBS"] = "true"
    t.step(lambda: t.pipeline().run(t.source(t.orders(), t.customers())), ["FAIL"])


@story("a job fails and is passed over")
def failed_job(t: Told) -> None:
    _refuse(t)
    os.environ["LOAD__RAISE_ON_FAILED_JOBS"] = "false"
    t.step(lambda: t.pipeline().run(t.source(t.orders(), t.customers())), ["FAIL"])


@story("all jobs fail and are passed over")
def all_fail(t: Told) -> None:
    _refuse(t)
    os.environ["LOAD__RAISE_ON_FAILED_JOBS"] = "false"
    t.step(lambda: t.pipeline().run(t.source(t.customers())), ["FAIL"])


@story("separate steps")
def steps(t: Told) -> None:
    t.step(lambda: t.pipeline().extract(t.source(t.orders(), t.customers())), ["COMPLETE"])
    t.step(lambda: t.pipeline().normalize(), ["COMPLETE"])
    t.step(lambda: t.pipeline().load(), ["COMPLETE"])


@story("a package that waits is finished by a later run")
def pending(t: Told) -> None:
    t.step(lambda: t.pipeline().extract(t.source(t.orders())), ["COMPLETE"])
    t.step(lambda: t.pipeline().run(t.source(t.orders(4))), ["COMPLETE"])


@story("a package is dropped")
def dropped(t: Told) -> None:
    t.step(lambda: t.pipeline().run(t.source(t.orders())), ["COMPLETE"])
    t.step(lambda: t.pipeline().extract(t.source(t.orders(4))), ["COMPLETE"])
    t.step(lambda: t.pipeline().drop_pending_packages(), [])


@story("eight threads")
def threads(t: Told) -> None:
    def all_at_once() -> None:
        def one(number: int) -> None:
            where = str(t.folder / "work" / f"{number}.duckdb")
            made = t.lib.pipeline(
                f"shop{number}",
                destination=t.lib.destinations.duckdb(where),
                dataset_name=f"raw{number}",
                pipelines_dir=str(t.folder / "work"),
            )
            made.run(t.source(t.customers()))
            made.deactivate()

        workers = [threading.Thread(target=one, args=(n,)) for n in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        # every thread has a file of its own: what is in all of them is looked at in one
        t.sql(
            *(
                f"ATTACH '{t.folder}/work/{n}.duckdb' AS d{n}; CREATE SCHEMA raw{n};"
                f"CREATE TABLE raw{n}.customers AS FROM d{n}.raw{n}.customers"
                for n in range(8)
            )
        )

    (t.folder / "work").mkdir(exist_ok=True)
    t.step(all_at_once, ["COMPLETE"] * 8)


@story("several sources in a run")
def sources(t: Told) -> None:
    both = [t.source(t.orders(), name="api"), t.source(t.customers(), name="erp")]
    t.step(lambda: t.pipeline().run(both), ["COMPLETE"])


@story("no new data")
def nothing_new(t: Told) -> None:
    def fresh() -> Any:
        @t.lib.resource(name="orders", primary_key="id")
        def read(at: Any = t.lib.sources.incremental("id", initial_value=0)) -> Any:
            yield [{"id": n, "Customer Name": f"c{n}"} for n in range(1, 4)]

        return read().add_input(dict(API))

    t.step(lambda: t.pipeline().run(t.source(fresh())), ["COMPLETE"])
    t.step(lambda: t.pipeline().run(t.source(fresh())), ["COMPLETE"])


@story("replace")
def replace(t: Told) -> None:
    for first in (1, 3):
        t.step(
            lambda first=first: t.pipeline().run(t.source(t.orders(first, write_disposition="replace"))), ["COMPLETE"]
        )


@story("merge, with doubles in a load")
def merge(t: Told) -> None:
    def doubles() -> Any:
        @t.lib.resource(name="customers", primary_key="id", write_disposition="merge")
        def read() -> Any:
            yield [{"id": 1, "Full Name": f"n{n}"} for n in range(3)]

        return read().add_input(dict(TABLE))

    t.step(lambda: t.pipeline().run(t.source(doubles())), ["COMPLETE"])
    t.step(lambda: t.pipeline().run(t.source(doubles())), ["COMPLETE"])


@story("a column that is declared and gets no value")
def ghost(t: Told) -> None:
    hints = {"columns": {"ghost": {"nullable": True, "description": "nobody fills it"}}}
    t.step(lambda: t.pipeline().run(t.source(t.customers(**hints))), ["COMPLETE"])


@story("refresh")
def refresh(t: Told) -> None:
    t.step(lambda: t.pipeline().run(t.source(t.orders(), t.customers())), ["COMPLETE"])
    t.step(lambda: t.pipeline().run(t.source(t.customers()), refresh="drop_sources"), ["COMPLETE"])


@story("Ctrl-C")
def interrupt(t: Told) -> None:
    def stopped() -> Any:
        @t.lib.resource(name="orders")
        def read() -> Any:
            yield [{"id": 1}]
            os.kill(os.getpid(), signal.SIGINT)
            yield [{"id": 2}]

        return read().add_input(dict(API))

    t.step(lambda: t.pipeline().run(t.source(t.customers())), ["COMPLETE"])
    t.step(lambda: t.pipeline().run(t.source(stopped())), ["ABORT"])


def library(emitter: str, events: Path) -> Any:
    """headrace or dlt, with lineage going to a file."""
    os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
    if emitter == "headrace":
        os.environ |= {"LINEAGE__PATH": str(events), "LINEAGE__OWNERS": '["team:shop"]'}
        import headrace

        return headrace
    import dlt

    os.environ |= {
        "OPENLINEAGE__TRANSPORT__TYPE": "file",
        "OPENLINEAGE__TRANSPORT__LOG_FILE_PATH": str(events),
        "OPENLINEAGE__TRANSPORT__APPEND": "true",
    }
    if emitter == "dlt-openlineage":
        import dlt_openlineage

        # a URL must be given even though a transport is configured, and is not used
        dlt_openlineage.install(url="http://127.0.0.1:9")
    else:
        import headrace.lineage

        os.environ["LINEAGE__OWNERS"] = '["team:shop"]'
        headrace.lineage.attach_to_dlt(path=events)
    return dlt


def main() -> None:
    """Tell one story."""
    emitter, name, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    os.chdir(folder)
    told = Told(library(emitter, folder / "events.ndjson"), folder)
    STORIES[name](told)
    (folder / "steps.json").write_text(json.dumps(told.steps))


if __name__ == "__main__":
    main()
