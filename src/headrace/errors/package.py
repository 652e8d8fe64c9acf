"""Errors of packages, their storage and the working folder.

::

    StorageException
    ├── CurrentLoadPackageStateNotAvailable
    ├── LoadStorageException
    │   ├── JobFileFormatUnsupported        (also TerminalValueError)
    │   ├── JournalCorrupted
    │   ├── LoadPackageAlreadyCompleted
    │   ├── LoadPackageCancelled
    │   ├── LoadPackageInconsistent
    │   ├── LoadPackageNotCompleted
    │   └── LoadPackageNotFound             (also FileNotFoundError)
    ├── NoMigrationPathException
    ├── SchemaStorageException
    │   ├── InStorageSchemaModified
    │   ├── SchemaFileDamaged
    │   ├── SchemaNotFoundError             (also FileNotFoundError, KeyError)
    │   └── UnexpectedSchemaName            (also ValueError)
    ├── StorageMigrationError
    ├── UnsupportedStorageVersionException
    └── WrongStorageVersionException

    PipelineException
    ├── PipelineLocked
    └── WorkingFolderUnusable           (also OSError)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from headrace.errors.base import HeadraceException, PipelineException, TerminalValueError


class StorageException(HeadraceException):
    """Root of errors of what headrace keeps on the local disk."""


class CurrentLoadPackageStateNotAvailable(StorageException):
    """Package state was asked for where no package is at work."""

    def __init__(self) -> None:
        super().__init__(
            "There is no load package at work here.",
            fix="call it from a resource, a transformer or a custom destination while a pipeline runs",
        )


class LoadStorageException(StorageException):
    """Root of errors of load packages."""


class JobFileFormatUnsupported(LoadStorageException, TerminalValueError):
    """A loader file has a format that the destination does not load."""

    def __init__(self, load_id: str, supported_formats: Iterable[str], wrong_job: str) -> None:
        self.load_id, self.supported_formats, self.wrong_job = load_id, list(supported_formats), wrong_job
        super().__init__(
            f"The loader file {wrong_job} of package {load_id} has a format that cannot be loaded.",
            fix=f"use one of: {', '.join(self.supported_formats)}",
        )


class JournalCorrupted(LoadStorageException):
    """A journal is damaged in a way that no crash explains, or was written by a later version."""

    def __init__(self, path: str, why: str, fix: str | None = None) -> None:
        self.path = path
        super().__init__(
            f"The journal {path} cannot be trusted; nothing was changed.",
            why=why,
            fix=fix or "restore the file from a backup, or give the package up: delete its folder",
        )


class LoadPackageAlreadyCompleted(LoadStorageException):
    """The package is loaded or aborted: nothing more can be done with it."""

    def __init__(self, load_id: str) -> None:
        self.load_id = load_id
        super().__init__(f"The load package {load_id} is complete already.")


class LoadPackageCancelled(LoadStorageException):
    """The package was cancelled while it was at work."""

    def __init__(self, load_id: str) -> None:
        self.load_id = load_id
        super().__init__(f"The load package {load_id} was cancelled.")


class LoadPackageInconsistent(LoadStorageException):
    """What the package's journal says and what its folder holds do not agree."""

    def __init__(self, load_id: str, msg: str) -> None:
        self.load_id = load_id
        super().__init__(
            f"The load package {load_id} is not consistent.",
            why=msg,
            fix="if its folder was changed by hand, undo that; else drop the package and extract again",
        )


class LoadPackageNotCompleted(LoadStorageException):
    """The package is not ready for what was asked of it."""

    def __init__(self, load_id: str, why: str | None = None) -> None:
        self.load_id = load_id
        super().__init__(f"The load package {load_id} is not complete.", why=why)


class LoadPackageNotFound(LoadStorageException, FileNotFoundError):
    """No package has this load id."""

    def __init__(self, load_id: str) -> None:
        self.load_id = load_id
        super().__init__(
            f"There is no load package {load_id}.",
            fix="`pipeline.list_completed_load_packages()` and its like tell which there are",
        )


class NoMigrationPathException(StorageException):
    """A working folder is of a version that no step leads on from."""

    def __init__(self, storage_path: str, initial_version: Any, migrated_version: Any, target_version: Any) -> None:
        self.storage_path, self.initial_version = storage_path, initial_version
        self.migrated_version, self.target_version = migrated_version, target_version
        super().__init__(
            f"The folder {storage_path} has version {initial_version} and cannot be brought to {target_version}.",
            why=f"no step leads further than {migrated_version}",
        )


class SchemaStorageException(StorageException):
    """Root of errors of schema files."""


class InStorageSchemaModified(SchemaStorageException):
    """A schema file was changed by hand."""

    def __init__(self, schema_name: str, storage_path: str) -> None:
        self.schema_name, self.storage_path = schema_name, storage_path
        super().__init__(
            f"The file of schema `{schema_name}` in {storage_path} was changed by hand.",
            fix="put changes in an import schema (`import_schema_path`) instead",
        )


class SchemaFileDamaged(SchemaStorageException):
    """The file of a schema is no JSON, or no schema.

    Attributes:
        path: The file.
    """

    def __init__(self, path: str, pipeline_name: str, why: str) -> None:
        self.path = path
        super().__init__(
            f"The schema file {path} is damaged.",
            why=why,
            fix=f"`headrace pipeline sync {pipeline_name}` takes state and schemas from the destination",
        )


class SchemaNotFoundError(SchemaStorageException, FileNotFoundError, KeyError):
    """No schema of this name is stored."""

    def __init__(
        self, schema_name: str, storage_path: str, import_path: str | None = None, import_format: str | None = None
    ) -> None:
        self.schema_name, self.storage_path = schema_name, storage_path
        self.import_path, self.import_format = import_path, import_format
        also = f", nor in {import_path} as {import_format}" if import_path else ""
        super().__init__(f"There is no schema `{schema_name}` in {storage_path}{also}.")


class UnexpectedSchemaName(SchemaStorageException, ValueError):
    """A schema file holds a schema of another name."""

    def __init__(self, schema_name: str, storage_path: str, stored_name: str) -> None:
        self.schema_name, self.storage_path, self.stored_name = schema_name, storage_path, stored_name
        super().__init__(f"The file of schema `{schema_name}` in {storage_path} holds a schema named `{stored_name}`.")


class StorageMigrationError(StorageException):
    """Bringing a working folder to the current version failed."""

    def __init__(self, storage_path: str, from_version: Any, target_version: Any, info: str) -> None:
        self.storage_path, self.from_version, self.target_version = storage_path, from_version, target_version
        super().__init__(
            f"The folder {storage_path} could not be brought from version {from_version} to {target_version}.",
            why=info,
        )


class UnsupportedStorageVersionException(StorageException):
    """A stored document is of a version this headrace cannot read."""

    def __init__(
        self, storage_path: str, initial_version: Any, current_version: Any, supported_versions: Iterable[Any]
    ) -> None:
        self.storage_path, self.initial_version, self.current_version = storage_path, initial_version, current_version
        self.supported_versions = sorted(supported_versions)
        super().__init__(
            f"{storage_path} has version {initial_version}; this headrace writes {current_version}.",
            fix=f"versions it reads: {', '.join(map(str, self.supported_versions))}",
        )


class WrongStorageVersionException(StorageException):
    """A working folder is not of the version that is needed."""

    def __init__(self, storage_path: str, initial_version: Any, target_version: Any) -> None:
        self.storage_path, self.initial_version, self.target_version = storage_path, initial_version, target_version
        super().__init__(f"The folder {storage_path} has version {initial_version}, needed is {target_version}.")


class WorkingFolderUnusable(PipelineException, OSError):
    """The working folder cannot be made, read or written.

    Attributes:
        path: The working folder.
        errno: What the operating system says.
    """

    def __init__(self, pipeline_name: str, path: str, error: OSError) -> None:
        super().__init__(
            pipeline_name,
            f"The working folder {path} of pipeline `{pipeline_name}` cannot be written.",
            why=str(error),
            fix="make room, or give this user the right to write there; or name another folder in HEADRACE_DATA_DIR "
            "or `pipelines_dir`",
        )
        self.path, self.errno = path, error.errno


class PipelineLocked(PipelineException):
    """Another process, or another pipeline object of this one, is at work in the same folder.

    Attributes:
        path: The working folder.
        pid: The holder's process id, None when it is not known.
        host: The holder's host name.
        started_at: When the holder took the lock (ISO 8601, UTC).
    """

    def __init__(
        self, pipeline_name: str, path: str, pid: int | None, host: str | None, started_at: str | None
    ) -> None:
        self.path, self.pid, self.host, self.started_at = path, pid, host, started_at
        holder = f"process {pid} on {host}, since {started_at}" if pid else "a process that has not yet said its name"
        super().__init__(
            pipeline_name,
            f"Pipeline `{pipeline_name}` is at work already in {path}.",
            why=f"the folder is held by {holder}",
            fix=f"wait until it ends (`pipelines.{pipeline_name}.lock_timeout`, in seconds, makes this process wait), "
            "or give this pipeline another name or another `pipelines_dir`",
        )
