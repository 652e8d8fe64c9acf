"""What a checkpoint in the middle of an extract has to know of a cursor: whether its rows come in order, and its state
as of the rows read so far."""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Any

from headrace.columns.arrow import is_arrow_like
from headrace.extract.incremental.cursor import MISSING
from headrace.extract.incremental.values import plain
from headrace.extract.incremental.window import Window

if TYPE_CHECKING:
    from headrace.extract.incremental.step import Incremental

__all__ = ["cut", "document_so_far", "keeps_state", "passes_again", "watch_order", "why_unordered"]


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


def cut(cursor: Incremental[Any], item: Any) -> tuple[Any, Any] | None:
    """Cut an item behind the last value: what belongs to it, and what lies beyond.

    Once the first part is read, all rows up to the last value are.

    Only looks: nothing of the cursor is changed.

    Returns:
        The two parts; the first is None when the whole item lies beyond. None when nothing does, or in doubt, as with
        rows without a value.
    """
    window = cursor._window
    if window is None or window.last is None or not window.moved or window.boundary.full:
        return None
    try:
        ends = _ends(window, item)
        if ends is None:
            return None
        first, last = ends if window.ascending else ends[::-1]
        window.adapt(first)
        known = window.last
        if first > known if window.ascending else first < known:
            return None, item
        return _split(window, item) if first == known != last else None
    except TypeError:
        return None  # told properly when the item is filtered


def _split(window: Window, item: Any) -> tuple[Any, Any] | None:
    if is_arrow_like(item):
        from headrace.extract.incremental.arrow import split_frame

        return split_frame(window, item)
    if not isinstance(item, list) or is_arrow_like(item[0]):
        return None
    at_last = [plain(value) == window.last for value in window.cursor.values(item)]
    return list(compress(item, at_last)), [row for row, at in zip(item, at_last, strict=True) if not at]


def _ends(window: Window, item: Any) -> tuple[Any, Any] | None:
    """Smallest and largest value of an item; None when some row has none."""
    if isinstance(item, list) and item and is_arrow_like(item[0]):
        found = [_ends(window, frame) for frame in item]
        known = [ends for ends in found if ends is not None]
        return (min(e[0] for e in known), max(e[1] for e in known)) if len(known) == len(found) else None
    if is_arrow_like(item):
        from headrace.extract.incremental.arrow import ends_of

        return ends_of(window, item)
    rows = item if isinstance(item, list) else [item]
    values = list(map(plain, window.cursor.values(rows)))
    if not values or any(value is MISSING or value is None or value != value for value in values):
        return None
    return min(values), max(values)
