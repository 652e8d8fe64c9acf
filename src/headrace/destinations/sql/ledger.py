"""The ledger: which jobs the dataset has taken in.

A job's key is written in the transaction that writes its rows. Either both are there or neither; a job that is run
again after a crash meets its own key and does nothing. ``complete`` deletes the keys of a load once ``_dlt_loads``
vouches for it.
"""

from __future__ import annotations

from headrace.base.time import now
from headrace.destinations.sql.session import SqlClient

LEDGER_TABLE = "_headrace_jobs"


class Ledger:
    """The ledger table of a session's dataset."""

    def __init__(self, session: SqlClient) -> None:
        self._session = session

    @property
    def table(self) -> str:
        """Its qualified name."""
        return self._session.make_qualified_table_name(LEDGER_TABLE)

    def create(self) -> None:
        """Make it if it is missing."""
        dialect = self._session.dialect
        text = dialect.column_type({"name": "job_key", "data_type": "text", "precision": 128})
        self._session.run(
            f"CREATE TABLE IF NOT EXISTS {self.table} (job_key {text} NOT NULL PRIMARY KEY, "
            f"load_id {text} NOT NULL, done_at {dialect.timestamp_type} NOT NULL)"
        )

    def exists(self) -> bool:
        """Whether it is there."""
        return LEDGER_TABLE in self._session.describe_tables([LEDGER_TABLE])

    def enter(self, key: str, load_id: str) -> None:
        """Write a key; the database refuses one that is there.

        Raises:
            DatabaseTerminalException: The key is there.
            DatabaseUndefinedRelation: There is no ledger.
        """
        self._session.run(f"INSERT INTO {self.table} (job_key, load_id, done_at) VALUES (?, ?, ?)", key, load_id, now())

    def knows(self, key: str) -> bool:
        """Whether the key's job was committed."""
        return bool(self._session.fetch(f"SELECT 1 FROM {self.table} WHERE job_key = ?", key))

    def forget(self, load_id: str) -> None:
        """Delete the keys of a load."""
        self._session.run(f"DELETE FROM {self.table} WHERE load_id = ?", load_id)
