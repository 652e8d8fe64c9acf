"""SIGINT and SIGTERM while jobs run: finish what has begun, then stop.

The first signal is remembered, and the work asks `raise_if_received` between two steps; the second one stops at once.
Only the main thread can change handlers: elsewhere, and when the user has handlers of their own, nothing is changed.

A program that lets the exception pass ends with the exit code 128 + the signal's number, as shells tell it; after the
second signal without waiting for threads, for one of them may hang.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any

from headrace.errors.base import SignalReceivedException

_logger = logging.getLogger("headrace")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SLICE = 0.05

_received: int | None = None
_depth = 0
_forced = False
_hook: Callable[..., Any] = sys.__excepthook__


def received() -> int | None:
    """The number of the first signal that came inside `delayed`, None when none came."""
    return _received


def raise_if_received() -> None:
    """Stop here if a signal came.

    Raises:
        SignalReceivedException: It did; the exception is a `KeyboardInterrupt` too.
    """
    if _received is not None:
        raise SignalReceivedException(_received)


def sleep(seconds: float) -> None:
    """Wait, but no longer than until a signal comes.

    Raises:
        SignalReceivedException: A signal came.
    """
    # slices and not an Event: a handler that sets an event may meet the very lock it interrupted
    end = time.monotonic() + seconds
    while True:
        raise_if_received()
        left = end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, _SLICE))


def _remember(code: int, frame: FrameType | None) -> None:
    global _received, _forced
    if _received is not None:
        _forced = True
        raise SignalReceivedException(code)
    _received = code
    _tell_at_exit()
    name = signal.Signals(code).name
    _logger.warning(
        "%s: running jobs are finished first, the rest waits for the next run. Again to stop at once.", name
    )


def _tell_at_exit() -> None:
    """Let the program end with the signal's exit code, if nobody catches the exception."""
    global _hook
    if sys.excepthook is not _uncaught:
        _hook, sys.excepthook = sys.excepthook, _uncaught


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _hook(kind, error, trace)
    if not isinstance(error, SignalReceivedException):
        return
    code = 128 + error.signal_code
    if _forced:
        # leaving in the usual way joins threads
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(code)
    raise SystemExit(code)


def _ours_to_take(code: int) -> bool:
    """Python's own handler or the system's default; a handler the user set stays."""
    return signal.getsignal(code) in (signal.SIG_DFL, signal.default_int_handler)


@contextmanager
def delayed(enabled: bool = True) -> Iterator[None]:
    """Within it, signals wait for the next `raise_if_received`. May be nested; the outermost one counts.

    Args:
        enabled: False does nothing (``runtime.intercept_signals``).

    Raises:
        SignalReceivedException: On the way out of the outermost, when a signal came and nobody raised for it.
    """
    global _received, _depth, _forced
    if not enabled or threading.current_thread() is not threading.main_thread():
        yield
        return
    if _depth:
        _depth += 1
        try:
            yield
        finally:
            _depth -= 1
        return
    before: dict[int, Any] = {}
    _received, _depth, _forced = None, 1, False
    try:
        for code in map(int, filter(_ours_to_take, _SIGNALS)):
            before[code] = signal.signal(code, _remember)
        yield
        raise_if_received()
    finally:
        for code, handler in before.items():
            signal.signal(code, handler)
        _received, _depth = None, 0
