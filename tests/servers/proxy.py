"""A TCP proxy in front of a server, for tests: it can cut a connection at a chosen byte."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import TracebackType

from typing_extensions import Self

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER so that closing sends RST: the connection breaks instead of ending."""


class Proxy:
    """Passes connections on to a port of 127.0.0.1; a context manager.

    Args:
        target: The server's port.

    Attributes:
        port: The proxy's.
        up: Bytes that went to the server so far, over all connections.
        cuts: How many connections were cut.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.up = self.cuts = 0
        self._cut_at: list[tuple[int, bool]] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def cut_at(self, up: int, silence: bool = False) -> None:
        """Cut the connection that sends a byte, counted from the proxy's start.

        Args:
            up: The number of the byte.
            silence: Let the server have what was sent and do it, and cut when it answers: the answer is lost.
        """
        self._cut_at.append((up, silence))

    def cut_all(self) -> None:
        """Cut all connections now."""
        with self._lock:
            found = list(self._open)
        for one in found:
            self._cut(one)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # closing alone does not wake up a thread that waits in accept
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_all()

    # ---- connections -----------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target), timeout=60)
            except OSError:
                self._cut(client)
                continue
            server.settimeout(None)
            with self._lock:
                self._open |= {client, server}
            doomed = threading.Event()
            for act, args in ((self._send, (client, server, doomed)), (self._answer, (server, client, doomed))):
                threading.Thread(target=act, args=args, daemon=True).start()

    def _send(self, client: socket.socket, server: socket.socket, doomed: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(4096):
                with self._lock:
                    due = [cut for cut in self._cut_at if cut[0] <= self.up + len(data)]
                    for cut in due:
                        self._cut_at.remove(cut)
                    before = self.up
                    self.up += len(data)
                if due and not any(silence for _, silence in due):
                    server.sendall(data[: max(0, due[0][0] - before)])
                    self._cut(client, server)
                    return
                if due:
                    doomed.set()
                server.sendall(data)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _answer(self, server: socket.socket, client: socket.socket, doomed: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if doomed.is_set():
                    self._cut(client, server)
                    return
                client.sendall(data)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_WR)

    def _cut(self, *sockets: socket.socket) -> None:
        with self._lock:
            self.cuts += 1
            self._open.difference_update(sockets)
        for one in sockets:
            with contextlib.suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                # a thread may be waiting in recv: close alone would not end that
                one.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                one.close()
