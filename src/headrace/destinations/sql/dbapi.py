"""A session over any DB-API driver (PEP 249), for destinations that need no door of their own for Arrow.

A destination says how to connect, what the driver's errors mean, and how to ask for datasets and tables.
"""

from __future__ import annotations

import contextlib
import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from headrace.destinations.sql.cursor import SqlCursor
from headrace.destinations.sql.session import SqlClient
from headrace.errors.destination import DatabaseException, DestinationConnectionError

if TYPE_CHECKING:
    from typing_extensions import Self

# quoted texts and names as they are, marks of both kinds, and named ones
_MARKS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\?|%%|%s|\$(?P<name>[A-Za-z_]\w*)|%\((?P<old>\w+)\)s")


class DbApiClient(SqlClient):
    """A session whose driver is an ordinary DB-API module.

    Attributes:
        mark: The driver's mark for a value: ``?`` or ``%s``.
        begin: The statement that begins a transaction.
    """

    mark: ClassVar[str] = "?"
    begin: ClassVar[str] = "BEGIN"

    _connection: Any = None
    _depth = 0

    # ---- what a destination gives ---------------------------------------------------------------------------------

    @abstractmethod
    def connect(self) -> Any:
        """A connection of the driver that commits each statement by itself unless a transaction was begun."""

    @abstractmethod
    def translate(self, error: Exception) -> DatabaseException:
        """headrace's error for one of the driver's: undefined, terminal or transient."""

    def bind(self, value: Any) -> Any:
        """A value as the driver takes it."""
        return value

    # ---- the session ----------------------------------------------------------------------------------------------

    @property
    def _native(self) -> Any | None:
        return self._connection

    def open_connection(self) -> Any:
        """Connect, unless connected."""
        if self._connection is None:
            try:
                self._connection = self.connect()
            except Exception as error:
                if not self.is_dbapi_exception(error):
                    raise
                raise DestinationConnectionError(self.dialect.name, self.dataset_name, str(error), error) from error
        return self._connection

    def close_connection(self) -> None:
        """Disconnect; safe to repeat."""
        connection, self._connection, self._depth = self._connection, None, 0
        if connection is not None:
            connection.close()

    @contextmanager
    def translated(self) -> Iterator[Any]:
        """Give the connection; turn the driver's errors inside ``with`` into headrace's."""
        connection = self.native_connection
        try:
            yield connection
        except Exception as error:
            if not self.is_dbapi_exception(error):
                raise
            made = self.translate(error)
            if self.doing:
                made.what, made.why = f"{self.dialect.name} failed at {self.doing}.", str(error)
            raise made from error

    def run(self, sql: str, *params: Any) -> int:
        """Run a statement of ours and return the rows it touched, -1 when the driver does not tell."""
        with self.translated() as connection:
            cursor = connection.cursor()
            cursor.execute(self._spelled(sql, params, {})[0], [self.bind(value) for value in params])
            rows = int(cursor.rowcount)
            cursor.close()
            return rows

    def run_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """Run a statement for each of some rows of values; returns how many rows there were."""
        with self.translated() as connection:
            cursor = connection.cursor()
            cursor.executemany(self._spelled(sql, (), {})[0], [[self.bind(value) for value in row] for row in rows])
            cursor.close()
        return len(rows)

    @contextmanager
    def execute_query(self, sql: str, *params: Any, **named: Any) -> Iterator[SqlCursor]:
        """Run a statement and read its rows inside ``with``, before the next statement of the session."""
        text, values = self._spelled(sql, params, named)
        with self.translated() as connection, contextlib.closing(connection.cursor()) as cursor:
            cursor.execute(text, [self.bind(value) for value in values])
            yield SqlCursor(cursor)

    def _spelled(self, sql: str, params: Sequence[Any], named: dict[str, Any]) -> tuple[str, list[Any]]:
        """A statement with the driver's own marks, and the values for them in order."""
        values, left = [], iter(params)

        def spell(match: re.Match[str]) -> str:
            word, name = match[0], match["name"] or match["old"]
            if name in named:
                values.append(named[name])
                return self.mark
            if word in ("?", "%s"):
                values.extend([next(left)] if params else [])
                return self.mark
            return "%" if word == "%%" and (params or named) and self.mark != "%s" else word

        return _MARKS.sub(spell, sql), values

    @contextmanager
    def begin_transaction(self) -> Iterator[Self]:
        """Commit what happens inside ``with`` at once; inside another transaction be a part of that."""
        if self._depth:
            yield self
            return
        self.run(self.begin)
        self._depth = 1
        try:
            yield self
            self.run("COMMIT")
        except BaseException:
            self.rollback_transaction()
            raise
        finally:
            self._depth = 0

    def rollback_transaction(self) -> None:
        """Roll back; quiet when there is nothing to roll back."""
        with contextlib.suppress(Exception):
            self.native_connection.cursor().execute("ROLLBACK")
