"""Frames through a window: Arrow tables, batches and readers, pandas and polars frames. No row becomes a Python object
but those at the edge of the range, which are hashed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from headrace.columns.arrow import frame_library, to_tables
from headrace.errors.incremental import (
    IncrementalCursorPathHasValueNone,
    IncrementalCursorPathMissing,
    IncrementalPrimaryKeyMissing,
)
from headrace.extract.incremental.hashes import digest, legacy_digest
from headrace.extract.incremental.window import Window, run_page

__all__ = ["ends_of", "filter_frame", "split_frame"]

_ROWS_AT_ONCE = 16_384
_VIEWS = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}


def filter_frame(w: Window, frame: Any, looked_at: Callable[[int, bool], None]) -> Any:
    """Let a frame pass the window.

    Args:
        w: The window; its last value, hashes and flags are changed.
        frame: Anything for which `is_arrow_like` holds.
        looked_at: Called with the number of rows of each frame (or batch of a reader) that was filtered, and whether
            some of them passed.

    Returns:
        What is left, of the same kind; the same object when all rows pass, None when none does. A reader gives a reader
        that filters while it is read; a lazy frame of polars is collected.

    Raises:
        NotImplementedError: ``last_value_func`` is neither max nor min.
        IncrementalCursorPathMissing, IncrementalCursorPathHasValueNone, IncrementalCursorInvalidCoercion,
        IncrementalPrimaryKeyMissing: As for rows.
    """
    if w.custom:
        raise NotImplementedError(
            f"Resource `{w.resource}`: last_value_func can only be max or min for frames; yield rows to use another one"
        )
    if isinstance(frame, pa.RecordBatchReader):
        return pa.RecordBatchReader.from_batches(frame.schema, _filter_batches(w, frame, looked_at))
    if hasattr(frame, "collect"):
        frame = frame.collect()
    wrapped = _wrap(frame)
    rows = wrapped.height()
    kept = _filter(w, wrapped) if rows else frame
    looked_at(rows, rows > 0 and kept is not None)
    return kept


def _filter_batches(w: Window, reader: Any, looked_at: Callable[[int, bool], None]) -> Iterator[Any]:
    for batch in reader:
        kept = filter_frame(w, batch, looked_at)
        if kept is not None:
            yield kept


# ---- frames of the three libraries ---------------------------------------------------------------------------------


class _Frame(Protocol):
    """What is asked of a frame, whatever its library."""

    frame: Any

    def height(self) -> int: ...

    def names(self) -> Sequence[str]: ...

    def column(self, name: str) -> Any:
        """An Arrow array or chunked array; missing values are null."""

    def filter(self, mask: Any) -> Any:
        """The frame with the rows for which the Arrow mask is true."""

    def table(self, at: Any) -> pa.Table:
        """Some rows, by position."""


class _ArrowFrame:
    def __init__(self, frame: Any) -> None:
        self.frame = frame

    def height(self) -> int:
        return int(self.frame.num_rows)

    def names(self) -> Sequence[str]:
        return list(self.frame.schema.names)

    def column(self, name: str) -> Any:
        return self.frame.column(name)

    def filter(self, mask: Any) -> Any:
        return self.frame.filter(pa.chunked_array([mask]) if isinstance(self.frame, pa.Table) else mask)

    def table(self, at: Any) -> pa.Table:
        return next(to_tables(self.frame)).take(at)


class _PandasFrame(_ArrowFrame):
    def height(self) -> int:
        return len(self.frame)

    def names(self) -> Sequence[str]:
        return [str(name) for name in self.frame.columns]

    def column(self, name: str) -> Any:
        return pa.Array.from_pandas(self.frame[name])

    def filter(self, mask: Any) -> Any:
        # a fresh index, as the rows of the old one have no meaning any more
        return self.frame[mask.to_numpy(zero_copy_only=False)].reset_index(drop=True)

    def table(self, at: Any) -> pa.Table:
        return pa.Table.from_pandas(self.frame.iloc[at.to_numpy()], preserve_index=False)


class _PolarsFrame(_ArrowFrame):
    def height(self) -> int:
        return int(self.frame.height)

    def names(self) -> Sequence[str]:
        return list(self.frame.columns)

    def column(self, name: str) -> Any:
        return self.frame.get_column(name).to_arrow()

    def filter(self, mask: Any) -> Any:
        import polars as pl

        return self.frame.filter(pl.from_arrow(mask))

    def table(self, at: Any) -> pa.Table:
        return self.frame[at.to_numpy()].to_arrow()


def _wrap(frame: Any) -> _Frame:
    library = frame_library(frame)
    if library == "pandas":
        return _PandasFrame(frame)
    return _PolarsFrame(frame) if library == "polars" else _ArrowFrame(_without_views(frame))


def _without_views(frame: Any) -> Any:
    """The same frame unless it has columns of texts as views, of which Arrow cannot take some rows."""
    if not any(kind in _VIEWS for kind in frame.schema.types):
        return frame
    fields = [field.with_type(_VIEWS.get(field.type, field.type)) for field in frame.schema]
    return frame.cast(pa.schema(fields, frame.schema.metadata))


# ---- the cursor's column -------------------------------------------------------------------------------------------


def _filter(w: Window, frame: _Frame) -> Any:
    column = _cursor_column(w, frame)
    if column is None:
        w.start_out = w.end_out = False
        w.again = w.again or w.missing == "include"
        return frame.frame if w.missing == "include" else None
    column = _comparable(column)
    nulls = column.null_count
    if nulls and w.missing == "raise":
        raise IncrementalCursorPathHasValueNone(w.resource, w.cursor.path)
    ends = pc.min_max(column)
    page = _ColumnPage(w, frame, column, ends["min"].as_py(), ends["max"].as_py())
    w.again = w.again or page.holes is not None
    if page.lo is None or page.lo != page.lo:  # only nulls and NaN
        w.start_out = w.end_out = False
    else:
        try:
            run_page(w, page)
        except (TypeError, pa.ArrowException) as error:
            raise w.invalid([page.sample], error) from error
    return page.result()


def ends_of(w: Window, frame: Any) -> tuple[Any, Any] | None:
    """The smallest and the largest cursor value of a frame; None when a row has none, or before it is read."""
    if isinstance(frame, pa.RecordBatchReader) or hasattr(frame, "collect"):
        return None
    wrapped = _wrap(frame)
    if w.cursor.steps is None or str(w.cursor.steps[0]) not in wrapped.names() or not wrapped.height():
        return None
    column = _cursor_column(w, wrapped)
    if column is None or column.null_count:
        return None
    ends = pc.min_max(_comparable(column))
    return ends["min"].as_py(), ends["max"].as_py()


def split_frame(w: Window, frame: Any) -> tuple[Any, Any]:
    """The rows of a frame at the last value, and the others; only for frames that have `ends_of`."""
    wrapped = _wrap(frame)
    column = _comparable(_cursor_column(w, wrapped))
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    at_last = pc.equal(column, pa.scalar(w.last))
    return wrapped.filter(at_last), wrapped.filter(pc.invert(at_last))


def _cursor_column(w: Window, frame: _Frame) -> Any:
    """The column, or the field of a struct column, that the path leads to; None when it is absent and may be."""
    steps = w.cursor.steps
    if steps is not None and str(steps[0]) in frame.names() and all(isinstance(s, str) for s in steps):
        column = frame.column(str(steps[0]))
        if len(steps) == 1:
            return column
        try:
            return pc.struct_field(column, [str(s) for s in steps[1:]])
        except (pa.ArrowException, KeyError):
            pass
    if w.missing == "raise":
        raise IncrementalCursorPathMissing(w.resource, w.cursor.path, None, _no_column(w, frame))
    return None


def _no_column(w: Window, frame: _Frame) -> str:
    known = ", ".join(frame.names()[:20])
    return f"a frame has no column for the cursor path `{w.cursor.path}`; it has: {known}."


def _comparable(column: Any) -> Any:
    """The column in a type that has an order, and in which its values survive in state: instants in microseconds."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _comparable(column.cast(kind.value_type))
    if pa.types.is_timestamp(kind) and kind.unit != "us":
        # to the microsecond below: rows within one microsecond share their value, and are told apart by hash
        return column.cast(pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_date64(kind):
        return column.cast(pa.date32())
    if pa.types.is_float16(kind):
        return column.cast(pa.float32())
    return column


class _ColumnPage:
    """The cursor's column of a frame, and a mask of the rows kept."""

    def __init__(self, w: Window, frame: _Frame, column: Any, lo: Any, hi: Any) -> None:
        self.w, self.frame = w, frame
        self.column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        self.lo, self.hi = lo, hi
        self.sample = lo
        # rows without a value: None when there are none; NaN is kept always, null when it is to be included
        self.holes = _holes(self.column, w.missing == "include")
        self.mask: Any = None
        if self.column.null_count and w.missing != "include":
            self.mask = pc.is_valid(self.column)

    def result(self) -> Any:
        if self.mask is None:
            return self.frame.frame
        if not pc.any(self.mask, min_count=0).as_py():
            return None
        return self.frame.filter(self.mask)

    def last_value(self) -> Any:
        return None

    def keep_between(self, low: Any, low_closed: bool, high: Any, high_closed: bool) -> bool:
        mask = None
        if low is not None:
            mask = (pc.greater_equal if low_closed else pc.greater)(self.column, self._scalar(low))
        if high is not None:
            upper = (pc.less_equal if high_closed else pc.less)(self.column, self._scalar(high))
            mask = upper if mask is None else pc.and_(mask, upper)
        present = pc.fill_null(mask, False)
        self.mask = present if self.holes is None else pc.or_(present, self.holes)
        ends = pc.min_max(self.column.filter(present))
        self.lo, self.hi = ends["min"].as_py(), ends["max"].as_py()
        return self.lo is not None and bool(self.lo == self.lo)

    def extreme(self, largest: bool) -> Any:
        return self.hi if largest else self.lo

    def digests(self, value: Any, legacy: bool) -> list[bytes]:
        at = pc.indices_nonzero(self._equal(value))
        if len(at) == 0:
            return []
        return _hash_rows(self.w, self.frame, at, legacy)

    def drop_equal(self, value: Any, known: Sequence[bool]) -> bool:
        at = pc.indices_nonzero(self._equal(value))
        import numpy as np

        mask = np.ones(len(self.column), dtype=bool)
        mask[at.to_numpy()[np.asarray(known, dtype=bool)]] = False
        keep = pa.array(mask)
        self.mask = keep if self.mask is None else pc.and_(self.mask, keep)
        return bool(pc.any(self.mask, min_count=0).as_py())

    def _equal(self, value: Any) -> Any:
        """Mask of the kept rows with this value."""
        equal = pc.fill_null(pc.equal(self.column, self._scalar(value)), False)
        return equal if self.mask is None else pc.and_(equal, self.mask)

    def _scalar(self, value: Any) -> Any:
        """A bound as Arrow compares it with the column: in the column's type where that holds the value exactly."""
        try:
            scalar = pa.scalar(value, self.column.type)
            if scalar.as_py() == value:
                return scalar
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            pass
        return pa.scalar(value)


def _holes(column: Any, include_nulls: bool) -> Any:
    holes = pc.is_null(column) if column.null_count and include_nulls else None
    if not pa.types.is_floating(column.type):
        return holes
    nan = pc.fill_null(pc.is_nan(column), False)
    if not pc.any(nan, min_count=0).as_py():
        return holes
    return nan if holes is None else pc.or_(holes, nan)


# ---- hashing rows at the edge --------------------------------------------------------------------------------------


def _hash_rows(w: Window, frame: _Frame, at: Any, legacy: bool) -> list[bytes]:
    """Hash some rows of a frame by their key; the result equals that of the same rows as dictionaries."""
    hash_value = legacy_digest if legacy else digest
    table = _in_microseconds(frame.table(at))
    key = w.key
    if key is None or callable(key):
        hash_row = w.hasher(legacy)
        return [hash_row(row) for batch in table.to_batches(_ROWS_AT_ONCE) for row in batch.to_pylist()]
    if isinstance(key, str):
        return list(map(hash_value, _key_column(w, table, key)))
    columns = [_key_column(w, table, name) for name in key]
    return [hash_value(list(values)) for values in zip(*columns, strict=True)]


def _key_column(w: Window, table: pa.Table, name: str) -> list[Any]:
    if name not in table.schema.names:
        raise IncrementalPrimaryKeyMissing(w.resource, name)
    values: list[Any] = table.column(name).to_pylist()
    return values


def _in_microseconds(table: pa.Table) -> pa.Table:
    """Instants in nanoseconds have no Python form of their own (without pandas), and hashes go by microseconds."""
    fields = [
        field.with_type(pa.timestamp("us", field.type.tz))
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns"
        else field
        for field in table.schema
    ]
    wanted = pa.schema(fields)
    return table if wanted.equals(table.schema) else table.cast(wanted, safe=False)
