"""One version of a lake table as files, and how its rows are dropped and added: what Delta and Iceberg share.

Rows are changed by writing anew the files that hold them and nothing else. Files are read and written as streams of
batches, so memory does not depend on the table's size: what is kept of a file is one bit a row, and only of files in
which a row has to go.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.base import failpoints
from headrace.model.changes import RowChanges
from headrace.model.effects import Partition, TableVersion, distinct

logger = logging.getLogger("headrace")

GROUP_ROWS = 128 * 1024
GROUP_BYTES = 32 * 1024 * 1024
FILE_BYTES = 128 * 1024 * 1024
OPEN_FILES = 32
"""Most partitions that are written at the same time; each holds up to a row group in memory."""
OPEN_BYTES = 128 * 1024 * 1024
"""Most bytes of rows that wait for their row group, in all open files together."""


class Moved(Exception):
    """Another writer was faster: the version that was read is not the newest any more."""


class FileFacts(NamedTuple):
    """A data file of a version.

    Attributes:
        path: As the format names it.
        rows: How many rows it holds.
        bounds: By column: lowest and highest value, where both are known; NULLs are not counted in.
        nulls: By column: how many NULLs, where that is known.
        native: The format's own entry.
    """

    path: str
    rows: int
    bounds: Mapping[str, tuple[Any, Any]]
    nulls: Mapping[str, int]
    native: Any


class Written(NamedTuple):
    """A data file that was written and is in no version yet.

    Attributes:
        path: Where, as `NewFiles.open_file` said.
        partition: Its partition.
        rows: How many rows.
        size: Bytes.
        metadata: What parquet keeps of it: `pyarrow.parquet.FileMetaData`.
    """

    path: str
    partition: Any
    rows: int
    size: int
    metadata: Any


class LakeVersion(Protocol):
    """One version of a table: what is read does not change, and what is committed follows it directly or not at all."""

    schema: pa.Schema
    """Of the rows, as `read` gives them and as `new_files` takes them."""

    def files(self) -> Iterable[FileFacts]:
        """The data files."""

    def read(self, file: FileFacts, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """A file's rows in the same order each time, by `schema`; rows that other engines have deleted are left out."""

    def new_files(self) -> NewFiles:
        """A writer of files."""

    def partitions_of(self, files: Iterable[FileFacts | Written]) -> Iterator[Partition]:
        """The partitions of files; nothing where there are none."""

    def commit(
        self, removed: Sequence[FileFacts], added: Sequence[Written], key: str, changes: RowChanges
    ) -> TableVersion:
        """Make the next version, which remembers the key and the changes; returns which it is.

        Raises:
            Moved: There is a next version already.
        """


class OpenFile(Protocol):
    """What a format opens for a new file."""

    path: str
    schema: pa.Schema
    options: Mapping[str, Any]

    def stream(self) -> Any:
        """A stream for `pyarrow.parquet.ParquetWriter`."""


class Rewrite(msgspec.Struct, kw_only=True):
    """Which rows of a version have to go.

    Attributes:
        files: Files with such rows; for each the rows that go, eight to the byte.
        rows: How many rows go.
    """

    files: list[tuple[FileFacts, bytes]] = []
    rows: int = 0

    def add(self, file: FileFacts, gone: np.ndarray) -> None:
        """Take the rows of a file that go, as a mask over all its rows."""
        count = int(gone.sum())
        if count:
            self.files.append((file._replace(rows=len(gone)), np.packbits(gone).tobytes()))
            self.rows += count


def unpack(bits: bytes, rows: int) -> np.ndarray:
    """The mask that `Rewrite.add` was given."""
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=rows).astype(bool)


class _Growing:
    """A parquet file that grows by row groups."""

    def __init__(self, file: OpenFile, partition: Any) -> None:
        self.file, self.partition = file, partition
        self.waiting: list[pa.RecordBatch] = []
        self.waiting_rows = self.waiting_bytes = self.rows = 0
        self._stream: Any = file.stream()
        self._writer = pq.ParquetWriter(self._stream, file.schema, **file.options)

    def write(self, batch: pa.RecordBatch) -> None:
        self.waiting.append(batch)
        self.waiting_rows += batch.num_rows
        self.waiting_bytes += batch.nbytes
        if self.waiting_rows >= GROUP_ROWS or self.waiting_bytes >= GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        if self.waiting_rows:
            self._writer.write_table(pa.Table.from_batches(self.waiting), row_group_size=self.waiting_rows)
            self.rows += self.waiting_rows
        self.waiting, self.waiting_rows, self.waiting_bytes = [], 0, 0

    @property
    def size(self) -> int:
        return int(self._stream.tell())

    def close(self) -> Written:
        self.flush()
        self._writer.close()
        size = self.size
        self._stream.close()
        return Written(self.file.path, self.partition, self.rows, size, self._writer.writer.metadata)

    def abort(self) -> None:
        # closing may write what is left; the file is in no version and so nobody's
        with suppress(OSError, pa.ArrowException):
            self._writer.close()
        with suppress(OSError, pa.ArrowException):
            self._stream.close()


class NewFiles:
    """Writes rows into files, one partition to a file, and begins another file when one is large enough.

    Args:
        open_file: Opens a new file of a partition.
        split: Splits a batch by partitions, each with a hashable name; None when there are none.
    """

    def __init__(
        self,
        open_file: Callable[[Any], OpenFile],
        split: Callable[[pa.RecordBatch], Iterable[tuple[Any, pa.RecordBatch]]] | None = None,
    ) -> None:
        self._open_file, self._split = open_file, split
        self._growing: dict[Any, _Growing] = {}
        self._done: list[Written] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        if not batch.num_rows:
            return
        parts = [(None, batch)] if self._split is None else self._split(batch)
        for partition, rows in parts:
            growing = self._growing.pop(partition, None) or _Growing(self._open_file(partition), partition)
            self._growing[partition] = growing  # the last one written is the last one to be closed
            growing.write(rows)
            if growing.size >= FILE_BYTES:
                self._finish(partition)
        while len(self._growing) > OPEN_FILES:
            self._finish(next(iter(self._growing)))
        if sum(g.waiting_bytes for g in self._growing.values()) > OPEN_BYTES:
            for growing in self._growing.values():
                growing.flush()

    def _finish(self, partition: Any) -> None:
        self._done.append(self._growing.pop(partition).close())

    def close(self) -> list[Written]:
        """Finish all files; returns them."""
        for partition in list(self._growing):
            self._finish(partition)
        return self._done

    def abort(self) -> None:
        """Stop; what was written belongs to no version."""
        for growing in self._growing.values():
            growing.abort()
        self._growing = {}


class Committed(NamedTuple):
    """What a commit came to.

    Attributes:
        version: The one that was made; None where there was nothing to commit, so that it is somebody else's.
        partitions: Those with files that came or went; None when they are too many.
    """

    version: TableVersion | None
    partitions: list[Partition] | None


def change_version(
    version: LakeVersion, rewrite: Rewrite, rows: Iterable[pa.RecordBatch], key: str, changes: RowChanges
) -> Committed:
    """Drop rows of a version and add others, in one commit.

    Args:
        version: What was read.
        rewrite: The rows that go.
        rows: The rows that come, by the version's schema.
        key: What the next version remembers.
        changes: To be kept with the key.

    Raises:
        Moved: Another writer was faster; nothing is changed.
    """
    files = version.new_files()
    try:
        for file, bits in rewrite.files:
            for batch in _kept(version, file, ~unpack(bits, file.rows)):
                files.write(batch)
        for batch in rows:
            files.write(batch)
        added = files.close()
    except BaseException:
        files.abort()
        raise
    if not (added or rewrite.files):
        return Committed(None, [])
    failpoints.hit("job.before_commit")
    removed = [file for file, _ in rewrite.files]
    made = version.commit(removed, added, key, changes)
    return Committed(made, partitions_told(version, [*added, *removed]))


def partitions_told(version: LakeVersion, files: Iterable[FileFacts | Written]) -> list[Partition] | None:
    """The partitions of files that are committed; None when they are too many, or have values that Python has not."""
    try:
        return distinct(version.partitions_of(files))
    except Exception:
        logger.debug("partitions cannot be told", exc_info=True)
        return None


def _kept(version: LakeVersion, file: FileFacts, keep: np.ndarray) -> Iterator[pa.RecordBatch]:
    if not keep.any():
        return
    at = 0
    for batch in version.read(file):
        part = keep[at : at + batch.num_rows]
        at += batch.num_rows
        if part.all():
            yield batch
        elif part.any():
            yield batch.filter(pa.array(part))
