"""One job on one client, and what came of it."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import time
from collections.abc import Callable
from typing import Literal

import msgspec

from headrace.base import failpoints
from headrace.base.logs import log_context
from headrace.base.time import now
from headrace.errors.base import TerminalException
from headrace.errors.masking import clean
from headrace.load.destination import Applied, Client, LoadContext
from headrace.load.staging import Staging
from headrace.model.jobs import PlannedJob, Upload

Result = Literal["done", "failed", "again"]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an attempt at a job ended.

    Attributes:
        job: The job.
        result: ``done``; ``failed`` for good; ``again``: it may have failed or even succeeded, trying again tells.
        applied: What the destination told of it.
        seconds: How long it took.
        error: What was raised.
    """

    job: PlannedJob
    result: Result
    started_at: dt.datetime
    seconds: float = 0.0
    applied: Applied = Applied()
    error: Exception | None = None

    @property
    def message(self) -> str:
        """The error in words."""
        return str(self.error) or type(self.error).__name__ if self.error is not None else ""


def is_terminal(error: BaseException) -> bool:
    """Whether trying again is pointless. Whatever is not known to be is tried again: the job's key makes that safe."""
    return isinstance(error, TerminalException)


class Clients:
    """One open client for each thread, opened when first needed.

    Args:
        open_client: Makes a client that is not entered yet.
        main: A client that the caller has entered and will leave; it serves the thread that made this object.
    """

    def __init__(self, open_client: Callable[[], Client], main: Client | None = None) -> None:
        self._open_client = open_client
        self._lock = threading.Lock()
        self._own: list[Client] = []
        self._clients: dict[int, Client] = {}
        if main is not None:
            self._clients[threading.get_ident()] = main

    def get(self) -> Client:
        """This thread's client."""
        client = self._clients.get(threading.get_ident())
        return client if client is not None else self._open()

    def _open(self) -> Client:
        client = self._open_client()
        client.__enter__()
        with self._lock:
            self._own.append(client)
            self._clients[threading.get_ident()] = client
        return client

    def discard(self) -> None:
        """Give up this thread's client after an error: its session may be broken. The next `get` opens a new one."""
        with self._lock:
            client = self._clients.pop(threading.get_ident(), None)
            if client not in self._own:
                return  # the caller's: theirs to close
            self._own.remove(client)
        _close(client)

    def abandon(self) -> None:
        """Leave other threads' clients to themselves: they may be in the middle of a job that nobody waits for."""
        with self._lock:
            mine = self._clients.get(threading.get_ident())
            self._own = [client for client in self._own if client is mine]

    def close(self) -> None:
        """Close all clients that were opened here."""
        with self._lock:
            own, self._own, self._clients = self._own, [], {}
        for client in own:
            _close(client)


def _close(client: Client) -> None:
    # closing a broken session may fail again; the error that counts was raised before
    with contextlib.suppress(Exception):
        client.__exit__(None, None, None)


def _apply(job: PlannedJob, context: LoadContext, clients: Clients, staging: Staging | None) -> Applied:
    if isinstance(job, Upload):
        if staging is not None:
            staging.upload(job, context)
        return Applied()
    return staging.load(job, context, clients.get) if staging else clients.get().apply(job, context)


def run_job(job: PlannedJob, context: LoadContext, clients: Clients, staging: Staging | None = None) -> Outcome:
    """Try a job once.

    Args:
        job: The job.
        context: Its package.
        clients: Where this thread's client is.
        staging: Where uploads go, and files of other jobs may come from.

    Returns:
        How it ended. Errors are part of that; only what is no `Exception` (an interrupt) is raised.
    """
    started_at, start = now(), time.perf_counter()
    try:
        with log_context(job_id=job.id, table_name=", ".join(job.tables)):
            applied = _apply(job, context, clients, staging)
    except Exception as error:  # noqa: BLE001
        clients.discard()
        clean(error)  # its text goes into the journal
        result: Result = "failed" if is_terminal(error) else "again"
        return Outcome(job=job, result=result, started_at=started_at, seconds=time.perf_counter() - start, error=error)
    failpoints.hit("job.applied")
    seconds = time.perf_counter() - start
    return Outcome(job=job, result="done", started_at=started_at, seconds=seconds, applied=applied)
