"""Errors of incremental cursors. They name the resource and the cursor, never the row's contents."""

from __future__ import annotations

from typing import Any

from headrace.errors.base import HeadraceException
from headrace.errors.extract import PipeException

__all__ = [
    "ExternalSchedulerNotAvailable",
    "IncrementalBoundaryTooLarge",
    "IncrementalCursorInvalidCoercion",
    "IncrementalCursorPathHasValueNone",
    "IncrementalCursorPathMissing",
    "IncrementalPrimaryKeyMissing",
    "JoinSchedulerError",
]


class _IncrementalError(PipeException):
    """What they share: the resource's name, then the three parts of the text."""

    def __init__(self, pipe_name: str, what: str, why: str | None = None, fix: str | None = None) -> None:
        self.pipe_name = pipe_name
        HeadraceException.__init__(self, f"Resource `{pipe_name}`: {what}", why=why, fix=fix)


class IncrementalCursorPathMissing(_IncrementalError):
    """A row has no element at the cursor path.

    Args:
        pipe_name: The resource.
        json_path: The cursor path, or None when none was given at all.
        item: The row, kept for a debugger and left out of the text.
    """

    def __init__(self, pipe_name: str, json_path: str | None, item: Any = None, msg: str | None = None) -> None:
        self.json_path, self.item = json_path, item
        if json_path is None:
            super().__init__(
                pipe_name,
                msg or "the incremental has no `cursor_path`.",
                fix='name the cursor field: incremental("updated_at")',
            )
            return
        super().__init__(
            pipe_name,
            msg or f"a row has nothing at the cursor path `{json_path}`.",
            why="the path is read in the row as the source yields it, before names are normalized",
            fix="check the spelling, or set on_cursor_value_missing to 'include' or 'exclude'",
        )


class IncrementalCursorPathHasValueNone(_IncrementalError):
    """A row has a null at the cursor path."""

    def __init__(self, pipe_name: str, json_path: str, item: Any = None, msg: str | None = None) -> None:
        self.json_path, self.item = json_path, item
        super().__init__(
            pipe_name,
            msg or f"a row has a null at the cursor path `{json_path}`.",
            why="a null cannot be ordered against the cursor",
            fix="set on_cursor_value_missing to 'include' (load such rows every time) or 'exclude' (never load them)",
        )


class IncrementalCursorInvalidCoercion(_IncrementalError):
    """A cursor value and a bound of the range have types that cannot be compared."""

    def __init__(
        self,
        pipe_name: str,
        cursor_path: str,
        cursor_value: Any,
        cursor_value_type: str,
        item: Any = None,
        item_type: Any = None,
        details: str = "",
    ) -> None:
        self.cursor_path, self.cursor_value, self.cursor_value_type = cursor_path, cursor_value, cursor_value_type
        self.item, self.item_type = item, item_type
        super().__init__(
            pipe_name,
            f"values at `{cursor_path}` ({item_type}) cannot be compared with {cursor_value_type}.",
            why=details or None,
            fix="give initial_value and end_value in the type of the data, or convert the field with add_map before "
            "the incremental; if the field's type changed, reset the resource's state",
        )


class IncrementalPrimaryKeyMissing(_IncrementalError):
    """A row lacks a column of the key that tells rows with an equal cursor apart."""

    def __init__(self, pipe_name: str, primary_key_column: str, item: Any = None) -> None:
        self.primary_key_column, self.item = primary_key_column, item
        super().__init__(
            pipe_name,
            f"a row has no `{primary_key_column}`, which is part of the primary key.",
            why="the key tells rows at the edge of the range apart, and is read before names are normalized",
            fix="check the spelling, or pass primary_key=() to the incremental to switch de-duplication off",
        )


class ExternalSchedulerNotAvailable(_IncrementalError):
    """The incremental has to take its range from a scheduler, and none is there."""

    def __init__(self, pipe_name: str, msg: str = "") -> None:
        super().__init__(
            pipe_name,
            "no interval to load was found, though allow_external_schedulers is on.",
            why=msg or None,
            fix="set DLT_INTERVAL_START and DLT_INTERVAL_END, run inside an Airflow task, or set the interval with "
            "dlt.current.interval",
        )


class JoinSchedulerError(_IncrementalError):
    """The scheduler's interval cannot be expressed in the type of the cursor."""

    def __init__(self, pipe_name: str, msg: str) -> None:
        super().__init__(
            pipe_name,
            "the scheduler's interval cannot become the range of this cursor.",
            why=msg,
            fix="declare the type, as in incremental[datetime](...), or convert the field with add_map",
        )


class IncrementalBoundaryTooLarge(_IncrementalError):
    """So many rows share the last value that the state cannot remember them all.

    Args:
        pipe_name: The resource.
        json_path: The cursor path.
        rows: How many there are, at least.
        limit: How many there may be.
    """

    def __init__(self, pipe_name: str, json_path: str, rows: int, limit: int) -> None:
        self.json_path, self.rows, self.limit = json_path, rows, limit
        super().__init__(
            pipe_name,
            f"{rows} rows or more share the last value of the cursor `{json_path}`; {limit} can be remembered.",
            why="each of them has to be known in the next run, and the state would grow by 8 bytes a row",
            fix="use a cursor of finer resolution, range_start='open' where later rows have later values, or "
            "primary_key=() with the merge disposition, which does not need to know them",
        )
