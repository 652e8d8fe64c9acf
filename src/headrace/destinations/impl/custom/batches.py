"""Loader files as batches of rows: dictionaries, or record batches of Parquet files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.errors.destination import DestinationInvalidFileFormat
from headrace.model.jobs import LoadFile
from headrace.typing import TTableSchemaColumns

if TYPE_CHECKING:
    import pyarrow as pa


def batches(
    file: LoadFile, path: Path, size: int, begin: int, hidden: frozenset[str], columns: TTableSchemaColumns
) -> Iterator[tuple[Any, int]]:
    """Rows of a file in batches, each with the number of its rows.

    Args:
        file: The file.
        path: Where it is.
        size: Rows of a batch; the last one has fewer.
        begin: How many rows to pass over.
        hidden: Names of columns to leave out.
        columns: Those of the table.

    Returns:
        Record batches for Parquet, else lists of dictionaries without the columns that are NULL.
    """
    if file.format == "parquet":
        for batch in _record_batches(path, size, begin, hidden):
            yield batch, batch.num_rows
        return
    rows = islice(_rows(file, path, hidden, columns), begin, None)
    while found := list(islice(rows, size)):
        yield found, len(found)


def _record_batches(path: Path, size: int, begin: int, hidden: frozenset[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        wanted = [name for name in file.schema_arrow.names if name not in hidden]
        for batch in file.iter_batches(size, columns=wanted):
            if begin < batch.num_rows:
                yield batch.slice(begin)
            begin = max(0, begin - batch.num_rows)


def _rows(file: LoadFile, path: Path, hidden: frozenset[str], columns: TTableSchemaColumns) -> Iterator[dict[str, Any]]:
    if file.format == "jsonl":
        with path.open("rb") as lines:
            for line in lines:
                yield {k: v for k, v in json.loads(line).items() if k not in hidden and v is not None}
    elif file.format == "arrow":
        yield from _arrow_rows(path, hidden, columns)
    else:
        raise DestinationInvalidFileFormat("custom", file.format, file.path, "functions take arrow, parquet and jsonl")


def _arrow_rows(path: Path, hidden: frozenset[str], columns: TTableSchemaColumns) -> Iterator[dict[str, Any]]:
    import pyarrow as pa

    with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as stream:
        names = [name for name in stream.schema.names if name not in hidden]
        parsed = [name for name in names if columns.get(name, {}).get("data_type") == "json"]
        for batch in stream:
            for row in batch.select(names).to_pylist():
                yield _plain({k: v for k, v in row.items() if v is not None}, parsed)


def _plain(row: dict[str, Any], parsed: Sequence[str]) -> dict[str, Any]:
    """A row with documents in the place of JSON texts."""
    for name in parsed:
        if isinstance(row.get(name), str):
            row[name] = json.loads(row[name])
    return row
