"""Loader files as text: JSON lines and CSV."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc

from headrace.base import json


class JsonlWriter:
    """Writes rows as JSON objects, one a line; nulls are left out.

    Args:
        path: The file to make.
        schema: What every batch follows.
    """

    format = "jsonl"

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self.schema = path, schema
        self.rows = 0
        self._file = path.open("wb")

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch."""
        lines = [json.dumpb({k: v for k, v in row.items() if v is not None}) for row in batch.to_pylist()]
        if lines:
            self._file.write(b"\n".join(lines) + b"\n")
        self.rows += batch.num_rows

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._file.tell()

    def close(self) -> int:
        """Finish the file and return its size in bytes."""
        size = self._file.tell()
        self._file.close()
        return size


class CsvWriter:
    """Writes rows as CSV with a header; empty unquoted fields are nulls, binary values are hexadecimal.

    Args:
        path: The file to make.
        schema: What every batch follows.
    """

    format = "csv"

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self.schema = path, schema
        self.rows = 0
        self._sink = pa.OSFile(str(path), "wb")
        self._written = pa.schema([(f.name, pa.string() if pa.types.is_binary(f.type) else f.type) for f in schema])
        self._writer = pc.CSVWriter(self._sink, self._written)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch."""
        arrays = [_hex(a) if pa.types.is_binary(a.type) else a for a in batch.columns]
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._written))
        self.rows += batch.num_rows

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return int(self._sink.tell())

    def close(self) -> int:
        """Finish the file and return its size in bytes."""
        self._writer.close()
        size = int(self._sink.tell())
        self._sink.close()
        return size


def _hex(array: pa.Array) -> pa.Array:
    return pa.array([None if v is None else v.hex() for v in array.to_pylist()], pa.string())
