"""Paths in documents: those that users write, and those that shapes of raw tables stand for."""

from __future__ import annotations

import re

from headrace.model.shape import IN_LIST, ChainShape, ColumnShape, TableShape
from headrace.observers.lineage.columns_model import ELEMENT

Place = tuple["str | None", ...]
"""Keys from the item down to a value; None for the elements of a list."""

_PART = re.compile(r"""\[\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(\*|-?\d+))\s*\]|\.?([^.\[\]]+)""")


def parse_path(text: str) -> list[str | None]:
    """A path as users write it: ``actor.login``, ``$.commits[*].sha``, ``commits._element.sha``, ``$['Order ID']``.

    What is no such path is taken for one key.
    """
    rest = text[2:] if text.startswith("$.") else text[1:] if text.startswith("$[") else text
    parts: list[str | None] = []
    at = 0
    while at < len(rest):
        found = _PART.match(rest, at)
        if found is None:
            return [text]
        single, double, index, plain = found.groups()
        key = single if single is not None else double
        if key is not None:
            parts.append(re.sub(r"\\(.)", r"\1", key))
        else:
            parts.append(None if index is not None or plain == ELEMENT else plain)
        at = found.end()
    return parts or [text]


class Places:
    """Where the rows and values of raw tables are in the documents.

    A raw table may stand for several places: a list where other documents have a list of lists, say.

    Args:
        shape: Of a chain of raw tables.
    """

    def __init__(self, shape: ChainShape) -> None:
        self._of: dict[tuple[tuple[str, ...], tuple[str, ...] | None], list[Place]] = {}
        self._by_path: dict[tuple[str, ...], list[Place]] = {}
        for table in shape.tables:
            rows = self._rows(table)
            self._of[_key(table)] = rows
            known = self._by_path.setdefault(tuple(table.path), [])
            known += [place for place in rows if place not in known]

    def _rows(self, table: TableShape) -> list[Place]:
        if table.above is None:
            return [()]
        below = tuple(table.path[len(table.above) :])
        places: list[Place] = []
        for above in self._by_path.get(tuple(table.above), []):
            if table.made != IN_LIST:
                places.append((*above, *below, None))
            if table.made & IN_LIST:
                places.append((*above, None))
        return places

    def rows(self, table: TableShape) -> list[Place]:
        """Where the rows of a table are."""
        return self._of[_key(table)]

    def values(self, table: TableShape, column: ColumnShape) -> list[Place]:
        """Where the values of a column are."""
        places: list[Place] = []
        for row in self.rows(table):
            if column.made != IN_LIST:
                places.append((*row, *column.path))
            if column.made & IN_LIST:
                places.append(row)
        return places


def _key(table: TableShape) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    return tuple(table.path), None if table.above is None else tuple(table.above)
