"""The shop's pipeline as a script of its own: a real interpreter, for signals and locks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.crash.world import World

ROOT = Path(__file__).parents[2]


class Script:
    """A running script.

    Args:
        world: Its pipeline and place; the run counts as one that died, whatever comes of it.
        pause: A failpoint at which it waits until `go_on`.
        environment: More settings.
    """

    def __init__(self, world: World, pause: str = "", **environment: str) -> None:
        self.mark, self.log = world.folder / "paused", world.folder / f"script-{time.monotonic_ns()}.log"
        order = {"target": world.target.name, "place": world.place, "folder": str(world.folder), "pause": pause}
        world.deaths += 1
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.crash.trade", json.dumps(order)],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdout=log,
                stderr=log,
            )
        if pause:
            self.wait_until(self.mark.exists)

    def wait_until(self, true: Any, seconds: float = 60) -> None:
        """Wait for something, while it runs."""
        end = time.monotonic() + seconds
        while not true():
            assert self.process.poll() is None and time.monotonic() < end, self.told()
            time.sleep(0.01)

    def signal(self, code: int) -> None:
        """Send a signal."""
        self.process.send_signal(code)

    def go_on(self) -> None:
        """Let it go on from where it waits."""
        self.mark.unlink()

    def end(self, seconds: float = 60) -> int:
        """Wait for its end."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it does not end:\n{self.told()}") from None

    def told(self) -> str:
        """What it printed."""
        return self.log.read_text(errors="replace")
