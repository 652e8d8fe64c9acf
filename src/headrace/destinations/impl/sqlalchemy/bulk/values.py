"""Arrow columns in the forms that drivers take."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt


def plain(array: pa.Array) -> pa.Array:
    """The array in a plain type: no dictionaries or extensions; nested values as JSON, 64 unsigned bits as decimals."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return plain(array.storage)
    if pt.is_dictionary(kind):
        return plain(array.dictionary_decode())
    if pt.is_run_end_encoded(kind):
        return plain(pc.run_end_decode(array))
    if pt.is_null(kind) or str(kind) == "string_view":
        return array.cast(pa.string())
    if str(kind) == "binary_view":
        return array.cast(pa.binary())
    if pt.is_float16(kind):
        return array.cast(pa.float32())
    if pt.is_uint64(kind):
        return array.cast(pa.decimal128(20, 0))
    if pt.is_list(kind) or pt.is_large_list(kind) or pt.is_struct(kind) or pt.is_map(kind):
        from headrace.base import json

        return pa.array([None if v is None else json.dumps(v) for v in array.to_pylist()], pa.string())
    return array


def naive(array: pa.Array) -> pa.Array:
    """Instants in UTC as microseconds without a zone; finer fractions are cut."""
    unit = pa.timestamp("us")
    if array.type.tz is not None:
        array = array.cast(pa.int64()).cast(pa.timestamp(array.type.unit))
    return array.cast(unit, safe=False) if array.type != unit else array


def as_text(array: pa.Array) -> pa.Array:
    """Instants, dates, times and decimals as ISO text; other columns as they are."""
    kind = array.type
    if pt.is_timestamp(kind):
        return naive(array).cast(pa.string())
    if pt.is_date(kind):
        return array.cast(pa.date32()).cast(pa.string())
    if pt.is_time(kind):
        return array.cast(pa.time64("us"), safe=False).cast(pa.string())
    return array.cast(pa.string()) if pt.is_decimal(kind) else array


def python_values(array: pa.Array) -> list[Any]:
    """The values as Python objects that any DB-API driver takes."""
    array = plain(array)
    if pt.is_timestamp(array.type):
        if array.type.tz is None:
            return list(naive(array).to_pylist())
        return [v if v is None else v.replace(tzinfo=dt.timezone.utc) for v in naive(array).to_pylist()]
    if pt.is_time(array.type):
        return list(array.cast(pa.time64("us"), safe=False).to_pylist())
    return list(array.to_pylist())


def converted(batch: pa.RecordBatch, convert: Callable[[pa.Array], pa.Array]) -> list[pa.Array]:
    """All columns of a batch, converted."""
    return [convert(plain(column)) for column in batch.columns]
