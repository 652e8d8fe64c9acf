"""Find the value behind a violation that the shape alone showed: only when an error is about to be raised."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headrace.columns.frame import group_frames, head_bytes, read_head
from headrace.columns.rebuild import FrameDocuments
from headrace.errors.schema import REDACTED, DataValidationError
from headrace.formats.spool import read_spool
from headrace.model.jobs import SpoolFile
from headrace.model.rejected import is_sensitive, sensitive_columns
from headrace.model.schema import Schema


def tell_where(error: DataValidationError, root: Path, files: Sequence[SpoolFile], schema: Schema) -> None:
    """Let an error name the item, the place in it and the value that broke the contract.

    Args:
        error: Of `model.evolve`; it knows the raw table and column, and the row.
        root: The package folder.
        files: Of the chain, in the order of writing.
        schema: Says which columns are sensitive.
    """
    if error.seen_at is None:
        return
    table, column, row = error.seen_at
    known = (schema.tables.get(error.table_name) or {}).get("columns", {}).get(error.column_name or "")
    for file in files:
        position = file.start
        for frame in group_frames(read_spool(root / file.path, file.at, file.size)):
            for index, batch in enumerate(frame):
                if tuple(read_head(head_bytes(batch)).path) != table:
                    continue
                if row < batch.num_rows:
                    _tell(error, FrameDocuments(frame), index, row, column, position, file.resource, known)
                    _add_item(error, FrameDocuments(frame), index, row, column, schema, known)
                    return
                row -= batch.num_rows
            position += frame[0].num_rows


def _tell(
    error: DataValidationError,
    documents: FrameDocuments,
    index: int,
    row: int,
    column: tuple[str, ...],
    position: int,
    resource: str,
    known: Any,
) -> None:
    value = documents.value(index, row, column) if column else None
    path = documents.path(index, row, column)
    what = f"the column `{error.column_name}`" if column else f"the table `{error.table_name}`"
    error.tell(
        resource=resource,
        position=position + documents.root_row(index, row),
        path=path if column else path.rpartition("[")[0] or path,
        value=REDACTED if value is not None and is_sensitive(known) else value,
        becomes=what,
    )


def _add_item(
    error: DataValidationError,
    documents: FrameDocuments,
    index: int,
    row: int,
    column: tuple[str, ...],
    schema: Schema,
    known: Any,
) -> None:
    if column and error.data_item is None:
        value = documents.value(index, row, column)
        hidden = is_sensitive(known) or error.column_name in sensitive_columns(schema, error.table_name)
        error.data_item = {error.column_name: REDACTED if hidden else value}
