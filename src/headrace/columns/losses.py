"""What a contract lets go of a frame: masks of rows, counts by reason, and the items themselves where they are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from headrace.base import json
from headrace.columns.frame import Path, is_root
from headrace.columns.keys import item_hash, random_ids
from headrace.columns.rebuild import FrameDocuments
from headrace.model import tables as tb
from headrace.model.decisions import DROPPED
from headrace.model.rejected import WITH_PARENT, Reasons, RejectedItem
from headrace.model.schema import Schema

_TYPES: dict[str, pa.DataType] = {"position": pa.int64(), "item_loaded": pa.bool_()}


class Drop:
    """Which rows of a batch are let go; a row goes with its parent.

    Attributes:
        mask: True for rows that are not loaded; None while all are.
        refused: The part of it that a contract refused, here or above.
    """

    __slots__ = ("_values", "mask", "refused")

    def __init__(self, above: Drop | None, batch: pa.RecordBatch) -> None:
        self.mask: Any = None
        self.refused: Any = None
        self._values: list[tuple[Any, ...]] = []
        if above is not None and above.mask is not None:
            parents = batch.column(0).to_numpy()
            self.mask = above.mask[parents]
            self.refused = None if above.refused is None else above.refused[parents]

    def leave_out(self, hits: Any) -> None:
        """Let rows go that no contract refused."""
        self.mask = hits if self.mask is None else self.mask | hits

    def refuse(self, hits: Any) -> Any:
        """Let rows go that a contract refuses; gives those that were not gone before."""
        fresh = hits if self.mask is None else hits & ~self.mask
        self.mask = hits if self.mask is None else self.mask | hits
        self.refused = fresh if self.refused is None else self.refused | fresh
        return fresh

    def refuse_values(self, hits: Any, *reason: Any) -> None:
        """Note values that are let go; how many of them lie in rows that stay is known at the end."""
        self._values.append((hits, *reason))

    def values(self) -> list[tuple[Any, ...]]:
        """The noted values, without those in rows that are gone anyway."""
        return [(h if self.mask is None else h & ~self.mask, *reason) for h, *reason in self._values]

    def kept(self, count: int) -> bool:
        """Whether any of ``count`` rows is left."""
        return count > 0 and (self.mask is None or not bool(np.all(self.mask)))


class Losses:
    """What was let go of the frames of one spool file.

    Args:
        keep: Also remember which rows it was, to rebuild their items.
        hidden: What is left out of these: path of the table, path of the column.

    Attributes:
        reasons: How many rows or values, by table, column and rule.
    """

    def __init__(self, keep: bool, hidden: Collection[tuple[Path, Path]] = ()) -> None:
        self.keep, self._hidden = keep, hidden
        self.reasons: Reasons = Counter()
        self._marks: list[_Mark] = []

    def note(self, index: int, table: str, column: str, path: Path, rule: str, hits: Any, *, item_loaded: bool) -> None:
        """Count hits, and remember them if they are to be kept.

        Args:
            index: Of the table in the frame.
            table: Its name.
            column: Of the values; empty for whole rows.
            path: Of the values, in the row's document.
            rule: As in `model.rejected`.
            hits: A mask of rows.
            item_loaded: Whether the root item is loaded without them.
        """
        count = int(np.count_nonzero(hits))
        if not count:
            return
        self.reasons[table, column, rule] += count
        # what a gate dropped is kept nowhere: it may be what nobody is to see
        if self.keep and rule not in (WITH_PARENT, DROPPED):
            self._marks.append(_Mark(index, table, column, path, rule, np.flatnonzero(hits), item_loaded))

    def note_table(self, index: int, table: str, rule: str, batch: pa.RecordBatch, above: Drop | None) -> None:
        """All rows of a nested table are let go; each list that held them is one mark."""
        gone = np.ones(batch.num_rows, dtype=bool)
        if rule != WITH_PARENT and above is not None and above.mask is not None:
            below = above.mask[batch.column(0).to_numpy()]
            self.note(index, table, "", (), WITH_PARENT, below, item_loaded=True)
            gone &= ~below
        count = int(np.count_nonzero(gone))
        if not count:
            return
        self.reasons[table, "", rule] += count
        if self.keep and rule != WITH_PARENT:
            rows = np.flatnonzero(gone)
            if not is_root(batch):
                rows = rows[np.unique(batch.column(0).to_numpy()[rows], return_index=True)[1]]
            self._marks.append(_Mark(index, table, "", None, rule, rows, index > 0))

    def items(self, frame: Sequence[pa.RecordBatch], resource: str, start: int) -> list[RejectedItem]:
        """The items behind what was noted of a frame, rebuilt; the notes are forgotten.

        Args:
            frame: Its batches.
            resource: Where the items came from.
            start: Number of its first item.
        """
        if not self._marks:
            return []
        marks, self._marks = self._marks, []
        documents, texts = FrameDocuments(frame, self._hidden), dict[int, str]()
        out: list[RejectedItem] = []
        for mark in marks:
            for row in mark.rows.tolist():
                root = documents.root_row(mark.at, row)
                if root not in texts:
                    texts[root] = json.dumps(_as_given(documents.document(root)))
                path = documents.path(mark.at, row, mark.path or ())
                if mark.path is None:
                    path = path.rpartition("[")[0] or path
                place = (path, mark.table, mark.column, mark.rule, resource, start + root)
                out.append(RejectedItem(texts[root], *place, mark.item_loaded))
        return sorted(out, key=lambda one: one.position)


class _Mark(NamedTuple):
    at: int
    table: str
    column: str
    path: Path | None
    rule: str
    rows: Any
    item_loaded: bool


def record_columns(
    schema: Schema, items: Sequence[RejectedItem], load_id: str, seed: tuple[int, ...]
) -> dict[str, pa.Array]:
    """Rejected items as the columns of their table.

    Args:
        schema: Its naming names the columns.
        items: The items.
        load_id: Of the package.
        seed: Makes the ids of the rows.
    """
    columns = {
        schema.naming.normalize_identifier(name): pa.array(values, _TYPES.get(name, pa.string()))
        for name, values in zip(RejectedItem._fields, zip(*items, strict=True), strict=True)
    }
    columns[tb.C_DLT_LOAD_ID] = pa.repeat(pa.scalar(load_id, pa.string()), len(items))
    columns[tb.C_DLT_ID] = random_ids(len(items), seed)
    return columns


def _as_given(item: dict[str, Any]) -> dict[str, Any]:
    """An item without the id that extract made of its content; an id that came with it stays."""
    if tb.C_DLT_ID in item and item[tb.C_DLT_ID] == item_hash(item):
        return {key: value for key, value in item.items() if key != tb.C_DLT_ID}
    return item
