"""Loader files in Parquet, for destinations that read it themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from headrace.formats.options import FileOptions, ParquetOptions


class ParquetWriter:
    """Writes batches of one schema to a Parquet file; small batches are gathered into row groups.

    Args:
        path: The file to make.
        schema: What every batch follows.
        options: Compression, row groups, versions.
        row_group_bytes: A row group is written when so much has been gathered.
    """

    format = "parquet"

    def __init__(
        self,
        path: Path,
        schema: pa.Schema,
        options: FileOptions | None = None,
        row_group_bytes: int = 32 * 1024 * 1024,
    ) -> None:
        given = options.parquet if options is not None else ParquetOptions()
        self.path, self.schema = path, schema
        self.rows = 0
        self._row_group_bytes, self._row_group_rows = row_group_bytes, given.row_group_size
        self._gathered: list[pa.RecordBatch] = []
        self._gathered_bytes = self._gathered_rows = 0
        self._written = _in_zone(schema, given.timestamp_timezone)
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pq.ParquetWriter(self._sink, self._written, **_arguments(given))

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch."""
        self._gathered.append(batch)
        self._gathered_bytes += batch.nbytes
        self._gathered_rows += batch.num_rows
        self.rows += batch.num_rows
        full = self._row_group_rows is not None and self._gathered_rows >= self._row_group_rows
        if full or self._gathered_bytes >= self._row_group_bytes:
            self._flush()

    def _flush(self) -> None:
        if self._gathered:
            table = pa.Table.from_batches(self._gathered, self.schema)
            table = table if self._written is self.schema else table.cast(self._written)
            self._writer.write_table(table, row_group_size=self._row_group_rows)
            self._gathered, self._gathered_bytes, self._gathered_rows = [], 0, 0

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


def _arguments(options: ParquetOptions) -> dict[str, Any]:
    """Arguments of pyarrow's writer; newer ones only where they were asked for."""
    given: dict[str, Any] = {
        "flavor": options.flavor,
        "version": options.version or "2.6",
        "compression": options.compression or "none",
        "use_dictionary": options.supports_dictionary_encoding,
        "data_page_size": options.data_page_size,
        "coerce_timestamps": options.coerce_timestamps,
        "allow_truncated_timestamps": options.allow_truncated_timestamps,
        "use_compliant_nested_type": options.use_compliant_nested_type,
        "write_page_index": options.write_page_index,
    }
    if options.use_content_defined_chunking:
        given["use_content_defined_chunking"] = True
    return given


def _in_zone(schema: pa.Schema, zone: str | None) -> pa.Schema:
    """The schema with instants shown in a time zone; the instants stay what they are."""
    if not zone:
        return schema
    return pa.schema(
        [
            field.with_type(pa.timestamp(field.type.unit, zone))
            if pa.types.is_timestamp(field.type) and field.type.tz
            else field
            for field in schema
        ]
    )
