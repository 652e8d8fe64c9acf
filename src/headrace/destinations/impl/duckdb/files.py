"""Loader files as something DuckDB can select from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.destinations.impl.duckdb.dialect import DuckDbDialect
from headrace.errors.destination import DestinationInvalidFileFormat
from headrace.model.jobs import LoadFile
from headrace.typing import TTableSchemaColumns

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_A_STATEMENT = 4 * 122_880
"""Rows that one INSERT takes from Arrow: four of DuckDB's row groups.

Larger statements are a little faster and take more memory: 2 million rows of 150 bytes in one, 1.4 s and 440 MB; by two
row groups, 2.1 s and 300 MB. Up to half a million rows there is no difference in time.
"""
BYTES_A_STATEMENT = 128 * 1024 * 1024


@dataclass(frozen=True)
class Selection:
    """Something to select from.

    Attributes:
        source: What stands behind FROM.
        columns: Names of the columns in the file, each with the expression that reads it.
    """

    source: str
    columns: dict[str, str]


def open_arrow(path: Path) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Open an Arrow IPC file or stream; batches are read one by one."""
    import pyarrow as pa

    from headrace.formats.arrowfile import read_batches

    return read_batches(pa.OSFile(str(path)))


def readable_schema(schema: pa.Schema) -> pa.Schema:
    """The schema with near types in the place of those that DuckDB does not read; it casts to the column's type."""
    import pyarrow as pa

    def near(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_decimal256(kind):
            return pa.string()
        return pa.float32() if pa.types.is_float16(kind) else kind

    fields = [field.with_type(near(field.type)) for field in schema]
    return schema if all(a.type == b.type for a, b in zip(fields, schema, strict=True)) else pa.schema(fields)


def statements_of(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatchReader]:
    """Cut batches into readers, one for each INSERT."""
    import pyarrow as pa

    from headrace.columns.handover import safe_batches

    readable = readable_schema(schema)
    source = safe_batches(batches if readable is schema else (batch.cast(readable) for batch in batches))
    ended = False

    def some() -> Iterator[pa.RecordBatch]:
        nonlocal ended
        rows = size = 0
        while rows < ROWS_A_STATEMENT and size < BYTES_A_STATEMENT:
            batch = next(source, None)
            if batch is None:
                ended = True
                return
            rows, size = rows + batch.num_rows, size + batch.nbytes
            yield batch

    while not ended:
        yield pa.RecordBatchReader.from_batches(readable, some())


def _typed_json(dialect: DuckDbDialect, columns: TTableSchemaColumns) -> dict[str, tuple[str, str]]:
    """For each column the type that JSON is read with, and the expression that makes the column of it."""
    read: dict[str, tuple[str, str]] = {}
    for name, column in columns.items():
        if not column.get("data_type"):
            continue
        quoted = dialect.quote(name)
        if column["data_type"] == "binary":
            read[name] = ("VARCHAR", f"from_base64({quoted})")
        else:
            read[name] = (dialect.column_type(column), quoted)
    return read


def select_file(dialect: DuckDbDialect, file: LoadFile, path: Path, columns: TTableSchemaColumns) -> Selection:
    """How to select from a parquet, jsonl or csv file.

    Args:
        dialect: DuckDB's SQL.
        file: The file.
        path: Where it is.
        columns: The table's columns in the schema.

    Raises:
        DestinationInvalidFileFormat: The file's format is none of these, or it cannot be read.
    """
    where = dialect.text(str(path))
    if file.format == "parquet":
        names = file.columns or _parquet_columns(file, path)
        return Selection(f"read_parquet({where})", {name: dialect.quote(name) for name in names})
    if file.format == "jsonl":
        typed = _typed_json(dialect, columns)
        kept = {name: typed[name] for name in file.columns if name in typed} if file.columns else typed
        types = ", ".join(f"{dialect.quote(name)}: {dialect.text(kind)}" for name, (kind, _) in kept.items())
        source = (
            f"read_json({where}, format = 'newline_delimited', columns = {{{types}}}, maximum_object_size = 268435456)"
        )
        return Selection(source, {name: expression for name, (_, expression) in kept.items()})
    if file.format == "csv":
        names = file.columns or _csv_columns(path)
        options = "header = true, all_varchar = true, auto_detect = true, allow_quoted_nulls = false"
        source = f"read_csv({where}, {options})"
        return Selection(source, {name: _from_csv(dialect, name, columns) for name in names})
    raise DestinationInvalidFileFormat("DuckDB", file.format, file.path, "known are arrow, parquet, jsonl and csv")


def _from_csv(dialect: DuckDbDialect, name: str, columns: TTableSchemaColumns) -> str:
    column = columns.get(name, {})
    quoted = dialect.quote(name)
    if column.get("data_type") == "text":
        return quoted  # only here an empty text is a value
    empty = f"nullif({quoted}, '')"
    return f"unhex({quoted})" if column.get("data_type") == "binary" else empty


def _parquet_columns(file: LoadFile, path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowInvalid, OSError) as error:
        raise DestinationInvalidFileFormat("DuckDB", file.format, file.path, str(error)) from error


def _csv_columns(path: Path) -> list[str]:
    import csv
    import gzip

    with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as text:
        return next(csv.reader(text), [])


@contextmanager
def closing(path: Path) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    """`open_arrow` with its errors named by the file."""
    import pyarrow as pa

    try:
        yield open_arrow(path)
    except pa.ArrowInvalid as error:
        raise DestinationInvalidFileFormat("DuckDB", "arrow", str(path), str(error)) from error


def expressions(selection: Selection, wanted: Sequence[str]) -> str:
    """The select list for some columns of a file."""
    return ", ".join(selection.columns[name] for name in wanted)
