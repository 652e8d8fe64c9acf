"""Errors of `Pipeline.rollback`."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.errors.base import HeadraceException, PipelineException, TerminalException

__all__ = ["RollbackImpossible", "RollbackNotSupported", "RollbackRefused"]


class RollbackRefused(PipelineException, TerminalException):
    """A load is not undone because other loads build on it; nothing was changed.

    Attributes:
        load_id: The load that was to be undone.
        in_the_way: Loads that came later.
    """

    def __init__(self, pipeline_name: str, load_id: str, in_the_way: Sequence[str], why: str, fix: str) -> None:
        self.load_id, self.in_the_way = load_id, list(in_the_way)
        what = f"Load {load_id} of pipeline `{pipeline_name}` was not undone; nothing was changed."
        super().__init__(pipeline_name, what, why=why, fix=fix)


class RollbackImpossible(HeadraceException, TerminalException):
    """A load cannot be undone: what is needed was not kept, or the tables are not what the load left.

    Attributes:
        load_id: The load that was to be undone.
        in_the_way: Loads of other writers that changed the same tables later.
    """

    def __init__(self, load_id: str, why: str, *, in_the_way: Sequence[str] = (), fix: str | None = None) -> None:
        self.load_id, self.in_the_way = load_id, list(in_the_way)
        which = f"Load {load_id} cannot" if load_id else "No load can"
        super().__init__(f"{which} be undone; nothing was changed.", why=why, fix=fix)


class RollbackNotSupported(HeadraceException, TerminalException):
    """The destination keeps nothing by which a load could be undone."""

    def __init__(self, destination_name: str) -> None:
        self.destination_name = destination_name
        super().__init__(
            f"The destination `{destination_name}` cannot undo loads.",
            why="only DuckDB and PostgreSQL keep what loads have changed, if `load.keep_undo` is set",
            fix="delete the rows of the load by their `_dlt_load_id`, or load the tables anew with "
            '`refresh="drop_resources"`',
        )
