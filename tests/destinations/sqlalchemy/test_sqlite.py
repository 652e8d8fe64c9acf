"""SQLite: files, memory, engines, turns with other processes, bulk paths, types."""

from __future__ import annotations

import datetime as dt
import sqlite3
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import headrace
from headrace.destinations.impl.sqlalchemy.bulk import sqlite as bulk
from headrace.errors.destination import (
    DatabaseTransientException,
    DatabaseUndefinedRelation,
    DestinationCapabilitiesException,
    DestinationSchemaWillNotUpdate,
)
from headrace.errors.pipeline import PipelineStepFailed

pytestmark = pytest.mark.destination("sqlite")
N = 2_000


def pipeline(folder: Path, destination: Any = None, **settings: Any) -> headrace.Pipeline:
    made: headrace.Pipeline = headrace.pipeline(
        "demo",
        destination=destination or headrace.destinations.sqlalchemy(f"sqlite:///{folder}/demo.db"),
        pipelines_dir=str(folder / "work"),
        **{"dataset_name": "ds", **settings},
    )
    return made


def many(rows: int = N) -> pa.Table:
    """Rows of every type; every seventh value of each column but the first is NULL."""
    at = range(rows)
    start = dt.datetime(2024, 2, 29, 12, tzinfo=dt.timezone.utc)

    def some(values: Any) -> list[Any]:
        return [None if i % 7 == 3 else v for i, v in enumerate(values)]

    return pa.table(
        {
            "id": pa.array(at, pa.int64()),
            "text": some(f"it's {i} ü\t\\n\n\"😀" for i in at),
            "double": some(i / 7 for i in at),
            "flag": some(i % 2 == 0 for i in at),
            "instant": pa.array(some(start + dt.timedelta(microseconds=i) for i in at), pa.timestamp("us", "UTC")),
            "day": some(dt.date(1900, 1, 1) + dt.timedelta(days=i) for i in at),
            "clock": pa.array(some(dt.time(i % 24, 1, 2, i) for i in at), pa.time64("us")),
            "amount": pa.array(some(Decimal(i) / 100 - 5 for i in at), pa.decimal128(12, 2)),
            "tiny": pa.array(some(Decimal(i).scaleb(-9) for i in at), pa.decimal128(38, 9)),
            "blob": pa.array(some(bytes([i % 256, 0, 9, 10, 92]) for i in at), pa.binary()),
            "word": pa.array(some(("a", "b")[i % 2] for i in at)).dictionary_encode(),
        }
    )


def same(found: pa.Table, given: pa.Table) -> bool:
    """Whether the columns that were given came back as they were."""
    columns = [f.with_type(f.type.value_type if pa.types.is_dictionary(f.type) else f.type) for f in given.schema]
    wanted = given.cast(pa.schema(columns))
    return bool(found.select(given.column_names).sort_by("id").cast(wanted.schema).equals(wanted))


def test_each_dataset_is_a_file_beside_the_main_one(tmp_path: Path) -> None:
    """Named as dlt names them; ``main`` is in the main file; a dropped dataset leaves no file."""
    p = pipeline(tmp_path)
    p.run([{"id": 1}], table_name="t")
    assert {f.name for f in tmp_path.iterdir()} == {"demo.db", "demo__ds.db", "work"}
    q = pipeline(tmp_path, dataset_name="main")
    q.run([{"id": 2}], table_name="t")
    assert sqlite3.connect(tmp_path / "demo.db").execute("SELECT id FROM t").fetchall() == [(2,)]
    with p.destination_client() as client:
        client.drop_dataset()
        assert not client.has_dataset()
    assert not (tmp_path / "demo__ds.db").exists()
    p.run([{"id": 3}], table_name="t", refresh="drop_sources")
    assert p.dataset().t.fetchall()[0][0] == 3


def test_stored_as_dlt_stores_it(tmp_path: Path) -> None:
    """Instants are text in UTC with six digits and no offset, JSON is text, flags are numbers."""
    instant = dt.datetime(2024, 1, 2, 5, 4, 5, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    pipeline(tmp_path).run(
        [{"id": 1, "at": instant, "doc": {"a": 1}, "flag": True, "amount": Decimal("12.5")}],
        table_name="t",
        columns={"doc": {"data_type": "json"}},
    )
    with sqlite3.connect(tmp_path / "demo__ds.db") as raw:
        found = raw.execute("SELECT at, doc, flag, amount, typeof(amount) FROM t").fetchone()
        assert found == ("2024-01-02 03:04:05.000000", '{"a":1}', 1, 12.5, "real")
        types = {name: kind for _, name, kind, *_ in raw.execute("PRAGMA table_info(t)")}
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert types["at"] == "DATETIME" and types["amount"] == "NUMERIC(38, 9)" and types["_dlt_id"] == "VARCHAR(128)"


@pytest.mark.parametrize("scratch", [True, False])
@pytest.mark.parametrize("disposition", ["append", "merge"])
def test_rows_come_back_as_they_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scratch: bool, disposition: Any
) -> None:
    """By way of a scratch database or of ``executemany``; the scratch leaves no file."""
    monkeypatch.setattr(bulk, "SCRATCH_FROM", 1 if scratch else 10**9)
    calls: list[int] = []
    written = bulk._write_scratch

    def noted(*args: Any) -> int:
        calls.append(1)
        return written(*args)

    monkeypatch.setattr(bulk, "_write_scratch", noted)
    p = pipeline(tmp_path)
    for _ in range(2):
        p.run(many(), table_name="t", write_disposition=disposition, primary_key="id")
    found = p.dataset().t.arrow()
    assert found is not None and found.num_rows == (N if disposition == "merge" else 2 * N)
    assert same(found, many() if disposition == "merge" else pa.concat_tables([many(), many()]).sort_by("id"))
    assert bool(calls) == scratch
    assert not list(tmp_path.rglob("scratch-*"))


def test_arrow_is_read_in_chunks_of_one_schema(tmp_path: Path) -> None:
    """A column that is NULL in the first chunk has its type nevertheless; empty results have types, too."""
    p = pipeline(tmp_path)
    p.run(many(10), table_name="t")
    chunks = list(p.dataset().t.iter_arrow(3))
    assert [c.num_rows for c in chunks] == [3, 3, 3, 1] and len({c.schema for c in chunks}) == 1
    empty = p.dataset()("SELECT id, instant, amount FROM t WHERE id < 0").arrow()
    assert empty is not None and [str(f.type) for f in empty.schema] == [
        "int64",
        "timestamp[us, tz=UTC]",
        "decimal128(12, 2)",
    ]


def test_rounded_decimals_are_told_and_wei_is_exact(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    p = pipeline(tmp_path)
    rows = [{"a": Decimal("12345678901234567.5"), "w": 2**100}, {"a": Decimal("1000000000000000000"), "w": 1}]
    p.run(rows, table_name="t", columns={"w": {"data_type": "wei"}})
    assert [r.getMessage().split(";")[0] for r in caplog.records] == [
        "table `t`: values of column `a` have more than 15 digits, and SQLite rounds what is beyond"
    ]
    assert [row[0] for row in p.dataset()("SELECT w FROM t").fetchall()] == [2**100, 1]


def test_digits_that_count() -> None:
    """Zeros at either end do not."""

    def more(*values: str) -> bool:
        return bulk._has_more_digits(pa.array([Decimal(v) for v in values], pa.decimal128(38, 9)))

    assert not more("123456.123456789", "1000000000000000000.5"[:19], "-0.000000001", "99999999999999")
    assert more("1234567.123456789") and more("0", "-1234567890123456") and not more()


def test_a_column_cannot_be_widened_and_the_error_says_so(tmp_path: Path) -> None:
    """Where SQLite's storage is the same, nothing has to change: integers of any size, lengths of text."""
    p = pipeline(tmp_path)
    p.run([{"id": 1, "n": 1, "s": "a"}], table_name="t", columns={"n": {"precision": 16}, "s": {"precision": 5}})
    p.run(
        [{"id": 2, "n": 2**40, "s": "longer"}], table_name="t", columns={"n": {"precision": 64}, "s": {"precision": 9}}
    )
    assert p.dataset()("SELECT n, s FROM t WHERE id = 2").fetchall() == [(2**40, "longer")]
    p.run([{"day": dt.date(2024, 1, 1)}], table_name="u")
    with pytest.raises(Exception) as failed:
        p.run([{"day": dt.datetime(2024, 1, 1)}], table_name="u", columns={"day": {"data_type": "timestamp"}})
    cause: BaseException | None = failed.value
    while cause is not None and not isinstance(cause, DestinationCapabilitiesException):
        cause = cause.__cause__
    assert cause is not None and "SQLite cannot change the type of a column" in str(cause)


def test_a_database_in_memory_lives_as_long_as_its_destination(tmp_path: Path) -> None:
    destination = headrace.destinations.sqlalchemy("sqlite:///:memory:")
    p = pipeline(tmp_path, destination)
    p.run(many(100), table_name="t")
    p.run([{"id": 1, "n": [{"x": 1}]}], table_name="u", write_disposition="merge", primary_key="id")
    assert p.dataset()("SELECT count(*) FROM t").fetchscalar() == 100
    assert p.dataset()("SELECT x FROM u__n").fetchall() == [(1,)]


def test_an_engine_stays_the_callers(tmp_path: Path) -> None:
    import sqlalchemy as sa

    engine = sa.create_engine(f"sqlite:///{tmp_path}/mine.db")
    disposed: list[object] = []
    sa.event.listen(engine, "engine_disposed", disposed.append)
    p = pipeline(tmp_path, headrace.destinations.sqlalchemy(engine))
    p.run([{"id": 1}], table_name="t")
    assert p.dataset()("SELECT id FROM t").fetchall() == [(1,)] and not disposed
    assert (tmp_path / "mine__ds.db").exists()
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar() == 1


def test_keys_and_indexes_on_demand(tmp_path: Path) -> None:
    destination = headrace.destinations.sqlalchemy(
        f"sqlite:///{tmp_path}/demo.db", create_primary_keys=True, create_unique_indexes=True
    )
    pipeline(tmp_path, destination).run([{"id": 1}], table_name="t", primary_key="id", write_disposition="merge")
    sql = (
        sqlite3.connect(tmp_path / "demo__ds.db")
        .execute("SELECT sql FROM sqlite_master WHERE name = 't'")
        .fetchone()[0]
    )
    assert 'PRIMARY KEY ("id")' in sql and '"_dlt_id" VARCHAR(128) NOT NULL UNIQUE' in sql


def test_statements_and_parameters(tmp_path: Path) -> None:
    p = pipeline(tmp_path)
    p.run([{"id": 1, "v": "a"}, {"id": 2, "v": "50%"}], table_name="t")
    with p.sql_client() as client:
        assert client.execute_sql("SELECT id FROM t WHERE v = %s", "50%") == [(2,)]
        assert client.execute_sql("SELECT id FROM ds.t WHERE v LIKE '5%' AND id = ?", 2) == [(2,)]
        assert client.execute_sql("SELECT v FROM t WHERE id = $id AND '$id' = '$id'", id=1) == [("a",)]
        assert client.execute_sql("SELECT v FROM t WHERE id = :id", id=1) == [("a",)]
        assert client.execute_sql("UPDATE t SET v = 'b' WHERE id = 1") is None
        with pytest.raises(DatabaseUndefinedRelation):
            client.execute_sql("SELECT * FROM missing")
        with client.execute_query("SELECT id, v FROM t ORDER BY id") as cursor:
            assert cursor.fetchone() == (1, "b") and cursor.df()["v"].tolist() == ["50%"]


HOLDER = """
import sqlite3, sys, time
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
held.execute("COMMIT")
"""


def hold(path: Path, seconds: float) -> subprocess.Popen[str]:
    """Another process that writes to a database for a while."""
    held = subprocess.Popen([sys.executable, "-c", HOLDER, str(path), str(seconds)], stdout=subprocess.PIPE, text=True)
    assert held.stdout is not None and held.stdout.readline() == "held\n"
    return held


def test_waits_for_another_process(tmp_path: Path) -> None:
    """Then goes on; where it takes longer than `lock_timeout`, the error is transient and says what to do."""
    p = pipeline(tmp_path)
    p.run([{"id": 1}], table_name="t")
    with hold(tmp_path / "demo__ds.db", 0.7):
        p.run([{"id": 2}], table_name="t")
    assert p.dataset()("SELECT count(*) FROM t").fetchscalar() == 2
    impatient = headrace.destinations.sqlalchemy(f"sqlite:///{tmp_path}/demo.db", lock_timeout=0.2)
    with hold(tmp_path / "demo__ds.db", 240) as held, impatient.open("ds", p.default_schema) as client:
        try:
            with pytest.raises(DatabaseTransientException, match="lock_timeout"), client.exclusive():
                pass
            assert held.poll() is None
        finally:
            held.kill()


def test_threads_take_turns(tmp_path: Path) -> None:
    """Many pipelines of one process write to one dataset at once."""
    url, errors = f"sqlite:///{tmp_path}/demo.db", []

    def work(number: int) -> None:
        try:
            with headrace.destinations.sqlalchemy(url).open("ds", headrace.Schema("demo")) as client:
                client.create_dataset()
                for i in range(10):
                    with client.exclusive():
                        client.sql_client.run("CREATE TABLE IF NOT EXISTS ds.counts (n INTEGER)")
                        client.sql_client.run("INSERT INTO ds.counts VALUES (?)", number * 10 + i)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert sqlite3.connect(tmp_path / "demo__ds.db").execute("SELECT count(DISTINCT n) FROM counts").fetchone() == (40,)


def test_a_file_that_is_locked_while_it_is_made_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite refuses a change of the journal's mode at once when another makes the same file."""
    destination = headrace.destinations.sqlalchemy(f"sqlite:///{tmp_path}/demo.db")
    with destination.open("ds", headrace.Schema("demo")) as client:
        tries, real = [], type(client.sql_client._connection).exec_driver_sql

        def locked_once(self: Any, statement: str, *args: Any, **kw: Any) -> Any:
            if "journal_mode" in statement:
                tries.append(statement)
                if len(tries) == 1:
                    raise sqlite3.OperationalError("database is locked")
            return real(self, statement, *args, **kw)

        monkeypatch.setattr(type(client.sql_client._connection), "exec_driver_sql", locked_once)
        client.create_dataset()
    assert len(tries) == 2
    found = sqlite3.connect(tmp_path / "demo__ds.db").execute("PRAGMA journal_mode").fetchone()
    assert found == ("wal",)


def test_a_dataset_that_dlt_began_goes_on(tmp_path: Path) -> None:
    """Tables as dlt 1.31 makes them: rows are merged and states kept, no column is changed."""
    with sqlite3.connect(tmp_path / "demo__ds.db") as raw:
        raw.executescript(DLT)
    p = pipeline(tmp_path)
    info = p.run(
        [{"id": 1, "at": "new", "d": Decimal("2.5")}], table_name="items", write_disposition="merge", primary_key="id"
    )
    assert info is not None and info.row_changes["items"].updated == 1
    assert p.dataset()("SELECT id, at, d FROM items ORDER BY id").fetchall() == [
        (1, "new", Decimal("2.5")),
        (2, "b", Decimal(7)),
    ]
    with sqlite3.connect(tmp_path / "demo__ds.db") as raw:
        assert raw.execute("SELECT count(*) FROM _dlt_loads").fetchone()[0] == 2


DLT = """
PRAGMA journal_mode = WAL;
CREATE TABLE items (id BIGINT NOT NULL, at TEXT, d NUMERIC(38, 9), _dlt_load_id TEXT NOT NULL,
  _dlt_id VARCHAR(128) NOT NULL);
CREATE TABLE _dlt_loads (load_id VARCHAR(64) NOT NULL, schema_name TEXT, status BIGINT NOT NULL,
  inserted_at DATETIME NOT NULL, schema_version_hash TEXT);
CREATE TABLE _dlt_version (version BIGINT NOT NULL, engine_version BIGINT NOT NULL, inserted_at DATETIME NOT NULL,
  schema_name TEXT NOT NULL, version_hash TEXT NOT NULL, schema TEXT NOT NULL);
CREATE TABLE _dlt_pipeline_state (version BIGINT NOT NULL, engine_version BIGINT NOT NULL, pipeline_name TEXT NOT NULL,
  state TEXT NOT NULL, created_at DATETIME NOT NULL, version_hash TEXT, _dlt_load_id VARCHAR(64) NOT NULL,
  _dlt_id VARCHAR(128) NOT NULL);
INSERT INTO items VALUES (1, 'a', 1.5, '1.0', 'x'), (2, 'b', 7, '1.0', 'y');
INSERT INTO _dlt_loads VALUES ('1.0', 'demo', 0, '2026-01-01 00:00:00.000000', NULL);
"""


def test_names_that_differ_in_case_alone_do_not_share_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite takes `Orders` and `orders` for one: the second is refused, and the next load is not in its way."""
    monkeypatch.setenv("SCHEMA__NAMING", "direct")
    p = pipeline(tmp_path)
    p.run([{"Id": 1}], table_name="Orders")
    for rows, table, told in (
        ([{"Id": 2}], "orders", "table `orders` cannot be made: it has the name of table `Orders`"),
        (
            [{"Id": 3, "ID": 4}],
            "Orders",
            "column `ID` of table `Orders` cannot be made: it has the name of column `Id`",
        ),
    ):
        with pytest.raises(PipelineStepFailed, match=told) as failed:
            p.run(rows, table_name=table)
        assert isinstance(failed.value.exception.__cause__, DestinationSchemaWillNotUpdate)
    p.run([{"Id": 5}], table_name="Orders")
    assert p.dataset()("SELECT Id FROM Orders ORDER BY Id").fetchall() == [(1,), (5,)]
