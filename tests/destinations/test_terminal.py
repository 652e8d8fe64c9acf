"""What will not pass and what may: errors that databases and stores really raise, in a table for each destination."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.destination import (
    DatabaseException,
    DatabaseTerminalException,
    DatabaseTransientException,
    DatabaseUndefinedRelation,
    DestinationConnectionError,
    DestinationTerminalException,
    DestinationTransientException,
    DestinationUndefinedEntity,
    LoadClientJobFailed,
    LoadClientJobRetry,
)
from headrace.errors.pipeline import PipelineStepFailed
from headrace.errors.verdict import causes, verdict
from tests.e2e.project import project as project

KINDS = {
    "terminal": DatabaseTerminalException,
    "transient": DatabaseTransientException,
    "undefined": DatabaseUndefinedRelation,
}

SQL = [
    ("SELECT * FROM nothing_of_that_name", "undefined"),
    ("SELEKT 1", "terminal"),
    ("SELECT nothing FROM t", "terminal"),
    ("INSERT INTO t (id) VALUES (NULL)", "terminal"),
    ("INSERT INTO t (id) VALUES (1)", "terminal"),
]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def raised(client: Any, statement: str) -> DatabaseException:
    with pytest.raises(DatabaseException) as error:
        client.execute_sql(statement)
    return error.value


def judge(error: DatabaseException, kind: str) -> None:
    """The class, the mix-ins, the driver's own error as the cause, and the verdict of callers further up."""
    assert type(error) is KINDS[kind], error
    assert error.dbapi_exception in list(causes(error))
    assert verdict(error) == ("transient" if kind == "transient" else "terminal")
    wrapped = PipelineStepFailed(None, "load", "1", error)
    try:
        raise wrapped from error
    except PipelineStepFailed as outer:
        assert verdict(outer) == verdict(error)


def made(p: Any) -> Any:
    """An open session with a table `t` of one row."""
    p.run([{"x": 1}], table_name="other")
    return p.sql_client()


# ---- DuckDB --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        *SQL,
        ("SELECT CAST('a' AS INTEGER)", "terminal"),
        ("SELECT CAST(1000 AS TINYINT)", "terminal"),
        ("COPY (SELECT 1) TO '/nowhere/at/all.csv'", "transient"),
        (
            "SET memory_limit='1MB'; CREATE TEMP TABLE big AS SELECT hash(range) h FROM range(9000000) ORDER BY h",
            "transient",
        ),
    ],
)
def test_duckdb(project: Path, statement: str, kind: str) -> None:
    p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    with made(p) as client:
        client.execute_sql("SET temp_directory=''")
        client.execute_sql("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        client.execute_sql("INSERT INTO t VALUES (1)")
        judge(raised(client, statement), kind)


def test_duckdb_conflict(project: Path) -> None:
    """Another session has changed the same row."""
    import duckdb

    connection = duckdb.connect("shop.duckdb")
    p = headrace.pipeline("shop", destination=headrace.destinations.duckdb(connection), dataset_name="raw")
    with made(p) as client:
        client.execute_sql("CREATE TABLE t (id INTEGER)")
        client.execute_sql("INSERT INTO t VALUES (1)")
        other = connection.cursor()
        other.execute("BEGIN")
        other.execute("UPDATE raw.t SET id = 2")
        judge(raised(client, "UPDATE t SET id = 3"), "transient")
        other.close()


# ---- PostgreSQL ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def postgres_url(postgres_server: Any) -> str:
    return str(postgres_server.database())


@pytest.fixture(params=["postgres", "sqlalchemy"])
def postgres(request: pytest.FixtureRequest, project: Path, postgres_url: str) -> Iterator[Any]:
    """Of both destinations that speak to PostgreSQL."""
    name = f"raw_{request.param}"
    if request.param == "postgres":
        destination: Any = headrace.destinations.postgres(postgres_url)
    else:
        url = postgres_url.replace("postgresql://", "postgresql+psycopg://")
        destination = headrace.destinations.sqlalchemy(url)
    p = headrace.pipeline("shop", destination=destination, dataset_name=name, pipelines_dir=str(project / "w"))
    with made(p) as client:
        client.execute_sql("DROP TABLE IF EXISTS t")
        client.execute_sql("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        client.execute_sql("INSERT INTO t VALUES (1)")
        yield client


@pytest.mark.destination("postgres")
@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        *SQL,
        ("SELECT CAST('a' AS INTEGER)", "terminal"),
        ("SELECT CAST(100000 AS SMALLINT)", "terminal"),
        ("SELECT 1 / 0", "terminal"),
        ("SELECT * FROM pg_read_file('/etc/nothing')", "transient"),
        ("SELECT pg_terminate_backend(pg_backend_pid())", "transient"),
        ("DO $$ BEGIN RAISE serialization_failure; END $$", "transient"),
        ("DO $$ BEGIN RAISE deadlock_detected; END $$", "transient"),
        ("DO $$ BEGIN RAISE disk_full; END $$", "transient"),
        ("DO $$ BEGIN RAISE insufficient_privilege; END $$", "terminal"),
    ],
)
def test_postgres(postgres: Any, statement: str, kind: str) -> None:
    judge(raised(postgres, statement), kind)


@pytest.mark.destination("postgres")
def test_a_lock_of_postgres(postgres: Any, postgres_url: str) -> None:
    import psycopg

    with psycopg.connect(postgres_url) as other:
        other.execute(f'LOCK TABLE "{postgres.dataset_name}".t')
        postgres.execute_sql("SET lock_timeout = '50ms'")
        judge(raised(postgres, "SELECT * FROM t"), "transient")


@pytest.mark.destination("postgres")
@pytest.mark.parametrize("way", ["postgres", "sqlalchemy"])
@pytest.mark.parametrize(
    "change",
    [
        {"port": 0},
        {"database": "nothing_of_that_name"},
        {"username": "nobody_of_that_name"},
        {"host": "nowhere.invalid"},
    ],
    ids=["refused", "no such database", "no such user", "no such host"],
)
def test_connections_to_postgres(project: Path, postgres_url: str, change: dict[str, Any], way: str) -> None:
    """No package is at fault when nobody can be reached, whatever the reason: none is set aside."""
    from sqlalchemy import make_url

    driver = "postgresql" if way == "postgres" else "postgresql+psycopg"
    change = {"port": free_port()} if "port" in change else change
    url = make_url(postgres_url).set(drivername=driver, **change).render_as_string(hide_password=False)
    p = headrace.pipeline("shop", destination=getattr(headrace.destinations, way)(url), dataset_name="raw")
    p.extract([{"x": 1}], table_name="t")
    p.normalize()
    with pytest.raises(PipelineStepFailed) as error:
        p.load()
    assert verdict(error.value) == "transient" and error.value.has_pending_data
    assert isinstance(error.value.exception, DestinationConnectionError)


# ---- SQLite, MariaDB -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("statement", "kind"), [*SQL, ("SELECT abs(-9223372036854775808)", "terminal")])
def test_sqlite(project: Path, statement: str, kind: str) -> None:
    p = headrace.pipeline("shop", destination=headrace.destinations.sqlalchemy("sqlite:///shop.db"), dataset_name="raw")
    with made(p) as client:
        client.execute_sql("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY) WITHOUT ROWID")
        client.execute_sql("INSERT INTO t VALUES (1)")
        judge(raised(client, statement), kind)


def test_sqlite_locked(project: Path) -> None:
    import sqlite3

    destination = headrace.destinations.sqlalchemy("sqlite:///shop.db", lock_timeout=0.05)
    p = headrace.pipeline("shop", destination=destination, dataset_name="main")
    with made(p) as client:
        client.execute_sql("CREATE TABLE t (id INTEGER)")
        other = sqlite3.connect("shop.db")
        other.execute("BEGIN EXCLUSIVE")
        judge(raised(client, "INSERT INTO t VALUES (1)"), "transient")
        other.close()


@pytest.mark.destination("mariadb")
@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        *SQL,
        ("INSERT INTO t (id) VALUES ('a')", "terminal"),
        ("INSERT INTO t (id) VALUES (99999999999)", "terminal"),
        ("KILL CONNECTION_ID()", "transient"),
        ("SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213", "transient"),
        ("SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1205", "transient"),
    ],
)
def test_mariadb(project: Path, mariadb_server: Any, statement: str, kind: str) -> None:
    destination = headrace.destinations.sqlalchemy(str(mariadb_server.database()))
    p = headrace.pipeline("shop", destination=destination, dataset_name="raw_errors")
    with made(p) as client:
        client.execute_sql("DROP TABLE IF EXISTS t")
        client.execute_sql("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY)")
        client.execute_sql("INSERT INTO t VALUES (1)")
        judge(raised(client, statement), kind)


# ---- files, lakes --------------------------------------------------------------------------------------------------


def failure(p: Any, data: Any = None, **hints: Any) -> PipelineStepFailed:
    with pytest.raises(PipelineStepFailed) as error:
        p.run(data or [{"x": 1}], table_name="t", **hints)
    return error.value


def lake(url: str, **settings: Any) -> Any:
    return headrace.pipeline("lake", destination=headrace.destinations.filesystem(url, **settings), dataset_name="raw")


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")


def test_files_where_a_file_is_in_the_way(project: Path, once: None) -> None:
    (project / "lake").write_text("no folder")
    error = failure(lake(str(project / "lake")))
    assert verdict(error) == "terminal" and isinstance(error.exception, DestinationTerminalException)


def test_a_store_that_refuses(project: Path, once: None, answering: Callable[[int], str]) -> None:
    """Busy stores are tried again by their own libraries for a while, too long for a test."""
    pytest.importorskip("s3fs")
    credentials = {
        "aws_access_key_id": "AKIAEXAMPLEKEY",
        "aws_secret_access_key": "secret-of-the-example",
        "endpoint_url": answering(403),
        "region_name": "us-east-1",
    }
    p = lake("s3://bucket/lake", credentials=credentials, kwargs={"config_kwargs": {"retries": {"max_attempts": 0}}})
    assert verdict(failure(p)) == "terminal"


@pytest.fixture
def answering() -> Iterator[Callable[[int], str]]:
    """Starts servers that answer everything with one status."""
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    servers: list[HTTPServer] = []

    def start(status: int) -> str:
        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_PUT = do_HEAD = do_POST = _answer

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_delta_columns_of_one_name(project: Path, once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delta does not tell `Name` and `name` apart: no other try will."""
    monkeypatch.setenv("SCHEMA__NAMING", "direct")
    error = failure(lake(str(project / "lake")), [{"Name": 1, "name": 2}], table_format="delta")
    assert verdict(error) == "terminal" and isinstance(error.exception, DestinationTerminalException)
    assert "rename" in str(error)


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
def test_a_table_whose_log_is_damaged(project: Path, once: None, table_format: Any) -> None:
    p = lake(str(project / "lake"))
    p.run([{"x": 1}], table_name="t", table_format=table_format)
    pattern = "*.json" if table_format == "delta" else "*.metadata.json"
    for log in (project / "lake" / "raw" / "t").rglob(pattern):
        log.write_text("{")
    error = failure(p, table_format=table_format)
    assert isinstance(error.exception, (DestinationTerminalException, DestinationTransientException))
    assert not isinstance(error.exception, DestinationUndefinedEntity)


# ---- functions, dummy ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("terminal", "terminal"), ("value", "transient"), ("404", "terminal"), ("503", "transient")],
)
def test_functions(project: Path, once: None, kind: str, expected: str, answering: Callable[[int], str]) -> None:
    """A function that speaks to a web service: what the service says decides, unless the function does."""
    import requests

    url = answering(int(kind)) if kind.isdigit() else ""

    @headrace.destination(batch_size=10, name="sink")
    def sink(items: Any, table: Any) -> None:
        if kind == "terminal":
            raise DestinationTerminalException("no")
        if kind == "value":
            raise ValueError("who knows")
        requests.post(url, json={"n": 1}, timeout=60).raise_for_status()

    error = failure(headrace.pipeline("sunk", destination=sink))
    assert isinstance(error.exception, LoadClientJobFailed if expected == "terminal" else LoadClientJobRetry)
    assert verdict(error) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"fail_prob": 1.0}, "terminal"),
        ({"fail_terminally_in_init": True}, "terminal"),
        ({"fail_transiently_in_init": True}, "transient"),
        ({"retry_prob": 1.0}, "transient"),
        ({"fail_schema_update": True}, "terminal"),
    ],
)
def test_dummy(project: Path, once: None, settings: dict[str, Any], expected: str) -> None:
    p = headrace.pipeline("dummy", destination=headrace.destinations.dummy(timeout=5.0, **settings))
    assert verdict(failure(p)) == expected
