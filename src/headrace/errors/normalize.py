"""Errors of the normalize step."""

from __future__ import annotations

from headrace.errors.base import HeadraceException


class NormalizeException(HeadraceException):
    """Root of errors of normalize."""


class WithJobError(Exception):
    """Mix-in of errors that one file of a package caused; all of them have these attributes.

    Attributes:
        load_id: The package.
        job_id: The file.
        failed_message: What went wrong.
    """

    load_id: str
    job_id: str
    failed_message: str


class NormalizeJobFailed(NormalizeException, WithJobError):
    """A spool file could not be turned into loader files; the cause is chained.

    Attributes:
        load_id: The package, which stays as extract left it.
        job_id: The spool file.
    """

    def __init__(self, load_id: str, job_id: str, failed_message: str) -> None:
        self.load_id, self.job_id, self.failed_message = load_id, job_id, failed_message
        super().__init__(f"Package {load_id}: {job_id} could not be normalized.", why=failed_message)
