"""Loader files as Arrow batches, in types that go into PostgreSQL's columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from headrace.errors.destination import DestinationInvalidFileFormat
from headrace.model.jobs import LoadFile

if TYPE_CHECKING:
    import pyarrow as pa

Opener = Callable[[], BinaryIO]
Batches = tuple["pa.Schema", Iterator["pa.RecordBatch"]]

_JSON_LINES = 10_000
_ROWS = 65_536


@contextmanager
def batches_of(
    file: LoadFile,
    path: Path,
    names: Mapping[str, str],
    csv_format: Mapping[str, Any],
    remote: Opener | None = None,
) -> Iterator[Batches]:
    """The rows of a file, read batch by batch.

    Args:
        file: The file.
        path: Where it is.
        names: Columns that jsonl files may have, with their data types.
        csv_format: How csv files are written.
        remote: Opens the file where it is not on this machine; it is read as its rows are needed.

    Raises:
        DestinationInvalidFileFormat: The file cannot be read, or its format is not known here.
    """
    import pyarrow as pa

    if remote is None and not path.is_file():
        raise DestinationInvalidFileFormat("PostgreSQL", file.format, file.path, f"there is no file {path}")
    source: Opener = remote or (lambda: path.open("rb"))
    try:
        if file.format == "arrow":
            with _arrow(path) as found:
                yield found
        elif file.format == "parquet":
            with _parquet(path, remote) as found:
                yield found
        elif file.format == "jsonl":
            with _jsonl(source, names) as found:
                yield found
        elif file.format == "csv":
            with _csv(source, file.columns, csv_format) as found:
                yield found
        else:
            raise DestinationInvalidFileFormat(
                "PostgreSQL", file.format, file.path, "known are arrow, parquet, jsonl and csv"
            )
    except (pa.ArrowInvalid, ValueError) as error:
        raise DestinationInvalidFileFormat("PostgreSQL", file.format, file.path, str(error)) from error


@contextmanager
def _arrow(path: Path) -> Iterator[Batches]:
    """An Arrow IPC file or stream."""
    import pyarrow as pa

    from headrace.formats.arrowfile import read_batches

    with pa.memory_map(str(path)) as source:
        yield read_batches(source)


@contextmanager
def _parquet(path: Path, remote: Opener | None) -> Iterator[Batches]:
    import pyarrow.parquet as pq

    with ExitStack() as stack:
        source = stack.enter_context(remote()) if remote is not None else path
        file = stack.enter_context(pq.ParquetFile(source, memory_map=remote is None))
        yield file.schema_arrow, file.iter_batches(_ROWS)


@contextmanager
def _jsonl(source: Opener, names: Mapping[str, str]) -> Iterator[Batches]:
    """JSON lines, plain or gzipped: all values as text, which PostgreSQL reads."""
    import pyarrow as pa

    from headrace.base import json

    schema = pa.schema([(name, pa.string()) for name in names])

    def text(name: str, value: Any) -> str | None:
        if value is None:
            return None
        if names[name] == "json":
            return json.dumps(value)
        if names[name] == "binary":
            return "\\x" + _from_base64(value).hex()
        return value if isinstance(value, str) else json.dumps(value)

    def read(lines: Any) -> Iterator[pa.RecordBatch]:
        rows: list[dict[str, Any]] = []
        for line in lines:
            if line.strip():
                rows.append(json.loads(line))
            if len(rows) == _JSON_LINES:
                yield _columns(rows)
                rows = []
        if rows:
            yield _columns(rows)

    def _columns(rows: list[dict[str, Any]]) -> pa.RecordBatch:
        arrays = [pa.array([text(name, row.get(name)) for row in rows], pa.string()) for name in names]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    with _opened(source) as lines:
        yield schema, read(lines)


def _from_base64(value: str) -> bytes:
    import base64

    return base64.b64decode(value)


@contextmanager
def _csv(source: Opener, columns: list[str], csv_format: Mapping[str, Any]) -> Iterator[Batches]:
    """CSV, plain or gzipped: all values as text, which PostgreSQL reads; binary values are hexadecimal."""
    import pyarrow as pa
    import pyarrow.csv as pc

    has_header = bool(csv_format.get("include_header", True))
    delimiter, encoding = csv_format.get("delimiter", ","), csv_format.get("encoding", "utf-8")
    names = _csv_header(source, delimiter, encoding) if has_header else list(columns)
    read = pc.ReadOptions(column_names=names, skip_rows=1 if has_header else 0, encoding=encoding)
    parse = pc.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    convert = pc.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""],
        quoted_strings_can_be_null=False,
    )  # fmt: skip
    packed = "gzip" if _is_gzip(source) else None
    with source() as plain, pa.input_stream(plain, compression=packed) as text:
        reader = pc.open_csv(text, read, parse, convert)
        yield reader.schema, iter(reader)


def _csv_header(source: Opener, delimiter: str, encoding: str) -> list[str]:
    import csv
    import io

    with _opened(source) as lines:
        return next(csv.reader(io.TextIOWrapper(lines, encoding, newline=""), delimiter=delimiter), [])


def _is_gzip(source: Opener) -> bool:
    with source() as start:
        return start.read(2) == b"\x1f\x8b"


@contextmanager
def _opened(source: Opener) -> Iterator[Any]:
    import gzip

    with source() as file:
        is_packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not is_packed:
            yield file
            return
        with gzip.open(file, "rb") as lines:
            yield lines
