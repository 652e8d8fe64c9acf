"""Hashes of text as short text, and shortening of names."""

from __future__ import annotations

import base64
import hashlib
import math
import secrets
import zlib


def digest128(text: str | bytes, length: int = 15) -> str:
    """Hash text with SHAKE-128 to base64 without padding; ``length`` is in bytes."""
    data = text.encode("utf-8") if isinstance(text, str) else text
    return base64.b64encode(hashlib.shake_128(data).digest(length)).decode("ascii").rstrip("=")


def digest256(data: str | bytes) -> str:
    """Hash text with SHA3-256 to base64 (44 characters, padded)."""
    raw = data.encode("utf-8") if isinstance(data, str) else data
    return base64.b64encode(hashlib.sha3_256(raw).digest()).decode("ascii")


def compressed_b64(data: bytes) -> str:
    """Compress bytes (zlib, level 9) into base64 text."""
    return base64.b64encode(zlib.compress(data, level=9)).decode("ascii")


def decompress_b64(text: str) -> bytes:
    """Undo `compressed_b64`.

    Raises:
        ValueError: The text is not base64 of a zlib stream.
    """
    try:
        return zlib.decompress(base64.b64decode(text, validate=True))
    except zlib.error as error:
        raise ValueError(f"not a compressed text: {error}") from error


def random_id(length: int = 16) -> str:
    """Random hexadecimal text; ``length`` is in bytes."""
    return secrets.token_hex(length)


def tag(identifier: str, collision_probability: float = 0.001) -> str:
    """A short lower-case hash of an identifier, for names that had to be cut."""
    # ceil(log2(1/p) / 8 bits * 2) bytes: four at the default probability
    length = math.ceil(math.log2(1.0 / collision_probability) / 8 * 2 + 1)
    text = base64.b64encode(hashlib.shake_128(identifier.encode("utf-8")).digest(length)).decode("ascii")
    return text.rstrip("=").replace("/", "a").replace("+", "b").lower()


def shorten(identifier: str, normalized: str, max_length: int | None) -> str:
    """Cut a normalized name to a length, keeping head and tail around a hash of the original.

    Args:
        identifier: The text to hash: the name before normalization.
        normalized: The name to cut.
        max_length: In characters; None leaves the name whole.
    """
    if not max_length or len(normalized) <= max_length:
        return normalized
    mark = tag(identifier)
    room = max_length - len(mark)
    if room <= 0:
        return mark[:max_length]
    head, tail = math.ceil(room / 2), room // 2
    return normalized[:head] + mark + (normalized[-tail:] if tail else "")
