"""A job at work on a session that only listens: its statements, from the code that runs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from headrace.destinations.sql.jobs import Work
from headrace.model.jobs import AnyJob, LoadFile

if TYPE_CHECKING:
    from headrace.destinations.sql.session import SqlClient
    from headrace.load.destination import LoadContext
    from headrace.load.foresight import Present


class Listener:
    """What `Work` needs of a session. It keeps statements and knows tables by hearsay.

    Args:
        session: Spells names; it is not asked anything.
        present: The tables that would exist.
    """

    def __init__(self, session: SqlClient, present: Present) -> None:
        self._session, self._present = session, present
        self.dialect = session.dialect
        self.dataset_name = session.dataset_name
        self.heard: list[str] = []

    def make_qualified_table_name(self, table_name: str) -> str:
        """A table's name with its dataset."""
        return self._session.make_qualified_table_name(table_name)

    def describe_tables(self, tables: Sequence[str]) -> dict[str, list[tuple[str, str, bool]]]:
        """Columns of tables that would exist."""
        found = {table: self._present.get(table) for table in tables}
        return {table: [(name, "", True) for name in columns] for table, columns in found.items() if columns}

    def run(self, sql: str, *params: Any) -> int:
        """Keep a statement."""
        self.heard.append(sql)
        return -1

    def fetch(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Rows are counted when the job runs."""
        return [(0,)]


def rehearsed(session: SqlClient, job: AnyJob, context: LoadContext, present: Present, unique: bool) -> list[str]:
    """The statements of a job, without those that move rows.

    Args:
        session: Of the dataset; need not be open.
        job: The job.
        context: Its package.
        present: The job's tables that would exist by then.
        unique: Enforce the ``unique`` hints of tables that are made anew.
    """
    listener = Listener(session, present)

    def no_rows(file: LoadFile, context: LoadContext, target: str, columns: Sequence[str] | None) -> int:
        return 0

    Work(cast("SqlClient", listener), context, no_rows, unique=unique).do(job)
    return listener.heard
