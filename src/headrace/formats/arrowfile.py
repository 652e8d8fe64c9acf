"""Loader files in Arrow's IPC stream format: one schema, any number of batches."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from headrace.formats.options import FileOptions


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
