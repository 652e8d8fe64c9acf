"""Rows of a load in the types of a lake table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.types as pt

from headrace.destinations.impl.filesystem.tableformats import RowSource
from headrace.errors.destination import DestinationTerminalException
from headrace.formats.text import nested_as_text


class ValueDoesNotFit(DestinationTerminalException):
    """A value cannot be brought into the type that the column has in the table."""

    def __init__(self, table: str, column: str, have: pa.DataType, wanted: pa.DataType, why: str) -> None:
        self.table, self.column = table, column
        super().__init__(
            f"Column `{table}.{column}` is {wanted} at the destination and the load brings {have}.",
            why=why,
            fix="declare the column with the type that the table has, or load into another table",
        )


def as_table(batch: pa.RecordBatch, schema: pa.Schema, table: str) -> pa.RecordBatch:
    """A batch with the columns and types of a table; columns it lacks are NULL.

    Raises:
        ValueDoesNotFit: A value would be changed.
    """
    if batch.schema.equals(schema):
        return batch
    names = {name: at for at, name in enumerate(batch.schema.names)}
    arrays = []
    for field in schema:
        at = names.get(field.name)
        if at is None:
            arrays.append(pa.nulls(batch.num_rows, field.type))
            continue
        array = batch.column(at)
        try:
            arrays.append(array if array.type == field.type else _cast(array, field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise ValueDoesNotFit(table, field.name, array.type, field.type, str(error)) from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _cast(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    have = array.type
    if pt.is_timestamp(have) and pt.is_timestamp(wanted) and have.tz != wanted.tz:
        # the wall time of UTC either way
        array = array.view(pa.timestamp(have.unit, wanted.tz))
    if pt.is_dictionary(have):
        array = array.dictionary_decode()
    if pt.is_nested(array.type) and (pt.is_string(wanted) or pt.is_large_string(wanted)):
        array = nested_as_text(array)  # JSON columns of Arrow data
    return array.cast(wanted)


class Remembered:
    """A stream whose own error is kept: libraries that read it make a text of theirs out of it."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches = batches
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._batches
        except Exception as error:
            self.error = error
            raise


def rows_as_table(rows: RowSource, schema: pa.Schema, table: str) -> Iterator[pa.RecordBatch]:
    """All rows of a load in a table's types."""
    with rows.read() as reader:
        for batch in reader:
            yield as_table(batch, schema, table)


def rechunk(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """Tables of about so many rows out of small batches."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        if count >= rows:
            yield pa.Table.from_batches(waiting)
            waiting, count = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting)
