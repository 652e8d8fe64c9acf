"""A receiver of events that behaves as told, and events to send to it."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from headrace.config.lineage import LineageConfiguration

PRODUCER = "https://headrace.dev/"
SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"


def run_id(number: int = 0) -> str:
    return str(uuid.UUID(int=(7 << 76) | (2 << 62) | number))


def event(run: int = 0, kind: str = "START", job: str = "p", **facets: Any) -> dict[str, Any]:
    return {
        "eventTime": dt.datetime.now(dt.timezone.utc).isoformat(),
        "eventType": kind,
        "producer": PRODUCER,
        "schemaURL": SCHEMA,
        "run": {"runId": run_id(run), "facets": {name: {"_producer": PRODUCER, **f} for name, f in facets.items()}},
        "job": {"namespace": "default", "name": job, "facets": {}},
        "inputs": [],
        "outputs": [],
    }


def story(runs: range | list[int], job: str = "p") -> list[dict[str, Any]]:
    """START and COMPLETE of some runs."""
    return [event(run, kind, job) for run in runs for kind in ("START", "COMPLETE")]


def keys(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["run"]["runId"], one["eventType"]) for one in events]


class Receiver:
    """A back-end on a free port.

    Attributes:
        events: What it took, in order.
        asked: What it was asked to take.
        instants: When it was.
        answer: Status by event; 0 says nothing for a long time.
        delay: Seconds before each answer.
    """

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.instants: list[float] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.answer: Callable[[dict[str, Any]], int] = lambda _: 200
        self.delay = 0.0
        self.ends = threading.Event()
        self.url = ""

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        if handler.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        one = json.loads(body)
        self.asked.append(one)
        self.instants.append(time.monotonic())
        self.paths.append(handler.path)
        status = self.answer(one)
        if status == 0:
            self.ends.wait(300)
            return
        self.ends.wait(self.delay)
        if status < 300:
            self.events.append(one)
            self.headers.append({name.lower(): value for name, value in handler.headers.items()})
        text = b'{"said": "no", "password": "hunter22hunter"}' if status >= 300 else b"{}"
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)


@contextmanager
def receiver(port: int = 0) -> Iterator[Receiver]:
    it = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            it.take(self)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    it.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield it
    finally:
        it.ends.set()
        server.shutdown()
        server.server_close()


_taken: list[socket.socket] = []


def free_port() -> int:
    """A port where nobody listens, and nobody but a `receiver` will."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(("127.0.0.1", 0))
    _taken.append(one)
    return int(one.getsockname()[1])


def settings(**values: Any) -> LineageConfiguration:
    made = LineageConfiguration()
    for name, value in {"breaker_seconds": 0.2, **values}.items():
        assert hasattr(made, name), name
        setattr(made, name, value)
    return made


def nobody_sends() -> bool:
    """Whether all threads of delivery have ended: who waited for an answer when it was closed may outlive that."""
    return not any(thread.name.startswith("headrace-lineage") for thread in threading.enumerate())


def until(met: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not met():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True
