"""The slow, obvious way to take documents apart: a walk over each row. What `shred` must agree with."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

UTC = dt.timezone.utc


def walk(document: dict[str, Any], level: int = 1000) -> Iterator[tuple[tuple[Any, ...], dict[tuple[str, ...], Any]]]:
    """Each row of a document: where it hangs, and its values by path.

    A row's place is a chain of (path of the list, index) from the root document down.
    """
    yield from _row((), document, level)


def _row(place: tuple[Any, ...], document: dict[str, Any], level: int) -> Iterator[Any]:
    row: dict[tuple[str, ...], Any] = {}
    lists: list[tuple[tuple[str, ...], Any]] = []
    _flatten((), document, level, row, lists)
    yield place, row
    for name, items in lists:
        for index, item in enumerate(items):
            below = (*place, (name, index))
            if isinstance(item, dict):
                yield from _row(below, item, level - 1)
            elif isinstance(item, (list, tuple)):
                yield from _row(below, {"list": item}, level - 2)
            else:
                yield from _row(below, {"value": item}, level - 1)


def _flatten(name: tuple[str, ...], document: dict[str, Any], level: int, row: Any, lists: Any) -> None:
    for key, value in document.items():
        at = (*name, key)
        if value is None:
            continue
        if isinstance(value, dict) and level > 0:
            _flatten(at, value, level - 1, row, lists)
        elif isinstance(value, (list, tuple)) and level > 0:
            lists.append((at, value))
        else:
            row[at] = value


def plain(value: Any) -> Any:
    """A value as the columns hand it back."""
    if isinstance(value, dt.datetime):
        return (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)).replace(fold=0)
    if isinstance(value, dt.time):
        return value.replace(fold=0)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Decimal):
        return value.normalize()
    return value
