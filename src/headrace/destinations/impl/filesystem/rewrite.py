"""Loader files whose columns have to be called otherwise, because another process has taken the name first."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from headrace.base import json
from headrace.errors.destination import DestinationInvalidFileFormat
from headrace.formats.options import GZIP_LEVEL, GZIP_SUFFIX

if TYPE_CHECKING:
    from headrace.model.jobs import LoadFile


def renamed_file(source: Path, file: LoadFile, renames: Mapping[str, str], folder: Path) -> Path:
    """A copy of a file with other names of columns; of the same rows.

    Args:
        source: The file.
        file: What is known of it.
        renames: Old names and new ones.
        folder: Where the copy goes.

    Raises:
        DestinationInvalidFileFormat: Columns of such a file cannot be renamed.
    """
    folder.mkdir(exist_ok=True)
    target = folder / source.name
    if file.format == "parquet":
        _parquet(source, target, renames)
    elif file.format in ("jsonl", "csv"):
        with _open(source, "rb") as read, _open(target, "wb") as write:
            (_jsonl if file.format == "jsonl" else _csv)(read, write, renames)
    else:
        raise DestinationInvalidFileFormat(
            "filesystem", file.format, file.path, f"columns {', '.join(renames)} would have to be renamed in it"
        )
    return target


def _open(path: Path, mode: str) -> IO[bytes]:
    if path.suffix != GZIP_SUFFIX:
        return cast("IO[bytes]", path.open(mode))
    return cast("IO[bytes]", gzip.open(path, mode, compresslevel=GZIP_LEVEL))


def _parquet(source: Path, target: Path, renames: Mapping[str, str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(source) as read:
        names = [renames.get(name, name) for name in read.schema_arrow.names]
        schema = pa.schema([f.with_name(name) for f, name in zip(read.schema_arrow, names, strict=True)])
        with pq.ParquetWriter(target, schema) as write:
            for batch in read.iter_batches():
                write.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))


def _jsonl(read: IO[bytes], write: IO[bytes], renames: Mapping[str, str]) -> None:
    for line in read:
        row = json.loads(line)
        write.write(json.dumpb({renames.get(name, name): value for name, value in row.items()}) + b"\n")


def _csv(read: IO[bytes], write: IO[bytes], renames: Mapping[str, str]) -> None:
    header = next(csv.reader([read.readline().decode()]))
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow([renames.get(name, name) for name in header])
    write.write(text.getvalue().encode())
    while block := read.read(1 << 20):
        write.write(block)
