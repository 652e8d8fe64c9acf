"""From a frame back to its documents: the inverse of `columns.shred`, for rows that somebody wants to see again.

What shredding does not keep is not there: keys whose value was None, and empty lists and documents. A document of one
key ``value`` or ``list`` in a list with other things in it comes back as that value, which loads the same.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.base import json
from headrace.columns.frame import Path, head_bytes, read_head


class FrameDocuments:
    """Documents of one frame, and the places of values in them.

    Args:
        frame: The batches, root first.
        hidden: What is left out of documents: path of the table, path of the column.
    """

    def __init__(self, frame: Sequence[pa.RecordBatch], hidden: Collection[tuple[Path, Path]] = ()) -> None:
        self._frame, self._hidden = frame, hidden
        self._heads = [read_head(head_bytes(batch)) for batch in frame]
        self._children: list[list[int]] = [[] for _ in frame]
        for index, head in enumerate(self._heads):
            if head.above >= 0:
                self._children[head.above].append(index)
        self._parents = [
            None if head.above < 0 else batch.column(0).to_numpy()
            for batch, head in zip(frame, self._heads, strict=True)
        ]

    def root_row(self, index: int, row: int) -> int:
        """The row of the root table that a row of a table belongs to."""
        parents = self._parents[index]
        while parents is not None:
            row, index = int(parents[row]), self._heads[index].above
            parents = self._parents[index]
        return row

    def document(self, row: int) -> dict[str, Any]:
        """The document of a root row."""
        found: dict[str, Any] = self._item(0, row)
        return found

    def value(self, index: int, row: int, column: Path) -> Any:
        """A value of a row, None when it has none."""
        for place, (path, kind) in enumerate(self._heads[index].columns):
            if tuple(path) == column:
                found = self._frame[index].column(place + self._lead(index))[row]
                if found.is_valid:
                    return _plain(kind, found.as_py())
        return None

    def path(self, index: int, row: int, column: Path = ()) -> str:
        """The JSON path of a value, with the places in lists: ``$.orders[2].price``."""
        if self._heads[index].form and column[:1] in (("value",), ("list",)):
            column = column[1:]
        return "$" + "".join(map(_step, (*self._place(index, row), *column)))

    def _place(self, index: int, row: int) -> list[str | int]:
        head, parents = self._heads[index], self._parents[index]
        if parents is None:
            return []
        above = self._heads[head.above]
        keys = head.path[len(above.path) :]
        if above.form and keys[:1] == ["list"]:
            keys = keys[1:]
        position = self._frame[index].column(1)[row].as_py()
        return [*self._place(head.above, int(parents[row])), *keys, position]

    def _lead(self, index: int) -> int:
        return 0 if self._heads[index].above < 0 else 2

    def _item(self, index: int, row: int) -> Any:
        head, batch, lead = self._heads[index], self._frame[index], self._lead(index)
        document: dict[str, Any] = {}
        for place, (path, kind) in enumerate(head.columns):
            value = batch.column(place + lead)[row]
            if value.is_valid and (tuple(head.path), tuple(path)) not in self._hidden:
                _put(document, path, _plain(kind, value.as_py()))
        for child in self._children[index]:
            rows = self._rows_of(child, row)
            if rows:
                _put(document, self._heads[child].path[len(head.path) :], [self._item(child, r) for r in rows])
        if head.form and document.keys() <= {"value", "list"} and len(document) < 2:
            return next(iter(document.values()), None)
        return document

    def _rows_of(self, index: int, parent: int) -> range:
        # items lie in the order of their parents
        parents: Any = self._parents[index]
        first, last = np.searchsorted(parents, [parent, parent + 1])
        return range(int(first), int(last))


def _put(document: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for key in path[:-1]:
        document = document.setdefault(key, {})
    document[path[-1]] = value


def _plain(kind: str, value: Any) -> Any:
    if kind == "json":
        return json.loads(value)
    if kind == "wei":
        return int(value)
    if kind == "decimal":
        return _without_zeros(value)
    return spelled(value) if kind == "double" else value


def spelled(value: Any) -> Any:
    """A value, NaN and infinities in it as text: JSON has no numbers for them."""
    if isinstance(value, dict):
        return {k: spelled(v) for k, v in value.items()}
    if isinstance(value, list):
        return [spelled(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _without_zeros(value: Decimal) -> Decimal:
    # the decimals of a batch share one scale
    text = format(value, "f")
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)


def _step(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if part.isidentifier() else f"[{json.dumps(part)}]"
