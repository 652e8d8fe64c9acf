"""DuckDB's errors in headrace's words, translated once, at the seam."""

from __future__ import annotations

import re

from headrace.errors.destination import (
    DatabaseException,
    DatabaseTerminalException,
    DatabaseTransientException,
    DatabaseUndefinedRelation,
    DestinationTerminalException,
)
from headrace.errors.masking import HIDDEN, clean


class InvalidInMemoryDuckdbCredentials(DestinationTerminalException):
    """An in-memory database was asked for in a way that cannot work."""

    def __init__(self) -> None:
        super().__init__(
            "An in-memory DuckDB database is gone when its last connection closes.",
            fix='keep one yourself: con = duckdb.connect(":memory:"), then headrace.destinations.duckdb(con)',
        )


_UNDEFINED = re.compile(r"does not exist|not found", re.IGNORECASE)

# what may pass by itself: other transactions, other processes, room on disk or in memory
_TRANSIENT = {
    "TransactionException": "another transaction changed the same rows or tables; it is tried again",
    "IOException": "check that the disk has room and that the file can be written",
    "OutOfMemoryException": "give DuckDB more memory (`memory_limit` in `global_config`), or make loader files smaller "
    "(`normalize.data_writer.file_max_bytes`)",
    "InterruptException": None,
    "FatalException": "the database file is kept as it was at the last commit; it is opened anew at the next attempt",
    "InternalException": "an error inside DuckDB; it is tried again",
    "ConnectionException": None,
    "HTTPException": None,
}
_FIXES = {
    "ConstraintException": "a value breaks a constraint of the table: look for NULL in a column that is NOT NULL, or "
    "for a value that must be unique",
    "ConversionException": "a value does not fit the column's type at the destination: declare a wider `data_type` in "
    "`columns` of the resource, or change the column in the database",
    "OutOfRangeException": "a number is larger than the column's type: declare a larger `precision` in `columns` of "
    "the resource, or change the column in the database",
    "DependencyException": "drop the index or the view that depends on the table, load, and make it again",
    "BinderException": "a column or function of the statement does not exist as it is used there",
    "ParserException": "correct the statement",
}
# where DuckDB repeats values of rows
_WITH_VALUES = (
    "ConversionException",
    "OutOfRangeException",
    "ConstraintException",
    "InvalidInputException",
    "DataError",
)
# from the first quote to the last: a value may have quotes in it
_VALUES = re.compile(r"""(?s)['"](?:.*['"](?=$|\n|[.]| (?:to|when|violates|can't|cannot)\b)|.*['"][^\n]*|[^\n]*)""")
# it quotes the kind of the statement and the database, no more
_READ_ONLY = re.compile(r"Invalid Input Error: Cannot execute statement of type \"[A-Z_ ]+\" on database ")
_STATEMENT = re.compile(r"(?s)\n+LINE \d+:.*|\n *Original Line:.*?(?=\n|$)|\n[^\n]*\n *\^(?=\n|$)")


def without_values(text: str) -> str:
    """DuckDB's message without values of rows: they may be anything, and a log is read by many."""
    if _READ_ONLY.match(text):
        return text
    return _VALUES.sub(f'"{HIDDEN}"', _STATEMENT.sub("", text))


def translate(error: Exception, doing: str = "") -> DatabaseException:
    """Make an error of headrace of one of DuckDB's.

    Args:
        error: What DuckDB raised.
        doing: What was going on: which table and which job.

    Returns:
        The error to raise from it; its text has DuckDB's message, what was going on, and what to do.
    """
    name = type(error).__name__
    if name in _WITH_VALUES:
        clean(error, without_values)
    if name == "CatalogException" and _UNDEFINED.search(str(error)):
        made: DatabaseException = DatabaseUndefinedRelation(error)
        fix: str | None = "check the name; tables are made by the first load that has rows for them"
    elif name in _TRANSIENT:
        made, fix = DatabaseTransientException(error), _TRANSIENT[name]
    else:
        made, fix = DatabaseTerminalException(error), _FIXES.get(name)
    if doing:
        made.what, made.why = f"DuckDB failed at {doing}.", str(error)
    made.fix = fix
    return made
