"""The command ``headrace`` for a shell, without the second that imports take: a server has them done and forks."""

from __future__ import annotations

import atexit
import json
import multiprocessing.process
import os
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

_CLIENT = """#!{python} -IS
import json, os, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect({place!r})
order = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]) + "\\n"
socket.send_fds(connection, [b"f"], [0, 1, 2])
connection.sendall(order.encode())
code = int(connection.makefile().read() or 70)
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


def client(folder: Path, place: Path) -> None:
    """Write the command into a folder for ``PATH``."""
    command = folder / "headrace"
    command.write_text(_CLIENT.format(python=sys.executable, place=str(place)))
    command.chmod(0o755)


def serve(place: Path) -> None:
    """Run commands one after the other, each in a child, as long as we live."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen()
        while True:
            connection, _ = listener.accept()
            with connection:
                _, streams, _, _ = socket.recv_fds(connection, 1, 3)
                order = json.loads(connection.makefile().readline())
                child = os.fork()
                if child == 0:
                    _run(order, streams)
                for stream in streams:
                    os.close(stream)
                code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                connection.sendall(str(code).encode())


def _run(order: Any, streams: list[int]) -> None:
    code: Any = 70
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        sys.argv, folder, environment = order
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        # else it takes itself for a child of multiprocessing, whose end is another
        multiprocessing.process._parent_process = None  # type: ignore[attr-defined]
        code = _main()
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _main() -> int:
    from headrace.cli.app import main

    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
