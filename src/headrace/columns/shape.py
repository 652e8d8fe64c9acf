"""The shape of a chain of raw tables: which kinds were seen where, and in what order.

Extract keeps it while it writes frames; normalize decides the schema from it without reading the rows again.
"""

from __future__ import annotations

from typing import Any

from headrace.columns.frame import Frame, Path, RawColumn
from headrace.model.shape import AT_KEY, IN_LIST, ChainShape, ColumnShape, TableShape
from headrace.model.types import DETECTIONS

TableKey = tuple[Path, Path]
"""A raw table: its path, and that of the one above it."""


class ShapeBook:
    """Gathers the shape of frames of one chain.

    Args:
        offsets: Rows of each raw table that lie in earlier files of the chain.
    """

    def __init__(self, offsets: dict[TableKey, int] | None = None) -> None:
        self.rows: dict[TableKey, int] = dict(offsets or {})
        self._tables: dict[TableKey, TableShape] = {}
        self._columns: dict[TableKey, dict[Path, ColumnShape]] = {}

    def observe(self, frame: Frame) -> None:
        """Add what a frame shows."""
        for table in frame:
            above = frame[table.above].path if table.above >= 0 else ()
            key = (table.path, above)
            shape = self._tables.get(key)
            if shape is None:
                shape = self._tables[key] = TableShape(list(table.path), list(above) if table.above >= 0 else None)
                self._columns[key] = {}
            shape.made |= IN_LIST if table.inner else AT_KEY
            known, offset = self._columns[key], self.rows.get(key, 0)
            for place, column in enumerate(table.columns):
                found = known.get(column.path)
                if found is None:
                    found = known[column.path] = _first_sight(column, offset)
                    shape.columns.append(found)
                elif column.kind not in found.kinds:
                    found.kinds.append(column.kind)
                found.made |= IN_LIST if place < table.made else AT_KEY
            for path in table.nulls:
                if list(path) not in shape.nulls:
                    shape.nulls.append(list(path))
            self.rows[key] = offset + table.rows

    def chain(self) -> ChainShape:
        """What was gathered."""
        return ChainShape(list(self._tables.values()))

    def to_dict(self) -> dict[str, Any]:
        """The shape as plain data."""
        return self.chain().to_dict()


def _first_sight(column: RawColumn, offset: int) -> ColumnShape:
    sample = column.values[column.first].as_py()
    if column.kind == "wei":
        sample = int(sample)
    detected: dict[str, str] = {
        name: found for name, rule in DETECTIONS.items() if (found := rule(type(sample), sample))
    }
    return ColumnShape(list(column.path), [column.kind], offset + column.first, detected)
