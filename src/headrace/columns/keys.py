"""Row ids for a whole batch at once.

An id is ten bytes as base64 without padding: fourteen characters. Random ids come from a seeded generator, so that
normalizing a package again gives the same ids.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa

from headrace.base import typed_json

ID_BYTES = 10
ID_CHARS = 14
_ONE, _EXACT = Decimal(1), Context(prec=100)
_IN_ORDER = np.frombuffer(b"+/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", dtype=np.uint8)
_ALPHABET = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", dtype=np.uint8)


def random_ids(count: int, seed: Sequence[int]) -> pa.Array:
    """Ids that differ for different seeds, each larger than the one before it: where a database keeps them in an index,
    a batch goes through it once from front to back instead of to and fro. They have eighty random bits.

    Args:
        count: How many.
        seed: Numbers that name the batch: the package's seed, file, frame, table.
    """
    generator = np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed)))
    sextets = np.frombuffer(generator.bytes(count * ID_CHARS), dtype=np.uint8).reshape(count, ID_CHARS) & 63
    ordered = np.sort(generator.integers(0, 1 << 60, count, dtype=np.uint64))
    for place in range(10):
        sextets[:, place] = ordered >> np.uint64(54 - 6 * place) & np.uint64(63)
    chars = _IN_ORDER.take(sextets)
    # eighty bits fill thirteen characters and two bits of the last
    chars[:, ID_CHARS - 1] = _ALPHABET.take(sextets[:, ID_CHARS - 1] & 48)
    return fixed_text(chars)


def fixed_text(chars: Any) -> pa.Array:
    """A string array from a matrix of characters, one row a string."""
    count, width = chars.shape
    offsets = np.arange(0, (count + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(chars))


def _hash(text: bytes) -> str:
    return base64.b64encode(hashlib.shake_128(text).digest(ID_BYTES))[:ID_CHARS].decode("ascii")


def nested_ids(parents: pa.Array, table: str, positions: Any) -> pa.Array:
    """Ids that follow from the parent's id, the table and the place in the list."""
    pairs = zip(parents.to_pylist(), positions.tolist(), strict=True)
    return pa.array([_hash(f"{parent}_{table}_{place}".encode()) for parent, place in pairs], pa.string())


def key_ids(columns: dict[str, Sequence[Any]], count: int) -> pa.Array:
    """Ids that follow from key values as they came: a hash of them as typed JSON with sorted keys.

    Args:
        columns: The values of each key column, before they become what the column holds: dlt makes its ids of these.
        count: How many rows.
    """
    names = list(columns)
    plain = [map(_key_value, values) for values in columns.values()]
    rows = zip(*plain, strict=True) if names else iter([()] * count)
    return pa.array(
        [_hash(typed_json.dumpb(dict(zip(names, row, strict=True)), sort_keys=True)) for row in rows], pa.string()
    )


def _key_value(value: Any) -> Any:
    # a column of decimals has one scale, which must not get into the ids
    return _plain_decimal(value) if isinstance(value, Decimal) else value


def _plain_decimal(value: Decimal) -> Decimal:
    short = value.normalize(_EXACT)
    return short if int(short.as_tuple().exponent) <= 0 else short.quantize(_ONE, context=_EXACT)


def item_hash(item: dict[str, Any]) -> str:
    """The id of a version of an item: a hash of all its keys but those of the system."""
    plain = {k: _plain_ids(v) for k, v in item.items() if not k.startswith("_dlt")}
    return _hash(typed_json.dumpb(plain, sort_keys=True))


def _plain_ids(value: Any) -> Any:
    # dlt writes UUIDs as plain text, not as typed JSON can
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, dict):
        return {k: _plain_ids(v) for k, v in value.items()}
    return [_plain_ids(v) for v in value] if isinstance(value, (list, tuple)) else value
