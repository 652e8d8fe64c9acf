"""Arrow batches in the format of PostgreSQL's binary COPY, column by column, no Python for single values.

A row is the number of its fields, and for each field its length and its bytes. Neighbouring fields of fixed width, and
the lengths of those of any width, are laid side by side as one block of bytes a row; blocks and texts are then joined
row by row by Arrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from headrace.destinations.impl.postgres.numeric import numeric_bytes

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"

CHUNK = 1024 * 1024
"""Bytes of Arrow data that are encoded at once, about."""

_EPOCH_DAYS = 10_957  # from 1970 to 2000, where PostgreSQL counts from
_EPOCH_MICROS = _EPOCH_DAYS * 86_400_000_000
_LENGTH = 4

Fixed = Callable[[pa.Array], Any]
"""Makes the bytes of values of a fixed width: one row of bytes a value."""


def _integers(kind: str, arrow: pa.DataType) -> Fixed:
    def encode(array: pa.Array) -> Any:
        return _numbers(array if array.type == arrow else array.cast(arrow), kind)

    return encode


def _numbers(array: pa.Array, kind: str) -> Any:
    values = array.fill_null(0) if array.null_count else array
    made = np.asarray(values.to_numpy(zero_copy_only=False), kind)
    return made.view(np.uint8).reshape(len(array), -1)


def _bools(array: pa.Array) -> Any:
    return _numbers(array.cast(pa.uint8()), ">u1")


def _dates(array: pa.Array) -> Any:
    days = array.cast(pa.date32()).view(pa.int32())
    return _numbers(pc.subtract_checked(days, pa.scalar(_EPOCH_DAYS, pa.int32())), ">i4")


def _instants(array: pa.Array) -> Any:
    # what is finer than microseconds is cut
    micros = array.cast(pa.timestamp("us", array.type.tz), safe=array.type.unit != "ns").view(pa.int64())
    return _numbers(pc.subtract_checked(micros, pa.scalar(_EPOCH_MICROS, pa.int64())), ">i8")


def _times(array: pa.Array) -> Any:
    return _numbers(array.cast(pa.time64("us"), safe=array.type.unit != "ns").view(pa.int64()), ">i8")


def _decimals(array: pa.Array) -> Any:
    if pt.is_integer(array.type):
        array = array.cast(pa.decimal128(20, 0))
    elif array.type.bit_width < 128:
        array = array.cast(pa.decimal128(array.type.precision, array.type.scale))
    return numeric_bytes(array)


_int2, _int4, _int8 = (_integers(f">i{n}", t) for n, t in ((2, pa.int16()), (4, pa.int32()), (8, pa.int64())))
_float4, _float8 = (_integers(f">f{n}", t) for n, t in ((4, pa.float32()), (8, pa.float64())))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pt.is_string(kind) or pt.is_large_string(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_fixed_size_binary(kind))


def _is_exact(kind: pa.DataType) -> bool:
    return bool(pt.is_integer(kind) or (pt.is_decimal(kind) and kind.scale >= 0))


_FIXED: dict[str, tuple[Callable[[pa.DataType], Any], Fixed]] = {
    "bool": (pt.is_boolean, _bools),
    "int2": (pt.is_integer, _int2),
    "int4": (pt.is_integer, _int4),
    "int8": (pt.is_integer, _int8),
    "float4": (lambda kind: pt.is_float16(kind) or pt.is_float32(kind), _float4),
    "float8": (pt.is_floating, _float8),
    "numeric": (_is_exact, _decimals),
    "date": (pt.is_date, _dates),
    "time": (pt.is_time, _times),
    "timestamp": (lambda kind: pt.is_timestamp(kind) and kind.tz is None, _instants),
    "timestamptz": (lambda kind: pt.is_timestamp(kind) and kind.tz is not None, _instants),
}
_VARIABLE: dict[str, tuple[Callable[[pa.DataType], Any], bytes]] = {
    "text": (_is_text, b""),
    "varchar": (_is_text, b""),
    "bpchar": (_is_text, b""),
    "json": (_is_text, b""),
    "jsonb": (_is_text, b"\x01"),  # the version of the format
    "bytea": (_is_bytes, b""),
}


def is_direct(arrow: pa.DataType, kind: str) -> bool:
    """Whether values of an Arrow type go into a column of a PostgreSQL type as they are.

    Args:
        arrow: The type.
        kind: PostgreSQL's short name: ``int8``, ``timestamptz``.
    """
    known = _FIXED.get(kind) or _VARIABLE.get(kind)
    return known is not None and bool(known[0](arrow))


def encode(batch: pa.RecordBatch, kinds: Sequence[str]) -> Iterator[memoryview]:
    """The rows of a batch in COPY's format, about a megabyte at a time.

    Args:
        batch: The rows; each column is `is_direct` for its kind.
        kinds: PostgreSQL's types of the columns.

    Raises:
        pyarrow.ArrowInvalid: A number is too large for its column; the text names the column.
    """
    if not batch.num_rows:
        return
    step = max(1, batch.num_rows * CHUNK // max(CHUNK, batch.nbytes))
    for start in range(0, batch.num_rows, step):
        yield _encode(batch.slice(start, step), kinds)


def _encode(batch: pa.RecordBatch, kinds: Sequence[str]) -> memoryview:
    rows = batch.num_rows
    block = _Block(rows)
    block.add(np.broadcast_to(np.frombuffer(len(kinds).to_bytes(2, "big"), np.uint8), (rows, 2)))
    parts: list[pa.Array] = []
    for name, array, kind in zip(batch.schema.names, batch.columns, kinds, strict=True):
        absent = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
        try:
            if kind in _FIXED:
                block.add_values(_FIXED[kind][1](array), absent)
                continue
            values = array.cast(pa.binary())
        except pa.ArrowInvalid as error:
            raise pa.ArrowInvalid(f"column `{name}` ({kind}): {error}") from error
        block.add_lengths(values, _VARIABLE[kind][1], absent)
        parts += [block.joined(), values]
        block = _Block(rows)
    if block.width:
        parts.append(block.joined())
    if len(parts) > 1:
        made = pc.binary_join_element_wise(*parts, b"", null_handling="replace", null_replacement=b"")
    else:
        made = parts[0]
    _, offsets, data = made.buffers()
    ends = np.frombuffer(offsets, np.int32)[made.offset : made.offset + rows + 1]
    return memoryview(data)[int(ends[0]) : int(ends[-1])]


class _Block:
    """Bytes of a fixed width a row, some of which are left out in rows where a value is null.

    Args:
        rows: How many rows.
    """

    def __init__(self, rows: int) -> None:
        self.rows, self.width = rows, 0
        self._parts: list[Any] = []
        self._gaps: list[tuple[int, int, Any]] = []

    def add(self, part: Any) -> None:
        """Add bytes to every row."""
        self._parts.append(part)
        self.width += part.shape[1]

    def add_values(self, values: Any, absent: Any | None) -> None:
        """Add a field of a fixed width; ``absent`` says which are null."""
        self._add_length(np.full(self.rows, values.shape[1], ">i4"), absent)
        self._add_unless(values, absent)

    def add_lengths(self, values: pa.Array, lead: bytes, absent: Any | None) -> None:
        """Add the length of a field, and what its bytes begin with."""
        lengths = pc.binary_length(values)
        sizes = (lengths.fill_null(0) if absent is not None else lengths).to_numpy(zero_copy_only=False)
        self._add_length((sizes + len(lead)).astype(">i4"), absent)
        if lead:
            self._add_unless(np.broadcast_to(np.frombuffer(lead, np.uint8), (self.rows, len(lead))), absent)

    def _add_length(self, sizes: Any, absent: Any | None) -> None:
        if absent is not None:
            sizes[absent] = -1
        self.add(sizes.view(np.uint8).reshape(self.rows, _LENGTH))

    def _add_unless(self, part: Any, absent: Any | None) -> None:
        if absent is not None:
            self._gaps.append((self.width, self.width + part.shape[1], absent))
        self.add(part)

    def joined(self) -> pa.Array:
        """The block as an array of bytes."""
        bytes_ = np.concatenate(self._parts, axis=1) if len(self._parts) > 1 else np.ascontiguousarray(self._parts[0])
        offsets = np.arange(self.rows + 1, dtype=np.int64) * self.width
        if self._gaps:
            kept = np.ones((self.rows, self.width), np.bool_)
            left_out = np.zeros(self.rows, np.int64)
            for start, end, absent in self._gaps:
                kept[absent, start:end] = False
                left_out += absent * (end - start)
            offsets[1:] -= np.cumsum(left_out)
            bytes_ = bytes_[kept]
        ends = offsets.astype(np.int32)
        return pa.Array.from_buffers(pa.binary(), self.rows, [None, pa.py_buffer(ends), pa.py_buffer(bytes_)])
