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


# ---- contracts -------------------------------------------------------------------------------------------------------


class Frozen(Exception):
    """The contract freezes something that the documents would change."""


def judge(
    documents: list[dict[str, Any]], modes: dict[str, str]
) -> tuple[dict[str, list[dict[str, Any]]], dict[tuple[str, str, str], int]]:
    """What becomes of documents of table ``t``, one row after the other.

    Known are ``t`` and ``t__k``, with the number ``a`` and, in ``t``, the number ``id``; ``n`` is a list of a table
    that is not known, ``b`` a number in a column that is not known, and a text in ``a`` has the wrong type.

    Returns:
        Rows by table, without None; and how many rows or values were let go, by table, column and rule.

    Raises:
        Frozen: Something is frozen; that comes before anything is let go.
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    lost: dict[tuple[str, str, str], int] = {}
    everywhere = [*documents, *(r for d in documents for r in d.get("k", ()))]
    if modes["tables"] == "freeze" and any(d.get("n") for d in documents):
        raise Frozen("tables")
    if modes["columns"] == "freeze" and any(r.get("b") is not None for r in everywhere):
        raise Frozen("columns")
    if modes["data_type"] == "freeze" and any(isinstance(r.get("a"), str) for r in everywhere):
        raise Frozen("data_type")

    def lose(table: str, column: str, rule: str) -> None:
        lost[table, column, rule] = lost.get((table, column, rule), 0) + 1

    for document in documents:
        kept = _judge_row("t", document, modes, lose)
        if kept is not None:
            rows.setdefault("t", []).append(kept)
        for row in document.get("k", ()):
            below = _judge_row("t__k", row, modes, lose) if kept is not None else None
            if kept is None:
                lose("t__k", "", "parent:discard_row")
            if below is not None:
                rows.setdefault("t__k", []).append(below)
        for row in document.get("n", ()):
            if kept is None:
                lose("t__n", "", "parent:discard_row")
            elif modes["tables"] != "evolve":
                lose("t__n", "", f"tables:{modes['tables']}")
            else:
                rows.setdefault("t__n", []).append(dict(row))
    return rows, lost


def _judge_row(table: str, document: dict[str, Any], modes: dict[str, str], lose: Any) -> dict[str, Any] | None:
    row = {k: v for k, v in document.items() if k in ("id", "a", "b") and v is not None}
    wrong = [("a", "data_type")] if isinstance(row.get("a"), str) else []
    wrong += [("b", "columns")] if "b" in row else []
    for column, entity in wrong:
        if modes[entity] == "discard_row":
            lose(table, column, f"{entity}:discard_row")
            return None
    for column, entity in wrong:
        if modes[entity] == "discard_value":
            lose(table, column, f"{entity}:discard_value")
            del row[column]
    if isinstance(row.get("a"), str):
        row["a__v_text"] = row.pop("a")
    return row
