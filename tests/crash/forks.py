"""Children to be killed: forked from a server that has all modules imported and has started no thread.

A hundred deaths take seconds so, and no thread of pytest's is in a child.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PRELOAD = ["tests.crash.preload", "tests.crash.shopkeeper", "tests.crash.trade"]


def start(act: Callable[..., object], *args: Any, log: Path | None = None, **kw: Any) -> Any:
    """Start ``act`` in a child.

    Args:
        act: A function of a module.
        args: Its arguments.
        log: A file that gets what the child prints; by default it prints where we do.
        kw: More arguments.

    Returns:
        The process (`multiprocessing.Process`).
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    child = context.Process(target=_act, args=(log, act, args, kw))
    child.start()
    return child


def _act(log: Path | None, act: Callable[..., object], args: tuple[Any, ...], kw: dict[str, Any]) -> None:
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(fd, 1)
        os.dup2(fd, 2)
        sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    act(*args, **kw)


def end_of(child: Any) -> int:
    """Wait for a child; 0, its exit code, or minus the signal that killed it."""
    child.join()
    return int(child.exitcode)
