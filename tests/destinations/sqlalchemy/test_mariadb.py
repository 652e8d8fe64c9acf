"""MariaDB: LOAD DATA and what it must not change, comments, migrations that were broken off, a server that dies."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import headrace
from headrace.destinations.impl.sqlalchemy.bulk import mysql as bulk
from headrace.destinations.impl.sqlalchemy.client import SqlalchemyJobClient
from headrace.errors.destination import DatabaseTerminalException, DatabaseTransientException
from headrace.errors.pipeline import PipelineStepFailed
from tests.destinations.sqlalchemy.test_sqlite import many, same

pytestmark = pytest.mark.destination("mariadb")


@pytest.fixture
def make(tmp_path: Path, mariadb_server: Any) -> Iterator[Any]:
    """Makes pipelines to a dataset of the test's own."""
    dataset = f"t_{uuid.uuid4().hex[:10]}"

    def pipeline(name: str = "demo", url: str = "", **settings: Any) -> headrace.Pipeline:
        destination = headrace.destinations.sqlalchemy(url or mariadb_server.url(), **settings)
        return headrace.pipeline(
            name, destination=destination, dataset_name=dataset, pipelines_dir=str(tmp_path / "work")
        )

    yield pipeline
    with pipeline().destination_client() as client:
        client.drop_dataset()


def cause(failed: pytest.ExceptionInfo[BaseException], kind: type[BaseException]) -> BaseException:
    """The error of a kind among the causes."""
    found: BaseException | None = failed.value
    while found is not None and not isinstance(found, kind):
        found = found.__cause__
    assert found is not None
    return found


@pytest.mark.parametrize("way", ["file", "values"])
@pytest.mark.parametrize("disposition", ["append", "merge"])
def test_rows_come_back_as_they_went(make: Any, monkeypatch: pytest.MonkeyPatch, way: str, disposition: Any) -> None:
    """By LOAD DATA in pieces, or by INSERT where the server or the driver takes no files; no file is left."""
    monkeypatch.setattr(bulk, "_BYTES", 10_000)
    loads: list[str] = []
    load = bulk._load

    def noted(*args: Any) -> None:
        loads.append(args[2])
        load(*args)

    monkeypatch.setattr(bulk, "_load", noted)
    p = make(engine_kwargs={"connect_args": {"local_infile": way == "file"}})
    for _ in range(2):
        p.run(many(), table_name="t", write_disposition=disposition, primary_key="id")
    found = p.dataset().t.arrow()
    assert same(found, many() if disposition == "merge" else pa.concat_tables([many(), many()]).sort_by("id"))
    assert bool(loads) == (way == "file") and not any(Path(path).exists() for path in loads)


def test_texts_in_every_shape(make: Any) -> None:
    """What the format of LOAD DATA gives a meaning to is text nevertheless."""
    texts = [
        "",
        " ",
        "\\",
        "\\N",
        "N",
        "NULL",
        "\t",
        "\n",
        "\r\n",
        "\0",
        "\\t",
        "a\\",
        "'",
        '"',
        ",",
        "\u2028",
        "😀",
        "%s",
        "a ",
    ]
    p = make()
    p.run(
        [{"id": i, "v": v, "w": None} for i, v in enumerate(texts)],
        table_name="t",
        columns={"w": {"data_type": "text"}},
    )
    assert [v for (v,) in p.dataset()("SELECT v FROM t ORDER BY id").fetchall()] == texts
    assert p.dataset()("SELECT count(*) FROM t WHERE w IS NULL").fetchscalar() == len(texts)


def test_texts_are_compared_byte_by_byte(make: Any) -> None:
    """``a``, ``A``, ``á`` and ``a `` are four keys."""
    p = make()
    for _ in range(2):
        rows = [{"k": k, "v": 1} for k in ("a", "A", "á", "a ")]
        p.run(rows, table_name="t", write_disposition="merge", primary_key="k")
    assert p.dataset()("SELECT count(*) FROM t").fetchscalar() == 4


def test_no_value_is_changed_in_silence(make: Any) -> None:
    """LOAD DATA LOCAL makes warnings of errors; here they fail the job, and nothing of it stays."""
    p = make()
    p.run([{"id": 1, "n": 1}], table_name="t", columns={"n": {"data_type": "bigint", "precision": 16}})
    with p.sql_client() as client:
        client.execute_sql("ALTER TABLE t MODIFY n TINYINT")
    with pytest.raises(Exception, match="Out of range") as failed:
        p.run(pa.table({"id": [2, 3], "n": pa.array([5, 300], pa.int16())}), table_name="t", schema_contract="evolve")
    assert "n" in str(cause(failed, DatabaseTerminalException))
    assert p.dataset()("SELECT count(*) FROM t").fetchscalar() == 1


def test_columns_are_widened_and_commented(make: Any) -> None:
    p = make()
    first = {"n": {"data_type": "bigint", "precision": 16, "description": "it's n"}, "s": {"precision": 5}}
    p.run([{"n": 1, "s": "a"}], table_name="t", columns=first)
    wide = {"n": {"data_type": "bigint", "precision": 64, "description": "n\\ anew"}, "s": {"precision": 20}}
    p.run([{"n": 2**40, "s": "longer than 5"}], table_name="t", columns=wide)
    with p.destination_client() as client:
        assert client.describe_comments(["t"])["t"].columns["n"] == "n\\ anew"
        assert client.sql_client.describe_tables(["t"])["t"][0][:2] == ("n", "bigint(20)")
    assert p.dataset()("SELECT n, s FROM t ORDER BY n").fetchall() == [(1, "a"), (2**40, "longer than 5")]


def test_keys_and_indexes_on_demand(make: Any) -> None:
    p = make(create_primary_keys=True, create_unique_indexes=True)
    p.run([{"k": "a"}], table_name="t", primary_key="k", write_disposition="merge")
    with p.sql_client() as client:
        sql = client.execute_sql("SHOW CREATE TABLE t")[0][1]
    assert "PRIMARY KEY (`k`)" in sql and "UNIQUE KEY `_dlt_id`" in sql and "`k` varchar(255)" in sql


def test_a_migration_that_was_broken_off_converges(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """MySQL commits each change by itself: what is there is found, what is missing is made."""
    p = make()
    p.run([{"id": 1}], table_name="t")
    run = type(p.sql_client()).run
    done: list[str] = []

    def dies(self: Any, sql: str, *params: Any) -> int:
        if sql.startswith(("CREATE TABLE", "ALTER TABLE")):
            done.append(sql)
            if len(done) == 3:
                raise KeyboardInterrupt
        return int(run(self, sql, *params))

    monkeypatch.setattr(type(p.sql_client()), "run", dies)
    rows = [{"id": 2, "a": 1, "b": 2, "c": 3, "n": [{"x": 1}]}]
    with pytest.raises((KeyboardInterrupt, PipelineStepFailed)) as failed:
        p.run(rows, table_name="t")
    assert cause(failed, KeyboardInterrupt) and len(done) == 3
    monkeypatch.undo()
    p.run()
    assert p.dataset()("SELECT id, a, b, c FROM t ORDER BY id").fetchall() == [(1, None, None, None), (2, 1, 2, 3)]
    assert p.dataset()("SELECT count(*) FROM t__n").fetchscalar() == 1


@pytest.mark.parametrize("disposition", ["append", "replace", "merge"])
def test_the_server_dies_in_mid_load(
    make: Any, mariadb_server: Any, monkeypatch: pytest.MonkeyPatch, disposition: Any
) -> None:
    """Killed with rows written and not committed: after a plain rerun each row is there once."""
    p = make()
    with p.sql_client() as client:  # the test server is set not to write its log at each commit
        client.execute_sql("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    p.run([{"id": i, "v": 0} for i in range(50)], table_name="t", write_disposition=disposition, primary_key="id")
    insert = SqlalchemyJobClient.insert_file
    killed: list[int] = []

    def dies(self: Any, *args: Any) -> int:
        rows = insert(self, *args)
        if not killed:
            killed.append(mariadb_server.pid)
            mariadb_server.kill()
        return rows

    monkeypatch.setattr(SqlalchemyJobClient, "insert_file", dies)
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")
    rows = [{"id": i, "v": 1} for i in range(25, 75)]
    try:
        with pytest.raises(Exception) as failed:
            p.run(rows, table_name="t", write_disposition=disposition, primary_key="id")
    finally:
        mariadb_server.start()
    assert killed and cause(failed, DatabaseTransientException)
    p.run()
    wanted = {"append": 100, "replace": 50, "merge": 75}[disposition]
    assert p.dataset()("SELECT count(*), sum(v) FROM t").fetchall() == [(wanted, Decimal(50))]
    with p.sql_client() as client:
        unknown = "SELECT count(*) FROM t WHERE _dlt_load_id NOT IN (SELECT load_id FROM _dlt_loads)"
        assert client.execute_sql(unknown) == [(0,)]


def test_writers_wait_for_each_other(make: Any) -> None:
    """Locks of the server keep a second session out of the tables of a merge, and let go in time."""
    p, impatient = make(), make("other", lock_timeout=0)
    p.run([{"id": 1}], table_name="t")
    with p.destination_client() as one, impatient.destination_client() as two:
        with one.exclusive_tables(["t"]):
            with one.exclusive_tables(["t"]), two.exclusive_tables(["u"]), two.exclusive():
                pass
            with pytest.raises(DatabaseTransientException, match="another session"), two.exclusive_tables(["t"]):
                pass
        with two.exclusive_tables(["t"]):
            pass
