"""A session with MySQL or MariaDB: datasets are databases of the server."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from headrace.destinations.impl.sqlalchemy.dialects.mysql import MySqlDialect
from headrace.destinations.impl.sqlalchemy.session import SqlalchemyClient
from headrace.errors.destination import DatabaseTransientException


class MySqlClient(SqlalchemyClient):
    """A session with one dataset of MySQL or MariaDB."""

    own_dialect: MySqlDialect

    def _opened(self) -> None:
        self._connection.exec_driver_sql(f"SET SESSION innodb_lock_wait_timeout = {max(1, int(self.lock_timeout))}")
        super()._opened()

    def has_dataset(self) -> bool:
        """Whether the dataset exists."""
        return bool(self.fetch("SELECT 1 FROM information_schema.schemata WHERE schema_name = ?", self.dataset_name))

    def create_dataset(self) -> None:
        """Make the dataset if it is missing."""
        name = self.dialect.quote(self.dataset_name)
        self.run(f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4 COLLATE {self.own_dialect.collation}")

    def drop_dataset(self) -> None:
        """Drop the dataset with all its tables; quiet when there is none."""
        self.run(f"DROP DATABASE IF EXISTS {self.dialect.quote(self.dataset_name)}")
        self._in_use = None

    def use_dataset(self) -> None:
        """Let statements name the dataset's tables without it, if it exists; temporary tables live there, too."""
        if self._in_use != self.dataset_name and self.has_dataset():
            self.run(f"USE {self.dialect.quote(self.dataset_name)}")
            self._in_use = self.dataset_name

    def _begin(self) -> None:
        self.use_dataset()

    @contextmanager
    def lock(self, names: Sequence[str]) -> Iterator[None]:
        """Keep other sessions that ask for the same names waiting inside ``with``.

        Locks of the server, not of a transaction: a statement that changes a table would end that. A session that dies
        lets go of them.
        """
        taken: list[str] = []
        try:
            for name in sorted(set(names)):
                key = "hr_" + hashlib.sha256(f"{self.dataset_name}.{name}".encode()).hexdigest()[:56]
                if self.fetch("SELECT GET_LOCK(?, ?)", key, self.lock_timeout)[0][0] != 1:
                    error = DatabaseTransientException(
                        TimeoutError(f"table `{name}` is being written by another session")
                    )
                    error.fix = "wait longer (`destination.sqlalchemy.lock_timeout`, in seconds); it is tried again"
                    raise error
                taken.append(key)
            yield
        finally:
            for key in reversed(taken):
                self._release(key)

    def _release(self, key: str) -> None:
        with suppress(Exception):  # a connection that is lost has let go
            self.fetch("SELECT RELEASE_LOCK(?)", key)

    def recommented(self, table: str, column: str, text: str) -> str | None:
        """The statement that gives a column of a table another comment: with its whole definition."""
        rows = self.fetch(
            "SELECT column_type, is_nullable, column_default, extra, collation_name FROM information_schema.columns "
            "WHERE table_schema = ? AND table_name = ? AND column_name = ?",
            *(self.dataset_name, table, column),
        )
        if not rows or rows[0][2] not in (None, "NULL") or rows[0][3]:
            return None  # a column with a default or an expression is the user's own
        kind, nullable, _, _, collation = rows[0]
        options = (f" COLLATE {collation}" if collation else "") + ("" if nullable == "YES" else " NOT NULL")
        name, qualified = self.dialect.quote(column), self.make_qualified_table_name(table)
        return f"ALTER TABLE {qualified} MODIFY COLUMN {name} {kind}{options} COMMENT {self.dialect.text(text)}"

    def describe_comments(self, tables: Sequence[str]) -> dict[str, tuple[str, dict[str, str]]]:
        """Comments of tables that exist: the table's own (empty if none), and those of columns that have one."""
        listed = ", ".join(map(self.dialect.text, tables)) or "NULL"
        where = f"WHERE table_schema = ? AND table_name IN ({listed})"
        asked = {table.lower(): table for table in tables}
        own = self.fetch(f"SELECT table_name, table_comment FROM information_schema.tables {where}", self.dataset_name)
        found: dict[str, tuple[str, dict[str, str]]] = {asked[name.lower()]: (text or "", {}) for name, text in own}
        columns = f"SELECT table_name, column_name, column_comment FROM information_schema.columns {where}"
        for table, column, text in self.fetch(f"{columns} AND column_comment <> ''", self.dataset_name):
            if asked[table.lower()] in found:
                found[asked[table.lower()]][1][column] = text
        return found
