"""From the keys of documents to names of tables and columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.model.schema import Schema

EMPTY_KEY = "_empty"


class RawNames:
    """Names what lies at paths of raw documents, by a schema's naming convention; remembers what it named.

    Args:
        schema: Gives the convention and whether a key that holds the path separator is itself a path.
    """

    def __init__(self, schema: Schema) -> None:
        self._naming = schema.naming
        self._break = bool(schema.normalizers.get("use_break_path_on_normalize", True))
        self._keys: dict[str, str] = {}
        self._columns: dict[tuple[str, ...], str] = {}
        self._tables: dict[tuple[str, ...], str] = {}

    def key(self, key: str) -> str:
        """The normalized form of one key."""
        found = self._keys.get(key)
        if found is None:
            if not key.strip():
                found = EMPTY_KEY
            elif self._break:
                found = self._naming.normalize_path(key)
            else:
                found = self._naming.normalize_identifier(key)
            # nothing may be left of a key such as `__`
            found = self._keys[key] = found or EMPTY_KEY
        return found

    def column(self, path: Sequence[str]) -> str:
        """The name of the column at a path inside a row's document."""
        at = tuple(path)
        found = self._columns.get(at)
        if found is None:
            parts = [self.key(k) for k in at]
            found = self._columns[at] = parts[0] if len(parts) == 1 else self._naming.shorten_fragments(*parts)
        return found

    def table(self, root: str, path: Sequence[str]) -> str:
        """The name of the table that holds the list at a path below the root table."""
        if not path:
            return root
        at = (root, *path)
        found = self._tables.get(at)
        if found is None:
            parts = [self.key(k) for k in path]
            found = self._tables[at] = self._naming.shorten_fragments(root, *parts)
        return found

    def variant(self, column: str, data_type: str) -> str:
        """The name of the column for values of another type than the column's."""
        return self._naming.shorten_fragments(column, f"v_{data_type}")
