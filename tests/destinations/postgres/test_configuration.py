"""Settings: credentials in all forms, what is told of them, errors by SQLSTATE, capabilities."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

import headrace
from headrace.config import registry
from headrace.destinations.impl.postgres.configuration import PostgresCredentials
from headrace.destinations.impl.postgres.dialect import PostgresDialect
from headrace.destinations.impl.postgres.errors import translate
from headrace.destinations.impl.postgres.session import to_driver_marks
from headrace.errors.config import ConfigFieldMissingException
from headrace.errors.destination import (
    DatabaseTerminalException,
    DatabaseTransientException,
    DatabaseUndefinedRelation,
    DestinationConnectionError,
    DestinationTerminalException,
)
from headrace.errors.specs import InvalidConnectionString
from headrace.model.schema import Schema

pytestmark = pytest.mark.destination("postgres")

PARTS = {
    "host": "db.example.com",
    "port": 5433,
    "dbname": "shop",
    "user": "loader",
    "password": "p@ss/word",
    "connect_timeout": 15,
}
URL = "postgresql://loader:p%40ss%2Fword@db.example.com:5433/shop"
MAPPING = {
    "host": "db.example.com",
    "port": 5433,
    "database": "shop",
    "username": "loader",
    "password": "p@ss/word",
}


def arguments(destination: Any) -> dict[str, Any]:
    found = destination.configuration().credentials.connection_arguments()
    return {name: value for name, value in found.items() if not name.startswith("keepalives")}


@pytest.mark.parametrize(
    "credentials",
    [URL, URL.replace("postgresql", "postgres"), URL.replace("postgresql", "postgresql+psycopg2"), MAPPING],
)
def test_credentials_in_all_forms(project: Path, credentials: Any) -> None:
    made = headrace.destinations.postgres(credentials)
    assert arguments(made) == {**PARTS, "application_name": "headrace"}


def test_credentials_object(project: Path) -> None:
    given = PostgresCredentials(URL + "?sslmode=require&connect_timeout=3&client_encoding=utf8")
    found = arguments(headrace.destinations.postgres(given))
    assert found == {
        **PARTS,
        "connect_timeout": 3,
        "client_encoding": "utf8",
        "sslmode": "require",
        "application_name": "headrace",
    }


def test_socket_and_no_password(project: Path) -> None:
    found = arguments(headrace.destinations.postgres("postgresql://loader@/shop?host=/var/run/postgresql"))
    assert found["host"] == "/var/run/postgresql"
    assert found["port"] == 5432
    assert "password" not in found


def test_credentials_from_configuration_of_a_named_destination(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESTINATION__WAREHOUSE__DESTINATION_TYPE", "postgres")
    for name, value in MAPPING.items():
        monkeypatch.setenv(f"DESTINATION__WAREHOUSE__CREDENTIALS__{name.upper()}", str(value))
    registry.reset()
    p = headrace.pipeline("shop", destination="warehouse", dataset_name="raw")
    made: Any = p.destination
    assert made.destination_name == "warehouse"
    assert made.destination_type == "dlt.destinations.postgres"
    assert arguments(made) == {**PARTS, "application_name": "headrace"}


def test_missing_credentials_are_told(project: Path) -> None:
    with pytest.raises(ConfigFieldMissingException, match="database"):
        headrace.destinations.postgres().configuration()


def test_no_secret_is_shown(project: Path) -> None:
    made = headrace.destinations.postgres(URL)
    made.open("raw", Schema("s"))
    assert made.describe_location() == "postgresql://db.example.com:5433/shop"
    assert made.fingerprint()
    settings = made.configuration()
    for text in (str(settings.credentials), repr(settings.credentials), str(settings), repr(made)):
        assert "p@ss" not in text
        assert "p%40ss" not in text


def test_wrong_option_of_the_connection_is_terminal(project: Path, url: str) -> None:
    with (
        pytest.raises(DestinationTerminalException, match="options of the connection"),
        headrace.destinations.postgres(url + "?no_such_option=1").open("raw", Schema("s")),
    ):
        pass


def test_refused_connection_may_pass(project: Path) -> None:
    with (
        pytest.raises(DestinationConnectionError, match=r"127\.0\.0\.1:9/") as caught,
        headrace.destinations.postgres("postgresql://u:hidden-word@127.0.0.1:9/db").open("raw", Schema("s")),
    ):
        pass
    assert "hidden-word" not in str(caught.value)


# ---- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("42P01", DatabaseUndefinedRelation),
        ("3F000", DatabaseUndefinedRelation),
        ("40001", DatabaseTransientException),
        ("40P01", DatabaseTransientException),
        ("53100", DatabaseTransientException),
        ("53300", DatabaseTransientException),
        ("57P01", DatabaseTransientException),
        ("57014", DatabaseTransientException),
        ("55P03", DatabaseTransientException),
        ("08006", DatabaseTransientException),
        ("XX000", DatabaseTransientException),
        ("57P04", DatabaseTerminalException),
        ("42703", DatabaseTerminalException),
        ("42601", DatabaseTerminalException),
        ("42501", DatabaseTerminalException),
        ("23502", DatabaseTerminalException),
        ("23505", DatabaseTerminalException),
        ("22003", DatabaseTerminalException),
    ],
)
def test_errors_by_their_state(state: str, kind: type[Exception]) -> None:
    made = translate(psycopg.errors.lookup(state)("something"), "copy of `t`")
    assert type(made) is kind
    assert "copy of `t`" in str(made)


def test_lost_connection_may_pass() -> None:
    assert isinstance(translate(psycopg.OperationalError("consuming input failed")), DatabaseTransientException)
    assert isinstance(translate(psycopg.ProgrammingError("no results")), DatabaseTerminalException)


# ---- dialect -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ({"data_type": "text"}, "varchar"),
        ({"data_type": "text", "precision": 10}, "varchar(10)"),
        ({"data_type": "bigint"}, "bigint"),
        ({"data_type": "bigint", "precision": 8}, "smallint"),
        ({"data_type": "bigint", "precision": 32}, "integer"),
        ({"data_type": "double"}, "double precision"),
        ({"data_type": "bool"}, "boolean"),
        ({"data_type": "timestamp"}, "timestamp with time zone"),
        ({"data_type": "timestamp", "precision": 3}, "timestamp(3) with time zone"),
        ({"data_type": "timestamp", "precision": 9}, "timestamp with time zone"),
        ({"data_type": "timestamp", "timezone": False}, "timestamp without time zone"),
        ({"data_type": "time"}, "time without time zone"),
        ({"data_type": "date"}, "date"),
        ({"data_type": "binary"}, "bytea"),
        ({"data_type": "json"}, "jsonb"),
        ({"data_type": "decimal"}, "numeric(38,9)"),
        ({"data_type": "decimal", "precision": 10, "scale": 2}, "numeric(10,2)"),
        ({"data_type": "wei"}, "numeric(156,78)"),
    ],
)
def test_types_there_and_back(url: str, column: Any, kind: str) -> None:
    """What PostgreSQL calls the type leads to a column of the same type."""
    dialect = PostgresDialect()
    assert dialect.column_type(column) == kind
    with psycopg.connect(url) as connection:
        connection.execute(f"CREATE TEMP TABLE t (c {kind})".encode())
        found = connection.execute(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum = 1"
        ).fetchone()
    assert found is not None
    assert dialect.column_type(dialect.column_facts("c", found[0], True)) == kind


def test_marks_of_parameters() -> None:
    assert to_driver_marks("a = ? AND b = '?' AND c % 2 = ?", {}) == "a = %s AND b = '?' AND c %% 2 = %s"
    assert to_driver_marks("a = %s", {}) == "a = %s"
    assert to_driver_marks("a = $x AND b = '$x'", {"x": 1}) == "a = %(x)s AND b = '$x'"
    assert to_driver_marks("a = %(x)s", {"x": 1}) == "a = %(x)s"


def test_no_driver_is_loaded_by_the_factory() -> None:
    code = (
        "import sys, headrace; headrace.destinations.postgres; "
        "sys.exit(any(m in sys.modules for m in ('psycopg', 'adbc_driver_postgresql', 'pyarrow')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_missing_driver_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(headrace.errors.MissingDependencyException, match=r"headrace\[postgres\]"):
        headrace.destinations.postgres(URL).open("raw", Schema("s"))


def test_the_url_of_another_database_is_refused() -> None:
    """PostgreSQL's port at a host of MySQL says nothing helpful."""
    with pytest.raises(InvalidConnectionString, match="postgresql://"):
        PostgresCredentials("mysql+pymysql://loader@db.example.com/shop")
