"""Loader files in Parquet, for destinations that read it themselves."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


class ParquetWriter:
    """Writes batches of one schema to a Parquet file; small batches are gathered into row groups.

    Args:
        path: The file to make.
        schema: What every batch follows.
        row_group_bytes: A row group is written when so much has been gathered.
    """

    format = "parquet"

    def __init__(self, path: Path, schema: pa.Schema, row_group_bytes: int = 32 * 1024 * 1024) -> None:
        self.path, self.schema = path, schema
        self.rows = 0
        self._row_group_bytes = row_group_bytes
        self._gathered: list[pa.RecordBatch] = []
        self._gathered_bytes = 0
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pq.ParquetWriter(self._sink, schema, compression="snappy", use_dictionary=True)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch."""
        self._gathered.append(batch)
        self._gathered_bytes += batch.nbytes
        self.rows += batch.num_rows
        if self._gathered_bytes >= self._row_group_bytes:
            self._flush()

    def _flush(self) -> None:
        if self._gathered:
            self._writer.write_table(pa.Table.from_batches(self._gathered, self.schema))
            self._gathered, self._gathered_bytes = [], 0

    @property
    def size(self) -> int:
        """Bytes written and gathered so far."""
        return int(self._sink.tell()) + self._gathered_bytes

    def close(self) -> int:
        """Finish the file and return its size in bytes."""
        self._flush()
        self._writer.close()
        size = int(self._sink.tell())
        self._sink.close()
        return size
