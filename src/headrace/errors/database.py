"""Errors of databases: what a driver raised, told apart by whether another try may help."""

from __future__ import annotations

from headrace.errors.outcome import (
    DestinationException,
    DestinationTerminalException,
    DestinationTransientException,
    DestinationUndefinedEntity,
)


class DatabaseException(DestinationException):
    """A database driver's error, kept as ``dbapi_exception``."""

    def __init__(self, dbapi_exception: Exception) -> None:
        self.dbapi_exception = dbapi_exception
        super().__init__(f"{type(dbapi_exception).__name__}: {dbapi_exception}")


class DatabaseTerminalException(DestinationTerminalException, DatabaseException):
    """The database refused, and would again."""

    def __init__(self, dbapi_exception: Exception) -> None:
        DatabaseException.__init__(self, dbapi_exception)


class DatabaseTransientException(DestinationTransientException, DatabaseException):
    """The database could not for now."""

    def __init__(self, dbapi_exception: Exception) -> None:
        DatabaseException.__init__(self, dbapi_exception)


class DatabaseUndefinedRelation(DestinationUndefinedEntity, DatabaseException):
    """A table, view or dataset does not exist in the database."""

    def __init__(self, dbapi_exception: Exception) -> None:
        DatabaseException.__init__(self, dbapi_exception)
