"""PostgreSQL's errors in headrace's words, told apart by SQLSTATE.

The codes are those of https://www.postgresql.org/docs/current/errcodes-appendix.html.
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

_UNDEFINED = {"42P01", "3F000"}  # table, schema
_TRANSIENT_CLASSES = {
    "08": "the connection is made anew at the next attempt",
    "40": "other transactions were in the way; it is tried again",
    "53": "the server lacks memory, room on disk or connections",
    "57": "the server or its operator ended it; it is tried again",
    "58": "the server could not read or write its files",
    "XX": "an error inside the server; it is tried again",
}
_TRANSIENT = {
    "25006": "the server takes no writes now: it is a standby, or about to change roles",
    "25P02": "an earlier statement of the transaction failed",
    "25P03": "the server ended an idle transaction",
    "55006": "the object is in use",
    "55P03": "a lock was not to be had in time",
}
_TERMINAL = {"57P04"}  # the database was dropped
_FIXES = {
    "23502": "a column that is NOT NULL got no value: let it be NULL in the database, or have the resource yield it",
    "23505": "a value that must be unique is there twice: look at the keys of the data and at the table's indexes",
    "22001": "a text is longer than its column: declare a larger `precision` (or none) in `columns` of the resource",
    "22003": "a number is larger than its column: declare a larger `precision` in `columns` of the resource",
    "22008": "PostgreSQL holds dates from 4713 BC to 5874897, instants to the year 294276",
    "22021": "PostgreSQL cannot store the character NUL in text: take it out with "
    '`resource.add_map(...)`, or set `destination.postgres.nul_characters = "remove"`',
    "22P05": "PostgreSQL cannot store the character NUL (`\\u0000`) in jsonb: take it out with "
    '`resource.add_map(...)`, or set `destination.postgres.nul_characters = "remove"`',
    "22P02": "a value does not fit the column's type in the database: change the column, or its `data_type` in "
    "`columns` of the resource",
    "2BP01": "something depends on it, a view for example: drop that, load, and make it again; or use the replace "
    "strategy `insert-from-staging`, which keeps the table",
    "42501": "grant the user what the message names. Loads need to own the tables (or to read and write them, while "
    "no column is added), USAGE and CREATE on the dataset's schema, CREATE and TEMPORARY on the database",
    "3D000": "make the database, or correct its name in the credentials",
    "42601": "correct the statement",
}
# where PostgreSQL repeats values of rows; names of tables and columns stay
_VALUES = [
    re.compile(r"(?is)(?P<before>\bkey \([^)]*\)=\().*(?=\))"),
    re.compile(r"(?s)(?P<before>\bFailing row contains \().*(?=\))"),
    re.compile(r"(?s)(?P<before>\b(?:COPY \S+, line \d+(?:, column [^:]+)?|JSON data, line \d+): ).*?(?=$|\n)"),
    re.compile(
        r"(?i)(?P<before>\b(?:for type|for enum|for encoding|out of range|literal|value|token|digit)\b"
        r'[^"\n]*").*(?=")'
    ),
]


def without_values(text: str) -> str:
    """The server's message without values of rows: they may be anything, and a log is read by many."""
    for pattern in _VALUES:
        text = pattern.sub(rf"\g<before>{HIDDEN}", text)
    return text


def translate(error: Exception, doing: str = "") -> DatabaseException:
    """Make an error of headrace of one of psycopg's.

    Args:
        error: What psycopg raised.
        doing: What was going on: which table and which job.

    Returns:
        The error to raise from it; its text has PostgreSQL's message, what was going on, and what to do.
    """
    clean(error, without_values)
    state: str = getattr(error, "sqlstate", None) or ""
    if state in _UNDEFINED:
        made: DatabaseException = DatabaseUndefinedRelation(error)
        fix: str | None = "check the name; tables are made by the first load that has rows for them"
    elif (passing := _may_pass(error, state)) is not None:
        made, fix = DatabaseTransientException(error), passing or None
    else:
        made, fix = DatabaseTerminalException(error), _FIXES.get(state)
    if doing:
        made.what, made.why = f"PostgreSQL failed at {doing}.", _told(error)
    made.fix = fix
    return made


def _may_pass(error: Any, state: str) -> str | None:
    """Why another attempt may succeed (an empty text where there is nothing to say); None when it cannot."""
    if state in _TERMINAL:
        return None
    if state in _TRANSIENT:
        return _TRANSIENT[state]
    if state == "23505" and error.diag.schema_name == "pg_catalog":
        return "another process made the same thing at the same time"
    if state:
        return _TRANSIENT_CLASSES.get(state[:2])
    # psycopg gives no code where the server could give none: the connection is gone, or was never made
    return "" if type(error).__name__ in ("OperationalError", "InterfaceError", "ConnectionTimeout") else None


def _told(error: Any) -> str:
    """The server's message with its detail and the place in the data, which stand on lines of their own."""
    diag = getattr(error, "diag", None)
    if diag is None or not diag.message_primary:
        return str(error).strip()
    parts = [diag.message_primary, diag.message_detail, diag.message_hint, diag.context]
    return "; ".join(" ".join(without_values(part).split()) for part in parts if part)
