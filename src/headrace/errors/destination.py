"""Errors of destinations and of loading.

Three outcomes of a job are told apart: it failed and will again (`DestinationTerminalException`), it failed and may yet
succeed (`DestinationTransientException`), and unknown: any other exception. The destination is asked about the unknown.

::

    DestinationException
    ├── DestinationCapabilitiesException
    │   └── WriteDispositionNotSupported
    ├── DestinationTerminalException        (also TerminalException)
    │   ├── LoadClientJobFailed, DestinationHasFailedJobs, LoadPackageAborted, …
    │   └── DestinationUndefinedEntity
    │       └── DatabaseUndefinedRelation   (also DatabaseException)
    ├── DestinationTransientException       (also TransientException)
    │   └── LoadClientJobRetry, DestinationConnectionError, LoadClientNotConnected, …
    ├── DatabaseException
    │   ├── DatabaseTerminalException       (also DestinationTerminalException)
    │   └── DatabaseTransientException      (also DestinationTransientException)
    ├── InvalidDestinationReference
    └── UnknownDestinationModule            (also KeyError, ImportError)

The bases live in ``errors/outcome.py``, those of databases in ``errors/database.py``, those of jobs and changes of
tables in ``errors/load.py``; all are importable from here.
Errors that only one kind of destination raises live beside that destination.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from headrace.errors.base import ReferenceImportError
from headrace.errors.database import (
    DatabaseException,
    DatabaseTerminalException,
    DatabaseTransientException,
    DatabaseUndefinedRelation,
)
from headrace.errors.load import (
    DestinationHasFailedJobs,
    LoadClientJobException,
    LoadClientJobFailed,
    LoadClientJobRetry,
    LoadClientUnsupportedFileFormats,
    LoadClientUnsupportedWriteDisposition,
    LoadPackageAborted,
    SchemaUpdateError,
    SchemaUpdateTerminalError,
    SchemaUpdateTransientError,
)
from headrace.errors.outcome import (
    DestinationException,
    DestinationTerminalException,
    DestinationTransientException,
    DestinationUndefinedEntity,
)

__all__ = [
    "DatabaseException",
    "DatabaseTerminalException",
    "DatabaseTransientException",
    "DatabaseUndefinedRelation",
    "DatasetNotAvailable",
    "DestinationCapabilitiesException",
    "DestinationConnectionError",
    "DestinationException",
    "DestinationHasFailedJobs",
    "DestinationIncompatibleLoaderFileFormatException",
    "DestinationInvalidFileFormat",
    "DestinationLoadingViaStagingNotSupported",
    "DestinationLoadingWithoutStagingNotSupported",
    "DestinationNoStagingMode",
    "DestinationSchemaTampered",
    "DestinationSchemaWillNotUpdate",
    "DestinationTerminalException",
    "DestinationTransientException",
    "DestinationUndefinedEntity",
    "FSClientNotAvailable",
    "IdentifierTooLongException",
    "InvalidDestinationReference",
    "LoadClientJobException",
    "LoadClientJobFailed",
    "LoadClientJobRetry",
    "LoadClientNotConnected",
    "LoadClientUnsupportedFileFormats",
    "LoadClientUnsupportedWriteDisposition",
    "LoadJobFileTooBig",
    "LoadPackageAborted",
    "MergeDispositionException",
    "OpenTableCatalogNotSupported",
    "OpenTableClientNotAvailable",
    "OpenTableFormatNotSupported",
    "SchemaUpdateError",
    "SchemaUpdateTerminalError",
    "SchemaUpdateTransientError",
    "SqlClientNotAvailable",
    "TableFormatNotSupported",
    "UnknownDestinationModule",
    "UnsupportedDataType",
    "WriteDispositionNotSupported",
]


# ---- what a destination cannot do ----------------------------------------------------------------------------------


class DestinationCapabilitiesException(DestinationException):
    """Something was asked that the destination cannot do."""


class WriteDispositionNotSupported(DestinationCapabilitiesException):
    """The destination has no way to write with this disposition."""

    def __init__(self, write_disposition: str, message: str) -> None:
        self.write_disposition = write_disposition
        super().__init__(f"The write disposition `{write_disposition}` is not supported.", why=message)


class InvalidDestinationReference(DestinationException):
    """What was given does not name a destination."""

    def __init__(self, refs: Any) -> None:
        self.refs = refs
        super().__init__(
            f"{refs!r} does not name a destination.",
            fix="give a short name ('duckdb'), a factory (headrace.destinations.duckdb()), or a class path",
        )


class UnknownDestinationModule(ReferenceImportError, DestinationException, ImportError, KeyError):
    """No destination is found under a name."""

    def __init__(
        self,
        ref: str,
        qualified_refs: Sequence[str] = (),
        traces: Sequence[Any] = (),
        destination_type: str | None = None,
        named_dest_attempted: bool = False,
    ) -> None:
        self.ref, self.qualified_refs, self.traces = ref, list(qualified_refs), list(traces)
        self.destination_type, self.named_dest_attempted = destination_type, named_dest_attempted
        super().__init__(
            f"There is no destination `{ref}`.",
            why=f"looked for: {', '.join(qualified_refs)}" if qualified_refs else None,
            fix=f"correct the name, or set `destination.{ref}.destination_type` to the kind of destination it is",
        )


class DatasetNotAvailable(DestinationTerminalException):
    """The destination has no datasets to read."""

    def __init__(self, destination_name: str) -> None:
        self.destination_name = destination_name
        super().__init__(f"The destination `{destination_name}` has no dataset that can be read.")


class SqlClientNotAvailable(DestinationTerminalException):
    """The destination speaks no SQL."""

    def __init__(self, entity_type: str, entity_name: str, destination_name: str) -> None:
        self.entity_type, self.entity_name, self.destination_name = entity_type, entity_name, destination_name
        super().__init__(
            f"The {entity_type} `{entity_name}` has no SQL client: destination `{destination_name}` speaks no SQL."
        )


class FSClientNotAvailable(DestinationTerminalException):
    """The destination keeps no files."""

    def __init__(self, pipeline_name: str, destination_name: str) -> None:
        self.pipeline_name, self.destination_name = pipeline_name, destination_name
        super().__init__(
            f"Pipeline `{pipeline_name}` has no file client: destination `{destination_name}` keeps no files."
        )


class OpenTableCatalogNotSupported(DestinationTerminalException):
    """The destination has no catalog for a table format."""

    def __init__(self, table_format: str, destination_type: str) -> None:
        self.table_format, self.destination_type = table_format, destination_type
        super().__init__(f"The destination {destination_type} has no catalog for `{table_format}` tables.")


class OpenTableClientNotAvailable(DestinationTerminalException):
    """The destination gives no access to open tables."""

    def __init__(self, dataset_name: str, destination_name: str) -> None:
        self.dataset_name, self.destination_name = dataset_name, destination_name
        super().__init__(
            f"Dataset `{dataset_name}` has no open tables: destination `{destination_name}` does not keep any."
        )


class OpenTableFormatNotSupported(DestinationTerminalException):
    """A table is not in the table format that was asked for."""

    def __init__(self, table_format: str, table_name: str, detected_table_format: str) -> None:
        self.table_format, self.table_name, self.detected_table_format = table_format, table_name, detected_table_format
        super().__init__(f"Table `{table_name}` is `{detected_table_format}`, not `{table_format}`.")


class TableFormatNotSupported(DestinationTerminalException):
    """The destination does not write a table format."""

    def __init__(self, table_format: str, table_name: str, message: str) -> None:
        self.table_format, self.table_name = table_format, table_name
        super().__init__(f"Table `{table_name}` cannot be written as `{table_format}`.", why=message)


class UnsupportedDataType(DestinationTerminalException):
    """The destination cannot take a data type from a file format."""

    def __init__(
        self,
        destination_type: str,
        table_name: str,
        column: str,
        data_type: str,
        file_format: str,
        available_in_formats: Sequence[str],
        more_info: str = "",
    ) -> None:
        self.destination_type, self.table_name, self.column = destination_type, table_name, column
        self.data_type, self.file_format, self.available_in_formats = data_type, file_format, list(available_in_formats)
        formats = ", ".join(available_in_formats)
        super().__init__(
            f"{destination_type} cannot load column `{table_name}.{column}` of type `{data_type}` from {file_format}.",
            why=more_info or None,
            fix=f"use one of these loader file formats: {formats}" if formats else "declare another data type",
        )


class IdentifierTooLongException(DestinationTerminalException):
    """A name is longer than the destination allows."""

    def __init__(
        self, destination_name: str, identifier_type: str, identifier_name: str, max_identifier_length: int
    ) -> None:
        self.destination_name, self.identifier_type = destination_name, identifier_type
        self.identifier_name, self.max_identifier_length = identifier_name, max_identifier_length
        super().__init__(
            f"The {identifier_type} `{identifier_name}` has {len(identifier_name)} characters; `{destination_name}` "
            f"allows {max_identifier_length}.",
            fix="choose a shorter name, or a naming convention that shortens names",
        )


# ---- file formats and staging --------------------------------------------------------------------------------------


class DestinationIncompatibleLoaderFileFormatException(DestinationTerminalException):
    """The chosen loader file format cannot be loaded."""

    def __init__(
        self, destination: str, staging: str | None, file_format: str, supported_formats: Iterable[str]
    ) -> None:
        self.destination, self.staging, self.file_format = destination, staging, file_format
        self.supported_formats = list(supported_formats)
        through = f" through staging `{staging}`" if staging else ""
        super().__init__(
            f"The destination `{destination}` does not load `{file_format}` files{through}.",
            fix=f"set `loader_file_format` to one of: {', '.join(self.supported_formats)}",
        )


class DestinationInvalidFileFormat(DestinationTerminalException):
    """A loader file is not what its name says, or cannot be used for its table."""

    def __init__(self, destination_type: str, file_format: str, file_name: str, message: str) -> None:
        self.destination_type, self.file_format, self.file_name = destination_type, file_format, file_name
        super().__init__(f"{destination_type} cannot load the {file_format} file {file_name}.", why=message)


class DestinationLoadingViaStagingNotSupported(DestinationTerminalException):
    """The destination takes no files from a staging place."""

    def __init__(self, destination: str) -> None:
        self.destination = destination
        super().__init__(
            f"The destination `{destination}` does not load through a staging place.", fix="leave `staging` out"
        )


class DestinationLoadingWithoutStagingNotSupported(DestinationTerminalException):
    """The destination takes files from a staging place only."""

    def __init__(self, destination: str) -> None:
        self.destination = destination
        super().__init__(f"The destination `{destination}` loads only through a staging place.", fix="give `staging`")


class DestinationNoStagingMode(DestinationTerminalException):
    """What was given as staging cannot be one."""

    def __init__(self, destination: str) -> None:
        self.destination = destination
        super().__init__(f"The destination `{destination}` cannot serve as a staging place.", fix="use a filesystem")


class LoadJobFileTooBig(DestinationTerminalException):
    """A loader file is larger than the destination takes."""

    def __init__(self, file_name: str, max_size: int) -> None:
        self.file_name, self.max_size = file_name, max_size
        super().__init__(
            f"The loader file {file_name} is larger than the {max_size} bytes that can be loaded.",
            fix="set `normalize.data_writer.file_max_bytes` below that",
        )


# ---- schema --------------------------------------------------------------------------------------------------------


class DestinationSchemaTampered(DestinationTerminalException):
    """The schema was changed behind headrace's back."""

    def __init__(self, schema_name: str, version_hash: str, stored_version_hash: str) -> None:
        self.schema_name, self.version_hash, self.stored_version_hash = schema_name, version_hash, stored_version_hash
        super().__init__(
            f"The content of schema `{schema_name}` does not match its own version hash.",
            why=f"the content gives {version_hash}, the document says {stored_version_hash}",
            fix="undo the change by hand, or change the schema by its methods",
        )


class DestinationSchemaWillNotUpdate(DestinationTerminalException):
    """A table at the destination cannot be changed as the schema asks."""

    def __init__(self, table_name: str, columns: Sequence[str], msg: str) -> None:
        self.table_name, self.columns = table_name, list(columns)
        super().__init__(f"Table `{table_name}` cannot be changed for columns {', '.join(columns)}.", why=msg)


class TableFormatCannotChange(DestinationTerminalException):
    """A table that has rows in one table format is to be kept in another."""

    def __init__(self, table_name: str, have: str | None, wanted: str | None) -> None:
        self.table_name, self.have, self.wanted = table_name, have, wanted
        super().__init__(
            f"Table `{table_name}` has rows in {_format_name(have)} and cannot go on in {_format_name(wanted)}.",
            why="the rows that are there would be out of sight",
            fix="load into another table, or drop the old rows and load all anew: "
            '`pipeline.run(…, refresh="drop_resources")`',
        )


def _format_name(table_format: str | None) -> str:
    return f"the table format {table_format}" if table_format else "plain files"


class MergeDispositionException(DestinationTerminalException):
    """A table chain lacks what a merge needs."""

    def __init__(self, dataset_name: str, staging_dataset_name: str, tables: Sequence[str], reason: str) -> None:
        self.dataset_name, self.staging_dataset_name = dataset_name, staging_dataset_name
        self.tables = list(tables)
        super().__init__(f"Tables {', '.join(tables)} of dataset `{dataset_name}` cannot be merged.", why=reason)


# ---- connections ---------------------------------------------------------------------------------------------------


class DestinationConnectionError(DestinationTransientException):
    """No connection could be made."""

    def __init__(self, client_type: str, dataset_name: str, reason: str, inner_exc: Exception) -> None:
        self.client_type, self.dataset_name, self.inner_exc = client_type, dataset_name, inner_exc
        super().__init__(
            f"{client_type} could not connect for dataset `{dataset_name}`.",
            why=reason,
            fix="check that the server is up and that the credentials under `destination` are right",
        )


class LoadClientNotConnected(DestinationTransientException):
    """A client was used outside its ``with``."""

    def __init__(self, client_type: str, dataset_name: str) -> None:
        self.client_type, self.dataset_name = client_type, dataset_name
        super().__init__(
            f"{client_type} for dataset `{dataset_name}` is not connected.", fix="use it inside `with client:`"
        )
