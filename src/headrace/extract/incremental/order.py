"""What a checkpoint in the middle of an extract has to know of a cursor: whether its rows come in order, and its state
as of the rows read so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.columns.arrow import is_arrow_like
from headrace.extract.incremental.cursor import MISSING
from headrace.extract.incremental.values import plain
from headrace.extract.incremental.window import Window

if TYPE_CHECKING:
    from headrace.extract.incremental.step import Incremental

__all__ = ["begins_later", "document_so_far", "keeps_state", "passes_again", "watch_order", "why_unordered"]


def keeps_state(cursor: Incremental[Any] | None) -> bool:
    """Whether the next run would begin where this one ends: not so with a fixed range."""
    return cursor is not None and cursor._window is not None and cursor.end_value is None


def watch_order(cursor: Incremental[Any]) -> None:
    """Notice from now on when a row comes behind one with a later value."""
    if cursor._window is not None:
        cursor._window.watched = True


def why_unordered(cursor: Incremental[Any]) -> str:
    """Why the last value must not be taken for "all before this was read"; empty when it may."""
    window = cursor._window
    if cursor.row_order != "asc":
        return f'the rows of its cursor `{cursor.cursor_path}` are not known to come in order (row_order="asc")'
    if window is None or window.custom:
        return f"the last_value_func of its cursor `{cursor.cursor_path}` is neither max nor min"
    if window.late:
        return f'its cursor says row_order="asc", but at `{cursor.cursor_path}` rows came out of order'
    return ""


def passes_again(cursor: Incremental[Any]) -> bool:
    """Whether a run that begins at the last value would let rows pass that this run has read already."""
    window = cursor._window
    if window is None or window.again:
        return True
    return not window.dedup and (bool(cursor.lag) or not window.open_start)


def document_so_far(cursor: Incremental[Any]) -> dict[str, Any]:
    """The cursor's document as it would be if the data ended here."""
    document, window = dict(cursor.get_state()), cursor._window
    if window is not None and window.moved:
        document["unique_hashes"] = window.boundary.to_state()
    return document


def begins_later(cursor: Incremental[Any], item: Any) -> bool:
    """Whether all rows of an item lie beyond the last value: then the rows before it are complete.

    Only looks: nothing of the cursor is changed. In doubt, as with rows without a value, the answer is no.
    """
    window = cursor._window
    if window is None or window.last is None or not window.moved:
        return False
    try:
        first = _first(window, item)
        if first is None or first is MISSING:
            return False
        window.adapt(first)
        return bool(first > window.last if window.ascending else first < window.last)
    except TypeError:
        return False  # told properly when the item is filtered


def _first(window: Window, item: Any) -> Any:
    """The value of an item that lies nearest to the start of the range; None when some row has none."""
    if isinstance(item, list) and item and is_arrow_like(item[0]):
        found = [_first(window, frame) for frame in item]
        return None if any(value is None for value in found) else _nearest(window, found)
    if is_arrow_like(item):
        from headrace.extract.incremental.arrow import nearest_value

        return nearest_value(window, item)
    rows = item if isinstance(item, list) else [item]
    values = list(map(plain, window.cursor.values(rows)))
    if not values or any(value is MISSING or value is None or value != value for value in values):
        return None
    return _nearest(window, values)


def _nearest(window: Window, values: list[Any]) -> Any:
    return min(values) if window.ascending else max(values)
