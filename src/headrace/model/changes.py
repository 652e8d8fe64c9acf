"""What a load did to the rows of a table, as the destination counted it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


class RowChanges(NamedTuple):
    """Rows of one table by what became of them. None stands for a number that the destination did not tell.

    Attributes:
        inserted: Rows that are new.
        updated: Rows whose record was there before and was written anew. Rows without a key to know them by (those of
            `append`, of a `merge_key` alone, and nested rows with random ids) count as inserted and deleted instead.
        deleted: Rows that are gone without another in their place.
        unchanged: Rows of the load that the table had already, and that were therefore left as they are.
    """

    inserted: int | None = 0
    updated: int | None = 0
    deleted: int | None = 0
    unchanged: int | None = 0

    def __add__(self, other: object) -> RowChanges:
        """Sum each number; what is unknown on one side is unknown in the sum."""
        if not isinstance(other, RowChanges):
            return NotImplemented
        return RowChanges(*map(_sum, self, other))

    def __str__(self) -> str:
        said = [f"{number} {name}" for name, number in zip(self._fields, self, strict=True) if number]
        if None in (self.inserted, self.updated, self.deleted):
            said.append("others not counted" if said else "not counted")
        return ", ".join(said) or "no change"


UNKNOWN_CHANGES = RowChanges(None, None, None, None)


def add_changes(parts: Iterable[Mapping[str, RowChanges]]) -> dict[str, RowChanges]:
    """Sum the changes of jobs or packages by table."""
    total: dict[str, RowChanges] = {}
    for part in parts:
        for table, changes in part.items():
            total[table] = total[table] + changes if table in total else changes
    return total
