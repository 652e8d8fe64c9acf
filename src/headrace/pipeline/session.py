"""One open client for the length of a run: sync, schema reads and the load share it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.load.destination import Client, Destination, PipelineFacts
    from headrace.model.schema import Schema

# a session held through an hour of extracting would lock a database file, and a server would end it anyway
IDLE_SECONDS = 5.0


class Session:
    """Opens a client when first asked and keeps it for the next one who asks for the same dataset.

    Only the thread that opened it may use it. When nobody does for `IDLE_SECONDS` it is closed by a timer.
    """

    def __init__(self) -> None:
        self._client: Client | None = None
        self._key: tuple[Any, ...] = ()
        self._busy = 0
        self._thread = 0
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None

    @contextmanager
    def use(
        self, destination: Destination, dataset_name: str, schema: Schema, facts: PipelineFacts
    ) -> Iterator[Client]:
        """The client of a dataset, entered.

        Args:
            destination: Where.
            dataset_name: The dataset, normalized.
            schema: Its naming decides the names of system tables.
            facts: What the destination may need of the pipeline.
        """
        # of the schema only its naming counts: it spells the system tables
        key = (destination, dataset_name, schema.naming.name(), schema.naming.max_length)
        client = self._take(key) or self._open(key, destination.open(dataset_name, schema, facts))
        client.schema = schema  # destinations of files find tables by it
        try:
            yield client
        except Exception:
            # its session may be broken: the next one gets a new client
            self._give(keep=False)
            raise
        except BaseException:
            self._give(keep=True)
            raise
        else:
            self._give(keep=True)

    def _take(self, key: tuple[Any, ...]) -> Client | None:
        with self._lock:
            self._stop_timer()
            if self._client is None or key != self._key or self._thread != threading.get_ident():
                return None
            self._busy += 1
            return self._client

    def _open(self, key: tuple[Any, ...], client: Client) -> Client:
        self.close()
        client.__enter__()
        with self._lock:
            self._client, self._key, self._thread, self._busy = client, key, threading.get_ident(), 1
        return client

    def _give(self, keep: bool) -> None:
        with self._lock:
            self._busy = max(0, self._busy - 1)
            if not keep:
                self.close()
            elif not self._busy and self._client is not None:
                self._timer = threading.Timer(IDLE_SECONDS, self._idle)
                self._timer.daemon = True
                self._timer.start()

    def _idle(self) -> None:
        with self._lock:
            if not self._busy:
                self.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """Close the client; the next `use` opens a new one."""
        with self._lock:
            self._stop_timer()
            client, self._client = self._client, None
            if client is not None:
                with contextlib.suppress(Exception):
                    client.__exit__(None, None, None)
