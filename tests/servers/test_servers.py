"""The servers of the tests end with whoever asked for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.servers.process import ROOT, listens

_HOLDER = """
import sys, time
from tests.servers.process import Server

class Plain(Server):
    name = "plain"
    def command(self):
        return [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(self.port)]

with Plain() as server:
    print(server.port, server.folder, flush=True)
    time.sleep(60)
"""


def test_a_server_ends_when_its_holder_is_killed() -> None:
    holder = subprocess.Popen([sys.executable, "-c", _HOLDER], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert holder.stdout is not None
    number, folder = holder.stdout.readline().split()
    port = int(number)
    assert listens(port) and Path(folder).is_dir()
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    end = time.monotonic() + 60
    while (listens(port) or Path(folder).exists()) and time.monotonic() < end:
        time.sleep(0.1)
    assert not listens(port) and not Path(folder).exists()
