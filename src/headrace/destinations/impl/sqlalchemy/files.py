"""Loader files as Arrow batches of a bounded number of rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.errors.destination import DestinationInvalidFileFormat
from headrace.model.jobs import LoadFile

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 16_384


@contextmanager
def batches_of(file: LoadFile, path: Path, database: str) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    """The rows of a file, read batch by batch.

    Args:
        file: The file.
        path: Where it is.
        database: For errors.

    Raises:
        DestinationInvalidFileFormat: The file cannot be read, or its format is not known here.
    """
    import pyarrow as pa

    if not path.is_file():
        raise DestinationInvalidFileFormat(database, file.format, file.path, f"there is no file {path}")
    readers = {"arrow": _arrow, "parquet": _parquet}
    if file.format not in readers:
        raise DestinationInvalidFileFormat(database, file.format, file.path, "known are arrow, parquet and model")
    try:
        with readers[file.format](path) as (schema, batches):
            yield schema, _cut(batches)
    except pa.ArrowInvalid as error:
        raise DestinationInvalidFileFormat(database, file.format, file.path, str(error)) from error


def _cut(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for start in range(0, batch.num_rows, ROWS):
            yield batch.slice(start, ROWS)


@contextmanager
def _arrow(path: Path) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    import pyarrow as pa

    from headrace.formats.arrowfile import read_batches

    with pa.OSFile(str(path)) as source:
        yield read_batches(source)


@contextmanager
def _parquet(path: Path) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(str(path)) as reader:
        yield reader.schema_arrow, reader.iter_batches(batch_size=ROWS)
