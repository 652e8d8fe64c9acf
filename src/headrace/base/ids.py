"""Names of things that must not clash: load ids, file ids."""

from __future__ import annotations

import contextlib
import secrets
from decimal import Decimal, InvalidOperation

from headrace.base.strings import digest128, random_id
from headrace.base.time import next_microsecond

LOAD_ID_MAX_LENGTH = 64
MAX_STEM = 180
"""Bytes of a table's name in the name of a file, where ids and endings stand behind it."""


def new_load_id(newest: str = "") -> str:
    """A load id: unix seconds as text, ``1795256961.817560482913``, of which the last six digits are chance.

    Text order is the order of making within a process. Two processes that make one in the same microsecond still get
    two: the destination knows loads, and the jobs of a load, by nothing else.

    Args:
        newest: The newest load id there is; the new one comes behind it, even if the clock was set back.
    """
    micros = next_microsecond()
    if newest >= f"{micros // 1_000_000}.{micros % 1_000_000:06d}":
        with contextlib.suppress(InvalidOperation):  # somebody chose a load id that is no time
            micros = int(Decimal(newest) * 1_000_000) + 1
    return f"{micros // 1_000_000}.{micros % 1_000_000:06d}{secrets.randbelow(1_000_000):06d}"


def new_file_id() -> str:
    """Ten random hexadecimal characters."""
    return random_id(5)


def file_stem(table: str) -> str:
    """What a table's files are called: its name, shortened where file systems take no more (255 bytes)."""
    encoded = table.encode("utf-8", "replace")
    if len(encoded) <= MAX_STEM:
        return table
    digest = digest128(table).translate({ord("+"): "-", ord("/"): "_", ord("="): None})
    return f"{encoded[: MAX_STEM - 25].decode('utf-8', 'ignore')}-{digest}"
