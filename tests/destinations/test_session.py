"""The SQL client that people get from `pipeline.sql_client()`."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from headrace.destinations.impl.duckdb import connections
from headrace.destinations.impl.duckdb.session import DuckDbSqlClient, to_own_marks
from headrace.errors.destination import (
    DatabaseTerminalException,
    DatabaseTransientException,
    DatabaseUndefinedRelation,
    DestinationConnectionError,
    LoadClientNotConnected,
)
from tests.destinations.bench import Bench, bench, column, table

T = table("t", column("id"), column("v", "text"))


def filled(b: Bench) -> DuckDbSqlClient:
    b.load(b.copy(b.file("t", [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}, {"id": 3, "v": None}])))
    client = b.client.sql_client
    assert isinstance(client, DuckDbSqlClient)
    return client


def test_execute_sql(tmp_path: Path) -> None:
    """Tables of the dataset go by their bare names; both parameter marks work."""
    with bench(tmp_path, T) as b:
        client = filled(b)
        assert client.execute_sql("SELECT v FROM t WHERE id = %s", 1) == [("a",)]
        assert client.execute_sql("SELECT v FROM t WHERE id = ? AND v = '%s'", 1) == []
        assert client.execute_sql("SELECT count(*) FROM ds.t") == [(3,)]
        assert client.execute_sql("CREATE TABLE x (a INTEGER)") == []
        assert client.execute_sql("INSERT INTO x VALUES (1), (2)") == [(2,)]
        assert client.execute_many(["DELETE FROM x", "SELECT count(*) FROM x"]) == [(0,)]
        assert client.execute_fragments(["SELECT ", "1"]) == [(1,)]
        assert client.native_connection.execute("SELECT 7").fetchone() == (7,)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("a = %s", "a = ?"),
        ("a = '%s' AND b = %s", "a = '%s' AND b = ?"),
        ("a LIKE 'x%%' OR a % 2", "a LIKE 'x%%' OR a % 2"),
        ("a %% 2", "a % 2"),
        ('"%s" = %s', '"%s" = ?'),
        ("'it''s %s' = %s", "'it''s %s' = ?"),
        ("a = ?", "a = ?"),
    ],
)
def test_parameter_marks(text: str, made: str) -> None:
    """Marks inside quotes are text."""
    assert to_own_marks(text) == made


def test_a_cursor_gives_rows_in_every_form(tmp_path: Path) -> None:
    """Tuples, data frames, Arrow; whole and in chunks."""
    with bench(tmp_path, T) as b:
        client, query = filled(b), "SELECT * FROM t ORDER BY id"
        with client.execute_query(query) as cursor:
            assert cursor.description is not None and [d[0] for d in cursor.description] == ["id", "v"]
            assert cursor.columns_schema["id"]["data_type"] == "bigint"
            assert cursor.fetchone() == (1, "a")
            assert cursor.fetchmany(1) == [(2, "b")]
            assert cursor.fetchall() == [(3, None)]
            assert cursor.fetchone() is None
        with client.execute_query(query) as cursor:
            frame = cursor.df()
            assert isinstance(frame, pd.DataFrame) and list(frame["id"]) == [1, 2, 3]
        with client.execute_query(query) as cursor:
            found = cursor.arrow()
            assert found is not None and found.column("v").to_pylist() == ["a", "b", None]
        with client.execute_query("SELECT * FROM range(5000)") as cursor:
            assert sum(len(each) for each in cursor.iter_df(2000)) == 5000
        with client.execute_query("SELECT * FROM range(5000)") as cursor:
            assert [each.num_rows for each in cursor.iter_arrow(2048)] == [2048, 2048, 904]
        with client.execute_query("SELECT * FROM range(5)") as cursor:
            assert [len(each) for each in cursor.iter_fetch(2)] == [2, 2, 1]


def test_transactions(tmp_path: Path) -> None:
    """A block commits at its end and rolls back when it raises."""
    with bench(tmp_path, T) as b:
        client = filled(b)
        with client.begin_transaction() as same:
            same.execute_sql("DELETE FROM t WHERE id = 1")
        with pytest.raises(ZeroDivisionError), client.begin_transaction():
            client.execute_sql("DELETE FROM t")
            raise ZeroDivisionError
        assert client.execute_sql("SELECT count(*) FROM t") == [(2,)]


def test_datasets_and_tables(tmp_path: Path) -> None:
    """Making, emptying, dropping; another dataset for a while."""
    with bench(tmp_path, T) as b:
        client = filled(b)
        assert client.has_dataset() and client.staging_dataset_name == "ds_staging"
        assert client.make_qualified_table_name("t") == '"ds"."t"'
        assert client.fully_qualified_dataset_name(staging=True) == '"ds_staging"'
        assert client.get_qualified_table_names("t") == ('"ds"."t"', '"ds_staging"."t"')
        with client.with_staging_dataset():
            assert client.is_staging_dataset_active and not client.has_dataset()
            with pytest.raises(DatabaseUndefinedRelation):
                client.execute_sql("SELECT * FROM t")
            client.create_dataset()
            client.create_dataset()
            client.execute_sql("CREATE TABLE only_here (a INTEGER)")
        assert not client.is_staging_dataset_active
        assert client.execute_sql("SELECT count(*) FROM ds_staging.only_here") == [(0,)]
        assert set(client.describe_tables()) == {"t", "_dlt_loads", "_dlt_version", "_headrace_jobs"}
        client.truncate_tables("t")
        assert client.execute_sql("SELECT count(*) FROM t") == [(0,)]
        client.drop_tables("t", "not_there")
        assert client.describe_tables(["t"]) == {}
        with pytest.raises(DatabaseUndefinedRelation):
            client.truncate_tables("t")
        client.drop_dataset()
        client.drop_dataset()
        assert not client.has_dataset()


def test_a_dataset_named_like_its_database(tmp_path: Path) -> None:
    """`pipe.duckdb` with dataset `pipe`: two-part names would be ambiguous, so three parts are used."""
    from headrace.destinations.reference import resolve_destination

    with bench(tmp_path, T) as b:
        schema = b.schema
    destination = resolve_destination("duckdb", credentials=str(tmp_path / "pipe.duckdb"))
    with destination.open("pipe", schema) as client:
        other = Bench(client, tmp_path, schema)  # type: ignore[arg-type]
        other.migrate()
        other.load(other.copy(other.file("t", [{"id": 1}])))
        other.client.complete(other.context("x"))
        assert other.rows("SELECT id FROM t") == [(1,)]
        assert other.client.sql_client.make_qualified_table_name("t") == '"pipe"."pipe"."t"'


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT * FROM missing", DatabaseUndefinedRelation),
        ("SELECT missing FROM t", DatabaseTerminalException),
        ("SELCT 1", DatabaseTerminalException),
        ("SELECT CAST('x' AS INTEGER)", DatabaseTerminalException),
    ],
)
def test_errors_are_headraces_own(tmp_path: Path, sql: str, kind: type[Exception]) -> None:
    """DuckDB's message, what it means, and the driver's error for those who need it."""
    with bench(tmp_path, T) as b:
        with pytest.raises(kind) as caught:
            b.client.sql_client.execute_sql(sql)
        error = caught.value
        assert isinstance(error, (DatabaseUndefinedRelation, DatabaseTerminalException))
        assert isinstance(error.dbapi_exception, duckdb.Error)
        assert b.client.sql_client.is_dbapi_exception(error.dbapi_exception)
        assert b.client.sql_client.execute_sql("SELECT 1") == [(1,)]


def test_conflicting_writers_are_transient(tmp_path: Path) -> None:
    """Of two transactions that delete the same rows the later one may try again."""
    with bench(tmp_path, T) as b:
        client = filled(b)
        with bench(tmp_path, T, migrated=False) as other, client.begin_transaction():
            client.execute_sql("DELETE FROM t")
            with pytest.raises(DatabaseTransientException), other.client.sql_client.begin_transaction():
                other.client.sql_client.execute_sql("DELETE FROM t")


def test_a_closed_session_says_so(tmp_path: Path) -> None:
    """Using a client outside its block."""
    with bench(tmp_path, T) as b:
        client = b.client.sql_client
    with pytest.raises(LoadClientNotConnected):
        client.execute_sql("SELECT 1")


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """The text has the path, the reason and what to do."""
    with pytest.raises(DestinationConnectionError, match=r"no_folder/x\.duckdb") as caught:
        bench(tmp_path, T, credentials="no_folder/x.duckdb").__enter__()
    assert "folder exists" in str(caught.value)
    (tmp_path / "text.duckdb").write_text("this is not a database, whatever its name says" * 100)
    with pytest.raises(DestinationConnectionError, match=r"text\.duckdb"):
        bench(tmp_path, T, credentials="text.duckdb").__enter__()


def test_instants_are_utc(tmp_path: Path) -> None:
    """Whatever the machine's time zone, a naive text is UTC and results are UTC."""
    with bench(tmp_path, T) as b:
        (row,) = b.client.sql_client.execute_sql("SELECT TIMESTAMPTZ '2024-05-01 12:00:00'") or []
        assert row[0] == dt.datetime(2024, 5, 1, 12, tzinfo=dt.timezone.utc)
        assert row[0].utcoffset() == dt.timedelta(0)


def test_system_records(tmp_path: Path) -> None:
    """Schemas by name and hash; state only of completed loads; all None before anything is there."""
    state = table(
        "_dlt_pipeline_state", column("version"), column("engine_version"), column("pipeline_name", "text"),
        column("state", "text"), column("created_at", "timestamp"), column("version_hash", "text"),
        column("_dlt_load_id", "text"), column("_dlt_id", "text"),
    )  # fmt: skip
    with bench(tmp_path, T, state, migrated=False) as b:
        client = b.client
        assert client.read_state("p") is None and client.read_schema() is None and not client.is_complete("1")
        client.drop_schema_history("demo")
        b.migrate()
        client.store_schema(b.schema)
        client.store_schema(b.schema)
        assert b.rows("SELECT count(*) FROM _dlt_version") == [(1,)]
        found = client.read_schema("demo")
        assert found is not None and found == client.read_schema(version_hash=b.schema.version_hash)
        assert type(b.schema).from_stored_schema(json.loads(found.schema)).version_hash == found.version_hash
        assert client.read_schema("other") is None
        row = {
            "version": 1, "engine_version": 4, "pipeline_name": "p", "state": "x", "version_hash": "h",
            "created_at": dt.datetime.now(dt.timezone.utc), "_dlt_id": "i",
        }  # fmt: skip
        for load_id, version in (("100.5", 1), ("101.5", 2), ("102.5", 3)):
            rows = [{**row, "_dlt_load_id": load_id, "version": version}]
            b.client.apply(b.copy(b.file("_dlt_pipeline_state", rows)), b.context(load_id))
        assert client.read_state("p") is None
        for load_id in ("100.5", "101.5"):
            client.complete(b.context(load_id))
        newest = client.read_state("p")
        assert newest is not None and (newest.version, newest.dlt_load_id) == (2, "101.5")
        assert client.read_state("q") is None
        client.drop_schema_history("demo")
        assert client.read_schema("demo") is None


def test_a_database_that_broke_is_opened_anew(tmp_path: Path) -> None:
    """After a fatal error clients of the broken one and of the new one do not get into each other's way."""
    path = str(tmp_path / "x.duckdb")
    broken, first = connections.open_database(path)
    broken.discard()
    fresh, second = connections.open_database(path)
    assert fresh is not broken
    broken.release(first)
    same, third = connections.open_database(path)
    assert same is fresh
    fresh.release(second)
    fresh.release(third)
    assert connections.open_files() == []
