"""What a destination keeps of loads so that they can be undone, and what undoing them came to."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from headrace.model.wording import count


class UndoPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a load has to keep for its undo.

    Attributes:
        pipeline_name: Whose load it is.
        keep: How many of the pipeline's complete loads can be undone at most.
        before: ``{"source": …}``: the state of the load's source before it; None when it did not change.
        is_late: Part of the load came in already, when perhaps nothing was kept.
    """

    pipeline_name: str
    keep: int
    before: dict[str, Any] | None = None
    is_late: bool = False


class UndoLoad(msgspec.Struct, frozen=True, kw_only=True):
    """A load of which the destination knows how to undo it, or that it was undone.

    Attributes:
        load_id: The load.
        pipeline_name: Who loaded it.
        schema_name: The schema it belongs to.
        began: Its place in the order of what happened to the dataset.
        began_at: When it began to change the dataset.
        ended: Where it was complete in that order; None when it was broken off or is still at work.
        undone: Where it was undone in that order; None when it was not.
        tables: The tables it changed.
        why_not: Why it cannot be undone after all; empty when it can.
        before: As in `UndoPlan`.
    """

    load_id: str
    pipeline_name: str
    schema_name: str
    began: int
    began_at: dt.datetime | None = None
    ended: int | None = None
    undone: int | None = None
    tables: list[str] = []
    why_not: str = ""
    before: dict[str, Any] | None = None

    @property
    def is_complete(self) -> bool:
        """Whether all of the load had come in."""
        return self.ended is not None


class TableUndone(msgspec.Struct, kw_only=True):
    """What became of one table.

    Attributes:
        removed: Rows of the load that were taken out.
        restored: Rows that the load had changed or deleted and that were put back.
        dropped: The load had made the table; it is gone.
        columns_dropped: Columns that the load had added.
        columns_restored: Columns whose type or nullability is again what it was.
    """

    removed: int = 0
    restored: int = 0
    dropped: bool = False
    columns_dropped: list[str] = []
    columns_restored: list[str] = []

    def __str__(self) -> str:
        if self.dropped:
            return f"dropped with {count(self.removed, 'row')}"
        said = [f"{count(self.removed, 'row')} removed", f"{count(self.restored, 'row')} restored"]
        said += [f"columns dropped: {', '.join(self.columns_dropped)}"] if self.columns_dropped else []
        said += [f"columns as before: {', '.join(self.columns_restored)}"] if self.columns_restored else []
        return ", ".join(said)


class UndoReport(msgspec.Struct, kw_only=True):
    """What undoing loads did to a dataset.

    Attributes:
        load_ids: The loads, newest first.
        tables: What became of each table.
        schema_versions: Hashes of stored schemas that are gone.
    """

    load_ids: list[str] = []
    tables: dict[str, TableUndone] = {}
    schema_versions: list[str] = []

    def of(self, table: str) -> TableUndone:
        """The part of a table."""
        return self.tables.setdefault(table, TableUndone())
