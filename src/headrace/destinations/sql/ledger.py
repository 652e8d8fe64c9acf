"""The ledger: which jobs the dataset has taken in.

A job's key is written in the transaction that writes its rows. Either both are there or neither; a job that is run
again after a crash meets its own key and does nothing. Beside the key stands what the job did to its tables, so that
this is told after a crash as well. ``complete`` deletes the keys of a load once ``_dlt_loads`` vouches for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from headrace.base.time import now
from headrace.destinations.sql.session import SqlClient
from headrace.model.changes import RowChanges

LEDGER_TABLE = "_headrace_jobs"
_decode = msgspec.json.Decoder(dict[str, RowChanges]).decode


def changes_text(changes: Mapping[str, RowChanges]) -> str:
    """Changes by table as the ledger keeps them."""
    return msgspec.json.encode(changes).decode()


class Ledger:
    """The ledger table of a session's dataset."""

    def __init__(self, session: SqlClient) -> None:
        self._session = session

    @property
    def table(self) -> str:
        """Its qualified name."""
        return self._session.make_qualified_table_name(LEDGER_TABLE)

    @property
    def making(self) -> str:
        """The statement that makes it if it is missing."""
        dialect = self._session.dialect
        text = dialect.column_type({"name": "job_key", "data_type": "text", "precision": 128})
        long_text = dialect.column_type({"name": "changes", "data_type": "text"})
        return (
            f"CREATE TABLE IF NOT EXISTS {self.table} (job_key {text} NOT NULL PRIMARY KEY, "
            f"load_id {text} NOT NULL, done_at {dialect.timestamp_type} NOT NULL, changes {long_text})"
        )

    def create(self) -> None:
        """Make it if it is missing."""
        self._session.run(self.making)

    def mending(self, columns: Collection[str] | None) -> list[str]:
        """Statements for what a ledger lacks, if it is missing or of an earlier version.

        Args:
            columns: Those it has; None when it does not exist.
        """
        if columns is None:
            return [self.making]
        if "changes" in columns:
            return []
        kind = self._session.dialect.column_type({"name": "changes", "data_type": "text"})
        return [f"ALTER TABLE {self.table} ADD COLUMN changes {kind}"]

    def mend(self) -> bool:
        """Bring a ledger that is missing or of an earlier version up to date; False when there was nothing to do."""
        columns = self._session.describe_tables([LEDGER_TABLE]).get(LEDGER_TABLE)
        statements = self.mending(None if columns is None else [name for name, _, _ in columns])
        for statement in statements:
            self._session.run(statement)
        return bool(statements)

    def exists(self) -> bool:
        """Whether it is there."""
        return LEDGER_TABLE in self._session.describe_tables([LEDGER_TABLE])

    def enter(self, key: str, load_id: str, changes: Mapping[str, RowChanges]) -> None:
        """Write a key; the database refuses one that is there.

        Args:
            key: The job's.
            load_id: Its package.
            changes: What the job will do as far as that is known beforehand.

        Raises:
            DatabaseTerminalException: The key is there.
            DatabaseUndefinedRelation: There is no ledger.
        """
        self._session.run(
            f"INSERT INTO {self.table} (job_key, load_id, done_at, changes) VALUES (?, ?, ?, ?)",
            key,
            load_id,
            now(),
            changes_text(changes),
        )

    def correct(self, key: str, changes: Mapping[str, RowChanges]) -> None:
        """Write what the job did where that is not what was expected of it."""
        self._session.run(f"UPDATE {self.table} SET changes = ? WHERE job_key = ?", changes_text(changes), key)

    def changes_of(self, key: str) -> dict[str, RowChanges] | None:
        """What the key's job did, if it was committed; empty when the ledger does not tell. None: it was not."""
        rows = self._session.fetch(f"SELECT changes FROM {self.table} WHERE job_key = ?", key)
        if not rows:
            return None
        return _decode(rows[0][0]) if rows[0][0] else {}

    def knows(self, load_id: str) -> bool:
        """Whether jobs of a load were committed."""
        return bool(self._session.fetch(f"SELECT 1 FROM {self.table} WHERE load_id = ?", load_id))

    def forget(self, load_id: str) -> None:
        """Delete the keys of a load."""
        self._session.run(f"DELETE FROM {self.table} WHERE load_id = ?", load_id)
