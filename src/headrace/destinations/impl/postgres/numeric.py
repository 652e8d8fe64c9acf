"""Arrow decimals as PostgreSQL's binary ``numeric``: whole columns at once, exact at any number of digits.

The wire form of a number is digits to the base of 10,000, aligned at the point. All numbers of a batch get as many
digits as the longest of them needs: leading zeros are allowed, and the column becomes one of fixed width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

_BASE = 10_000
_NEGATIVE = 0x4000
_HEADER = 8  # number of digits, weight of the first, sign, places behind the point; two bytes each

Bytes = "np.ndarray[Any, np.dtype[np.uint8]]"
Words = "np.ndarray[Any, np.dtype[np.uint64]]"


def numeric_bytes(array: pa.Array) -> Any:
    """The wire form of decimals, without the length: one row of bytes a number, those of nulls are of no meaning.

    Args:
        array: Of type decimal128 or decimal256, with a scale of 0 or more.
    """
    scale = array.type.scale
    lift = -scale % 4  # digits hold four places each
    limbs, negative = _magnitudes(array)
    digits = _digits(limbs, 10**lift)
    behind = (scale + lift) // 4
    while len(digits) < max(behind, 1):
        digits.append(np.zeros(len(array), np.uint64))
    made = np.empty((len(array), _HEADER // 2 + len(digits)), ">u2")
    made[:, 0] = len(digits)
    made[:, 1] = (len(digits) - behind - 1) & 0xFFFF
    made[:, 2] = np.where(negative, _NEGATIVE, 0)
    made[:, 3] = scale
    for place, digit in enumerate(reversed(digits)):
        made[:, _HEADER // 2 + place] = digit
    return made.view(np.uint8)


def _magnitudes(array: pa.Array) -> tuple[list[Any], Any]:
    """Absolute values in words of 32 bits, the lowest first, as many as are needed; and which values are negative."""
    words = array.type.byte_width // 8
    stored = np.frombuffer(array.buffers()[1], "<u8").reshape(-1, words)[array.offset : array.offset + len(array)]
    if array.null_count:
        # what stands in the place of a null would make all numbers longer
        stored = np.where(array.is_valid().to_numpy(zero_copy_only=False)[:, None], stored, np.uint64(0))
    negative = stored[:, -1].view(np.int64) < 0
    columns = [np.ascontiguousarray(stored[:, i]) for i in range(words)]
    if negative.any():
        carry = negative
        for i, word in enumerate(columns):
            turned = np.where(negative, ~word, word) + carry
            carry = carry & (turned == 0)
            columns[i] = turned
    while len(columns) > 1 and not columns[-1].any():
        columns.pop()
    low = np.uint64(0xFFFFFFFF)
    limbs = [part for word in columns for part in (word & low, word >> np.uint64(32))]
    while len(limbs) > 1 and not limbs[-1].any():
        limbs.pop()
    return limbs, negative


def _digits(limbs: list[Any], factor: int) -> list[Any]:
    """Digits to the base of 10,000 of numbers times a factor below that, the lowest first."""
    if len(limbs) <= 2:
        whole = limbs[0] if len(limbs) == 1 else limbs[0] | limbs[1] << np.uint64(32)
        if int(whole.max(initial=0)) * factor < 1 << 64:
            return _digits_of_words(whole * np.uint64(factor))
    limbs = _times(limbs, factor)
    digits: list[Any] = []
    base = np.uint64(_BASE)
    while len(limbs) > 2:
        rest = np.zeros_like(limbs[0])
        for i in range(len(limbs) - 1, -1, -1):
            part = rest << np.uint64(32) | limbs[i]
            limbs[i] = part // base
            rest = part - limbs[i] * base
        digits.append(rest)
        while len(limbs) > 1 and not limbs[-1].any():
            limbs.pop()
    return [*digits, *_digits_of_words(limbs[0] if len(limbs) == 1 else limbs[0] | limbs[1] << np.uint64(32))]


def _times(limbs: list[Any], factor: int) -> list[Any]:
    made, carry = [], np.zeros_like(limbs[0])
    for limb in limbs:
        part = limb * np.uint64(factor) + carry
        made.append(part & np.uint64(0xFFFFFFFF))
        carry = part >> np.uint64(32)
    return [*made, carry] if carry.any() else made


def _digits_of_words(whole: Any) -> list[Any]:
    digits: list[Any] = []
    base = np.uint64(_BASE)
    while whole.any():
        left = whole // base
        digits.append(whole - left * base)
        whole = left
    return digits
