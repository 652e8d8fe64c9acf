"""The outcomes that a destination may report, as the roots of all its errors."""

from __future__ import annotations

from headrace.errors.base import HeadraceException, TerminalException, TransientException


class DestinationException(HeadraceException):
    """Root of errors of destinations."""


class DestinationTerminalException(DestinationException, TerminalException):
    """It failed, and would fail again."""


class DestinationTransientException(DestinationException, TransientException):
    """It failed, and may succeed when tried again."""


class DestinationUndefinedEntity(DestinationTerminalException):
    """A table, dataset or other thing does not exist at the destination."""
