"""Loader files of one worker: a file a table, rotated by bytes, for the rows of one resource or of several."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pyarrow as pa

from headrace.base.ids import file_stem, new_file_id
from headrace.formats.arrowfile import ArrowWriter
from headrace.formats.options import GZIP_SUFFIX, FileOptions
from headrace.formats.parquet import ParquetWriter
from headrace.formats.text import CsvWriter, JsonlWriter
from headrace.model.jobs import LoadFile
from headrace.model.schema import Schema


class Writer(Protocol):
    """What a loader file format must offer."""

    format: str
    path: Path
    schema: pa.Schema
    rows: int

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch."""

    @property
    def size(self) -> int:
        """Bytes written so far."""

    def close(self) -> int:
        """Finish the file and return its size in bytes."""


WRITERS: dict[str, type[Writer]] = {
    "arrow": ArrowWriter,
    "parquet": ParquetWriter,
    "jsonl": JsonlWriter,
    "csv": CsvWriter,
}
_TEXT = ("jsonl", "csv")

SMALL_ROWS = 500
"""Batches of fewer rows wait for others."""
BATCH_ROWS, BATCH_BYTES = 2_000, 1024 * 1024
"""So many rows or bytes do not wait any longer."""


class _Waiting:
    """Small batches of a file that are to be written as one: each costs, here and where the file is loaded."""

    def __init__(self) -> None:
        self._batches: list[pa.RecordBatch] = []
        self.rows = self.bytes = 0

    def add(self, batch: pa.RecordBatch) -> None:
        self._batches.append(batch)
        self.rows += batch.num_rows
        self.bytes += batch.nbytes

    def take(self) -> list[pa.RecordBatch]:
        batches, self._batches = self._batches, []
        self.rows = self.bytes = 0
        return batches


class TableWriters:
    """The open loader files of one worker.

    Args:
        root: The package folder; files go into its ``files`` folder.
        file_format: One of `WRITERS`.
        max_bytes: A file is closed when it has so many bytes.
        max_rows: A file is closed when it has so many rows; None for no limit.
        options: How the files are written.
        schema: Tells which columns are JSON.

    Attributes:
        owner: The resource whose rows come next, where files are to name it; empty for none.
    """

    def __init__(
        self,
        root: Path,
        file_format: str,
        max_bytes: int,
        max_rows: int | None = None,
        options: FileOptions | None = None,
        schema: Schema | None = None,
    ) -> None:
        self.owner = ""
        self.root, self.file_format = root, file_format
        self._options, self._schema = options or FileOptions(), schema
        self.max_bytes, self.max_rows = max_bytes, max_rows
        self.files: list[LoadFile] = []
        self._open: dict[str, Writer] = {}
        self._ids: dict[str, str] = {}
        self._nulls: dict[str, list[int]] = {}
        self._shares: dict[str, dict[str, int]] = {}
        self._waiting: dict[str, _Waiting] = {}

    def write(self, table: str, fields: dict[str, pa.DataType], columns: dict[str, pa.Array], rows: int) -> None:
        """Append rows to the table's file.

        Args:
            table: The table's name.
            fields: All columns the file should have; one that ``columns`` lacks is null.
            columns: The rows, a column each; one that the open file lacks, or has of another type, opens a new file.
            rows: How many.
        """
        writer = self._open.get(table)
        if writer is not None and not _takes(writer.schema, columns):
            self._close(table)
            writer = None
        if writer is None:
            writer = self._start(table, {**fields, **{n: a.type for n, a in columns.items()}})
        schema = writer.schema
        arrays = [columns[f.name] if f.name in columns else pa.nulls(rows, f.type) for f in schema]
        batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
        if self.owner:
            shares = self._shares.setdefault(table, {})
            shares[self.owner] = shares.get(self.owner, 0) + rows
        waiting = self._waiting[table]
        if rows >= SMALL_ROWS:
            self._flush(table)
            self._put(table, batch)
        else:
            waiting.add(batch)
            if waiting.rows >= BATCH_ROWS or waiting.bytes >= BATCH_BYTES or self._is_full(writer, waiting):
                self._flush(table)
        if self._is_full(writer):
            self._close(table)

    def _is_full(self, writer: Writer, waiting: _Waiting | None = None) -> bool:
        rows, held = (waiting.rows, waiting.bytes) if waiting is not None else (0, 0)
        return writer.size + held >= self.max_bytes or (
            self.max_rows is not None and writer.rows + rows >= self.max_rows
        )

    def _flush(self, table: str) -> None:
        batches = self._waiting[table].take()
        if len(batches) == 1:
            self._put(table, batches[0])
        elif batches:
            for batch in pa.Table.from_batches(batches).combine_chunks().to_batches():
                self._put(table, batch)

    def _put(self, table: str, batch: pa.RecordBatch) -> None:
        self._open[table].write(batch)
        # the writers have needed these numbers themselves: arrays keep them
        counted = zip(self._nulls[table], batch.columns, strict=True)
        self._nulls[table] = [before + values.null_count for before, values in counted]

    def _start(self, table: str, fields: dict[str, pa.DataType]) -> Writer:
        suffix = GZIP_SUFFIX if self._options.compress and self.file_format in _TEXT else ""
        file_id = self._ids[table] = new_file_id()
        path = self.root / "files" / f"{file_stem(table)}.{file_id}.{self.file_format}{suffix}"
        made: Writer = WRITERS[self.file_format](  # type: ignore[call-arg]
            path, pa.schema(list(fields.items())), self._options._replace(json_columns=self._json_columns(table))
        )
        self._open[table] = made
        self._nulls[table] = [0] * len(made.schema)
        self._waiting[table] = _Waiting()
        return made

    def _json_columns(self, table: str) -> set[str]:
        known = self._schema.tables.get(table, {}).get("columns", {}) if self._schema is not None else {}
        return {name for name, column in known.items() if column.get("data_type") == "json"}

    def _close(self, table: str) -> None:
        self._flush(table)
        writer = self._open.pop(table)
        size = writer.close()
        shares = self._shares.pop(table, {})
        self.files.append(
            LoadFile(
                id=self._ids.pop(table),
                table=table,
                path=str(writer.path.relative_to(self.root)),
                format=self.file_format,
                rows=writer.rows,
                size=size,
                columns=list(writer.schema.names),
                nulls=self._nulls.pop(table),
                resource=next(iter(shares)) if len(shares) == 1 else "",
                shares=shares if len(shares) > 1 else {},
            )
        )

    def finish(self) -> list[LoadFile]:
        """Close all files and give them, in the order in which they were closed."""
        for table in list(self._open):
            self._close(table)
        return self.files


def _takes(schema: pa.Schema, columns: dict[str, pa.Array]) -> bool:
    """Whether a file of a schema has room for columns."""
    types = dict(zip(schema.names, schema.types, strict=True))
    return all(types.get(name) == values.type for name, values in columns.items())
