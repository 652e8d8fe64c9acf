"""The range of cursor values that a run lets pass, and the one algorithm that rows and frames share.

A page (list of rows, Arrow table, data frame) answers a few questions about its cursor values as a whole: smallest,
largest, which lie between two bounds, which are equal to a value. Most pages lie inside the range, so most pages cost
two questions and no row is looked at twice.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from headrace.base.logs import get_logger
from headrace.errors.incremental import IncrementalCursorInvalidCoercion, IncrementalPrimaryKeyMissing
from headrace.extract.incremental.cursor import Cursor
from headrace.extract.incremental.hashes import Boundary, Digest, Seen, digest, digest_of_row, legacy_digest
from headrace.extract.incremental.values import say_type, to_kind_of

__all__ = ["Page", "Window", "run_page"]

logger = get_logger("headrace.incremental")


class Page(Protocol):
    """Cursor values of a page. Rows without a value (none, null, NaN) are not among them: they are dealt with apart.

    Attributes:
        lo, hi: Smallest and largest value of all rows.
        sample: Some value, to tell the type by.
    """

    lo: Any
    hi: Any
    sample: Any

    def last_value(self) -> Any:
        """The value of the last row, which decides the flags of a list; None when any row does."""

    def keep_between(self, low: Any, low_closed: bool, high: Any, high_closed: bool) -> bool:
        """Drop rows outside of the bounds (None is no bound); False when no row is left."""

    def extreme(self, largest: bool) -> Any:
        """The largest or smallest value of the rows kept."""

    def digests(self, value: Any, legacy: bool) -> list[bytes]:
        """Hashes of the kept rows whose cursor equals the value, in order."""

    def drop_equal(self, value: Any, known: Sequence[bool]) -> bool:
        """Drop those of the kept rows equal to the value that are known; False when no row is left."""


class Window:
    """What a run has to know about its cursor.

    Args:
        resource: Name of the resource, for errors.
        cursor: Where the value is.
        func: `max`, `min`, or a function of a sequence of two values.
        missing: ``raise``, ``include`` or ``exclude``.

    Attributes:
        start, end: The range; None for no bound.
        open_start, end_closed: Whether equal values are out at the start, in at the end.
        last: The running last value.
        moved: Whether `last` was set by a row of this run.
        key: Names of the columns that tell rows apart (or a function of the row); None for the whole row.
        dedup: Whether rows equal to `start` are compared with those seen before.
        start_out, end_out: Whether the last row lay outside (for frames: any row).
        passed_start, passed_end: Whether any row of the run did: what ends ordered sources.
        watched: Whether `late` is wanted.
        late: A row passed behind one with a later value.
        again: Rows passed that pass in every run: those without a value, and NaN.
    """

    def __init__(self, resource: str, cursor: Cursor, func: Callable[..., Any], missing: str) -> None:
        self.resource, self.cursor, self.func, self.missing = resource, cursor, func, missing
        self.ascending = func is not min
        self.custom = func is not max and func is not min
        self.start: Any = None
        self.end: Any = None
        self.last: Any = None
        self.open_start = self.end_closed = False
        self.moved = False
        self.key: Any = None
        self.dedup = True
        self.seen = Seen(())
        self.boundary = Boundary()
        self.start_out = self.end_out = self.passed_start = self.passed_end = False
        self.watched = self.late = self.again = False
        self._checked: tuple[type, bool] | None = None
        self._hashers: dict[bool, Digest] = {}

    # ---- types -----------------------------------------------------------------------------------------------------

    def adapt(self, value: Any) -> None:
        """Bring the bounds into the type of the data, where a date meets an instant or an aware instant a naive one.

        The first value of a page decides.
        """
        kind = (type(value), isinstance(value, dt.datetime) and value.tzinfo is not None)
        if kind == self._checked:
            return
        self._checked = kind
        if isinstance(value, dt.date):
            # dates are compared with the day before or after an instant, such that the same rows pass
            start_up, end_up = self.open_start != self.ascending, self.end_closed != self.ascending
            self.start = self._adapt_bound(self.start, value, "the start of the range", start_up)
            self.end = self._adapt_bound(self.end, value, "end_value", end_up)
            self.last = self._adapt_bound(self.last, value, "", up=False)

    def _adapt_bound(self, bound: Any, value: dt.date, name: str, up: bool) -> Any:
        if not isinstance(bound, dt.date):
            return bound
        adapted = to_kind_of(bound, value, up)
        if adapted is not bound and name:
            logger.warning(
                "Resource %r: %s (%s) and the values at %r (such as %s) differ in kind: date against instant, or naive "
                "against aware. The data decides; naive instants are taken as UTC.",
                *(self.resource, name, bound, self.cursor.path, value),
            )
        return adapted

    def invalid(self, values: Sequence[Any], error: Exception) -> IncrementalCursorInvalidCoercion:
        """The error that says what the values (some of them, or one) cannot be compared with."""
        sample = values[0]
        bound = next((v for v in values if not _comparable(v, sample)), sample)
        name = "other values of the same page"
        for candidate, its_name in ((self.end, "end_value"), (self.start, "initial_value or last_value")):
            if candidate is not None and not _comparable(candidate, sample):
                name, bound = its_name, candidate
        kind = say_type(sample)
        why = f"{kind} against {say_type(bound)}: {error}"
        return IncrementalCursorInvalidCoercion(self.resource, self.cursor.path, bound, name, sample, kind, why)

    # ---- hashes ----------------------------------------------------------------------------------------------------

    def hasher(self, legacy: bool = False) -> Digest:
        """The function that hashes one row, by its key or as a whole."""
        made = self._hashers.get(legacy)
        if made is None:
            made = self._hashers[legacy] = self._make_hasher(legacy_digest if legacy else digest)
        return made

    def _make_hasher(self, hash_value: Digest) -> Digest:
        key = self.key
        if callable(key):
            return lambda row: digest_of_row(key(row), self._value_of, hash_value)(row)
        return digest_of_row(key, self._value_of, hash_value)

    def _value_of(self, row: Any, name: str) -> Any:
        try:
            return row[name]
        except (KeyError, TypeError, IndexError, AttributeError):
            if isinstance(row, dict) or not hasattr(row, name):
                raise IncrementalPrimaryKeyMissing(self.resource, name, row) from None
        return getattr(row, name)

    # ---- moving ----------------------------------------------------------------------------------------------------

    def flag(self, start_out: bool, end_out: bool, start_any: bool, end_any: bool) -> None:
        """Remember which ends rows lay beyond."""
        self.start_out, self.end_out = start_out, end_out
        self.passed_start |= start_any
        self.passed_end |= end_any

    def advance(self, best: Any) -> bool:
        """Take the best value of the rows that passed; whether it is the running last value now."""
        last = self.last
        if last is None or (best > last if self.ascending else best < last):
            self.last, self.moved = best, True
            self.boundary.clear()
            return True
        return bool(best == last)


def run_page(w: Window, page: Page) -> bool:
    """Let a page pass the window: drop rows outside of the range and rows seen before, move the last value.

    Args:
        w: The window; its last value, hashes and flags are changed.
        page: The page; rows are dropped from it.

    Returns:
        Whether any row is left.

    Raises:
        TypeError: Values cannot be compared with each other or with the bounds.
    """
    w.adapt(page.sample)
    if not _keep_in_range(w, page):
        return False
    best = page.extreme(w.ascending)
    if w.watched and w.moved and not w.late:
        first = page.extreme(not w.ascending)
        w.late = bool(first < w.last if w.ascending else first > w.last)
    if w.dedup and w.start is not None and len(w.seen) and page.extreme(not w.ascending) == w.start:
        fresh, some_left = _drop_seen(w, page)
        if best == w.start:
            # all rows are at the edge; they only count there while the cursor has not left it
            if not w.moved:
                w.boundary.add_all(fresh)
            return some_left
    if w.advance(best) and w.dedup:
        w.boundary.add_all(page.digests(best, legacy=False))
    return True


def _keep_in_range(w: Window, page: Page) -> bool:
    closed = not w.open_start
    if w.ascending:
        low, low_closed, high, high_closed = w.start, closed, w.end, w.end_closed
    else:
        low, low_closed, high, high_closed = w.end, w.end_closed, w.start, closed
    below = _below(page.lo, low, low_closed)
    above = _above(page.hi, high, high_closed)
    if not below and not above:
        w.start_out = w.end_out = False
        return True
    last = page.last_value()
    last_below, last_above = below, above
    if last is not None:
        last_below, last_above = _below(last, low, low_closed), _above(last, high, high_closed)
    if w.ascending:
        w.flag(last_below, last_above, below, above)
    else:
        w.flag(last_above, last_below, above, below)
    return page.keep_between(low, low_closed, high, high_closed)


def _below(value: Any, low: Any, closed: bool) -> bool:
    return low is not None and bool(value < low or (not closed and value == low))


def _above(value: Any, high: Any, closed: bool) -> bool:
    return high is not None and bool(value > high or (not closed and value == high))


def _drop_seen(w: Window, page: Page) -> tuple[list[bytes], bool]:
    """Drop rows at the start that an earlier run loaded; the hashes of the others, and whether any row is left."""
    raws = page.digests(w.start, w.seen.legacy)
    known = w.seen.known(raws)
    some_left = page.drop_equal(w.start, known) if any(known) else True
    return [raw for raw, old in zip(raws, known, strict=True) if not old], some_left


def _comparable(one: Any, other: Any) -> bool:
    try:
        return bool(one < other) or True
    except TypeError:
        return False
