"""Errors of the load room: jobs that failed, jobs that failed too often.

They derive from the destination's classes, so that ``except DestinationTerminalException`` catches both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from headrace.errors.base import HeadraceException
from headrace.errors.outcome import DestinationException, DestinationTerminalException, DestinationTransientException
from headrace.errors.verdict import verdict


class LoadClientJobException(Exception):
    """Mix-in of errors that one job caused; all of them have these attributes.

    Attributes:
        load_id: The package.
        job_id: The job.
        failed_message: What the destination said.
        client_exception: The error itself.
    """

    load_id: str
    job_id: str
    failed_message: str
    client_exception: BaseException


class LoadClientJobFailed(DestinationTerminalException, LoadClientJobException):
    """A job failed for good."""

    def __init__(self, load_id: str, job_id: str, failed_message: str, exception: BaseException) -> None:
        self.load_id, self.job_id = load_id, job_id
        self.failed_message, self.client_exception = failed_message, exception
        super().__init__(
            f"Job {job_id} of load package {load_id} failed for good; the package was set aside and blocks nothing.",
            why=failed_message,
            fix=f"correct the cause, then `pipeline.retry_failed_jobs('{load_id}')`, or extract the data again; "
            "`load.raise_on_failed_jobs = false` loads the rest of a package without the job that fails",
        )


class LoadClientJobRetry(DestinationTransientException, LoadClientJobException):
    """A job was tried as often as allowed; the package waits for the next run."""

    def __init__(
        self,
        load_id: str,
        job_id: str,
        retry_count: int,
        max_retry_count: int,
        failed_message: str,
        exception: BaseException,
    ) -> None:
        self.load_id, self.job_id, self.failed_message = load_id, job_id, failed_message
        self.retry_count, self.max_retry_count, self.client_exception = retry_count, max_retry_count, exception
        super().__init__(
            f"Job {job_id} of load package {load_id} was tried {retry_count} times without success.",
            why=failed_message,
            fix="the package is kept: run the pipeline again when the destination is well, or raise "
            f"`load.raise_on_max_retries` (now {max_retry_count})",
        )


class LoadPackageAborted(DestinationTerminalException):
    """The package was given up before; it cannot be loaded."""

    def __init__(self, load_id: str, reason: str) -> None:
        self.load_id = load_id
        super().__init__(
            f"The load package {load_id} was given up.", why=reason, fix="extract the data again, or drop the package"
        )


class DestinationHasFailedJobs(DestinationTerminalException):
    """A load went through, but some of its jobs failed for good."""

    def __init__(self, destination_name: str, load_id: str, failed_jobs: Sequence[Any]) -> None:
        self.destination_name, self.load_id, self.failed_jobs = destination_name, load_id, list(failed_jobs)
        super().__init__(
            f"{len(self.failed_jobs)} job(s) of load package {load_id} failed for good in `{destination_name}`; the "
            "others are loaded.",
            fix="`pipeline.list_failed_jobs_in_package(load_id)` tells which and why; when the cause is mended, "
            "`pipeline.retry_failed_jobs(load_id)` loads them",
        )


class LoadClientUnsupportedFileFormats(DestinationTerminalException):
    """A package holds files that the destination does not load."""

    def __init__(self, file_format: str, supported_file_format: Sequence[str], file_path: str) -> None:
        self.file_format, self.supported_types, self.file_path = file_format, list(supported_file_format), file_path
        super().__init__(
            f"The loader file {file_path} is `{file_format}`, which the destination does not load.",
            fix=f"it loads: {', '.join(self.supported_types)}",
        )


class LoadClientUnsupportedWriteDisposition(DestinationTerminalException):
    """A table's write disposition cannot be loaded."""

    def __init__(self, table_name: str, write_disposition: str, file_name: str) -> None:
        self.table_name, self.write_disposition, self.file_name = table_name, write_disposition, file_name
        super().__init__(
            f"Table `{table_name}` has write disposition `{write_disposition}`, which the destination cannot do."
        )


class SchemaUpdateError(DestinationException):
    """The tables at the destination could not be changed as a package needs it; the cause is chained.

    Attributes:
        schema_name: The package's schema.
        table_names: Tables that are missing or lack columns, as far as is known.
        cause: What the destination said.
    """

    def __init__(self, schema_name: str, table_names: Iterable[str], cause: Exception) -> None:
        self.schema_name, self.table_names, self.cause = schema_name, list(table_names), cause
        what = cause.what if isinstance(cause, HeadraceException) else f"{type(cause).__name__}: {cause}"
        super().__init__(
            f"The tables of schema `{schema_name}` could not be changed: {what}",
            why=getattr(cause, "why", None),
            fix=getattr(cause, "fix", None),
        )


class SchemaUpdateTerminalError(SchemaUpdateError, DestinationTerminalException):
    """The destination refused a change of tables, and would again."""


class SchemaUpdateTransientError(SchemaUpdateError, DestinationTransientException):
    """A change of tables did not succeed, and may when it is tried again."""


def schema_update_error(schema_name: str, table_names: Iterable[str], cause: Exception) -> SchemaUpdateError:
    """The error for a change of tables that failed, terminal or transient as its cause is."""
    kind: type[SchemaUpdateError] = {
        "terminal": SchemaUpdateTerminalError,
        "transient": SchemaUpdateTransientError,
        "unknown": SchemaUpdateError,
    }[verdict(cause)]
    return kind(schema_name, table_names, cause)
