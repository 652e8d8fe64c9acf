"""One open client for the length of a run: sync, schema reads and the load share it."""

from __future__ import annotations

import contextlib
import threading
import time
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

    Only the thread that opened it may use it.
    """

    def __init__(self) -> None:
        self._client: Client | None = None
        self._key: tuple[Any, ...] = ()
        self._busy = 0
        self._used = 0.0
        self._thread = 0

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
        if self._client is None or key != self._key or self._thread != threading.get_ident():
            self.close()
            client = destination.open(dataset_name, schema, facts)
            client.__enter__()
            self._client, self._key, self._thread = client, key, threading.get_ident()
        self._busy += 1
        try:
            yield self._client
        except Exception:
            # its session may be broken: the next one gets a new client
            self._busy -= 1
            self.close()
            raise
        except BaseException:
            self._busy -= 1
            raise
        else:
            self._busy -= 1
            self._used = time.monotonic()

    def close_if_idle(self) -> None:
        """Close the client if nobody asked for it for a while."""
        if self._client is not None and not self._busy and time.monotonic() - self._used > IDLE_SECONDS:
            self.close()

    def close(self) -> None:
        """Close the client; the next `use` opens a new one."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):
                client.__exit__(None, None, None)
