"""Children, most of them to be killed: forked from a server that has all modules imported and has started no thread.

A hundred deaths take seconds so, and no thread of pytest's is in a child.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from headrace.base import failpoints

# there is one server in a process: whoever starts it first, it has what all need
PRELOAD = ["tests.crash.preload", "tests.crash.shopkeeper", "tests.crash.trade", "tests.concurrency.writer"]


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


def python(
    code: str, *args: object, env: Mapping[str, str] | None = None, cwd: Path | str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a script as ``python -c CODE ARGS`` would, without the second that imports take.

    Args:
        code: The script.
        args: Its arguments.
        env: Its environment; ours by default.
        cwd: Where it runs; where we are by default.

    Returns:
        How it ended and what it printed. Nothing is checked.
    """
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder, name) for name in ("out", "err")]
        child = start(_script, code, list(map(str, args)), dict(env or os.environ), str(cwd or Path.cwd()), *streams)
        exitcode = end_of(child)
        texts = [stream.read_text(errors="replace") if stream.exists() else "" for stream in streams]
    return subprocess.CompletedProcess([sys.executable, "-c", code, *map(str, args)], exitcode, *texts)


def _script(code: str, args: list[str], env: dict[str, str], cwd: str, out: Path, err: Path) -> None:
    for number, stream in ((1, out), (2, err)):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT), number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    tempfile.tempdir = None
    failpoints._armed.clear()
    failpoints._armed.update(failpoints.parse(env.get(failpoints.ENVIRONMENT_VARIABLE, "")))
    found = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path and path not in sys.path]
    sys.path[:0], sys.argv = ["", *found], ["-c", *args]
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        exec(compile(code, "<string>", "exec"), module.__dict__)
    finally:
        # children of multiprocessing leave them out
        atexit._run_exitfuncs()
