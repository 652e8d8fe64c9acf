"""What part of an input was read, as the condition of the subset facet (BaseSubsetDatasetFacet 1-0-0)."""

from __future__ import annotations

from typing import Any

import msgspec

from headrace.observers.lineage.opened import Cursor, Reading

Condition = dict[str, Any]


def subset_of(known: Condition | None, cursor: Cursor | None) -> Condition | None:
    """What the input itself tells (files, parameters) together with the range of the cursor."""
    window = _window(cursor) if cursor is not None else None
    return _both(known, window)


def without_values(reading: Reading) -> Reading:
    """A reading that has the cursor's path alone: its range are values of the data."""
    if reading.cursor is None:
        return reading
    return msgspec.structs.replace(reading, cursor=msgspec.structs.replace(reading.cursor, start=None, end=None))


def _window(cursor: Cursor) -> Condition | None:
    if not cursor.path:
        return None
    low, high = (cursor.end, cursor.start) if cursor.descending else (cursor.start, cursor.end)
    open_low, closed_high = cursor.open_start, cursor.closed_end
    if cursor.descending:
        open_low, closed_high = not cursor.closed_end, not cursor.open_start
    below = _compare(cursor.path, "GREATER_THAN" if open_low else "GREATER_EQUAL_THAN", low)
    above = _compare(cursor.path, "LESS_EQUAL_THAN" if closed_high else "LESS_THAN", high)
    return _both(below, above)


def _compare(path: str, comparison: str, value: str | None) -> Condition | None:
    if value is None:
        return None
    return {
        "type": "compare",
        "left": {"type": "field", "field": path},
        "right": {"type": "literal", "value": value},
        "comparison": comparison,
    }


def _both(left: Condition | None, right: Condition | None) -> Condition | None:
    if left is None or right is None:
        return left or right
    return {"type": "binary", "left": left, "right": right, "operator": "AND"}
