"""Errors of files: of layouts, and of stores, told apart by whether another try may help."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from headrace.errors.base import HeadraceException
from headrace.errors.outcome import (
    DestinationException,
    DestinationTerminalException,
    DestinationTransientException,
    DestinationUndefinedEntity,
)

EXAMPLE = "{table_name}/{load_id}.{file_id}.{ext}"

_TERMINAL_ERRNO = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENAMETOOLONG,
    errno.EINVAL,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ELOOP,
}
# by name, over all classes an error derives from: no driver is loaded to know them
_TERMINAL_NAMES = {
    "NoCredentialsError",  # botocore
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "ProfileNotFound",
    "ParamValidationError",
    "InvalidEndpointConfigurationError",
    "DefaultCredentialsError",  # google.auth
    "RefreshError",
    "ClientAuthenticationError",  # azure.core
    "ResourceNotFoundError",
    "PermissionDenied",  # asyncssh
    "HostKeyNotVerifiable",
    "KeyExchangeFailed",
    "KeyImportError",
    "SFTPPermissionDenied",
    "SFTPNoSuchFile",
    "SFTPNoSuchPath",
    "SFTPWriteProtect",
    "AuthenticationException",  # paramiko
    "BadHostKeyException",
}
_TRANSIENT_NAMES = {"TransportError", "ServiceRequestError", "ServiceResponseError", "ConnectionLost", "ClientError"}
_BUSY = {408, 409, 425, 429}
_REASONS = {
    errno.ENOSPC: "free some space; the next run goes on where this one stopped",
    errno.EACCES: "give the credentials (or this user) the right to write there",
    errno.EPERM: "give the credentials (or this user) the right to write there",
    errno.EROFS: "choose another `bucket_url`, or mount the disk for writing",
    errno.ENOENT: "check `bucket_url`: buckets and containers must exist, folders are made",
}


class InvalidFilesystemLayout(DestinationTerminalException):
    """A layout has placeholders that nobody fills."""

    def __init__(
        self,
        layout: str,
        expected_placeholders: Sequence[str],
        extra_placeholders: Sequence[str],
        invalid_placeholders: Sequence[str],
        unused_placeholders: Sequence[str] = (),
    ) -> None:
        self.layout, self.expected_placeholders = layout, list(expected_placeholders)
        self.extra_placeholders, self.invalid_placeholders = list(extra_placeholders), list(invalid_placeholders)
        self.unused_placeholders = list(unused_placeholders)
        unknown = ", ".join(f"{{{name}}}" for name in invalid_placeholders)
        super().__init__(
            f"The layout `{layout}` has unknown placeholders: {unknown or 'its braces do not match'}.",
            fix=f"use {', '.join(sorted(self.expected_placeholders))}; or define your own in `extra_placeholders`",
        )


class CantExtractTablePrefix(DestinationTerminalException):
    """A layout does not tell the files of one table from those of others."""

    def __init__(self, layout: str, details: str) -> None:
        self.layout, self.details = layout, details
        super().__init__(
            f"The layout `{layout}` does not tell the files of one table from those of another.",
            why=details,
            fix=f"begin it with `{{table_name}}/`, for example `{EXAMPLE}`",
        )


class InvalidPlaceholderCallback(DestinationTransientException):
    """A function given as a placeholder does not take what placeholders are made of."""

    def __init__(self, callback_name: str) -> None:
        self.callback_name = callback_name
        super().__init__(
            f"The function for the placeholder `{callback_name}` could not be called.",
            fix="let it take five arguments: schema name, table name, load id, file id and file extension",
        )


def translate(error: BaseException, doing: str, location: str) -> DestinationException:
    """The error of a store as one of ours.

    Args:
        error: What the file system raised.
        doing: What was going on: ``writing a file of table `t```.
        location: Where, without secrets.
    """
    number = error.errno if isinstance(error, OSError) else None
    kind: type[DestinationException] = DestinationTransientException
    if isinstance(error, FileNotFoundError):
        kind = DestinationUndefinedEntity
    elif _is_terminal(error):
        kind = DestinationTerminalException
    said = str(error).strip() or type(error).__name__
    return kind(
        f"Failed {doing} in {location}.",
        why=f"{type(error).__name__}: {said}",
        fix=_REASONS.get(errno.ENOENT if isinstance(error, FileNotFoundError) else number or 0),
    )


def _is_terminal(error: BaseException) -> bool:
    names = {cls.__name__ for cls in type(error).__mro__}
    if names & _TERMINAL_NAMES:
        return True
    status = _status(error)
    if names & _TRANSIENT_NAMES and status is None:
        return False
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _TERMINAL_ERRNO
    if isinstance(status, int) and 400 <= status < 600:
        return status < 500 and status not in _BUSY
    return isinstance(error, (PermissionError, NotImplementedError, ValueError, TypeError))


def _status(error: BaseException) -> int | None:
    """The HTTP status that an error tells of."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        found = getattr(error, "status_code", None) or getattr(error, "code", None)
    return found if isinstance(found, int) else None


@contextmanager
def translated(doing: str, location: str) -> Iterator[None]:
    """Turn errors of a store inside ``with`` into ours; ours pass."""
    try:
        yield
    except (HeadraceException, MemoryError):
        raise
    except Exception as error:
        raise translate(error, doing, location) from error
