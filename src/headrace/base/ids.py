"""Names of things that must not clash: load ids, file ids."""

from __future__ import annotations

from headrace.base.strings import random_id
from headrace.base.time import precise_time

LOAD_ID_MAX_LENGTH = 64


def new_load_id() -> str:
    """A load id: unix seconds as text, strictly increasing within the process."""
    return str(precise_time())


def new_file_id() -> str:
    """Ten random hexadecimal characters."""
    return random_id(5)
