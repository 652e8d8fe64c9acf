"""Filters of tables: which paths of documents become no columns (``filters: {excludes, includes}`` of a table).

Decided once for each path, never for each row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from headrace.model import tables as tb
from headrace.model.rawnames import RawNames
from headrace.model.schema_settings import Patterns

if TYPE_CHECKING:
    from headrace.model.schema import Schema


class _Level(NamedTuple):
    """The filters of one table, and the way from there to the rows that are looked at."""

    excludes: Patterns
    includes: Patterns
    way: tuple[str, ...]


class PathFilters:
    """The filters that apply to the rows of one table: its own and those of the tables above it.

    Args:
        schema: Has the filters at its tables.
        names: Spells keys; patterns are about names, joined by the separator of paths.
        root: The root table's name.
        path: Keys from the root's document down to the table's list; empty for the root.
    """

    def __init__(self, schema: Schema, names: RawNames, root: str, path: Sequence[str]) -> None:
        self._names, self._separator = names, schema.naming.PATH_SEPARATOR
        self._levels: list[_Level] = []
        for depth in range(len(path), -1, -1):
            table = schema.tables.get(names.table(root, path[:depth])) or {}
            filters = table.get("filters")
            if filters:
                excludes, includes = (Patterns((p, True) for p in filters.get(k) or ()) for k in _KINDS)
                self._levels.append(_Level(excludes, includes, tuple(names.key(k) for k in path[depth:])))

    def __bool__(self) -> bool:
        """Whether there is any filter."""
        return bool(self._levels)

    def excluded(self, path: Sequence[str]) -> bool:
        """Whether the values at a path inside a row are left out; what is included stays, whatever is excluded."""
        spelled = [self._names.key(key) for key in path]
        return any(self._matches(level, self._separator.join((*level.way, *spelled))) for level in self._levels)

    @property
    def drops_empty_rows(self) -> bool:
        """Whether rows of which nothing is left are let go: when the patterns match the row's id too."""
        return bool(self._levels) and self.excluded((tb.C_DLT_ID,))

    @staticmethod
    def _matches(level: _Level, path: str) -> bool:
        return bool(level.excludes.find(path)) and not level.includes.find(path)


_KINDS = ("excludes", "includes")
