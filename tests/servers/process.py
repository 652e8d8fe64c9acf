"""Start a server, wait until it listens, end it by its process id."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

GUARD = Path(__file__).with_name("guard.py")
ROOT = Path(__file__).parents[2]
VENVS = ROOT / ".venvs"
"""Where ``make test`` puts programs that are no Python packages."""


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether somebody accepts connections on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """A server's process and folder; a context manager.

    Subclasses say how to start it. ``port`` stays the same over `stop` and `start`.

    Attributes:
        name: For messages.
        folder: A new folder under the temporary folder, removed at the end.
        user: The system user it runs as when the tests run as root; None for the same one.
    """

    name = "server"
    user: str | None = None

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"headrace-{self.name}-"))
        self._guard: subprocess.Popen[str] | None = None
        self.pid = 0

    def command(self) -> Sequence[str]:
        """The program and its arguments."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """What its environment has beyond ours."""
        return {}

    def prepare(self) -> None:
        """Make what it needs before its first start."""

    def ready(self) -> bool:
        """Whether it serves."""
        return listens(self.port)

    # ---- life -----------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start it and wait until it serves."""
        env = {**os.environ, **self.environment(), "GUARD_FOLDER": str(self.folder)}
        if self.user is not None and os.getuid() == 0:
            env["GUARD_USER"] = self.user
        with (self.folder / "server.log").open("ab") as log:
            self._guard = subprocess.Popen(
                [sys.executable, str(GUARD), *self.command()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=env,
                cwd=self.folder,
                text=True,
                start_new_session=True,
            )
        assert self._guard.stdout is not None
        self.pid = int(self._guard.stdout.readline() or 0)
        self.wait_until(self.ready, 60)

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait; a server that dies or takes too long is an error with the end of its log."""
        end = time.monotonic() + seconds
        while not ready():
            ended = self._guard is None or self._guard.poll() is not None
            if ended or time.monotonic() > end:
                log = (self.folder / "server.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.name} {'ended' if ended else 'is not ready'}; its log ends so:\n{log}")
            time.sleep(0.05)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End it at once, as a crash would, and wait for its end."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)
        self.stop()

    def stop(self) -> None:
        """End it; `start` starts it again on the same data."""
        guard, self._guard = self._guard, None
        if guard is not None:
            assert guard.stdin is not None
            with suppress(BrokenPipeError):  # it has ended by itself
                guard.stdin.write("s")
                guard.stdin.close()
            guard.wait(60)
            assert guard.stdout is not None
            guard.stdout.close()

    def close(self) -> None:
        """End it at once, nobody needs what it has, and remove its folder."""
        if self._guard is not None and self.pid:
            self.kill()
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def package_folder(package: str) -> Path | None:
    """The folder of an installed package, without importing it; None when it is not installed."""
    import importlib.util

    found = importlib.util.find_spec(package)
    return Path(found.submodule_search_locations[0]) if found and found.submodule_search_locations else None
