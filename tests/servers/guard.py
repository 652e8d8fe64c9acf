"""Run a server for as long as somebody holds this process's standard input open: ``python guard.py command …``.

The tests hold the other end of the pipe, and say ``s`` to stop the server. However they end, kill -9 included, the pipe
closes and the server is stopped too: by SIGTERM, and by SIGKILL to its whole group when it does not listen. Then nobody
is left to remove the server's folder, and it goes as well.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
from contextlib import suppress

PATIENCE = 10.0
"""Seconds between asking and forcing."""


def main() -> int:
    user, folder = os.environ.pop("GUARD_USER", "") or None, os.environ.pop("GUARD_FOLDER", "")
    abandoned = False
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True, user=user)
    print(child.pid, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while child.poll() is None:
            if select.select([0], [], [], 0.2)[0]:
                abandoned = not os.read(0, 1)
                break
    finally:
        _end(child)
        if abandoned and folder:
            shutil.rmtree(folder, ignore_errors=True)
    return child.returncode or 0


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(PATIENCE)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


if __name__ == "__main__":
    raise SystemExit(main())
