"""Errors of databases behind SQLAlchemy in headrace's words, translated once, at the seam.

SQLAlchemy wraps what a driver raises into classes of its own, named after those of DB-API (PEP 249); what is left is
told by the codes of each database.
"""

from __future__ import annotations

import re
from typing import Any

from headrace.errors.destination import (
    DatabaseException,
    DatabaseTerminalException,
    DatabaseTransientException,
    DatabaseUndefinedRelation,
)
from headrace.errors.masking import HIDDEN, clean

# SQLite: https://sqlite.org/rescode.html ; the texts are older than the codes in Python's module
_SQLITE_UNDEFINED = re.compile(r"no such table|unknown database", re.IGNORECASE)
_SQLITE_TRANSIENT = re.compile(
    r"database (table |schema )?is locked|disk I/O error|disk is full|unable to open|interrupted|out of memory",
    re.IGNORECASE,
)
# MySQL and MariaDB: unknown table or database
_MYSQL_UNDEFINED = {1146, 1049, 1051, 1109}
# lost or refused connections, deadlocks, waits that took too long, a server that stops, no room
_MYSQL_TRANSIENT = {
    *(0, 1021, 1040, 1053, 1077, 1079, 1080, 1114, 1152, 1153, 1158, 1159, 1160, 1161, 1180, 1184, 1203, 1205, 1206),
    *(1213, 1226, 1317, 1396, 1836, 1927, 1928, 1969, 2002, 2003, 2005, 2006, 2013, 2055, 3024, 4031),
}
_MYSQL_DENIED = {1044, 1045, 1142, 1143, 1227, 1370}
# PostgreSQL: https://www.postgresql.org/docs/current/errcodes-appendix.html
_PG_UNDEFINED = {"42P01", "3F000"}
_PG_TRANSIENT = ("08", "40", "53", "55P03", "57P", "58")
_MSSQL_UNDEFINED = {208, 4902, 3701}
_MSSQL_TRANSIENT = {-2, 64, 233, 1204, 1205, 1222, 10053, 10054, 10060, 40197, 40501, 40613, 49918}
_ORACLE_UNDEFINED = {942}
_ORACLE_TRANSIENT = {28, 54, 60, 1012, 1033, 1034, 1089, 3113, 3114, 3135, 8177, 12170, 12537, 12541, 12571, 30006}
_FIXES = {
    "IntegrityError": "a value breaks a constraint of the table: look for NULL in a column that is NOT NULL, or for a "
    "value that must be unique",
    "DataError": "a value does not fit the column's type at the destination: declare a wider `data_type` in `columns` "
    "of the resource, or change the column in the database",
    "ProgrammingError": "check the statement, and that the user may do this",
}
_DENIED = (
    "the user lacks a right: GRANT CREATE, ALTER, DROP, INDEX, SELECT, INSERT, UPDATE, DELETE and CREATE TEMPORARY "
    "TABLES on the database of the dataset"
)
_LOCKED = "another process writes to the database; wait longer (`destination.sqlalchemy.lock_timeout`, in seconds)"


def _code(original: Any) -> Any:
    """The database's own code: a number, or five characters of PostgreSQL's."""
    for arg in getattr(original, "args", ()):
        code = getattr(arg, "code", arg)
        if isinstance(code, int):
            return code
    state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    if isinstance(state, str) and len(state) == 5:
        return state
    number = getattr(original, "number", None)
    return number if isinstance(number, int) else None


def kind_of(error: BaseException, backend: str) -> str:
    """``undefined``, ``transient`` or ``terminal``, by the driver's code and else by SQLAlchemy's class."""
    original = getattr(error, "orig", None) or error
    text, code = str(original), _code(original)
    if backend == "sqlite":
        if _SQLITE_UNDEFINED.search(text):
            return "undefined"
        return "transient" if _SQLITE_TRANSIENT.search(text) else "terminal"
    undefined, transient = {
        "mysql": (_MYSQL_UNDEFINED, _MYSQL_TRANSIENT),
        "mariadb": (_MYSQL_UNDEFINED, _MYSQL_TRANSIENT),
        "mssql": (_MSSQL_UNDEFINED, _MSSQL_TRANSIENT),
        "oracle": (_ORACLE_UNDEFINED, _ORACLE_TRANSIENT),
    }.get(backend, (set(), set()))
    if code in undefined or code in _PG_UNDEFINED:
        return "undefined"
    if getattr(error, "connection_invalidated", False) or code in transient:
        return "transient"
    if isinstance(code, str):
        return "transient" if code.startswith(_PG_TRANSIENT) else "terminal"
    if code is not None and undefined:
        return "terminal"
    name = type(error).__name__
    return (
        "transient"
        if name in ("OperationalError", "InterfaceError", "TimeoutError", "DisconnectionError")
        else "terminal"
    )


# where MySQL, SQL Server and Oracle repeat values of rows
_VALUES = re.compile(
    r"(?is)(?P<before>\b(?:duplicate entry|value:?|key value is|converting the \S+ value) (?P<quote>[('])).*"
    r"(?=[)'](?: (?:for|to|in|at)\b|[.]|$))"
)


def without_values(text: str) -> str:
    """A database's message without values of rows: they may be anything, and a log is read by many."""
    return _VALUES.sub(rf"\g<before>{HIDDEN}", text)


def translate(error: BaseException, backend: str, doing: str = "") -> DatabaseException:
    """Make an error of headrace of one of SQLAlchemy's or of a driver's.

    Args:
        error: What was raised.
        backend: SQLAlchemy's name of the dialect.
        doing: What was going on: which table and which job.

    Returns:
        The error to raise from it; its text has the database's message, what was going on, and what to do.
    """
    kind = kind_of(error, backend)
    clean(error, without_values)
    original: Any = getattr(error, "orig", None) or error
    made: DatabaseException
    if kind == "undefined":
        made = DatabaseUndefinedRelation(original)
        made.fix = "check the name; tables are made by the first load that has rows for them"
    elif kind == "transient":
        made = DatabaseTransientException(original)
        made.fix = _LOCKED if "is locked" in str(original) else "check that the database is up; it is tried again"
    else:
        made = DatabaseTerminalException(original)
        denied = backend in ("mysql", "mariadb") and _code(original) in _MYSQL_DENIED
        made.fix = _DENIED if denied else _FIXES.get(type(error).__name__)
    if doing:
        made.what, made.why = f"{backend} failed at {doing}.", str(original)
    return made
