"""What every log line of headrace goes through: it is told what it belongs to, and loses its secrets.

`log_context` says what the code in a block works on; the values are attributes of each log record, for formatters of
every kind. They are set once for a step, a file or a job, and read when a line is really written: rows pay nothing.
"""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from headrace.errors.masking import without_secrets

LOGGER = "headrace"

FIELDS = ("pipeline_name", "run_id", "step", "load_id", "schema_name", "resource_name", "table_name", "job_id")
"""Attributes that every record of ours has; empty text where there is nothing to say."""

_context: ContextVar[Mapping[str, str]] = ContextVar("headrace_log_context", default={})  # noqa: B039 - never changed
_sources: list[Callable[[], Mapping[str, str]]] = []
_called = LOGGER


@contextmanager
def log_context(**fields: str) -> Iterator[None]:
    """Say what the block works on, to every line that is logged in it, also by threads that get its context.

    Args:
        **fields: Some of `FIELDS`; those of blocks around it stay as they are.
    """
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def add_source(source: Callable[[], Mapping[str, str]]) -> None:
    """Ask a function for fields whenever a line is logged: for what changes too often to be set.

    Args:
        source: Gives some of `FIELDS`; those set by `log_context` come first.
    """
    _sources.append(source)


def current_context() -> dict[str, str]:
    """The fields that a line logged here would have, without empty ones."""
    found: dict[str, str] = {}
    for source in _sources:
        found.update(source())
    found.update(_context.get())
    return {name: found[name] for name in FIELDS if found.get(name)}


class ContextFilter(logging.Filter):
    """Gives records the attributes of `FIELDS`.

    Our own loggers have it. Put it on a handler of yours, and lines of other libraries (a database driver, your own
    sources) say as well which run, resource or job they belong to: ``handler.addFilter(ContextFilter())``.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add what is missing; never drops a record."""
        context = current_context()
        for name in FIELDS:
            if not hasattr(record, name):
                setattr(record, name, context.get(name, ""))
        return True


class MaskingFilter(logging.Filter):
    """Takes secrets out of messages and tracebacks before any handler sees them, the application's too."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite what holds a secret; never drops a record, and never raises: a log line must not end a run."""
        try:
            said = record.getMessage()
        except Exception:  # noqa: BLE001 - wrong arguments: handlers report that as they always do
            return True
        clean = without_secrets(said)
        if clean != said or not _is_plain(record.args):
            record.msg, record.args = clean, None
        if record.exc_info and record.exc_info[0] is not None:
            _clean_traceback(record)
        return True


def _is_plain(args: object) -> bool:
    """Whether arguments say no more than the message that is made of them; objects might."""
    if isinstance(args, Mapping):
        args = tuple(args.values())
    return args is None or (isinstance(args, tuple) and all(isinstance(a, (str, int, float)) for a in args))


def _clean_traceback(record: logging.LogRecord) -> None:
    """Hand on the text instead of the error, if the text has a secret: formatters use it where they find it."""
    with contextlib.suppress(Exception):
        text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")  # type: ignore[misc]
        clean = without_secrets(text)
        if clean != text:
            record.exc_info, record.exc_text = None, clean


class _NameFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if _called != LOGGER and record.name.partition(".")[0] == LOGGER:
            record.name = _called + record.name[len(LOGGER) :]
        return True


_FILTERS = (ContextFilter(), MaskingFilter(), _NameFilter())


def call_records(name: str) -> None:
    """Let records of ours carry another logger's name; `LOGGER` gives them their own again."""
    global _called
    _called = name


def get_logger(name: str = LOGGER) -> logging.Logger:
    """The logger ``headrace``, or one below it, with our filters: a logger does not inherit them."""
    logger = logging.getLogger(name)
    for one in _FILTERS:
        if one not in logger.filters:
            logger.addFilter(one)
    return logger
