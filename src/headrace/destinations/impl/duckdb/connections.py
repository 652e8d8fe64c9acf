"""Open databases of this process, one connection for each file, shared by all clients.

DuckDB locks a file for one process, and opening it costs some ten milliseconds. So a file is opened by the first client
and closed by the last: in between other threads work through cursors of the same connection, afterwards other processes
get their turn: they wait for it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.base import failpoints
from headrace.destinations.impl.duckdb.turn import Turn

if TYPE_CHECKING:
    import duckdb

MEMORY = ":memory:"
COPY_MEMORY = "100MB"

_lock = threading.RLock()
_open: dict[tuple[int, str], Database] = {}


class Database:
    """An open database and those who use it.

    Attributes:
        ddl_lock: Held while tables are changed: DuckDB refuses two transactions that change the catalog at once.
        name: What SQL calls the database (its catalog).
    """

    def __init__(self, key: tuple[int, str] | None, connection: duckdb.DuckDBPyConnection, owned: bool) -> None:
        self.ddl_lock = threading.RLock()
        self._key, self._connection, self._owned = key, connection, owned
        self._users = self._copies = 0
        self._copied = False
        self._locks: dict[str, threading.RLock] = {}
        self._before: dict[str, str | None] = {}
        # a database in memory has nowhere else to put its rows
        self._lean = key is not None
        row = connection.cursor().execute("SELECT current_database()").fetchone()
        self.name = str(row[0]) if row else ""

    @contextmanager
    def locked(self, names: Sequence[str]) -> Iterator[None]:
        """Keep other threads out of what has these names, inside ``with``; to be entered outside of a transaction.

        Of two transactions that look for a key, do not find it and insert it, DuckDB refuses neither.
        """
        with ExitStack() as stack:
            # in one order, so that two threads never wait for each other
            for name in sorted({name.casefold() for name in names}):
                with _lock:
                    lock = self._locks.setdefault(name, threading.RLock())
                stack.enter_context(lock)
            yield

    @contextmanager
    def copying(self) -> Iterator[None]:
        """Let DuckDB work with one thread and little memory while files are copied, inside ``with``.

        An INSERT from an Arrow stream is fed by one thread; DuckDB's others only wait for it, and cost as much time
        again as the work itself: jobs run in threads of headrace's own. And what DuckDB has written it keeps in memory
        up to its limit, so that a load would grow with the number of its rows. A copy that does find too little memory
        is told from then on (it is tried again) to take what it needs.
        """
        with _lock:
            self._copies += 1
            self._copied = True
            if self._copies == 1:
                self._before = self._set(threads="1", memory_limit=COPY_MEMORY if self._lean else None)
        try:
            yield
        except Exception as error:
            self._lean = self._lean and not _is_out_of_memory(error)
            raise
        finally:
            with _lock:
                self._copies -= 1
                if self._copies == 0:
                    self._set(**self._before)

    def _set(self, **settings: str | None) -> dict[str, str | None]:
        """Change settings of the database and give what they were; None leaves one alone."""
        import duckdb

        cursor = self._connection.cursor()
        before: dict[str, str | None] = {}
        for name, value in settings.items():
            if value is not None:
                row = cursor.execute(f"SELECT current_setting('{name}')").fetchone()
                with suppress(duckdb.OutOfMemoryException):  # someone's query holds more at the moment
                    cursor.execute(f"SET {name} = '{value}'")
                    before[name] = str(row[0]) if row else None
        return before

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own to the database, for one thread; to be given back with `release`."""
        with _lock:
            cursor = self._connection.cursor()
            self._users += 1
            return cursor

    def release(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Close a cursor; the last one closes the database."""
        with _lock:
            cursor.close()
            self._users -= 1
            if self._users == 0 and self._owned:
                self.discard()
                if self._lean and self._copied:
                    self._checkpoint()
                self._connection.close()

    def _checkpoint(self) -> None:
        """Do with little memory what closing would do with all of it; if that does not go, closing does it."""
        import duckdb

        before = self._set(memory_limit=COPY_MEMORY)
        try:
            self._connection.execute("CHECKPOINT")
        except duckdb.Error:
            self._set(**before)

    def discard(self) -> None:
        """Forget a database that is closed or broke: whoever comes next opens the file anew."""
        with _lock:
            if self._key is not None and _open.get(self._key) is self:
                del _open[self._key]


def _is_out_of_memory(error: BaseException | None) -> bool:
    while error is not None:
        if type(error).__name__ == "OutOfMemoryException":
            return True
        error = error.__cause__
    return False


def open_database(
    path: str,
    *,
    read_only: bool = False,
    config: Mapping[str, Any] | None = None,
    setup: Sequence[str] = (),
    wait: float = 0.0,
) -> tuple[Database, duckdb.DuckDBPyConnection]:
    """Open a database file, or join those who have it open in this process.

    Args:
        path: The file; made if it is missing.
        read_only: Open it for reading; ignored when it is open already.
        config: DuckDB's settings of the whole database.
        setup: Statements to run once, when it is opened.
        wait: Seconds to wait at most while another process has the file open.

    Returns:
        The database and a cursor to it.

    Raises:
        duckdb.IOException: The file cannot be opened, or not within ``wait`` seconds.
    """
    import duckdb

    # after a fork the parent's connections must not be touched
    key = (os.getpid(), os.path.realpath(path))
    turn = Turn(path, wait)
    while True:
        with _lock:
            database = _open.get(key)
            if database is None:
                try:
                    if not read_only:
                        _create(path, dict(config or {}))
                    connection = duckdb.connect(path, read_only=read_only, config=dict(config or {}))
                except duckdb.IOException as error:
                    if not turn.comes(error):
                        raise
                else:
                    database = _open[key] = _set_up(key, connection, setup)
            if database is not None:
                return database, database.cursor()
        # not under the lock: other threads of this process have other files
        turn.pause()


def _create(path: str, config: dict[str, Any]) -> None:
    """Make a file that is missing, whole or not at all: one whose maker died in between DuckDB never opens again."""
    import duckdb

    if Path(path).exists() or not Path(path).parent.is_dir():
        return  # what cannot be made is told by the one who opens it
    made = f"{path}.{os.getpid()}.new"
    try:
        duckdb.connect(made, config=config).close()
        failpoints.hit("file.written")
        _give_name(made, path)
    except duckdb.Error as error:
        raise type(error)(str(error).replace(made, path)) from error
    finally:
        for leftover in (made, f"{made}.wal"):
            with suppress(OSError):
                Path(leftover).unlink()


def _give_name(made: str, path: str) -> None:
    try:
        os.link(made, path)
    except FileExistsError:
        pass  # another process was faster
    except OSError:
        if not Path(path).exists():  # a file system without second names
            Path(made).replace(path)


def _set_up(key: tuple[int, str], connection: duckdb.DuckDBPyConnection, setup: Sequence[str]) -> Database:
    try:
        for statement in setup:
            connection.execute(statement)
        return Database(key, connection, owned=True)
    except BaseException:
        connection.close()
        raise


def open_memory(config: Mapping[str, Any] | None = None, setup: Sequence[str] = ()) -> Database:
    """Open a database in memory. It lives as long as the returned object."""
    import duckdb

    connection = duckdb.connect(MEMORY, config=dict(config or {}))
    for statement in setup:
        connection.execute(statement)
    return Database(None, connection, owned=False)


def adopt(connection: duckdb.DuckDBPyConnection) -> Database:
    """Use a connection that someone else opened and will close."""
    return Database(None, connection, owned=False)


def open_files() -> list[str]:
    """Paths of the database files this process has open."""
    with _lock:
        return [path for pid, path in _open if pid == os.getpid()]
