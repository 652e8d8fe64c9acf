"""A session with SQLite: datasets are files beside the main one, attached to each connection."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from headrace.base import signals
from headrace.base.strings import digest128
from headrace.destinations.impl.sqlalchemy.configuration import MEMORY, dataset_path
from headrace.destinations.impl.sqlalchemy.session import SqlalchemyClient
from headrace.errors.destination import DatabaseTransientException

_BUSY_MS = 1000


class SqliteClient(SqlalchemyClient):
    """A session with one dataset of SQLite.

    Attributes:
        main: The main file, or ``:memory:``.
        shared: A lock, where all sessions share one connection (a database in memory).
    """

    main: str = MEMORY
    shared: Any = None

    def _opened(self) -> None:
        driver = self.driver_connection
        self._was_isolated = getattr(driver, "isolation_level", None)
        driver.isolation_level = None  # transactions begin where we say so
        self._connection.exec_driver_sql(f"PRAGMA busy_timeout = {_BUSY_MS}")
        self._inode: tuple[int, int] | None = None
        self.has_dataset()

    def close_connection(self) -> None:
        """Disconnect; safe to repeat."""
        if self._connection is not None:
            with suppress(Exception):
                self._connection.commit()
                self._detach()
                self.driver_connection.isolation_level = self._was_isolated
        super().close_connection()

    @property
    def place(self) -> str:
        """A hash of the open database: of its path, or of the very engine when it has none."""
        return digest128(self.main if self.main != MEMORY else f"object {id(self.engine)}")

    # ---- transactions ---------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Take the lock for writing, in turn with others: SQLite has one writer at a time."""
        self.has_dataset()
        self._in_turn(lambda: self._execute(self._connection, "BEGIN IMMEDIATE", (), {}).close())

    def _in_turn(self, act: Callable[[], None]) -> None:
        """Do something again while others have the lock, at most as long as the settings say."""
        deadline, pause = time.monotonic() + self.lock_timeout, 0.01
        while True:
            try:
                act()
                return
            except Exception as error:
                if "is locked" not in str(error) or time.monotonic() > deadline:
                    raise
            signals.sleep(random.uniform(0, pause))
            pause = min(0.25, pause * 2)

    @contextmanager
    def begin_transaction(self) -> Iterator[Any]:
        """Commit what happens inside ``with`` at once; roll it back when the block raises."""
        if self.shared is None:
            with super().begin_transaction():
                yield self
        else:
            with self.shared, super().begin_transaction():
                yield self

    def commit_transaction(self) -> None:
        """Commit; readers may keep it waiting."""
        deadline = time.monotonic() + self.lock_timeout
        while True:
            try:
                super().commit_transaction()
                return
            except DatabaseTransientException as error:
                if "is locked" not in str(error) or time.monotonic() > deadline:
                    raise
            signals.sleep(0.05)

    # ---- datasets -------------------------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        """The file of the dataset."""
        return dataset_path(self.main, self.dataset_name)

    def _attached(self) -> bool:
        result = self._connection.exec_driver_sql("PRAGMA database_list")
        return any(row[1].casefold() == self.dataset_name.casefold() for row in result.fetchall())

    def _detach(self) -> None:
        if self.main != MEMORY and self.dataset_name != "main" and self._attached():
            self._connection.exec_driver_sql(f"DETACH {self.dialect.quote(self.dataset_name)}")
            self._connection.commit()

    def has_dataset(self) -> bool:
        """Whether the dataset exists; if so, it is attached."""
        if self.dataset_name == "main":
            return True
        with self.translated(self.doing):
            if self._depth:
                return self._attached()
            there = self.main == MEMORY or Path(self.path).exists()
            if self.main != MEMORY:
                stat = Path(self.path).stat() if there else None
                inode = (stat.st_dev, stat.st_ino) if stat is not None else None
                if inode != self._inode or self._in_use != self.dataset_name:
                    self._detach()  # another file has taken its place
                    self._inode, self._in_use = inode, self.dataset_name
                if there and not self._attached():
                    self._attach()
                return there
            return self._attached()

    @property
    def _attaching(self) -> str:
        return f"ATTACH {self.dialect.text(self.path)} AS {self.dialect.quote(self.dataset_name)}"

    def _attach(self) -> None:
        self._connection.exec_driver_sql(self._attaching)
        self._connection.commit()

    def is_there(self) -> bool:
        """Whether there is a database; False where connecting would make its file."""
        files = (self.main, self.path)
        return any(not Path(file).is_absolute() or Path(file).exists() for file in files)

    def dataset_statements(self, there: bool) -> list[str]:
        """What `create_dataset` runs to make the dataset's file."""
        return [] if there or self.dataset_name == "main" else [self._attaching]

    def create_dataset(self) -> None:
        """Make the dataset if it is missing."""
        if self.has_dataset():
            return
        with self.translated(self.doing):
            self._attach()
            if self.main != MEMORY:
                # readers do not keep the writer waiting; it makes the file, too
                # where two do so at once SQLite tells one of them that the file is locked, and does not wait
                mode = f"PRAGMA {self.dialect.quote(self.dataset_name)}.journal_mode = WAL"
                self._in_turn(lambda: self._connection.exec_driver_sql(mode).close())
                self._connection.commit()
        self._inode = None
        self.has_dataset()

    def drop_dataset(self) -> None:
        """Drop the dataset with all its tables, and its file."""
        if not self.has_dataset():
            return
        self.drop_tables(*self.describe_tables())
        if self.dataset_name == "main":
            return
        with self.translated(self.doing):
            self._connection.exec_driver_sql(f"DETACH {self.dialect.quote(self.dataset_name)}")
            self._connection.commit()
        if self.main != MEMORY:
            for end in ("", "-wal", "-shm", "-journal"):
                Path(self.path + end).unlink(missing_ok=True)
            self._inode = None

    def use_dataset(self) -> None:
        """Attach it, so that its tables are found by their bare names."""
        self.has_dataset()

    @contextmanager
    def lock(self, names: Sequence[str]) -> Iterator[None]:
        """Be the only writer inside ``with``."""
        with self.begin_transaction():
            yield
