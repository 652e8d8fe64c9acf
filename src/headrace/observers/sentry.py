"""Sentry: an event for each run that failed, each job that failed and each package set aside; a transaction a run.

The work is done by sentry-sdk (extra ``sentry``). A client that the application has initialised is used as it is;
otherwise a client of our own is made, which hooks into nothing of the process.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from headrace.base.lazy import need
from headrace.errors.masking import without_secrets
from headrace.model.events import (
    AnyEvent,
    JobDone,
    JobFailed,
    JobRetried,
    PackageParked,
    Planned,
    Rejected,
    RunEnded,
    RunStarted,
    SchemaEvolved,
    StepEnded,
    StepStarted,
)
from headrace.observers import facts
from headrace.observers.sentry_record import Crumb, Record

if TYPE_CHECKING:
    from headrace.bus.observer import Run

_LOGGED = 50


def observer_for(p: Any) -> SentryObserver | None:
    """The observer of a pipeline, None when no DSN is set.

    Raises:
        MissingDependencyException: sentry-sdk is not installed.
        sentry_sdk.utils.BadDsn: The DSN is none.
    """
    settings = p.runtime_config
    if not settings.sentry_dsn:
        return None
    need("sentry_sdk", "Sentry (`runtime.sentry_dsn`)", "sentry")
    wanted = (settings.sentry_dsn, settings.sentry_environment, settings.sentry_traces_sample_rate)
    if not _client_of_application():
        own_client(*wanted)  # what is wrong with it is said now
    return SentryObserver(*wanted)


def _client_of_application() -> Any:
    import sentry_sdk

    client = sentry_sdk.get_client()
    return client if client.is_active() else None


@lru_cache(maxsize=16)
def own_client(dsn: str, environment: str | None, traces_sample_rate: float) -> Any:
    """A client of our own, one for all pipelines of the process with the same settings.

    It has none of the integrations, which would change the process: only what we hand it is sent. Release and
    environment are those of SENTRY_RELEASE and SENTRY_ENVIRONMENT where no setting says otherwise.
    """
    import sentry_sdk

    return sentry_sdk.Client(
        dsn=dsn,
        environment=environment,
        traces_sample_rate=traces_sample_rate,
        default_integrations=False,
        auto_enabling_integrations=False,
        include_local_variables=False,
        max_request_body_size="never",
        send_client_reports=False,
        auto_session_tracking=False,
        enable_backpressure_handling=False,
        before_send=masked,
        before_send_transaction=masked,
        shutdown_timeout=facts.FLUSH_SECONDS,
    )


def masked(event: Any, hint: Any = None) -> Any:
    """An event without secrets, in all of its texts, and without the variables of functions."""
    for value in (event.get("exception") or {}).get("values") or ():
        for frame in ((value or {}).get("stacktrace") or {}).get("frames") or ():
            frame.pop("vars", None)
    event.pop("request", None)
    return _hidden(event)


def _hidden(value: Any) -> Any:
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {without_secrets(k) if isinstance(k, str) else k: _hidden(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_hidden(one) for one in value]
    return value


class SentryObserver:
    """Collects what happens in a run, and tells Sentry when it is over.

    Args:
        dsn: Where a client of our own sends to.
        environment: Of a client of our own.
        traces_sample_rate: Of a client of our own: the share of runs that become transactions, 0 to 1.
    """

    def __init__(self, dsn: str, environment: str | None = None, traces_sample_rate: float = 1.0) -> None:
        self._wanted = (dsn, environment, traces_sample_rate)
        self._record: Record | None = None
        self._jobs = facts.Jobs()
        self._listener: _Listener | None = None

    def notify(self, event: AnyEvent, run: Run) -> None:
        """Take note; at the end of the run send."""
        if isinstance(event, RunStarted):
            self._jobs = facts.Jobs()
            self._record = Record(facts.run_facts(run), facts.seconds(event))
            self._listen(self._record)
        elif self._record is not None:
            self._note(self._record, event, run)

    def _note(self, record: Record, event: AnyEvent, run: Run) -> None:
        if isinstance(event, StepStarted):
            record.open_step(event.step, facts.seconds(event))
        elif isinstance(event, StepEnded):
            info = facts.step_info(run, event.step)
            record.end_step(event.step, facts.seconds(event), event.error, facts.resource_pieces(info))
            if info is not None and info.loads_ids:
                record.load_ids = list(info.loads_ids)
        elif isinstance(event, Planned):
            self._jobs.note(event)
        elif isinstance(event, (JobDone, JobFailed, JobRetried)):
            record.add_job(self._jobs.piece(event, run), failed=isinstance(event, JobFailed))
        elif isinstance(event, (Rejected, SchemaEvolved, PackageParked)):
            record.add_crumb(event)
            if isinstance(event, PackageParked) and run.step is not None:
                record.parked.append(event)  # else somebody has set it aside by hand
        elif isinstance(event, RunEnded):
            self._record = None
            self._unlisten()
            self._send(record, event, run)

    def _send(self, record: Record, ended: RunEnded, run: Run) -> None:
        from headrace.observers.sentry_send import send

        if run.error is None and not record.has_steps:
            return  # only something was looked after
        record.facts |= facts.run_facts(run)  # the run may have set destination and dataset
        client = _client_of_application()
        own = client is None
        send(record, facts.seconds(ended), run.error, client or own_client(*self._wanted), own)

    def _listen(self, record: Record) -> None:
        """Warnings of the log become breadcrumbs, where the application's client does not see to that."""
        client = _client_of_application()
        if client is None or client.get_integration("logging") is None:
            self._listener = _Listener(record)
            logging.getLogger("headrace").addHandler(self._listener)

    def _unlisten(self) -> None:
        if self._listener is not None:
            logging.getLogger("headrace").removeHandler(self._listener)
            self._listener = None


class _Listener(logging.NullHandler):
    """Hears warnings and shows nothing: a plain script goes on seeing them."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._record, self._left = record, _LOGGED

    def handle(self, record: logging.LogRecord) -> bool:
        # pipelines of other threads log here too
        ours = getattr(record, "run_id", "") in ("", self._record.facts["run_id"])
        if ours and record.levelno >= logging.WARNING and self._left:
            self._left -= 1
            level = "error" if record.levelno >= logging.ERROR else "warning"
            self._record.crumbs.append(Crumb(record.created, "log", level, record.getMessage(), {}))
        return False
