"""The spool: record batches of any schemas one after the other in a file.

Each batch is an Arrow IPC stream of its own, so that neighbours may differ in their columns. Files are written once,
from front to back, and read back through a memory map, without copying.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import pyarrow as pa

_PLAIN = pa.ipc.IpcWriteOptions()
_LZ4 = pa.ipc.IpcWriteOptions(compression="lz4")


class SpoolWriter:
    """Writes one spool file.

    Args:
        path: The file to make.
        compress: Use LZ4; costs time, saves about two thirds of the space.
    """

    def __init__(self, path: Path, compress: bool = False) -> None:
        self.path = path
        self._sink = pa.OSFile(str(path), "wb")
        self._options = _LZ4 if compress else _PLAIN

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch."""
        with pa.ipc.new_stream(self._sink, batch.schema, options=self._options) as stream:
            stream.write_batch(batch)

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return int(self._sink.tell())

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if not self._sink.closed:
            self._sink.close()

    def __enter__(self) -> SpoolWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self.close()


class SpoolReader:
    """Reads spool files one after the other; a file that is asked for again and again is opened once."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._source: pa.MemoryMappedFile | None = None

    def read(self, path: Path, at: int = 0, size: int | None = None) -> Iterator[pa.RecordBatch]:
        """Give back the batches of a file in the order of writing; one reading at a time.

        Args:
            path: The file.
            at: Where to begin: what `SpoolWriter.size` was between two batches.
            size: How many bytes to read; None for all that are left.
        """
        source = self._open(path)
        end = source.size() if size is None else at + size
        source.seek(at)
        while source.tell() < end:
            with pa.ipc.open_stream(source) as stream:
                yield from stream

    def _open(self, path: Path) -> pa.MemoryMappedFile:
        if self._source is None or self._path != path:
            self.close()
            self._path, self._source = path, pa.memory_map(str(path), "rb")
        return self._source

    def close(self) -> None:
        """Close the file; batches stay what they are."""
        if self._source is not None:
            self._source.close()
        self._source = None

    def __enter__(self) -> SpoolReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self.close()


def read_spool(path: Path, at: int = 0, size: int | None = None) -> Iterator[pa.RecordBatch]:
    """Give back the batches of a spool file; arguments as of `SpoolReader.read`."""
    with SpoolReader() as reader:
        yield from reader.read(path, at, size)
