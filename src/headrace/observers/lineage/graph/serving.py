"""A small server: takes OpenLineage events of any producer, keeps them, and shows the graph.

=========================================  ===========================================================================
``POST /api/v1/lineage``                   an event; 201, or 400 with what is wrong
``POST /api/v1/lineage/batch``             a list of events; 200 with a summary, or 400 when none of them is right
``GET /``                                  the page
``GET /api/v1/graph``                      the graph as JSON; with an ``ETag``
``GET /api/v1/graph?around=NAME``          what is up- and downstream of a dataset, column or job
``GET /health``                            200
=========================================  ===========================================================================

The endpoints of events are those of OpenLineage's OpenAPI document.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import logging
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from headrace.base.version import VERSION
from headrace.observers.lineage.graph.checking import line_of
from headrace.observers.lineage.graph.formats import as_json
from headrace.observers.lineage.graph.html import as_html, policy, slim
from headrace.observers.lineage.graph.local import LocalGraph
from headrace.observers.lineage.graph.view import View
from headrace.observers.lineage.graph.walk import NotInGraph, find, part

logger = logging.getLogger("headrace")

EVENT_BYTES = 32 * 2**20
"""Largest body, as it is and unpacked."""
SECONDS = 30
"""How long a client may be silent within a request."""
_LEFT_SECONDS = 10
"""How long the rest of a body that is refused is read."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Refused(Exception):
    """A request is answered with an error.

    Args:
        status: The status of HTTP.
        text: What is wrong.
    """

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class LineageServer(ThreadingHTTPServer):
    """The server; `serve_forever` runs it, `shutdown` ends it.

    Args:
        graph: What keeps events and makes the graph of them.
        host: Address to listen at.
        port: Port; 0 takes a free one.
        token: What clients have to know: as bearer token, or as password of basic authentication.
        body_bytes: Largest body.
    """

    daemon_threads = True
    # producers may come all at once
    request_queue_size = 128
    # a second server on the port is an error and not a rival
    allow_reuse_port = False
    look_again: float = 5
    """Seconds after which an open page looks for what is new."""

    def __init__(
        self, graph: LocalGraph, host: str, port: int, token: str | None = None, body_bytes: int = EVENT_BYTES
    ) -> None:
        if ":" in host:
            import socket

            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)
        self.graph, self.token, self.body_bytes = graph, token, body_bytes
        self.is_local = host in _LOOPBACK
        self._guard = threading.Lock()
        self._view: tuple[str, View] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        host, port = str(self.server_address[0]), self.server_address[1]
        shown = f"[{host}]" if ":" in host else "localhost" if host in ("0.0.0.0", "127.0.0.1") else host
        return f"http://{shown}:{port}"

    def current(self) -> tuple[str, View]:
        """The graph of now, and the tag of this state."""
        with self._guard:  # several who ask at once get the same
            tag = f'"{self.graph.refresh()}"'
            if self._view is None or self._view[0] != tag:
                self._view = (tag, self.graph.view())
            return self._view

    def keep(self, events: Sequence[dict[str, Any] | bytes]) -> None:
        """Keep events that were checked, or their lines."""
        self.graph.received.append(events)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of ours; others are logged."""
        logger.debug("lineage server: a request of %s broke off", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: LineageServer
    server_version = f"headrace/{VERSION}"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = SECONDS
    _left = 0
    takes: ClassVar[Mapping[str, str]] = {"/api/v1/lineage": "_one", "/api/v1/lineage/batch": "_batch"}

    def do_GET(self) -> None:
        self._answered(self._get)

    def do_HEAD(self) -> None:
        self._answered(self._get)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        self._left = int(length) if length.isdecimal() else 0
        self._answered(self._post)

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug("lineage server: " + format, *args)

    # ---- requests ----

    def _answered(self, act: Any) -> None:
        try:
            self._permitted()
            act()
        except Refused as refused:
            self.close_connection = True  # what is left of the body is not read
            self._send(refused.status, {"code": int(refused.status), "message": refused.text})
            self._let_finish()
        except OSError:
            raise
        except Exception as error:
            logger.exception("lineage server: a request failed")
            self.close_connection = True
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, {"code": 500, "message": type(error).__name__})

    def _let_finish(self) -> None:
        """Read what is left of a body, for a while: most clients look for the answer only when all is sent."""
        self.wfile.flush()
        end = time.monotonic() + _LEFT_SECONDS
        self.connection.settimeout(_LEFT_SECONDS)
        while self._left > 0 and time.monotonic() < end:
            data = self.rfile.read(min(self._left, 1 << 16))
            self._left = self._left - len(data) if data else 0

    def _permitted(self) -> None:
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        # a page of elsewhere whose name leads to this machine must not read the graph
        if self.server.is_local and host is not None and host not in _LOOPBACK:
            raise Refused(HTTPStatus.FORBIDDEN, f"the host {host} is not served here: start with --host")
        if self.server.token is not None and not hmac.compare_digest(_token(self.headers), self.server.token.encode()):
            raise Refused(HTTPStatus.UNAUTHORIZED, "a token is needed")

    def _get(self) -> None:
        asked = urlsplit(self.path)
        path = asked.path.rstrip("/")
        if path == "/health":
            self._send(HTTPStatus.OK, {"status": "ok", "version": VERSION})
        elif path in ("", "/index.html"):
            tag, graph = self.server.current()
            page = as_html(graph, "Lineage", tag, self.server.look_again).encode()
            self._send_bytes(HTTPStatus.OK, page, "text/html; charset=utf-8", {"Content-Security-Policy": policy(True)})
        elif path == "/api/v1/graph":
            self._graph(parse_qs(asked.query))
        elif path in self.takes:
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "events are sent by POST")
        else:
            raise Refused(HTTPStatus.NOT_FOUND, f"there is nothing at {path}")

    def _graph(self, asked: dict[str, list[str]]) -> None:
        tag, graph = self.server.current()
        if self.headers.get("If-None-Match") == tag:
            self._send_bytes(HTTPStatus.NOT_MODIFIED, b"", "application/json", {"ETag": tag})
            return
        if names := asked.get("around"):
            try:
                found = find(graph, names[0])
            except NotInGraph as error:
                raise Refused(HTTPStatus.NOT_FOUND, str(error)) from error
            graph = part(graph, found, ("upstream", "downstream"))
        body = msgspec.json.encode({**slim(as_json(graph)), "made_at": self.server.graph.changed_at()})
        self._send_bytes(HTTPStatus.OK, body, "application/json", {"ETag": tag})

    def _post(self) -> None:
        name = self.takes.get(urlsplit(self.path).path.rstrip("/"))
        if name is None:
            raise Refused(HTTPStatus.NOT_FOUND, "events go to /api/v1/lineage or /api/v1/lineage/batch")
        kind = self.headers.get_content_type()
        # a page of elsewhere can send other kinds without asking first
        if kind != "application/json" and not kind.endswith("+json"):
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"events are application/json, and not {kind}")
        try:
            given = json.loads(self._body())
        except (ValueError, RecursionError) as error:
            raise Refused(HTTPStatus.BAD_REQUEST, f"the body is no JSON: {error}") from error
        getattr(self, name)(given)

    def _one(self, given: Any) -> None:
        line, wrong = line_of(given)
        if wrong:
            raise Refused(HTTPStatus.BAD_REQUEST, wrong)
        self.server.keep([line])
        self._send_bytes(HTTPStatus.CREATED, b"", "application/json", {})

    def _batch(self, given: Any) -> None:
        if not isinstance(given, list):
            raise Refused(HTTPStatus.BAD_REQUEST, "a batch is a list of events")
        lines = [line_of(one) for one in given]
        wrong = [(i, text) for i, (_, text) in enumerate(lines) if text]
        right = [line for line, text in lines if not text]
        if right:
            self.server.keep(right)
        counted = {"received": len(given), "successful": len(right), "failed": len(wrong), "retriable": 0}
        status = "success" if not wrong else "partial_success" if right else "error"
        failed = [{"index": i, "reason": text, "retriable": False} for i, text in wrong]
        answer = {
            "status": status,
            "summary": {**counted, "non_retriable": len(wrong)},
            "failed_events": failed,
        }
        self._send(HTTPStatus.BAD_REQUEST if wrong and not right else HTTPStatus.OK, answer)

    # ---- bodies ----

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            data = self._chunks()
        else:
            try:
                size = int(self.headers.get("Content-Length", ""))
            except ValueError as error:
                raise Refused(HTTPStatus.LENGTH_REQUIRED, "the length of the body is not said") from error
            data = self._exactly(self._fits(size))
        encoding = self.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding in ("gzip", "x-gzip"):
            return self._unzipped(data)
        if encoding not in ("identity", ""):
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the encoding {encoding} is not known: gzip is")
        return data

    def _fits(self, size: int) -> int:
        if size > self.server.body_bytes:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {self.server.body_bytes:,} bytes")
        if size < 0:
            raise Refused(HTTPStatus.BAD_REQUEST, "a length below zero")
        return size

    def _exactly(self, size: int) -> bytes:
        data = self.rfile.read(size)
        self._left -= len(data)
        if len(data) < size:
            raise Refused(HTTPStatus.BAD_REQUEST, "the body ended early")
        return data

    def _chunks(self) -> bytes:
        found = bytearray()
        while True:
            try:
                size = int(self.rfile.readline(100).split(b";")[0].strip(), 16)
            except ValueError as error:
                raise Refused(HTTPStatus.BAD_REQUEST, "a chunk without its length") from error
            self._fits(len(found) + size)
            if size <= 0:
                break
            found += self._exactly(size)
            self.rfile.readline(3)
        while self.rfile.readline(1000).strip():  # trailers
            pass
        return bytes(found)

    def _unzipped(self, data: bytes) -> bytes:
        limit = self.server.body_bytes
        unpack = zlib.decompressobj(wbits=31)
        try:
            found = unpack.decompress(data, limit + 1)
        except zlib.error as error:
            raise Refused(HTTPStatus.BAD_REQUEST, f"the body is no gzip: {error}") from error
        self._fits(len(found))
        if not unpack.eof:
            raise Refused(HTTPStatus.BAD_REQUEST, "the body ended early")
        return found

    # ---- answers ----

    def _send(self, status: HTTPStatus, document: Any) -> None:
        headers = {"WWW-Authenticate": 'Basic realm="headrace lineage"'} if status == HTTPStatus.UNAUTHORIZED else {}
        self._send_bytes(status, json.dumps(document).encode(), "application/json", headers)

    def _send_bytes(self, status: HTTPStatus, body: bytes, kind: str, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Cache-Control", "no-cache")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _token(headers: Any) -> bytes:
    """The token that a client shows; browsers send it as a password."""
    kind, _, value = headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return str(value.strip()).encode()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value).partition(b":")[2]
        except (binascii.Error, ValueError):
            return b""
    return b""
