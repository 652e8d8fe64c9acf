"""A session with PostgreSQL by way of SQLAlchemy; the destination ``postgres`` is the faster way."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from headrace.base import signals
from headrace.destinations.impl.sqlalchemy.session import SqlalchemyClient
from headrace.errors.destination import DatabaseTransientException


class PostgreSqlClient(SqlalchemyClient):
    """A session with one dataset of PostgreSQL."""

    def use_dataset(self) -> None:
        """Let statements name the dataset's tables without it, if it exists."""
        if self._in_use != self.dataset_name and self.has_dataset():
            self.run(f"SET search_path TO {self.dialect.quote(self.dataset_name)}, public")
            self._in_use = self.dataset_name

    @contextmanager
    def lock(self, names: Sequence[str]) -> Iterator[None]:
        """Keep other sessions that ask for the same names waiting inside ``with``: locks of the session."""
        taken: list[int] = []
        try:
            for name in sorted(set(names)):
                key = self._key(name)
                self._take(key, name)
                taken.append(key)
            yield
        finally:
            for key in reversed(taken):
                with suppress(Exception):  # a connection that is lost has let go
                    self.fetch("SELECT pg_advisory_unlock(?)", key)

    def _key(self, name: str) -> int:
        digest = hashlib.sha256(f"headrace.{self.dataset_name}.{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)

    def _take(self, key: int, name: str) -> None:
        deadline, pause = time.monotonic() + self.lock_timeout, 0.01
        while not self.fetch("SELECT pg_try_advisory_lock(?)", key)[0][0]:
            if time.monotonic() >= deadline:
                error = DatabaseTransientException(TimeoutError(f"table `{name}` is being written by another session"))
                error.fix = "wait longer (`destination.sqlalchemy.lock_timeout`, in seconds); it is tried again"
                raise error
            signals.sleep(pause)
            pause = min(0.25, pause * 2)
