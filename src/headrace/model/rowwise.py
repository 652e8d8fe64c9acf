"""One document into rows, one after the other: what the engine does with whole batches, for those who ask for an item.

Slow beside `columns`, and only about shape: names, nested tables and keys, values as they came.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from headrace.base import typed_json
from headrace.base.strings import digest128
from headrace.model import tables as tb
from headrace.model.rawnames import RawNames
from headrace.model.rowkeys import RowKeys, decide_row_keys

if TYPE_CHECKING:
    from headrace.model.schema import Schema

RowAt = tuple[tuple[str, tuple[str, ...], tuple[str, ...]], dict[str, Any]]
ID_BYTES = 10
DEFAULT_NESTING = 1000


class _Place(NamedTuple):
    """Where a row stands: keys down to its list, its place there, and the ids above it."""

    path: tuple[str, ...] = ()
    number: int = 0
    parent_id: str = ""
    root_id: str = ""


class RowByRow:
    """Rows of single documents.

    Args:
        schema: Gives names, types that are kept as JSON, and key columns; it is not changed.
        load_id: Stands in every root row.
        root: The root table's name, normalized.
    """

    def __init__(self, schema: Schema, load_id: str, root: str) -> None:
        self.schema, self.load_id, self.root = schema, load_id, root
        self.names = RawNames(schema)
        marks: Mapping[str, Any] = (schema.tables.get(root) or {}).get("x-normalizer") or {}
        config = schema.normalizers.get("json", {}).get("config") or {}
        self.max_nesting = int(marks.get("max_nesting", config.get("max_nesting", DEFAULT_NESTING)))

    def rows(self, item: Any) -> Iterator[RowAt]:
        """The rows of a document, parents before children."""
        yield from self._rows(item, _Place(), self.max_nesting)

    def _rows(self, item: Any, place: _Place, levels: int) -> Iterator[RowAt]:
        table = self.names.table(self.root, place.path)
        row: dict[str, Any] = {}
        lists: list[tuple[tuple[str, ...], Sequence[Any], int]] = []
        self._flatten(table, item if isinstance(item, dict) else {"value": item}, (), levels, row, lists)
        parent = self.names.table(self.root, place.path[:-1]) if place.path else None
        own = self._add_keys(table, self._keys_of(table, parent), row, place)
        path = (self.root, *place.path)
        yield (table, path[:-1], path[-1:]), row
        root_id = place.root_id or own
        for at, values, left in lists:
            for index, value in enumerate(values):
                inside = _Place((*place.path, *at), index, own, root_id)
                if isinstance(value, list) and left > 1:
                    yield from self._rows({"list": value}, inside, left - 1)
                else:
                    yield from self._rows(value, inside, left - 1)

    def _flatten(
        self,
        table: str,
        document: Mapping[str, Any],
        at: tuple[str, ...],
        levels: int,
        row: dict[str, Any],
        lists: list[tuple[tuple[str, ...], Sequence[Any], int]],
    ) -> None:
        for key, value in document.items():
            path = (*at, key)
            name = self.names.column(path)
            nested = isinstance(value, (dict, list)) and levels > 0 and not self._is_json(table, name)
            if nested and isinstance(value, dict):
                self._flatten(table, value, path, levels - 1, row, lists)
            elif nested:
                lists.append((path, value, levels))
            else:
                row[name] = value

    def _is_json(self, table: str, column: str) -> bool:
        known = (self.schema.tables.get(table) or {}).get("columns", {}).get(column) or {}
        return (known.get("data_type") or self.schema.preferred_type(column)) == "json"

    def _keys_of(self, table: str, parent: str | None) -> RowKeys:
        if self.root not in self.schema.tables:
            return RowKeys(nested=parent is not None)
        return decide_row_keys(self.schema, table, parent, self.root)

    def _add_keys(self, table: str, keys: RowKeys, row: dict[str, Any], place: _Place) -> str:
        if keys.nested:
            if keys.root_id:
                row[tb.C_DLT_ROOT_ID] = place.root_id
            row[tb.C_DLT_PARENT_ID], row[tb.C_DLT_LIST_IDX] = place.parent_id, place.number
            made = digest128(f"{place.parent_id}_{table}_{place.number}", ID_BYTES)
        else:
            row[tb.C_DLT_LOAD_ID] = self.load_id
            made = self._root_id(keys, row)
        own = row[tb.C_DLT_ID] = str(row.get(tb.C_DLT_ID) or made)
        return own

    def _root_id(self, keys: RowKeys, row: Mapping[str, Any]) -> str:
        if keys.row_id == "key_hash" and keys.key_columns and all(k in row for k in keys.key_columns):
            return digest128(typed_json.dumps({k: row[k] for k in keys.key_columns}, sort_keys=True), ID_BYTES)
        return digest128(secrets.token_hex(16), ID_BYTES)
