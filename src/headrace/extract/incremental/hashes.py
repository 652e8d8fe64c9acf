"""Telling rows at the edge of the range apart: their hashes, which ones were seen, and how they are kept in state.

A row that has the cursor value at which the last run stopped may have been loaded by that run or may be new. The state
therefore keeps a hash of each row at that value, in ``unique_hashes``:

* up to `MAX_LISTED` rows, dlt's own form: a list of base64 texts of 9 bytes (12 characters), so that state made here
  goes on in dlt and the other way round. dlt before 1.31 wrote 15 bytes, and wrote instants as ISO text; those are
  recognised;
* above it, one more text in that list: ``packed8:`` and the base64 of the first 8 bytes of each hash, sorted and
  compressed, 8 to 9 characters a row. With a million rows at the edge, the chance that a new row is taken for a known
  one is 1 in 10^13 (a million of 2^64). dlt takes the text for an unknown hash: it would load the rows at the edge
  once more, and keep the text;
* above `MAX_ROWS` of them, an error that says what to do: the state must not grow without end.

The hash is SHAKE-128 of the JSON (keys sorted) of the primary key, or of the whole row.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import msgspec

from headrace.base import json
from headrace.base.time import UTC
from headrace.errors.incremental import IncrementalBoundaryTooLarge

__all__ = ["MAX_LISTED", "MAX_ROWS", "Boundary", "Seen", "digest", "digest_of_row", "legacy_digest", "to_text"]

MAX_LISTED = 10_000
"""Hashes kept in dlt's readable form; more of them are packed."""

MAX_ROWS = 5_000_000
"""Hashes kept at all: 40 MB of state. More is an error."""

DIGEST_BYTES = 9
LEGACY_BYTES = 15
_PACKED_BYTES = 8
_PACKED_PREFIX = "packed8:"
_LEGACY_LENGTH = 20
_BIG_ENDIAN = ">u8"
_EPOCH = dt.datetime(1970, 1, 1)
_AWARE_EPOCH = dt.datetime(1970, 1, 1, tzinfo=UTC)
_SAME_IN_JSON = frozenset({str, int, bool, type(None), dt.date, dt.time})
_shake = hashlib.shake_128

Digest = Callable[[Any], bytes]


# ---- from values to bytes ------------------------------------------------------------------------------------------


def digest(value: Any) -> bytes:
    """Hash a key value or a row to 9 bytes.

    Raises:
        TypeError: The value holds something without a JSON form.
    """
    return _shake(json.dumpb(_canonical(value), sort_keys=True)).digest(DIGEST_BYTES)


def legacy_digest(value: Any) -> bytes:
    """Hash as dlt did before 1.31: instants as ISO text, 15 bytes."""
    return _shake(json.dumpb(_canonical(value, _iso), sort_keys=True)).digest(LEGACY_BYTES)


def to_text(raw: bytes) -> str:
    """A hash as it stands in state."""
    return binascii.b2a_base64(raw, newline=False).decode("ascii")


def _micros(value: dt.datetime) -> int | None:
    """Microseconds since 1970 UTC; a naive value is taken as UTC, and pandas' missing instant as null."""
    try:
        past = value - (_EPOCH if value.tzinfo is None else _AWARE_EPOCH)
        return (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds
    except (TypeError, ValueError, AttributeError):
        return None


def _iso(value: dt.datetime) -> str:
    return value.isoformat()


def _canonical(value: Any, instant: Callable[[dt.datetime], Any] = _micros) -> Any:
    """Replace what our JSON writes otherwise than dlt's hashing does: instants, and floats from 1e16 on."""
    kind = type(value)
    if kind in _SAME_IN_JSON:
        return value
    if kind is float:
        large = not -1e16 < value < 1e16 and value - value == 0  # neither infinite nor NaN
        return msgspec.Raw(repr(value).encode()) if large else value
    if kind is dict:
        if set(map(type, value.values())) <= _SAME_IN_JSON:
            return value
        return {k: _canonical(v, instant) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical(v, instant) for v in value]
    if isinstance(value, dt.datetime):
        return instant(value)
    if isinstance(value, Mapping):
        return {k: _canonical(v, instant) for k, v in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return _canonical_dataclass(value, instant)
    if hasattr(value, "__dict__") and not hasattr(value, "model_dump") and kind.__module__ not in _KNOWN_MODULES:
        return _canonical_object(value, instant)
    return value


def _canonical_dataclass(value: Any, instant: Callable[[dt.datetime], Any]) -> Any:
    """Fields of a dataclass stay in the order of their declaration; what is in them is sorted."""
    parts = []
    for field in fields(value):
        inner = json.dumpb(_canonical(getattr(value, field.name), instant), sort_keys=True)
        parts.append(json.dumpb(field.name) + b":" + inner)
    return msgspec.Raw(b"{" + b",".join(parts) + b"}")


_KNOWN_MODULES = frozenset({"decimal", "datetime", "uuid", "pathlib", "numpy"})


def _canonical_object(value: Any, instant: Callable[[dt.datetime], Any]) -> Any:
    """An object of a class of the user's counts by its attributes, unless JSON knows better."""
    try:
        json.dumpb(value)
    except TypeError:
        return {k: _canonical(v, instant) for k, v in vars(value).items() if not k.startswith("_")}
    return value


def digest_of_row(
    key: str | Sequence[str] | None, value_of: Callable[[Any, str], Any], hash_value: Digest = digest
) -> Digest:
    """Make the function that hashes one row.

    Args:
        key: Name or names of the key columns; None hashes the whole row.
        value_of: Reads a column of a row; raises when it is missing.
        hash_value: `digest` or `legacy_digest`.
    """
    if key is None:
        return hash_value
    if isinstance(key, str):
        name = key
        return lambda row: hash_value(value_of(row, name))
    names = tuple(key)
    return lambda row: hash_value([value_of(row, n) for n in names])


# ---- what earlier runs saw -----------------------------------------------------------------------------------------


class Seen:
    """The hashes in state when the run began.

    Args:
        texts: The list ``unique_hashes`` of the state.

    Attributes:
        legacy: They were written by dlt before 1.31; rows have to be hashed by `legacy_digest` to be found.
    """

    __slots__ = ("_exact", "_packed", "_unknown", "legacy")

    def __init__(self, texts: Iterable[str]) -> None:
        self._exact: set[bytes] = set()
        self._packed: Any = None  # sorted numbers, as an array of numpy
        self._unknown: list[str] = []
        self.legacy = False
        for text in texts:
            self._take(text)

    def _take(self, text: str) -> None:
        try:
            if text.startswith(_PACKED_PREFIX):
                self._packed = _unpack(text)
                return
            raw = base64.b64decode(text, validate=True)
        except (ValueError, zlib.error, AttributeError):
            self._unknown.append(text)
            return
        self.legacy = self.legacy or len(text) == _LEGACY_LENGTH
        self._exact.add(raw)

    def __len__(self) -> int:
        return len(self._exact) + len(self._unknown) + (0 if self._packed is None else len(self._packed))

    def __contains__(self, raw: bytes) -> bool:
        return self.known([raw])[0]

    def known(self, raws: Sequence[bytes]) -> list[bool]:
        """Which of the hashes were seen."""
        exact = self._exact
        if self._packed is None:
            return [raw in exact for raw in raws]
        numbers = _numbers(b"".join([raw[:_PACKED_BYTES] for raw in raws]))
        at = self._packed.searchsorted(numbers).clip(max=len(self._packed) - 1)
        packed = (self._packed[at] == numbers).tolist()
        return [raw in exact or found for raw, found in zip(raws, packed, strict=True)]

    def pour_into(self, boundary: Boundary) -> None:
        """Add all of them to those collected: the cursor has not moved, so they stay at the edge."""
        boundary.add_all(self._exact)
        if self._packed is not None:
            boundary.add_packed(self._packed)
        boundary.unknown.extend(self._unknown)


# ---- what this run sees --------------------------------------------------------------------------------------------


class Boundary:
    """Hashes of the rows at the running last value. Grows by 8 bytes a row once there are many.

    Args:
        cap: Up to how many are kept one by one.
        limit: Up to how many are kept.
        where: Resource and cursor path, for the error.
    """

    __slots__ = ("_exact", "_merged", "_packed", "cap", "full", "limit", "unknown", "where")

    def __init__(self, cap: int = MAX_LISTED, limit: int = MAX_ROWS, where: tuple[str, str] = ("", "")) -> None:
        self.cap, self.limit, self.where = cap, limit, where
        self.full = False  # no more are taken; only an error if the cursor does not move any more
        self._exact: set[bytes] = set()
        self._packed = bytearray()
        self._merged = 0  # bytes of `_packed` when it was last freed of duplicates
        self.unknown: list[str] = []

    def clear(self) -> None:
        """Forget all: the last value has moved."""
        if self._exact or self._packed or self.unknown:
            self._exact = set()
            self._packed, self._merged, self.full = bytearray(), 0, False
            self.unknown = []

    def add_all(self, raws: Iterable[bytes]) -> None:
        """Add hashes of rows."""
        if self.full:
            return
        self._exact.update(raws)
        if len(self._exact) > self.cap:
            self._pack_exact()
            # rows that come again and again must not make it grow without end
            if len(self._packed) > 2 * self._merged + 4 * _PACKED_BYTES * self.cap:
                self._merge()

    def add_packed(self, numbers: Any) -> None:
        """Add hashes that only exist in packed form."""
        self._packed += numbers.astype(_BIG_ENDIAN).tobytes()

    def _pack_exact(self) -> None:
        self._packed += b"".join([raw[:_PACKED_BYTES] for raw in self._exact])
        self._exact = set()

    def _merge(self) -> Any:
        """Pack all, once each; gives the sorted numbers."""
        import numpy as np

        self._pack_exact()
        numbers = _numbers(bytes(self._packed))
        if len(self._packed) == self._merged:
            return numbers
        numbers.sort()
        numbers = numbers[np.concatenate(([True], numbers[1:] != numbers[:-1]))]
        self._packed = bytearray(numbers.astype(_BIG_ENDIAN).tobytes())
        self._merged = len(self._packed)
        self.full = len(numbers) > self.limit
        return numbers

    def __len__(self) -> int:
        listed = len(self._merge()) if self._packed else len(self._exact)
        return listed + len(self.unknown)

    def to_state(self) -> list[str]:
        """The list for ``unique_hashes``, in a fixed order.

        Raises:
            IncrementalBoundaryTooLarge: There are more than may be kept.
        """
        if self._packed:
            numbers = self._merge()
            if self.full:
                raise IncrementalBoundaryTooLarge(*self.where, len(numbers), self.limit)
            return [_PACKED_PREFIX + _pack(numbers), *self.unknown]
        return sorted(map(to_text, self._exact)) + self.unknown


# ---- packed form ---------------------------------------------------------------------------------------------------


def _numbers(raw: bytes) -> Any:
    """Hashes of 8 bytes, one after the other, as an array of numbers that sort as the bytes do."""
    import numpy as np

    return np.frombuffer(raw, _BIG_ENDIAN).astype(np.uint64)


def _pack(numbers: Any) -> str:
    """Write sorted numbers byte plane by byte plane: the leading bytes, nearly constant, compress to nothing."""
    import numpy as np

    planes = numbers.astype(_BIG_ENDIAN).view(np.uint8).reshape(-1, _PACKED_BYTES).T.tobytes()
    return base64.b64encode(zlib.compress(planes, 1)).decode("ascii")


def _unpack(text: str) -> Any:
    import numpy as np

    planes = zlib.decompress(base64.b64decode(text[len(_PACKED_PREFIX) :], validate=True))
    return _numbers(np.frombuffer(planes, np.uint8).reshape(_PACKED_BYTES, -1).T.tobytes())
