"""Loader files as text: JSON lines and CSV."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.csv as pc

from headrace.base import json
from headrace.formats.options import CsvOptions, FileOptions, TextSink

_QUOTING = {"quote_all": "all_valid", "quote_needed": "needed", "quote_minimal": "needed", "quote_none": "none"}


class JsonlWriter:
    """Writes rows as JSON objects, one a line; nulls are left out.

    Instants are written as ISO 8601 texts, decimals as texts, binary values in base64; JSON columns become part of the
    object. NaN and infinities, for which JSON has no numbers, are the texts ``NaN``, ``Infinity`` and ``-Infinity``.

    Args:
        path: The file to make; packed with gzip if it ends in ``.gz``.
        schema: What every batch follows.
        options: Which columns are JSON.
    """

    format = "jsonl"

    def __init__(self, path: Path, schema: pa.Schema, options: FileOptions | None = None) -> None:
        self.path, self.schema = path, schema
        self.rows = 0
        documents = options.json_columns if options is not None else ()
        self._columns = [(field.name, _to_json(field.type, field.name in documents)) for field in schema]
        self._sink = TextSink(path)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch."""
        columns = [convert(array) for array, (_, convert) in zip(batch.columns, self._columns, strict=True)]
        names = [name for name, _ in self._columns]
        rows = zip(*columns, strict=True) if columns else [()] * batch.num_rows
        if any(array.null_count for array in batch.columns):
            made = [{k: v for k, v in zip(names, row, strict=True) if v is not None} for row in rows]
        else:
            made = [dict(zip(names, row, strict=True)) for row in rows]
        if made:
            self._sink.write(json.dump_lines(made))
        self.rows += batch.num_rows

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._sink.size

    def close(self) -> int:
        """Finish the file and return its size in bytes."""
        return self._sink.close()


def _to_json(kind: pa.DataType, is_document: bool) -> Callable[[pa.Array], list[Any]]:
    """How a column becomes values that JSON can express."""
    if is_document and (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return lambda array: [None if v is None else _document(v) for v in array.to_pylist()]
    if pa.types.is_timestamp(kind):
        whole = pa.timestamp("us", kind.tz)
        return lambda array: [None if v is None else v.isoformat() for v in array.cast(whole, safe=False).to_pylist()]
    if pa.types.is_time(kind) or pa.types.is_date(kind):
        return lambda array: [None if v is None else v.isoformat() for v in _micros(array).to_pylist()]
    if pa.types.is_decimal(kind):
        return lambda array: [None if v is None else f"{v:f}" for v in array.to_pylist()]
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return lambda array: [None if v is None else base64.b64encode(v).decode() for v in array.to_pylist()]
    return _numbers if pa.types.is_floating(kind) else pa.Array.to_pylist


def _numbers(array: pa.Array) -> list[Any]:
    """Floats; those that are no JSON number as the texts that databases, Spark and pandas cast to a float."""
    values: list[Any] = array.to_pylist()
    if compute.all(compute.is_finite(array)).as_py() is not False:
        return values
    texts = {math.inf: "Infinity", -math.inf: "-Infinity"}
    return ["NaN" if v != v else texts.get(v, v) for v in values]


def _micros(array: pa.Array) -> pa.Array:
    return array.cast(pa.time64("us"), safe=False) if array.type == pa.time64("ns") else array


def _document(text: str) -> Any:
    try:
        # reading it costs less than a line that nobody can read
        msgspec.json.decode(text, type=msgspec.Raw)
    except msgspec.DecodeError:
        return text
    return msgspec.Raw(text.encode())


class CsvWriter:
    """Writes rows as CSV; empty unquoted fields are nulls, binary values are hexadecimal.

    Args:
        path: The file to make; packed with gzip if it ends in ``.gz``.
        schema: What every batch follows.
        options: Delimiter, header, quotes.
    """

    format = "csv"

    def __init__(self, path: Path, schema: pa.Schema, options: FileOptions | None = None) -> None:
        self.path, self.schema = path, schema
        self.rows = 0
        self._written = pa.schema([(f.name, pa.string() if _as_text(f.type) else f.type) for f in schema])
        self._sink = TextSink(path)
        self._writer = pc.CSVWriter(
            pa.PythonFile(self._sink, mode="w"),
            self._written,
            write_options=_csv_options(options.csv if options is not None else CsvOptions()),
        )

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch."""
        arrays = [_text(array) if _as_text(array.type) else array for array in batch.columns]
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._written))
        self.rows += batch.num_rows

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._sink.size

    def close(self) -> int:
        """Finish the file and return its size in bytes."""
        self._writer.close()
        return self._sink.close()


def _csv_options(options: CsvOptions) -> pc.WriteOptions:
    given: dict[str, Any] = {
        "include_header": options.include_header,
        "delimiter": options.delimiter,
        "quoting_style": _QUOTING[options.quoting],
    }
    if options.lineterminator != "\n":
        given["eol"] = options.lineterminator
    return pc.WriteOptions(**given)


def _as_text(kind: pa.DataType) -> bool:
    is_binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    return bool(is_binary or pa.types.is_nested(kind) or pa.types.is_decimal(kind))


def _text(array: pa.Array) -> pa.Array:
    if pa.types.is_decimal(array.type):
        return array.cast(pa.string())
    if pa.types.is_nested(array.type):
        return nested_as_text(array)
    return pa.array([None if v is None else bytes.hex(v) for v in array.to_pylist()], pa.string())


def nested_as_text(array: pa.Array) -> pa.Array:
    """Lists, structs and maps as JSON text."""
    return pa.array([None if v is None else json.dumps(v) for v in array.to_pylist()], pa.string())
