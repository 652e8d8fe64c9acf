"""Handing Arrow batches to other libraries without being misread.

A batch that is a slice (its arrays start at an offset) and holds a struct inside a struct is read wrongly by several
libraries: DuckDB 1.4 and 1.5 return values of other rows without a word, arro3 (so deltalake) aborts the process. A
trip through Arrow's IPC format lays the slice out from zero. Every hand-over to a library goes through this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa


def has_nested_struct(kind: pa.DataType, inside: bool = False) -> bool:
    """Whether the type has a struct somewhere inside a struct, whatever lies between."""
    if pa.types.is_struct(kind):
        return inside or any(has_nested_struct(kind.field(i).type, True) for i in range(kind.num_fields))
    if pa.types.is_dictionary(kind):
        return has_nested_struct(kind.value_type, inside)
    return any(has_nested_struct(kind.field(i).type, inside) for i in range(kind.num_fields))


def _starts_late(array: pa.Array) -> bool:
    """Whether the array, or any array inside it, does not start at its buffers' beginning."""
    if array.offset:
        return True
    kind = array.type
    if pa.types.is_struct(kind):
        return any(_starts_late(array.field(i)) for i in range(kind.num_fields))
    if pa.types.is_map(kind):
        return _starts_late(array.keys) or _starts_late(array.items)
    if pa.types.is_dictionary(kind):
        return _starts_late(array.dictionary)
    values = getattr(array, "values", None)  # the list types
    return isinstance(values, pa.Array) and _starts_late(values)


def _laid_out(batch: pa.RecordBatch) -> pa.RecordBatch:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return pa.ipc.open_stream(sink.getvalue()).read_next_batch()


def safe_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the batches such that any library reads them right.

    Args:
        batches: A `RecordBatchReader` or any other source of batches. Memory stays at one batch.

    Yields:
        The same batches; those at risk as copies with no offsets.
    """
    schema: pa.Schema | None = None
    risky: list[int] = []
    for batch in batches:
        if schema is not batch.schema and batch.schema != schema:
            schema = batch.schema
            risky = [i for i, field in enumerate(schema) if has_nested_struct(field.type)]
        if risky and any(_starts_late(batch.column(i)) for i in risky):
            batch = _laid_out(batch)
        yield batch


def safe_reader(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """A reader over `safe_batches` of a reader."""
    if not any(has_nested_struct(field.type) for field in reader.schema):
        return reader
    return pa.RecordBatchReader.from_batches(reader.schema, safe_batches(reader))
