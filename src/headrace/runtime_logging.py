"""The logger ``headrace``: its level comes from ``runtime.log_level``; handlers are the user's affair.

A library must not print over an application's logging, and must not be silent in a plain script either. So one handler
is added that speaks only while nobody else listens: neither the logger itself nor the root logger has a handler.
"""

from __future__ import annotations

import logging
import sys

from headrace.errors.masking import without_secrets

LOGGER = "headrace"
DEFAULT_FORMAT = "%(asctime)s|%(levelname)s|%(name)s|%(message)s"

_fallback: FallbackHandler | None = None
_our_level: int | None = None


class FallbackHandler(logging.Handler):
    """Writes to standard error when there is no other handler that would."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record unless someone else gets it."""
        logger = logging.getLogger(LOGGER)
        others = [h for h in logger.handlers if h is not self and not isinstance(h, logging.NullHandler)]
        if others or (logger.propagate and logging.getLogger().handlers):
            return
        try:
            # looked up each time: notebooks and tests exchange the stream
            sys.stderr.write(self.format(record) + "\n")
        except Exception:  # noqa: BLE001 - as all handlers of the standard library do
            self.handleError(record)


def initialize(level: str | int | None = None, log_format: str | None = None) -> logging.Logger:
    """Set the logger's level and see to it that warnings of a plain script are seen.

    Args:
        level: Name or number of the level; None for WARNING. A level that the user set on the logger by hand stays,
            unless one is given here.
        log_format: Format of the lines in a plain script; ``JSON`` is one object a line.

    Returns:
        The logger.
    """
    global _fallback, _our_level
    logger = logging.getLogger(LOGGER)
    wanted = logging.getLevelName(level.upper()) if isinstance(level, str) else level
    if isinstance(wanted, int):
        logger.setLevel(wanted)
        _our_level = wanted
    elif logger.level in (logging.NOTSET, _our_level):
        logger.setLevel(logging.WARNING)
        _our_level = logging.WARNING
    if _fallback is None:
        _fallback = FallbackHandler()
    if _masking not in logger.filters:
        logger.addFilter(_masking)
    if _fallback not in logger.handlers:
        logger.addHandler(_fallback)
    _fallback.setFormatter(_formatter(log_format))
    return logger


class _Masking(logging.Filter):
    """Takes secrets out of messages before any handler sees them, the application's too."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = without_secrets(record.getMessage()), None
        return True


_masking = _Masking()


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        from headrace.base import json

        line = {
            "written_at": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "msg": record.getMessage(),
        }
        if record.exc_info:
            line["exc_info"] = without_secrets(self.formatException(record.exc_info))
        return json.dumps(line)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


def _formatter(log_format: str | None) -> logging.Formatter:
    if log_format == "JSON":
        return _JsonFormatter()
    text = log_format or DEFAULT_FORMAT
    try:
        return _TextFormatter(text)
    except ValueError:
        return _TextFormatter(text, style="{")
