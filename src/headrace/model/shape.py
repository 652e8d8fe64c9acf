"""What extract saw of a chain of raw tables, as plain data: no rows, only where which kinds of values were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

AT_KEY, IN_LIST = 1, 2
"""Where documents have a value: under its key, or as an element of a list, whose key is one that the engine made."""


class ColumnShape(msgspec.Struct, array_like=True):
    """One path of a raw table.

    Attributes:
        path: Keys from the row's document to the value.
        kinds: Kinds of values in the order of first sight.
        first: Row number (over all files of the chain) of the first value.
        detected: What each type detector that recognises the first value takes it for.
        made: `AT_KEY`, or `IN_LIST` (``value`` and ``list`` are keys of the engine), or both; 0 if not noted.
        type: What the source itself calls the type, where it does (Arrow).
    """

    path: list[str]
    kinds: list[str]
    first: int
    detected: dict[str, str] = {}
    made: int = 0
    type: str = ""


class TableShape(msgspec.Struct, array_like=True):
    """One raw table: ``path`` from the root document, ``above`` the parent's path (None for the root).

    ``made`` is as in `ColumnShape`: ``IN_LIST`` for lists right inside lists.
    """

    path: list[str]
    above: list[str] | None
    columns: list[ColumnShape] = []
    nulls: list[list[str]] = []
    made: int = 0


class ChainShape(msgspec.Struct):
    """All raw tables of a resource table, parents before children."""

    tables: list[TableShape] = []

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for a journal."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data

    @staticmethod
    def from_dict(data: dict[str, Any]) -> ChainShape:
        """The inverse of `to_dict`."""
        return msgspec.convert(data, ChainShape)


msgspec.json.Decoder(ChainShape)  # looks at the type now: two threads that did it at once would crash the process


def later(shape: ChainShape, before: Mapping[tuple[tuple[str, ...], tuple[str, ...]], int]) -> dict[str, Any]:
    """The shape, as plain data, of a file that comes behind others of its table.

    Args:
        shape: Its first rows are changed.
        before: Rows in the others, by the path of a raw table and of the one above it.
    """
    for table in shape.tables:
        rows = before.get((tuple(table.path), tuple(table.above or ())), 0)
        for column in table.columns:
            column.first += rows
    return shape.to_dict()


def join_shapes(shapes: list[ChainShape]) -> ChainShape:
    """The shape of several files of one chain, given in the order of writing."""
    if len(shapes) == 1:
        return shapes[0]
    tables: dict[tuple[Any, ...], TableShape] = {}
    for shape in shapes:
        for table in shape.tables:
            key = (tuple(table.path), None if table.above is None else tuple(table.above))
            known = tables.setdefault(key, TableShape(table.path, table.above))
            known.made |= table.made
            _join_columns(known, table)
    ordered = sorted(tables.values(), key=lambda t: len(t.path))
    return ChainShape(ordered)


def _join_columns(known: TableShape, more: TableShape) -> None:
    columns = {tuple(c.path): c for c in known.columns}
    for column in more.columns:
        found = columns.get(tuple(column.path))
        if found is None:
            known.columns.append(msgspec.structs.replace(column, kinds=list(column.kinds)))
        else:
            found.made |= column.made
            found.kinds += [k for k in column.kinds if k not in found.kinds]
    known.nulls += [n for n in more.nulls if n not in known.nulls]
