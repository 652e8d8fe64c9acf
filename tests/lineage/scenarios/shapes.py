"""What is loaded, how and from where: sources, schemas, dispositions, refreshes, contracts, undo."""

from __future__ import annotations

import http.server
import sqlite3
import threading
from typing import Any

import requests

import headrace
from tests.lineage.scenarios.scenario import NO_INPUT, OF_QUERIES, break_tables, ends, failing, scenario, tables_of
from tests.lineage.scenarios.world import World

# ---- sources -------------------------------------------------------------------------------------------------------


@scenario("a list", less=NO_INPUT)
def a_list(w: World, patch: Any) -> None:
    w.run([{"id": 1, "l": [1, 2]}, {"id": 2}], table_name="numbers")
    assert tables_of(w, "numbers") == {"numbers": 2, "numbers__l": 2}
    assert w.stream().of("numbers")[0].inputs == []


@scenario("a generator without a known origin", less=NO_INPUT)
def a_generator(w: World, patch: Any) -> None:
    w.run(w.shop.orders(origin=None))
    assert w.stream().of("orders")[0].inputs == []


@scenario("Arrow tables")
def arrow(w: World, patch: Any) -> None:
    import pyarrow as pa

    @headrace.resource(name="measures")
    def measures() -> Any:
        yield pa.table({"Sensor Id": [1, 2, 3], "value": [0.5, None, 2.0]})
        yield pa.table({"Sensor Id": [4], "value": [1.0]})

    w.run(measures().add_input(dict(w.shop.FILES)))
    assert tables_of(w, "measures") == {"measures": 4}
    fields = w.stream().of("measures")[0].outputs[0]["facets"]["columnLineage"]["fields"]
    assert fields["sensor_id"]["inputFields"][0]["field"] == "Sensor Id"


@scenario("pandas frames", long=True)
def pandas(w: World, patch: Any) -> None:
    import pandas as pd

    @headrace.resource(name="frames")
    def frames() -> Any:
        yield pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})

    w.run(frames().add_input(dict(w.shop.FILES)))
    assert tables_of(w, "frames") == {"frames": 2}


@scenario("a SQL model of a table that is there", less=OF_QUERIES)
def model(w: World, patch: Any) -> None:
    p = w.pipeline()
    w.run(w.shop.shop(w.shop.customers()), p)

    @headrace.resource(name="vips")
    def vips() -> Any:
        yield p.dataset().query("SELECT id, full_name AS who FROM customers WHERE vip")

    w.run(vips(), p)
    assert tables_of(w, "vips") == {"vips": 2}
    (run,) = w.stream().of("vips")
    assert [(d["namespace"], d["name"]) for d in run.inputs] == [w.place.identity("customers")]
    fields = run.outputs[0]["facets"]["columnLineage"]["fields"]
    assert [f["field"] for f in fields["who"]["inputFields"]] == ["full_name"]


@scenario("a transformer")
def transformer(w: World, patch: Any) -> None:
    @headrace.transformer(name="details")
    def details(orders: Any) -> Any:
        yield [{"order": order["id"], "city": order["address"]["city"]} for order in orders]

    w.run(w.shop.shop(w.shop.orders() | details()))
    (run,) = w.stream().of("details")
    assert [d["name"] for d in run.inputs] == ["/v1/orders"]
    assert tables_of(w, "details") == {"details": 3}


@scenario("an API over HTTP, a database and files, really read", warnings={"N105": "the server is on this machine"})
def really_read(w: World, patch: Any) -> None:
    class Api(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'[{"id": 1, "tags": ["a"]}, {"id": 2, "tags": []}]'
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """It is quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base, database, folder = f"http://127.0.0.1:{server.server_port}", w.folder / "erp.db", w.folder / "in"
    with sqlite3.connect(database) as db:
        db.execute('create table Stock ("Item No" integer, "On Hand" real)')
        db.execute("insert into Stock values (1, 2.5), (2, 0)")
    folder.mkdir()
    (folder / "a.csv").write_text("x;y\n1;2\n")

    @headrace.resource(name="things")
    def things() -> Any:
        yield requests.get(f"{base}/v1/things?api_key=Uq7zXwVk3JrLm", timeout=60).json()

    @headrace.resource(name="stock")
    def stock() -> Any:
        with sqlite3.connect(database) as connection:
            cursor = connection.execute("select * from Stock")
            names = [c[0] for c in cursor.description]
            yield [dict(zip(names, row, strict=True)) for row in cursor]

    @headrace.resource(name="lines")
    def lines() -> Any:
        for path in folder.glob("*.csv"):
            yield [{"text": line} for line in path.read_text().splitlines()]

    api = {"kind": "rest_api", "location": f"{base}?api_key=Uq7zXwVk3JrLm", "endpoints": ["/v1/things"]}
    table = {"kind": "sql_database", "location": f"sqlite:///{database}", "tables": ["Stock"]}
    files = {"kind": "filesystem", "location": str(folder), "glob": "*.csv"}
    try:
        w.run(w.shop.shop(things().add_input(api), stock().add_input(table), lines().add_input(files)))
    finally:
        server.shutdown()
    read = {run.job: [(d["namespace"], d["name"]) for d in run.inputs] for run in w.stream().resources}
    assert read["shop.shop.things"] == [(base, "/v1/things")]
    assert read["shop.shop.stock"] == [(f"sqlite://{database}", "main.Stock")]
    assert read["shop.shop.lines"] == [("file", str(folder))]
    assert "Uq7zXwVk3JrLm" not in w.stream().text
    fields = w.stream().of("stock")[0].outputs[0]["facets"]["columnLineage"]["fields"]
    assert fields["on_hand"]["inputFields"][0]["field"] == "On Hand"


# ---- schemas -------------------------------------------------------------------------------------------------------


@scenario("several sources in a run")
def several_sources(w: World, patch: Any) -> None:
    w.run([w.shop.shop(w.shop.orders(), name="shop"), w.shop.shop(w.shop.customers(), name="erp")])
    told = ends(w)
    assert told["shop.shop.orders"] == told["shop.erp.customers"] == ["COMPLETE"]
    assert tables_of(w, "customers") == {"customers": 4}


@scenario("a table changes: new columns, another type, a nested table")
def evolves(w: World, patch: Any) -> None:
    @headrace.resource(name="things")
    def first() -> Any:
        yield [{"id": 1, "v": 1}]

    @headrace.resource(name="things")
    def then() -> Any:
        yield [{"id": 2, "v": "x", "new": True, "l": [{"deep": 1}]}]

    w.run(w.shop.shop(first().add_input(dict(w.shop.TABLE))))
    w.run(w.shop.shop(then().add_input(dict(w.shop.TABLE))))
    out = {o["name"].rpartition(".")[2]: o for o in w.stream().of("things")[1].outputs}
    assert out["things"]["facets"]["lifecycleStateChange"]["lifecycleStateChange"] == "ALTER"
    assert out["things__l"]["facets"]["lifecycleStateChange"]["lifecycleStateChange"] == "CREATE"
    assert set(tables_of(w, "things", 0)) == {"things"}


@scenario("columns of an earlier load that this one has no values for")
def remembered(w: World, patch: Any) -> None:
    @headrace.resource(name="things")
    def read(document: Any) -> Any:
        yield [document]

    w.run(w.shop.shop(read({"id": 1, "Old Name": "a"}).add_input(dict(w.shop.TABLE))))
    w.run(w.shop.shop(read({"id": 2}).add_input(dict(w.shop.TABLE))))
    fields = w.stream().of("things")[1].outputs[0]["facets"]["columnLineage"]["fields"]
    assert fields["old_name"]["inputFields"][0]["field"] == "Old Name"


@scenario("rejected rows")
def rejected(w: World, patch: Any) -> None:
    @headrace.resource(
        name="things", schema_contract={"data_type": "discard_row"}, columns={"v": {"data_type": "bigint"}}
    )
    def read() -> Any:
        yield [{"id": 1, "v": 1}, {"id": 2, "v": "no number"}, {"id": 3, "v": 3}]

    w.run(w.shop.shop(read().add_input(dict(w.shop.TABLE))))
    assert tables_of(w, "things") == {"things": 2}
    facets = w.stream().of("things")[0].outputs[0]["facets"]
    assert any(not a["success"] for a in facets["dataQualityAssertions"]["assertions"])


# ---- dispositions --------------------------------------------------------------------------------------------------

DISPOSITIONS: dict[str, Any] = {
    "append": {"write_disposition": "append"},
    **{
        f"replace, {strategy}": {"write_disposition": {"disposition": "replace", "strategy": strategy}}
        for strategy in ("truncate-and-insert", "insert-from-staging", "staging-optimized")
    },
    **{
        f"merge, {strategy}": {"write_disposition": {"disposition": "merge", "strategy": strategy}}
        for strategy in ("delete-insert", "upsert", "insert-only", "scd2")
    },
}
_LIFE = {"truncate-and-insert": "TRUNCATE", "insert-from-staging": "OVERWRITE", "staging-optimized": "OVERWRITE"}


def _disposition(name: str, hints: Any) -> Any:
    def play(w: World, patch: Any) -> None:
        w.run(w.shop.shop(w.shop.orders(1, 3, **hints)))
        w.run(w.shop.shop(w.shop.orders(2, 3, **hints)))
        out = w.stream().of("orders")[1].outputs
        lives = {o["facets"].get("lifecycleStateChange", {}).get("lifecycleStateChange") for o in out}
        assert lives == {_LIFE.get(name.partition(", ")[2])}
        told = out[0]["outputFacets"]["headrace_write"]
        assert str(told).find(name.partition(",")[0]) > 0

    return play


FEW = ("replace, insert-from-staging", "merge, delete-insert", "merge, scd2")
for _name, _hints in DISPOSITIONS.items():
    scenario(_name, long=_name not in FEW)(_disposition(_name, _hints))


@scenario("merge of doubles in one load")
def doubles(w: World, patch: Any) -> None:
    @headrace.resource(name="things", primary_key="id", write_disposition="merge")
    def read() -> Any:
        yield [{"id": 1, "v": n} for n in range(3)]

    w.run(w.shop.shop(read().add_input(dict(w.shop.TABLE))))
    assert tables_of(w, "things") == {"things": 1}


# ---- refresh, drop, undo -------------------------------------------------------------------------------------------


def _refresh(mode: str) -> Any:
    def play(w: World, patch: Any) -> None:
        w.run(w.shop.shop())
        w.run(w.shop.shop(w.shop.orders(1, 2), w.shop.customers()), refresh=mode)
        told = ends(w)
        assert told["shop.shop.orders"] == ["COMPLETE"] * 2

    return play


for _mode in ("drop_sources", "drop_resources", "drop_data"):
    scenario(f"refresh={_mode}", long=_mode != "drop_sources")(_refresh(_mode))


@scenario("tables dropped by hand")
def drop(w: World, patch: Any) -> None:
    from headrace.pipeline.helpers import pipeline_drop

    w.run(w.shop.shop())
    p = w.pipeline()
    pipeline_drop(p, ["visits"])()
    w.look()
    told = list(w.stream().dataset_events())
    assert [e["dataset"]["name"] for e in told] == [w.place.identity("visits")[1]]
    assert told[0]["dataset"]["facets"]["lifecycleStateChange"]["lifecycleStateChange"] == "DROP"


@scenario("a load is rolled back")
def rollback(w: World, patch: Any) -> None:
    patch.setenv("LOAD__KEEP_UNDO", "2")
    w.run(w.shop.shop())
    info = w.run(w.shop.shop(w.shop.orders(10, 2)))
    w.pipeline().rollback(info.loads_ids[0])
    assert ends(w)["shop.shop.orders"] == ["COMPLETE", "COMPLETE"], "it was loaded; that it is undone is another event"


# ---- back-ends that are not well -----------------------------------------------------------------------------------


class Backend:
    """An HTTP back-end that takes events and answers as it is told.

    Args:
        manner: ``ok``, ``refuse`` (503), ``slow`` or ``hang``.
    """

    def __init__(self, manner: str) -> None:
        self.told: list[bytes] = []
        self.stop = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"] or 0))
                if manner == "hang":
                    outer.stop.wait(60)
                    return
                if manner == "slow":
                    outer.stop.wait(0.3)
                outer.told.append(body)
                self.send_response(503 if manner == "refuse" else 201)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """It is quiet."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.stop.set()
        self.server.shutdown()
        self.server.server_close()


def _sick(manner: str) -> Any:
    def play(w: World, patch: Any) -> None:
        import time

        backend = None if manner == "dead" else Backend(manner)
        patch.setenv("LINEAGE__URL", backend.url if backend else "http://127.0.0.1:9")
        begun = time.monotonic()
        try:
            for number in range(3):
                w.pipeline(f"shop_{manner}{number}").run(w.shop.shop(w.shop.customers()))
            assert time.monotonic() - begun < 60, "each event is waited for"
        finally:
            if backend:
                backend.close()
        w.look()
        assert all(found == ["COMPLETE"] for found in ends(w).values())

    return play


for _manner in ("dead", "slow", "refuse", "hang"):
    scenario(f"a back-end that is {_manner}", long=_manner != "hang")(_sick(_manner))


__all__ = ["break_tables", "failing"]
