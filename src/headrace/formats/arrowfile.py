"""Loader files in Arrow's IPC stream format: one schema, any number of batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.formats.options import FileOptions

_FILE_MAGIC = b"ARROW1"


def read_batches(source: Any) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The schema and the batches of Arrow IPC data, be they in the file or in the stream format.

    Args:
        source: An open Arrow file that can be rewound; it must stay open while batches are drawn.

    Raises:
        pyarrow.ArrowInvalid: They are neither.
    """
    is_file = source.read(len(_FILE_MAGIC)) == _FILE_MAGIC
    source.seek(0)
    if is_file:
        reader = pa.ipc.open_file(source)
        return reader.schema, (reader.get_batch(i) for i in range(reader.num_record_batches))
    stream = pa.ipc.open_stream(source)
    return stream.schema, iter(stream)


class ArrowWriter:
    """Writes batches of one schema to a file.

    Args:
        path: The file to make.
        schema: What every batch follows.
        options: None of them is for this format.
        compress: Use LZ4: for large files the disk costs more than the compression.
    """

    format = "arrow"

    def __init__(
        self, path: Path, schema: pa.Schema, options: FileOptions | None = None, compress: bool = False
    ) -> None:
        self.path, self.schema = path, schema
        self.rows = 0
        self._sink = pa.OSFile(str(path), "wb")
        options = pa.ipc.IpcWriteOptions(compression="lz4" if compress else None)
        self._stream = pa.ipc.new_stream(self._sink, schema, options=options)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch."""
        self._stream.write_batch(batch)
        self.rows += batch.num_rows

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return int(self._sink.tell())

    def close(self) -> int:
        """Finish the file and return its size in bytes."""
        self._stream.close()
        size = int(self._sink.tell())
        self._sink.close()
        return size
