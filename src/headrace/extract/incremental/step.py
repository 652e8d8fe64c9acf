"""`Incremental`: loads only rows that are new since the last run, and remembers how far it came."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar

from headrace.columns.arrow import is_arrow_like
from headrace.errors.extract import IncrementalUnboundError
from headrace.extract.incremental.cursor import Cursor
from headrace.extract.incremental.external import find_interval
from headrace.extract.incremental.hashes import MAX_LISTED, MAX_ROWS, Boundary, Seen, to_text
from headrace.extract.incremental.lag import apply_lag
from headrace.extract.incremental.rows import filter_row, filter_rows
from headrace.extract.incremental.settings import Settings, TCursorValue
from headrace.extract.incremental.values import plain, storable, with_pendulum
from headrace.extract.incremental.window import Window, logger

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Incremental"]

_COUNTERS = (
    "unfiltered_items_count",
    "unfiltered_batches_count",
    "initial_unique_hashes_count",
    "final_unique_hashes_count",
)


class Incremental(Settings[TCursorValue]):
    """Lets only rows pass whose cursor value is new, and keeps the last value in the state of the resource.

    Give it as default of an argument of a resource function, as ``incremental=`` of a resource, or as a step::

        @resource(primary_key="id")
        def orders(updated_at=incremental("updated_at", initial_value="2024-01-01T00:00:00Z")):
            yield from api.orders(since=updated_at.last_value)

    Args:
        cursor_path: A field's name or a JSON path, as the source yields it (before names are normalized).
        initial_value: Where to begin when there is no state yet.
        last_value_func: ``max``, ``min`` or their names; or a function that takes ``(value, last value)`` and gives
            the one to remember. Frames know only max and min.
        primary_key: Column or columns that tell rows with an equal cursor apart; default is the resource's key, else
            the whole row counts. ``()`` switches de-duplication off.
        end_value: Loads just the range from ``initial_value`` to here, without reading or writing state.
        row_order: The order in which the source yields rows, seen in the direction of ``last_value_func``: ``"asc"``
            from start to end, ``"desc"`` from end to start. Lets the source be stopped early (`can_close`).
        allow_external_schedulers: Takes the range from `current.interval`; None leaves it to the interval's context.
        on_cursor_value_missing: What becomes of rows without a value, or with null: ``"raise"``, ``"include"`` (they
            pass every time) or ``"exclude"``. NaN lies in no order: such rows pass and do not move the cursor.
        lag: Start so much before the last value: seconds for instants, days for dates, else a number. Rows of that
            time are loaded again: use it with the merge disposition.
        range_start: ``"closed"``: rows at the start value pass unless they were seen; ``"open"``: they do not pass.
        range_end: ``"open"``: rows at ``end_value`` do not pass; ``"closed"``: they do.

    Attributes:
        start_out_of_range: The last row lay before the start (for frames: any row of the last frame).
        end_out_of_range: The last row lay beyond ``end_value`` (for frames: any row of the last frame).
        resource_name: The resource it is bound to, or None.
        custom_metrics: Counters of the run, under ``incremental``.
        max_listed_hashes: Up to how many rows at the last value are kept one by one in state; beyond it packed.
        max_boundary_rows: Up to how many are kept at all; more is an error.

    Raises:
        ValueErrorWithKnownValues: An argument has a value outside the known ones.
        ValueError: ``cursor_path`` is no JSON path.
    """

    placement_affinity: ClassVar[float] = 1.0
    duplicate_cursor_warning_threshold: ClassVar[int] = 200
    max_listed_hashes: int = MAX_LISTED
    max_boundary_rows: int = MAX_ROWS
    EMPTY: ClassVar[Incremental[Any]]

    # class-wide defaults of what a run sets, so that copies are unbound without further ado
    resource_name: str | None = None
    _window: Window | None = None
    _doc: dict[str, Any] | None = None
    _start: Any = None
    _stored: Any = None
    _touched: bool = False
    _range: tuple[Any, Any] | None = None
    _hinted_key: Any = None
    _counts: dict[str, int] | None = None

    def _forget(self) -> None:
        if self._range is not None:
            self.initial_value, self.end_value = self._range
        for name in ("resource_name", "_window", "_doc", "_start", "_stored", "_touched", "_range", "_counts"):
            self.__dict__.pop(name, None)

    # ---- binding ---------------------------------------------------------------------------------------------------

    def bind(self, resource_name: str, state: dict[str, Any], resource_primary_key: Any = None) -> Self:
        """Attach it to a resource and its state, at the beginning of each run.

        Args:
            resource_name: For state and errors.
            state: The dictionary ``incremental`` of the resource's state; written during the run.
            resource_primary_key: Key of the resource: name, names or a function of the item.

        Returns:
            Itself.

        Raises:
            IncrementalCursorPathMissing: There is no ``cursor_path``.
            ExternalSchedulerNotAvailable, JoinSchedulerError: The range shall come from a scheduler and cannot.
            ConfigurationValueError: ``end_value`` lies before ``initial_value``.
            ValueError: ``lag`` has no meaning for the cursor's type.
        """
        self._forget()
        cursor = self.compiled(resource_name)
        self.check_range()
        self.resource_name = resource_name
        self._join_interval(resource_name)
        doc = self._open_state(state)
        self._stored = start = doc["last_value"]
        window = self._make_window(cursor, start, doc, resource_primary_key)
        self._window, self._doc, self._touched = window, doc, False
        self._counts = dict.fromkeys(_COUNTERS, 0)
        self._counts["initial_unique_hashes_count"] = len(window.seen)
        return self

    def _make_window(self, cursor: Cursor, start: Any, doc: dict[str, Any], resource_key: Any) -> Window:
        window = Window(str(self.resource_name), cursor, self.last_value_func, self.on_cursor_value_missing)
        window.last = start
        window.start = self._start = self._lagged(start)
        window.end = self.end_value
        window.open_start, window.end_closed = self.range_start == "open", self.range_end == "closed"
        if self._range is not None and self.last_value_func is min:
            # the interval runs forwards and the cursor backwards: the open end of the one is the start of the other
            window.open_start, window.end_closed = True, True
        window.key, window.dedup = self._dedup_key(resource_key)
        window.seen = Seen(doc["unique_hashes"] if window.dedup else ())
        # hashes of dlt before 1.31 cannot be packed without saying so; they vanish when the cursor moves
        cap = sys.maxsize if window.seen.legacy else self.max_listed_hashes
        window.boundary = Boundary(cap, self.max_boundary_rows, (window.resource, cursor.path))
        return window

    def _join_interval(self, resource: str) -> None:
        """Replace the range by the scheduler's interval, cut to the configured one."""
        ends = find_interval(self, resource)
        if ends is None:
            return
        self._range = (self.initial_value, self.end_value)
        self.initial_value, self.end_value = ends

    def _open_state(self, state: dict[str, Any]) -> dict[str, Any]:
        """The document of this cursor; one that nobody keeps when a fixed range is loaded."""
        keep = self.end_value is None
        path = str(self.cursor_path)
        doc: dict[str, Any] = state.get(path) or {} if keep else {}
        initial = storable(self.initial_value)
        doc.setdefault("initial_value", initial)
        if doc.setdefault("last_value", initial) is None:
            doc["last_value"] = initial
        doc.setdefault("unique_hashes", [])
        # renewed when the first row passes: a run that finds nothing new leaves the state as it was
        doc.setdefault("start_value", doc["last_value"])
        if keep:
            state[path] = doc
        return doc

    def _lagged(self, start: Any) -> Any:
        if not self.lag or start is None or self.end_value is not None:
            return start
        if self.last_value_func is not max and self.last_value_func is not min:
            logger.warning("Resource %r: lag is ignored, it needs last_value_func max or min.", self.resource_name)
            return start
        initial = self.initial_value
        return apply_lag(self.lag, start, None if initial is None else storable(initial), self.last_value_func)

    def _dedup_key(self, resource_key: Any) -> tuple[Any, bool]:
        """The key that tells rows apart, and whether they are told apart at all."""
        own = self.primary_key
        off = own is not None and not callable(own) and len(own) == 0
        lagging = bool(self.lag) and (self.last_value_func is max or self.last_value_func is min)
        dedup = not (off or lagging or self.range_start == "open" or self.end_value is not None)
        key = own if own is not None else (self._hinted_key or resource_key)
        return (key or None), dedup

    def set_deduplication_key(self, value: Any, from_hints: bool = False) -> None:
        """Say which columns tell rows apart, as the incremental's own key or as the resource's, which gives way."""
        if from_hints:
            self._hinted_key = value
        else:
            self.primary_key = value

    @classmethod
    def from_existing_state(cls, resource_name: str, cursor_path: str) -> Incremental[Any]:
        """The cursor of another resource of the current source, to read its values.

        Args:
            resource_name: The resource.
            cursor_path: As its incremental was declared.

        Raises:
            SourceSectionNotAvailable, PipelineStateNotAvailable: Called outside of sources.
        """
        from headrace.extract.state import resource_state

        doc = resource_state(resource_name).get("incremental", {}).get(cursor_path, {})
        made: Incremental[Any] = cls(cursor_path, doc.get("initial_value"))
        made.resource_name = resource_name
        made._doc = {"initial_value": None, "last_value": None, "unique_hashes": [], "start_value": None, **doc}
        made._start = made._stored = doc.get("start_value")
        made._touched = True
        return made

    # ---- values ----------------------------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """The document of this cursor in the resource's state: initial_value, last_value, unique_hashes, start_value.

        Raises:
            IncrementalUnboundError: It is not bound.
        """
        if self._doc is None:
            raise IncrementalUnboundError(str(self.cursor_path))
        return self._doc

    @property
    def last_value(self) -> Any:
        """The last value so far: before the first row, the stored one less the lag.

        Raises:
            IncrementalUnboundError: It is not bound.
        """
        doc = self.get_state()
        if not self._touched:
            return self.start_value
        return self._as_given(self._window.last if self._window is not None else doc["last_value"])

    @property
    def start_value(self) -> Any:
        """Where this run starts: the stored last value less the lag, or ``initial_value``."""
        return self.initial_value if self._doc is None else self._as_given(self._start)

    def _as_given(self, value: Any) -> Any:
        """State holds plain instants; who began with pendulum's gets pendulum's."""
        return with_pendulum(value) if type(self.initial_value).__module__.startswith("pendulum") else value

    def get_current_range(self, apply_lag: bool = True) -> tuple[Any, Any]:
        """Start and end of this run; None for no bound. With ``apply_lag=False`` the start is the stored last value."""
        if not apply_lag and self._doc is not None:
            return self._as_given(self._stored), self.end_value
        return self.start_value, self.end_value

    def unique_boundary_consumed(self) -> bool:
        """Whether the one row that can have the start value was loaded: a query may then ask for later ones only."""
        if self._window is None or self._start is None or not self._window.dedup or not self.is_unique_cursor():
            return False
        key = self._window.key
        raw = self._window.hasher(self._window.seen.legacy)({self._window.cursor.field: self._start}) if key else b""
        return raw in self._window.seen

    def cursor_value_hash(self, value: Any, legacy: bool = False) -> str:
        """The text under which a key value stands in ``unique_hashes``."""
        from headrace.extract.incremental.hashes import digest, legacy_digest

        return to_text((legacy_digest if legacy else digest)(value))

    def advance(self, last_value: Any) -> Self:
        """Move the last value as if a row with it had passed; ignored if it lies behind the current one.

        Raises:
            IncrementalUnboundError: It is not bound.
            IncrementalCursorInvalidCoercion: The value cannot be compared with the last one.
        """
        window = self._window
        if window is None:
            raise IncrementalUnboundError(str(self.cursor_path))
        value = plain(last_value)
        window.adapt(value)
        known = window.last
        try:
            later = known is None or (value != known and self.last_value_func((value, known)) == value)
        except TypeError as error:
            raise window.invalid([value], error) from error
        if later:
            window.last, window.moved, self._touched = value, True, True
            window.boundary.clear()
            self._store(window)
        return self

    # ---- running ---------------------------------------------------------------------------------------------------

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Let an item pass: a row, a page of rows, or a frame.

        Args:
            item: Dictionary or object, list of them, Arrow table or batch or reader, pandas or polars frame, list of
                frames.
            meta: Ignored; steps of a pipe are called with it.

        Returns:
            What is left of it, of the same kind (lazy frames are collected), the same object when all of it passes,
            None when nothing is left. A record batch reader is filtered while it is read.

        Raises:
            IncrementalUnboundError: It is not bound.
            IncrementalCursorPathMissing, IncrementalCursorPathHasValueNone: A row has no cursor value.
            IncrementalCursorInvalidCoercion: Cursor values and range cannot be compared.
            IncrementalPrimaryKeyMissing: A row lacks a column of the key.
        """
        window, counts = self._window, self._counts
        if window is None or counts is None:
            raise IncrementalUnboundError(str(self.cursor_path))
        if item is None:
            return None
        self._touched = True
        counts["unfiltered_batches_count"] += 1
        if isinstance(item, list):
            if item and is_arrow_like(item[0]):
                return [k for k in (self._frame(window, frame) for frame in item) if k is not None] or None
            counts["unfiltered_items_count"] += len(item)
            left: Any = filter_rows(window, item)
            some_passed = bool(left)
        elif is_arrow_like(item):
            return self._frame(window, item)
        else:
            counts["unfiltered_items_count"] += 1
            some_passed = filter_row(window, item)
            left = item if some_passed else None
        if some_passed:
            self._store(window)
        return left

    def _frame(self, window: Window, frame: Any) -> Any:
        from headrace.extract.incremental.arrow import filter_frame

        def looked_at(rows: int, some_passed: bool) -> None:
            if self._counts is not None:
                self._counts["unfiltered_items_count"] += rows
            if some_passed:
                self._store(window)

        return filter_frame(window, frame, looked_at)

    def _store(self, window: Window) -> None:
        """Write to the state how far the cursor came; rows have passed."""
        doc = self._doc
        if doc is not None:
            doc["start_value"] = self._stored
            if window.moved:
                doc["last_value"] = storable(window.last)

    @property
    def start_out_of_range(self) -> bool:
        """Whether the last row lay before the start (for frames: any row of the last frame)."""
        return self._window is not None and self._window.start_out

    @property
    def end_out_of_range(self) -> bool:
        """Whether the last row lay beyond the end (for frames: any row of the last frame)."""
        return self._window is not None and self._window.end_out

    def can_close(self) -> bool:
        """Whether the declared ``row_order`` says that no further row can lie in the range. Not for transformers."""
        if self._window is None or self.row_order is None:
            return False
        return self._window.passed_end if self.row_order == "asc" else self._window.passed_start

    def finish(self) -> None:
        """Write the hashes of the rows at the last value to the state, after the last item. Harmless when repeated."""
        window, doc = self._window, self._doc
        if window is None or doc is None:
            return
        before = len(window.seen)
        boundary = window.boundary
        if not window.moved and before:
            window.seen.pour_into(boundary)
        texts = boundary.to_state()
        # dlt writes them in no fixed order: equal ones must not make a new version of the state
        if set(texts) != set(doc["unique_hashes"]):
            doc["unique_hashes"] = texts
        after = len(boundary)
        if self._counts is not None:
            self._counts["final_unique_hashes_count"] = after
        if before <= self.duplicate_cursor_warning_threshold < after:
            logger.warning(
                "Resource %r: %d rows share the last value of cursor %r. They are remembered one by one, to tell new "
                "ones apart; a cursor of finer resolution, or range_start='open', makes the state smaller.",
                *(self.resource_name, after, self.cursor_path),
            )

    @property
    def custom_metrics(self) -> dict[str, Any]:
        """Counters of the run: ``{"incremental": [{unfiltered_items_count, …}]}``."""
        return {"incremental": [dict(self._counts or {})]}


Incremental.EMPTY = Incremental()
