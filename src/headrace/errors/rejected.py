"""Errors of replaying rejected rows."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.errors.base import PipelineException


class RejectedTableNotFound(PipelineException, KeyError):
    """There is no table of rejected rows for the table that was named."""

    def __init__(self, pipeline_name: str, table: str, known: Sequence[str]) -> None:
        self.table_name, self.known = table, list(known)
        super().__init__(
            pipeline_name,
            f"Pipeline `{pipeline_name}` keeps no rejected rows of table `{table}`.",
            why=f"there are some of: {', '.join(known)}" if known else "none of its tables has any",
            fix="set `normalize.keep_rejected = true`, or the table hint `x-keep-rejected`, before the rows come",
        )


class CannotReplayRejected(PipelineException):
    """Rejected items cannot be loaded again without doubling or losing rows.

    Attributes:
        table_name: The root table.
    """

    def __init__(self, pipeline_name: str, table_name: str, why: str, fix: str) -> None:
        self.table_name = table_name
        super().__init__(
            pipeline_name,
            f"Pipeline `{pipeline_name}`: rejected items of table `{table_name}` cannot be replayed; nothing was "
            "changed.",
            why=why,
            fix=fix,
        )
