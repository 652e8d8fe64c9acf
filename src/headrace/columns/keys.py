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
_SHIFTS = np.arange(54, -1, -6, dtype=np.int64).astype(np.uint64)
_FOUR, _SEXTET = np.uint64(4), np.uint64(63)
_ALPHABET = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", dtype=np.uint8)


class RandomIds:
    """Ids without end, others for each seed; those of one batch are each larger than the one before it: where a
    database keeps them in an index, a batch goes through it once from front to back instead of to and fro. They have
    eighty random bits.

    Args:
        seed: Numbers that name what the ids are for: the package's seed, the file.
    """

    def __init__(self, seed: Sequence[int]) -> None:
        self._seed = seed
        self._source: Any = None

    def take(self, count: int) -> pa.Array:
        """The next ids, of one batch."""
        if self._source is None:
            self._source = np.random.SFC64(np.random.SeedSequence(self._seed))
        words = self._source.random_raw(2 * count)
        ordered = np.sort(words[:count] >> _FOUR)
        sextets = np.empty((count, ID_CHARS), dtype=np.uint8)
        for values, begin, end in ((ordered, 0, 10), (words[count:], 10, ID_CHARS)):
            if count <= 1000:
                sextets[:, begin:end] = values[:, None] >> _SHIFTS[: end - begin] & _SEXTET
            else:  # what is in between fits no cache
                for place in range(begin, end):
                    sextets[:, place] = values >> _SHIFTS[place - begin] & _SEXTET
        chars = _IN_ORDER.take(sextets)
        # eighty bits fill thirteen characters and two bits of the last
        chars[:, ID_CHARS - 1] = _ALPHABET.take(sextets[:, ID_CHARS - 1] & 48)
        return fixed_text(chars)


def random_ids(count: int, seed: Sequence[int]) -> pa.Array:
    """Ids of one batch.

    Args:
        count: How many.
        seed: Numbers that name the batch.
    """
    return RandomIds(seed).take(count)


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
