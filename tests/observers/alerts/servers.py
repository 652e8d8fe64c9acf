"""Servers on this machine that alerts are sent to."""

from __future__ import annotations

import email
import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword


@dataclass
class Request:
    """What was posted."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    """What a server says; it may repeat the path that it was asked for."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"


class Inbox:
    """A web server that keeps what is posted, and answers as it is told: one answer after the other, then 200."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: list[Answer] = []
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                inbox.requests.append(Request(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                answer = inbox.answers.pop(0) if inbox.answers else Answer()
                said = answer.body.replace(b"{path}", self.path.encode())
                self.send_response(answer.status)
                for name, value in {"Content-Length": str(len(said)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def at(self, path: str) -> list[Any]:
        """The documents that were posted to a path."""
        return [request.json for request in self.requests if request.path == path]

    def wait(self, number: int, seconds: float = 60.0) -> None:
        """Wait for requests that come after the run."""
        end = time.monotonic() + seconds
        while len(self.requests) < number and time.monotonic() < end:
            time.sleep(0.02)
        assert len(self.requests) >= number


@contextmanager
def inbox() -> Iterator[Inbox]:
    server = Inbox()
    try:
        yield server
    finally:
        server.close()


class _Keep:
    def __init__(self, refuse: str | None) -> None:
        self.messages: list[EmailMessage] = []
        self.envelopes: list[tuple[str, Sequence[str]]] = []
        self._refuse = refuse

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self._refuse:
            return self._refuse
        self.messages.append(email.message_from_bytes(envelope.content, policy=default))  # type: ignore[arg-type]
        self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))
        return "250 taken"


def _check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and data.login == b"etl" and data.password == b"correct-horse-battery"
    return AuthResult(success=right, handled=False)


@contextmanager
def mail_server(security: str = "none", login: bool = False, refuse: str | None = None) -> Iterator[Any]:
    """An SMTP server; ``port`` is where it listens, ``messages`` what it got, ``ca`` who vouches for it."""
    ca = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    keep = _Keep(refuse)
    options: dict[str, Any] = {"authenticator": _check, "auth_required": True} if login else {}
    if login and security != "starttls":  # it does not see that the connection is secure from the beginning
        options["auth_require_tls"] = False
    if security == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    controller = _OwnPort(
        keep, hostname="127.0.0.1", port=0, ssl_context=context if security == "ssl" else None, **options
    )
    controller.start()
    keep.port, keep.ca = controller.server.sockets[0].getsockname()[1], ca  # type: ignore[attr-defined, union-attr]
    try:
        yield keep
    finally:
        controller.stop()


class _OwnPort(Controller):
    def _trigger_server(self) -> None:
        # by default it connects to the port it was given, which is 0
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        super()._trigger_server()
