"""The logger ``headrace``: level and format come from the configuration; handlers are the user's affair.

A library must not print over an application's logging, and must not be silent in a plain script either. So one handler
is added that speaks only while nobody else listens: no other handler is reached by the logger's records.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from headrace.base.logs import FIELDS, LOGGER, ContextFilter, call_records, current_context, get_logger, log_context
from headrace.errors.base import HeadraceException, ValueErrorWithKnownValues
from headrace.errors.masking import without_secrets

__all__ = [
    "ContextFilter",
    "JsonFormatter",
    "current_context",
    "initialize",
    "log_context",
    "stand_in",
]

T = TypeVar("T")
DEFAULT_FORMAT = "%(asctime)s|%(levelname)s|%(name)s|%(message)s"
JSON = "JSON"
_STYLES: tuple[Literal["%", "{"], ...] = ("%", "{")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# what a record has of itself: everything else was given as `extra`
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", *FIELDS}

_our_level: int | None = None
_levelled = LOGGER
_passed_over: set[tuple[str, str]] = set()


class FallbackHandler(logging.Handler):
    """Writes to standard error when there is no other handler that would."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record unless someone else gets it."""
        if _is_heard(logging.getLogger(LOGGER)):
            return
        try:
            # looked up each time: notebooks and tests exchange the stream
            sys.stderr.write(self.format(record) + "\n")
        except Exception:  # noqa: BLE001 - as all handlers of the standard library do
            self.handleError(record)


def _is_heard(logger: logging.Logger | None) -> bool:
    """Whether a handler of somebody else gets the logger's records."""
    while logger is not None:
        if any(not isinstance(h, (FallbackHandler, logging.NullHandler)) for h in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


_fallback = FallbackHandler()


def initialize(level: str | int | None = None, log_format: str | None = None) -> logging.Logger:
    """Set the logger's level and see to it that warnings of a plain script are seen.

    Args:
        level: Name or number of the level. None leaves it to the application: a level set on the logger by hand, else
            that of the root logger, which is WARNING unless it was changed.
        log_format: Format of the lines in a plain script, in the style of ``%`` or of ``{``; ``JSON`` is one object a
            line.

    For what is None the variables ``LOG_LEVEL`` and ``LOG_FORMAT`` of the environment count, if they can be read.

    Returns:
        The logger.

    Raises:
        ValueErrorWithKnownValues: There is no such level.
        HeadraceException: The format cannot be used.
    """
    global _our_level
    logger, levelled = get_logger(), logging.getLogger(_levelled)
    wanted, formatter = _level(level), _formatter(log_format)
    problems: list[str] = []
    if wanted is None and levelled.level in (logging.NOTSET, _our_level):
        wanted = _ambient("LOG_LEVEL", _level, None, problems)
    if log_format is None:
        formatter = _ambient("LOG_FORMAT", _formatter, formatter, problems)
    if wanted is not None:
        levelled.setLevel(wanted)
    elif levelled.level == _our_level:
        levelled.setLevel(logging.NOTSET)  # set by a pipeline before this one
    _our_level = wanted
    if _fallback not in logger.handlers:
        logger.addHandler(_fallback)
    _fallback.setFormatter(formatter)
    for problem in problems:
        logger.warning("%s", problem)
    return logger


def _ambient(name: str, read: Callable[[str], T], otherwise: T, problems: list[str]) -> T:
    """What a variable of the environment says that belongs to no library: what we cannot read is not our business."""
    text = os.environ.get(name, "").strip()
    if not text:
        return otherwise
    try:
        return read(text)
    except HeadraceException:
        if (name, text) not in _passed_over:
            _passed_over.add((name, text))
            problems.append(f"the variable {name} is {text!r}, which means nothing here: it is passed over")
        return otherwise


def stand_in(name: str | None) -> None:
    """Let another logger name count as the one of headrace: for programs written for another library.

    The logger of that name stands between ``headrace`` and the root logger, and our records carry its name: its
    handlers, its level and its ``propagate`` count for our lines as they would for its own. Its own lines get context
    and lose secrets.

    Args:
        name: The other name; None ends it.
    """
    global _levelled
    ours, other = get_logger(), logging.getLogger() if name is None else get_logger(name)
    # a logger has one parent; `logging` itself only sets it when a logger is made
    ours.parent, _levelled = other, name or LOGGER
    call_records(_levelled)
    if name is not None and ours.level == _our_level:
        other.setLevel(ours.level)
        ours.setLevel(logging.NOTSET)
    else:
        ours.setLevel(ours.level)  # makes all loggers forget which levels they had found


def _level(level: str | int | None) -> int | None:
    if level is None or isinstance(level, int):
        return level
    text = level.strip()
    found = int(text) if text.isdigit() else logging.getLevelName(text.upper())
    if isinstance(found, int):
        return found
    raise ValueErrorWithKnownValues("runtime.log_level", level, _LEVELS)


class JsonFormatter(logging.Formatter):
    """One JSON object for each record, on one line.

    Keys: ``written_at`` (UTC, ISO 8601), ``written_ts`` (nanoseconds since 1970), ``level``, ``logger``, ``msg``,
    ``type``, ``process``, ``thread``, ``module``, ``line_no``; ``exc_info`` and ``filename`` for errors; the fields of
    the context that are not empty (`FIELDS`); and what was given as ``extra``. Secrets are taken out.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Write a record; values without a JSON form are written as text."""
        from headrace.base import json

        instant = dt.datetime.fromtimestamp(record.created, dt.timezone.utc)
        line: dict[str, Any] = {
            "written_at": instant.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "written_ts": int(record.created * 1_000_000) * 1000,
            "level": record.levelname,
            "logger": record.name,
            "msg": record.getMessage(),
            "type": "log",
            "process": record.process,
            "thread": record.threadName,
            "module": record.module,
            "line_no": record.lineno,
        }
        line.update((n, v) for n in FIELDS if (v := getattr(record, n, "")))
        line.update((n, v) for n, v in vars(record).items() if n not in _OWN and n not in line)
        if said := _exception_text(self, record):
            line.update(exc_info=said, filename=record.filename)
        if record.stack_info:
            line["stack_info"] = record.stack_info
        return json.dumps(_clean(line))


def _exception_text(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    if record.exc_text:
        return record.exc_text
    if not record.exc_info or record.exc_info[0] is None:
        return ""
    return "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")


def _clean(value: Any) -> Any:
    """Plain data without secrets; text that is no Unicode keeps what can be kept."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, dict):
        return {str(_clean(str(k))): _clean(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean(v) for v in value]
    try:
        text = value if isinstance(value, str) else str(value)
    except Exception:  # noqa: BLE001 - somebody else's object
        text = f"<{type(value).__name__}>"
    return without_secrets(text.encode("utf-8", "backslashreplace").decode("utf-8"))


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


def _formatter(log_format: str | None) -> logging.Formatter:
    if log_format is not None and log_format.strip().upper() == JSON:
        return JsonFormatter()
    text = log_format or DEFAULT_FORMAT
    problem: Exception | None = None
    sample = logging.makeLogRecord(dict.fromkeys(FIELDS, ""))
    for style in _STYLES:
        try:
            found = _TextFormatter(text, style=style)
            found.format(sample)  # a field that does not exist would be found at each line
            return found
        except (ValueError, KeyError) as error:
            problem = problem or error
    raise HeadraceException(
        f"The log format {text!r} cannot be used.",
        why=f"{type(problem).__name__}: {problem}",
        fix="set `runtime.log_format` to JSON, or to text with fields such as %(levelname)s, {message} or {load_id}",
    )
