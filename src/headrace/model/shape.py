"""What extract saw of a chain of raw tables, as plain data: no rows, only where which kinds of values were."""

from __future__ import annotations

from typing import Any

import msgspec


class ColumnShape(msgspec.Struct, array_like=True):
    """One path of a raw table.

    Attributes:
        path: Keys from the row's document to the value.
        kinds: Kinds of values in the order of first sight.
        first: Row number (over all files of the chain) of the first value.
        detected: What each type detector that recognises the first value takes it for.
    """

    path: list[str]
    kinds: list[str]
    first: int
    detected: dict[str, str] = {}


class TableShape(msgspec.Struct, array_like=True):
    """One raw table: ``path`` from the root document, ``above`` the parent's path (None for the root)."""

    path: list[str]
    above: list[str] | None
    columns: list[ColumnShape] = []
    nulls: list[list[str]] = []


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


def join_shapes(shapes: list[ChainShape]) -> ChainShape:
    """The shape of several files of one chain, given in the order of writing."""
    if len(shapes) == 1:
        return shapes[0]
    tables: dict[tuple[Any, ...], TableShape] = {}
    for shape in shapes:
        for table in shape.tables:
            key = (tuple(table.path), None if table.above is None else tuple(table.above))
            known = tables.setdefault(key, TableShape(table.path, table.above))
            _join_columns(known, table)
    ordered = sorted(tables.values(), key=lambda t: len(t.path))
    return ChainShape(ordered)


def _join_columns(known: TableShape, more: TableShape) -> None:
    columns = {tuple(c.path): c for c in known.columns}
    for column in more.columns:
        found = columns.get(tuple(column.path))
        if found is None:
            known.columns.append(ColumnShape(column.path, list(column.kinds), column.first, column.detected))
        else:
            found.kinds += [k for k in column.kinds if k not in found.kinds]
    known.nulls += [n for n in more.nulls if n not in known.nulls]
