"""Errors of turning values into columns."""

from __future__ import annotations

from typing import Any

from headrace.errors.base import HeadraceException


class UnsupportedArrowTypeException(HeadraceException):
    """An Arrow column has a type that no table column can hold."""

    def __init__(self, arrow_type: Any, field_name: str = "", table_name: str = "") -> None:
        self.arrow_type, self.field_name, self.table_name = str(arrow_type), field_name, table_name
        table = f" of table `{table_name}`" if table_name else ""
        where = f"column `{field_name}`{table}" if field_name else "a column"
        super().__init__(
            f"The Arrow type {arrow_type} of {where} has no column type.",
            fix="cast the column to a number, text, date, time or timestamp before you yield the table.",
        )


class DataWriterException(HeadraceException):
    """Rows could not be written to a file."""


class FileImportNotFound(DataWriterException, FileNotFoundError):
    """A file that a resource gave to be loaded is not there."""

    def __init__(self, import_file_path: str, local_file_path: str = "", table_name: str = "") -> None:
        self.import_file_path, self.local_file_path = import_file_path, local_file_path
        self.table_name = table_name
        super().__init__(
            f"There is no file {import_file_path}, which was to be loaded into table `{table_name}`.",
            fix="give `with_file_import` the path of a file on this machine, which stays there until it is loaded",
        )


class InvalidDataItem(DataWriterException):
    """An item of a resource cannot become rows of a table.

    Attributes:
        path: Where in the item, as keys joined by dots; empty when unknown.
        row: Which item of the batch, counted from 0; None when unknown.
    """

    def __init__(self, resource: str, table: str, path: str, row: int | None, reason: str) -> None:
        self.resource, self.table, self.path, self.row, self.reason = resource, table, path, row, reason
        where = f" at `{path}`" if path else ""
        which = f" (item {row} of its batch)" if row is not None else ""
        super().__init__(
            f"Resource `{resource}` yielded an item for table `{table}` that cannot be stored{where}{which}.",
            why=reason,
            fix=f"convert it in the resource, or with `{resource}.add_map(...)`, into a plain value.",
        )
