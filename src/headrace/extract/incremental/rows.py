"""Lists of rows through a window: dictionaries, or objects with attributes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import compress
from typing import Any

from headrace.errors.incremental import IncrementalCursorPathHasValueNone, IncrementalCursorPathMissing
from headrace.extract.incremental.cursor import MISSING
from headrace.extract.incremental.values import plain
from headrace.extract.incremental.window import Window, run_page

__all__ = ["filter_row", "filter_rows"]

_PLAIN = frozenset({int, float, str, bool, bytes, dt.datetime, dt.date, Decimal})


def filter_rows(w: Window, rows: list[Any]) -> list[Any] | None:
    """Let a page of rows pass the window.

    Args:
        w: The window; its last value, hashes and flags are changed.
        rows: The page.

    Returns:
        The same list when all rows pass, else a new one; None when rows came and none is left.

    Raises:
        IncrementalCursorPathMissing, IncrementalCursorPathHasValueNone: A row has no cursor value and that is not
            allowed.
        IncrementalCursorInvalidCoercion: Values cannot be compared.
        IncrementalPrimaryKeyMissing: A row at the edge lacks a column of its key.
    """
    if not rows:
        return rows
    values = w.cursor.values(rows)
    if w.custom:
        return _filter_with_holes(w, rows, values)
    if type(values[0]) not in _PLAIN:
        values = list(map(plain, values))
    try:
        page = _ListPage(w, rows, values)
    except TypeError:
        return _filter_with_holes(w, rows, values)
    if page.lo is MISSING or page.lo is None or page.lo != page.lo or page.hi != page.hi:
        return _filter_with_holes(w, rows, values)
    try:
        return page.rows if run_page(w, page) else None
    except _NotANumber:
        return _filter_with_holes(w, rows, values)
    except TypeError as error:
        raise w.invalid(values, error) from error


def filter_row(w: Window, row: Any) -> bool:
    """Let a single row pass the window; whether it does. Raises as `filter_rows` does.

    The common case, a value of the usual type that is neither at the start nor at the last value, is decided at once.
    """
    field, last = w.cursor.field, w.last
    if type(row) is dict and field is not None and w.end is None and not w.custom:
        value = row.get(field)
        if type(value) is type(last) and value is not None:
            try:
                if value > last if w.ascending else value < last:
                    w.advance(value)
                    if w.dedup:
                        w.boundary.add_all((w.hasher()(row),))
                    w.start_out = w.end_out = False
                    return True
                # NaN is neither larger nor smaller than anything
                inside = value < last if w.ascending else value > last
                if inside and (w.start is None or (value > w.start if w.ascending else value < w.start)):
                    w.start_out = w.end_out = False
                    w.late = w.late or w.moved
                    return True
            except TypeError:
                pass  # told properly below
    return filter_rows(w, [row]) is not None


class _NotANumber(Exception):
    """A page that has to be filtered has NaN among its values, for which comparisons answer nonsense."""


class _ListPage:
    """Rows with their cursor values, side by side."""

    __slots__ = ("_row_of", "_whole", "hi", "lo", "rows", "sample", "values", "w")

    def __init__(
        self, w: Window, rows: list[Any], values: list[Any], row_of: Callable[[Any], Any] | None = None
    ) -> None:
        self.w, self.rows, self.values, self._row_of = w, rows, values, row_of
        # a value that is missing or null cannot be ordered: no need to look for one
        self.lo, self.hi = min(values), max(values)
        self.sample = values[0]
        self._whole = True

    def last_value(self) -> Any:
        return self.values[-1]

    def keep_between(self, low: Any, low_closed: bool, high: Any, high_closed: bool) -> bool:
        if isinstance(self.sample, (float, int, Decimal)) and any(v != v for v in self.values):
            raise _NotANumber
        return self._keep(_between(self.values, low, low_closed, high, high_closed))

    def extreme(self, largest: bool) -> Any:
        if self._whole:
            return self.hi if largest else self.lo
        return max(self.values) if largest else min(self.values)

    def digests(self, value: Any, legacy: bool) -> list[bytes]:
        hash_row = self.w.hasher(legacy)
        at_value = [row for row, v in zip(self.rows, self.values, strict=True) if v == value]
        if self._row_of is not None:
            at_value = list(map(self._row_of, at_value))
        return list(map(hash_row, at_value))

    def drop_equal(self, value: Any, known: Sequence[bool]) -> bool:
        fate = iter(known)
        return self._keep([v != value or not next(fate) for v in self.values])

    def _keep(self, mask: list[bool]) -> bool:
        self.rows = list(compress(self.rows, mask))
        self.values = list(compress(self.values, mask))
        self._whole = False
        return bool(self.rows)


def _between(values: list[Any], low: Any, low_closed: bool, high: Any, high_closed: bool) -> list[bool]:
    """Which values lie between the bounds; spelt out, because this is the loop over every row that is not in range."""
    if high is None:
        return [v >= low for v in values] if low_closed else [v > low for v in values]
    if low is None:
        return [v <= high for v in values] if high_closed else [v < high for v in values]
    if low_closed:
        return [low <= v <= high for v in values] if high_closed else [low <= v < high for v in values]
    return [low < v <= high for v in values] if high_closed else [low < v < high for v in values]


# ---- pages with rows that have no value, and functions of the user's -----------------------------------------------


def _filter_with_holes(w: Window, rows: list[Any], values: list[Any]) -> list[Any] | None:
    """As `filter_rows`, with rows that lack a value or are not a number taken out and put back where they were."""
    kept = _holes(w, rows, values)
    w.again = w.again or bool(kept)
    at = [i for i, v in enumerate(values) if v is not MISSING and v is not None and v == v]
    if not at:
        w.start_out = w.end_out = False
    elif w.custom:
        kept += _run_custom(w, rows, values, at)
    else:
        kept += _run_present(w, rows, [values[i] for i in at], at)
    if len(kept) == len(rows):
        return rows
    return [rows[i] for i in sorted(kept)] or None


def _holes(w: Window, rows: list[Any], values: list[Any]) -> list[int]:
    """Positions of the rows that pass without a value.

    NaN lies in no order: such rows always pass and never move the cursor.
    """
    kept: list[int] = []
    for i, value in enumerate(values):
        if value is MISSING or value is None:
            if w.missing == "raise":
                error = IncrementalCursorPathMissing if value is MISSING else IncrementalCursorPathHasValueNone
                raise error(w.resource, w.cursor.path, rows[i])
            if w.missing == "include":
                kept.append(i)
        elif value != value:
            kept.append(i)
    return kept


def _run_present(w: Window, rows: list[Any], values: list[Any], at: list[int]) -> list[int]:
    try:
        page = _ListPage(w, at, values, rows.__getitem__)
        return page.rows if run_page(w, page) else []
    except TypeError as error:
        raise w.invalid(values, error) from error


def _run_custom(w: Window, rows: list[Any], values: list[Any], at: list[int]) -> list[int]:
    """Row by row, because nothing is known of the function but what it makes of two values."""
    kept: list[int] = []
    for i in at:
        value = plain(values[i])
        w.adapt(value)
        try:
            if _passes_custom(w, rows[i], value):
                kept.append(i)
        except TypeError as error:
            raise w.invalid([value], error) from error
    return kept


def _passes_custom(w: Window, row: Any, value: Any) -> bool:
    func, start, end, last = w.func, w.start, w.end, w.last
    end_out = end is not None and (func((value, end)) != end or (value == end and not w.end_closed))
    start_out = (
        not end_out
        and start is not None
        and ((value == start and w.open_start) or (value != start and func((value, start)) != value))
    )
    w.flag(start_out, end_out, start_out, end_out)
    if start_out or end_out:
        return False
    raw = None
    if w.dedup and start is not None and value == start:
        raw = w.hasher(w.seen.legacy)(row)
        if raw in w.seen:
            return False
    new_last = value if last is None else func((value, last))
    if last is None or new_last != last:
        w.last, w.moved = new_last, True
        w.boundary.clear()
        raw = None
    if w.dedup and value == new_last:
        # only while the cursor has not left the start do hashes of dlt's former kind count
        w.boundary.add_all((raw if raw is not None and not (w.moved and w.seen.legacy) else w.hasher()(row),))
    return True
