"""What lookups take from their surroundings: the active pipeline's name; and a log of the values that were found."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, NamedTuple

_LIMIT = 10_000  # traces kept; a program that resolves for ever must not grow

_pipeline_name: ContextVar[str | None] = ContextVar("headrace_pipeline_name", default=None)
_hidden: ContextVar[bool] = ContextVar("headrace_pipeline_hidden", default=False)
_process_wide: str | None = None

_lock = threading.Lock()
_found: dict[tuple[Any, ...], ResolvedValue] = {}


class ResolvedValue(NamedTuple):
    """A value that a provider gave.

    Attributes:
        key: The field's name.
        value: The value after conversion; None when it is a secret.
        default_value: The value that was replaced; None when it is a secret.
        is_secret: Whether it is a secret.
        sections: The path of sections it was looked up with (the place found may be shorter).
        provider_name: Who had it.
        found_at: The full key as the provider spells it.
        pipeline_name: The pipeline that was active.
        config_type_name: The configuration class that has the field; None for a look-up by key.
        provider: The provider itself.
    """

    key: str
    value: Any
    default_value: Any
    is_secret: bool
    sections: tuple[str, ...]
    provider_name: str
    found_at: str
    pipeline_name: str | None
    config_type_name: str | None = None
    provider: Any = None

    @property
    def location(self) -> str:
        """Where the provider has it: the path of a file, or the name of an environment variable."""
        ask = getattr(self.provider, "get_value_location", None)
        if ask is None or self.provider_name == "Environment Variables":
            return self.found_at
        *sections, key = self.found_at.split(".")
        try:
            found = str(ask(key, None, *sections))
        except Exception:  # noqa: BLE001 - a vault that cannot be reached any more; a trace needs no more than its name
            return self.provider_name
        return os.path.abspath(found) if os.path.isfile(found) else found  # noqa: PTH100, PTH113 - pathlib is slow


def set_pipeline_name(name: str | None) -> None:
    """Make a pipeline's name the outermost section of lookups; None for no pipeline.

    The name holds for the calling context, and for threads that have set none of their own.
    """
    global _process_wide
    _pipeline_name.set(name)
    _process_wide = name


def get_pipeline_name() -> str | None:
    """The name of the active pipeline; None when there is none."""
    if _hidden.get():
        return None
    return _pipeline_name.get() or _process_wide


@contextmanager
def pipeline_name_scope(name: str | None) -> Iterator[None]:
    """Make a pipeline's name (or none) count within a block, in the calling context only."""
    token: Token[str | None] = _pipeline_name.set(name)
    hidden = _hidden.set(name is None)
    try:
        yield
    finally:
        _hidden.reset(hidden)
        _pipeline_name.reset(token)


def record_resolved(value: ResolvedValue) -> None:
    """Keep note of a value that was found."""
    key = (value.pipeline_name, value.sections, value.key)
    with _lock:
        _found.pop(key, None)
        _found[key] = value
        if len(_found) > _LIMIT:
            del _found[next(iter(_found))]


def resolved_traces(pipeline_name: str | None = None) -> list[ResolvedValue]:
    """The values found so far, the newest for each place, in the order they were found.

    Args:
        pipeline_name: Leave out what was found while another pipeline was active.
    """
    with _lock:
        found = list(_found.values())
    return [v for v in found if pipeline_name is None or v.pipeline_name in (None, pipeline_name)]


def clear_resolved_traces() -> None:
    """Forget the values found so far."""
    with _lock:
        _found.clear()
