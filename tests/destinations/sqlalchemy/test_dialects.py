"""Statements, types, marks and errors of databases of which none runs here, and of those that do."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, mysql, oracle, postgresql, sqlite

import headrace
from headrace.destinations.impl.sqlalchemy.capabilities import capabilities_of
from headrace.destinations.impl.sqlalchemy.configuration import SqlalchemyCredentials
from headrace.destinations.impl.sqlalchemy.dialects import dialect_of
from headrace.destinations.impl.sqlalchemy.errors import kind_of, translate
from headrace.destinations.impl.sqlalchemy.marks import to_driver
from headrace.errors.base import MissingDependencyException
from headrace.errors.destination import (
    DatabaseTerminalException,
    DatabaseTransientException,
    DatabaseUndefinedRelation,
    DestinationTerminalException,
)

DIALECTS = {"mssql": mssql, "mysql": mysql, "oracle": oracle, "postgresql": postgresql, "sqlite": sqlite}
COLUMNS: list[dict[str, Any]] = [
    {"data_type": "text"},
    {"data_type": "text", "precision": 64},
    {"data_type": "text", "unique": True},
    {"data_type": "bigint"},
    {"data_type": "bigint", "precision": 16},
    {"data_type": "double"},
    {"data_type": "bool"},
    {"data_type": "timestamp"},
    {"data_type": "timestamp", "timezone": False},
    {"data_type": "date"},
    {"data_type": "time"},
    {"data_type": "json"},
    {"data_type": "binary"},
    {"data_type": "decimal"},
    {"data_type": "decimal", "precision": 10, "scale": 2},
    {"data_type": "wei"},
]
TYPES = {
    "sqlite": "TEXT|VARCHAR(64)|VARCHAR(128)|BIGINT|SMALLINT|DOUBLE|BOOLEAN|DATETIME|DATETIME|DATE|TIME|JSON|BLOB|"
    "NUMERIC(38, 9)|NUMERIC(10, 2)|TEXT",
    "mysql": "LONGTEXT|VARCHAR(64)|VARCHAR(128)|BIGINT|SMALLINT|DOUBLE|BOOL|DATETIME(6)|DATETIME(6)|DATE|TIME(6)|JSON|"
    "LONGBLOB|NUMERIC(38, 9)|NUMERIC(10, 2)|NUMERIC(38, 0)",
    "postgresql": "TEXT|VARCHAR(64)|VARCHAR(128)|BIGINT|SMALLINT|DOUBLE PRECISION|BOOLEAN|TIMESTAMP WITH TIME ZONE|"
    "TIMESTAMP WITHOUT TIME ZONE|DATE|TIME WITHOUT TIME ZONE|JSON|BYTEA|NUMERIC(38, 9)|NUMERIC(10, 2)|NUMERIC(38, 0)",
    "mssql": "NVARCHAR(max)|NVARCHAR(64)|NVARCHAR(128)|BIGINT|SMALLINT|DOUBLE PRECISION|BIT|DATETIMEOFFSET(6)|"
    "DATETIME2(6)|DATE|TIME(6)|NVARCHAR(max)|VARBINARY(max)|NUMERIC(38, 9)|NUMERIC(10, 2)|NUMERIC(38, 0)",
    "oracle": "CLOB|VARCHAR2(64 CHAR)|VARCHAR2(128 CHAR)|NUMERIC(19, 0)|NUMERIC(5, 0)|DOUBLE PRECISION|NUMERIC(1, 0)|"
    "TIMESTAMP WITH TIME ZONE|TIMESTAMP|DATE|VARCHAR2(16 CHAR)|CLOB|BLOB|NUMERIC(38, 9)|NUMERIC(10, 2)|NUMERIC(38, 0)",
}


def made(backend: str) -> Any:
    return dialect_of(DIALECTS[backend].dialect(), capabilities_of(backend))


@pytest.mark.parametrize("backend", TYPES)
def test_types(backend: str) -> None:
    """Every data type has a type in every database."""
    dialect = made(backend)
    assert "|".join(dialect.column_type({"name": "x", **column}) for column in COLUMNS) == TYPES[backend]


@pytest.mark.parametrize("backend", ["sqlite", "mysql", "postgresql", "mssql"])
def test_types_are_known_again(backend: str) -> None:
    """What a table tells of its types is what the schema asked for, or cannot be told apart there."""
    dialect = made(backend)
    for column in COLUMNS:
        facts = dialect.column_facts("x", dialect.column_type({"name": "x", **column}), True)
        again = {"name": "x", **{k: v for k, v in facts.items() if k != "nullable"}}
        hints = {"unique": column["unique"]} if "unique" in column else {}
        assert dialect.storage_class({**again, **hints}) == dialect.storage_class({"name": "x", **column}), column


CREATED = {
    "oracle": 'CREATE TABLE ds.t (\n  "Id" NUMERIC(19, 0) NOT NULL,\n  "v" CLOB,\n  PRIMARY KEY ("Id")\n)',
    "mssql": "CREATE TABLE ds.t (\n  [Id] BIGINT NOT NULL,\n  [v] NVARCHAR(max),\n  PRIMARY KEY ([Id])\n)",
    "postgresql": 'CREATE TABLE IF NOT EXISTS ds.t (\n  "Id" BIGINT NOT NULL,\n  "v" TEXT,\n  PRIMARY KEY ("Id")\n)',
    "mysql": "CREATE TABLE IF NOT EXISTS ds.t (\n  `Id` BIGINT NOT NULL,\n  `v` LONGTEXT COMMENT 'it''s \\\\v',\n"
    "  PRIMARY KEY (`Id`)\n) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin",
}
ADDED = {
    "oracle": 'ALTER TABLE ds.t ADD ("v" CLOB)',
    "mssql": "ALTER TABLE ds.t ADD [v] NVARCHAR(max)",
    "postgresql": 'ALTER TABLE ds.t ADD COLUMN "v" TEXT',
    "mysql": "ALTER TABLE ds.t ADD COLUMN `v` LONGTEXT COMMENT 'it''s \\\\v'",
}


@pytest.mark.parametrize("backend", CREATED)
def test_tables(backend: str) -> None:
    dialect = made(backend)
    columns: dict[str, Any] = {
        "Id": {"name": "Id", "data_type": "bigint", "nullable": False, "primary_key": True},
        "v": {"name": "v", "data_type": "text", "description": "it's \\v"},
    }
    assert dialect.create_table("ds.t", columns, unique=True, primary=True) == CREATED[backend]
    assert dialect.add_column("ds.t", columns["v"]) == ADDED[backend]


def test_statements_of_oracle_and_sql_server() -> None:
    """Rows are limited in their own way; Oracle has no AS before the alias of a table, and keeps that of a CAST."""
    assert made("oracle").final('SELECT CAST(s."a" AS DATE) FROM "x"."t" AS s JOIN (SELECT 1) AS l') == (
        'SELECT CAST(s."a" AS DATE) FROM "x"."t" s JOIN (SELECT 1) l'
    )
    assert made("oracle").first_rows("SELECT 1", 2, 3) == "SELECT 1 OFFSET 3 ROWS FETCH NEXT 2 ROWS ONLY"
    assert made("mssql").first_rows("SELECT a FROM t ORDER BY a", 1).endswith("OFFSET 0 ROWS FETCH NEXT 1 ROWS ONLY")
    assert made("oracle").timestamp(dt.datetime(2024, 1, 1)) == "TIMESTAMP '2024-01-01 00:00:00.000000 +00:00'"


def test_a_key_of_a_temporary_table_is_in_its_definition() -> None:
    """MySQL ends the transaction at CREATE INDEX; long texts are indexed by their beginning."""
    dialect = made("mysql")
    create = dialect.temp_like("`s`", ["k", "t"], "`t`")
    made_with_keys = (
        "CREATE TEMPORARY TABLE `s` (KEY (`k`(191)), KEY (`t`(191), `n`), "
        "`_hr_row` BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY) AS SELECT `k`, `t` FROM `t` LIMIT 0"
    )
    keys = [{"k": "varchar(255)"}, {"t": "longtext", "n": "bigint(20)"}]
    assert dialect.keyed_temp(create, "`s`", keys) == [made_with_keys]


def test_a_decimal_that_no_column_holds_is_refused() -> None:
    with pytest.raises(DestinationTerminalException, match="at most 65 and 30"):
        made("mysql").column_type({"name": "x", "data_type": "decimal", "precision": 70, "scale": 2})


@pytest.mark.parametrize(
    ("style", "sql", "params", "named", "wanted"),
    [
        ("qmark", "a = %s AND b = '?%s' AND c % 2", [1], {}, ("a = ? AND b = '?%s' AND c % 2", (1,))),
        ("format", "a = ? AND b LIKE '5%' AND c %% 2", [1], {}, ("a = %s AND b LIKE '5%%' AND c %% 2", (1,))),
        ("pyformat", "a = ? AND `%s` = ?", [1, 2], {}, ("a = %(p1)s AND `%%s` = %(p2)s", {"p1": 1, "p2": 2})),
        ("named", "a = $x AND b::int = :x", [], {"x": 1}, ("a = :p1 AND b::int = :p2", {"p1": 1, "p2": 1})),
        ("qmark", "a = %(x)s AND t = '12:30:x' AND u = $y", [], {"x": 1}, ("a = ? AND t = '12:30:x' AND u = $y", (1,))),
        ("numeric_dollar", "a = ?", [1], {}, ("a = $1", (1,))),
    ],
)
def test_marks(style: str, sql: str, params: list[Any], named: dict[str, Any], wanted: tuple[Any, Any]) -> None:
    """Every way to write a parameter becomes the driver's; marks inside quotes are text."""
    assert to_driver(sql, params, named, style) == wanted


class Coded(Exception):
    """A driver's error with PostgreSQL's code."""

    sqlstate = "40P01"


@pytest.mark.parametrize(
    ("backend", "wrapper", "original", "kind"),
    [
        ("sqlite", "OperationalError", Exception("no such table: ds.t"), "undefined"),
        ("sqlite", "OperationalError", Exception("database is locked"), "transient"),
        ("sqlite", "OperationalError", Exception("near x: syntax error"), "terminal"),
        ("sqlite", "IntegrityError", Exception("NOT NULL constraint failed"), "terminal"),
        ("mysql", "ProgrammingError", Exception(1146, "no table"), "undefined"),
        ("mysql", "OperationalError", Exception(1213, "deadlock"), "transient"),
        ("mysql", "OperationalError", Exception(2013, "lost connection"), "transient"),
        ("mysql", "OperationalError", Exception(1054, "unknown column"), "terminal"),
        ("mysql", "DataError", Exception(1406, "too long"), "terminal"),
        ("postgresql", "OperationalError", Coded("deadlock"), "transient"),
        ("mssql", "ProgrammingError", Exception(208, "no object"), "undefined"),
        ("oracle", "DatabaseError", Exception(942, "no table"), "undefined"),
        ("oracle", "DatabaseError", Exception(3113, "end of file"), "transient"),
        ("trino", "OperationalError", Exception("gone"), "transient"),
        ("trino", "ProgrammingError", Exception("no such column"), "terminal"),
    ],
)
def test_errors(backend: str, wrapper: str, original: Exception, kind: str) -> None:
    """By the driver's code, and by SQLAlchemy's class where there is none."""
    error = getattr(sa.exc, wrapper)("SELECT 1", {}, original)
    assert kind_of(error, backend) == kind
    wanted: Any = {
        "undefined": DatabaseUndefinedRelation,
        "transient": DatabaseTransientException,
        "terminal": DatabaseTerminalException,
    }
    assert isinstance(translate(error, backend, "loading table `t`"), wanted[kind])


@pytest.mark.parametrize(
    ("given", "backend", "shown"),
    [
        ("mysql+pymysql://u:pass@h:3306/db?x=1", "mysql", "mysql+pymysql://u:***@h:3306/db"),
        (
            {"drivername": "mssql+pyodbc", "host": "h", "username": "u", "password": "pass"},
            "mssql",
            "mssql+pyodbc://u:***@h",
        ),
        (sa.make_url("oracle+oracledb://u:pass@h/db"), "oracle", "oracle+oracledb://u:***@h/db"),
        ("sqlite:///a.db", "sqlite", "sqlite:///a.db"),
    ],
)
def test_credentials(given: Any, backend: str, shown: str) -> None:
    """A url, its parts, or SQLAlchemy's; no secret is shown. The kind of database is known without its driver."""
    credentials = SqlalchemyCredentials(given) if not isinstance(given, dict) else SqlalchemyCredentials()
    if isinstance(given, dict):
        credentials._apply_init_value(given)
    assert (credentials.backend, str(credentials)) == (backend, shown)
    destination = headrace.destinations.sqlalchemy(given)
    assert destination.capabilities().max_identifier_length == capabilities_of(backend).max_identifier_length
    assert "pass" not in repr(destination)


def test_a_missing_driver_is_named() -> None:
    """With the line for pip; neither the import nor the factory loads a driver."""
    for url, wanted in (
        ("mysql+mysqldb://h/d", "mysqlclient"),
        ("foodb://h/d", "sqlalchemy-foodb"),
        ("oracle+oracledb://h/d", "oracledb"),
    ):
        with pytest.raises(MissingDependencyException, match=f'pip install "{wanted}"'):
            headrace.destinations.sqlalchemy(url).open("ds", headrace.Schema("demo"))
    loaded = "import sys, headrace; headrace.destinations.sqlalchemy('sqlite:///x.db').capabilities(); "
    check = (
        loaded + "print([m for m in ('sqlalchemy', 'pymysql', 'adbc_driver_sqlite', 'sqlite3') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_right_that_is_missing_is_told() -> None:
    """MySQL's error alone does not say what the user needs."""
    error = sa.exc.OperationalError(
        "SELECT 1", {}, Exception(1142, "SELECT command denied to user 'u'@'h' for table `t`")
    )
    made = translate(error, "mysql")
    assert isinstance(made, DatabaseTerminalException)
    assert made.fix is not None and made.fix.startswith("the user lacks a right: GRANT")
