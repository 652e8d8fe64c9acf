"""JSON of what lineage keeps and sends: any text can be written, also names of files that are no UTF-8."""

from __future__ import annotations

from typing import Any

import msgspec


def encoded(value: Any) -> bytes:
    """The JSON of a value; bytes that some system gave us as text (`os.fsdecode`) are told as question marks."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_readable(msgspec.to_builtins(value)))


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_readable(key): _readable(one) for key, one in value.items()}
    return [_readable(one) for one in value] if isinstance(value, (list, tuple)) else value
