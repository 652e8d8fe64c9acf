"""Real servers and emulators for tests: each starts on 127.0.0.1, on a free port, and ends with the process that asked.

Importing this package needs none of them. A server whose program is missing raises `Missing` with the command that
provides it; the fixtures of `tests.servers.fixtures` turn that into a skip.
"""

from __future__ import annotations


class Missing(Exception):
    """A server's program is not on this machine.

    Args:
        server: Its name.
        command: What provides it.
    """

    def __init__(self, server: str, command: str) -> None:
        self.server, self.command = server, command
        super().__init__(f"{server} is not here; to get it: {command}")
