"""Servers on this machine that take what is sent to Sentry or to an OpenTelemetry collector."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """Keeps the path and the unpacked body of every request."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.got.append((self.path, body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def text(self) -> str:
        """All that came, as text."""
        return "\n".join(body.decode("utf-8", "replace") for _, body in self.got)


class SentryReceiver(Receiver):
    """Understands envelopes."""

    @property
    def dsn(self) -> str:
        return f"http://publickey@127.0.0.1:{self.port}/42"

    def items(self, kind: str) -> list[dict[str, Any]]:
        """Items of a kind: ``event`` or ``transaction``."""
        found = []
        for path, body in self.got:
            assert path == "/api/42/envelope/"
            _header, _, rest = body.partition(b"\n")
            while rest.strip():
                line, _, rest = rest.partition(b"\n")
                item = json.loads(line)
                length = item.get("length", rest.find(b"\n"))
                payload, rest = rest[:length], rest[length + 1 :]
                if item["type"] == kind:
                    found.append(json.loads(payload))
        return found

    @property
    def events(self) -> list[dict[str, Any]]:
        return self.items("event")

    @property
    def transactions(self) -> list[dict[str, Any]]:
        return self.items("transaction")


@contextmanager
def hanging() -> Iterator[int]:
    """A port where connections are taken and never answered."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield server.getsockname()[1]


@contextmanager
def dead() -> Iterator[int]:
    """A port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
