"""Errors of web requests, from the real libraries, told apart."""

from __future__ import annotations

import pickle
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest
import requests
import urllib3

from headrace.errors.destination import DestinationTerminalException, DestinationTransientException
from headrace.errors.http import http_outcome, status_outcome
from headrace.errors.pipeline import PipelineStepFailed
from headrace.errors.verdict import verdict


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Answers `/<status>`; `/cut` promises more than it sends; `/slow` does not answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.strip("/")
            if path == "slow":
                self.connection.settimeout(2)
                self.rfile.readline()
                return
            self.send_response(int(path) if path.isdigit() else 200)
            self.send_header("Content-Length", "9" if path == "cut" else "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    from http.server import ThreadingHTTPServer

    found: HTTPServer = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{found.server_port}"
    found.shutdown()
    found.server_close()


def limit(url: str) -> float:
    """Seconds to wait for an answer: a busy machine is no slow server."""
    return 0.3 if url.endswith("/slow") else 60


def by_requests(url: str) -> None:
    requests.get(url, timeout=limit(url)).raise_for_status()


def by_httpx(url: str) -> None:
    httpx.get(url, timeout=limit(url), trust_env=False).raise_for_status()


def by_urllib(url: str) -> None:
    with urllib.request.urlopen(url, timeout=limit(url)) as answer:
        answer.read()


def by_urllib3(url: str) -> None:
    answer = urllib3.PoolManager(retries=urllib3.Retry(0, status_forcelist=[500, 502, 503])).request(
        "GET", url, timeout=limit(url), enforce_content_length=True
    )
    if answer.status >= 400:
        raise requests.HTTPError(response=_answer(answer.status))


def _answer(status: int) -> requests.Response:
    made = requests.Response()
    made.status_code = status
    return made


LIBRARIES: list[Callable[[str], None]] = [by_requests, by_httpx, by_urllib, by_urllib3]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("no_proxy", "*")


@pytest.mark.parametrize("get", LIBRARIES)
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        *((str(status), "terminal") for status in (400, 401, 403, 404, 410, 422)),
        *((str(status), "transient") for status in (408, 425, 429, 500, 502, 503, 504)),
        ("cut", "transient"),
        ("slow", "transient"),
    ],
)
def test_answers(server: str, get: Callable[[str], None], path: str, expected: str) -> None:
    with pytest.raises(Exception) as raised:
        get(f"{server}/{path}")
    assert http_outcome(raised.value) == expected, raised.value


@pytest.mark.parametrize("get", LIBRARIES)
def test_nobody_listens(get: Callable[[str], None]) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    with pytest.raises(Exception) as raised:
        get(f"http://127.0.0.1:{port}/")
    assert http_outcome(raised.value) == "transient"


@pytest.mark.parametrize("get", LIBRARIES)
@pytest.mark.parametrize(("code", "expected"), [(socket.EAI_NONAME, "terminal"), (socket.EAI_AGAIN, "transient")])
def test_names(monkeypatch: pytest.MonkeyPatch, get: Callable[[str], None], code: int, expected: str) -> None:
    """A name that nobody knows, and a name server that does not answer."""

    def unknown(*args: Any, **kw: Any) -> Any:
        raise socket.gaierror(code, "so it says")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Exception) as raised:
        get("http://nowhere.invalid/")
    assert http_outcome(raised.value) == expected, raised.value


@pytest.mark.parametrize("get", [by_requests, by_httpx, by_urllib])
def test_certificates(get: Callable[[str], None]) -> None:
    """One that nobody has signed whom we trust."""
    import trustme

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    found = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    found.handle_error = lambda *args: None  # type: ignore[method-assign]
    found.socket = context.wrap_socket(found.socket, server_side=True)
    Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    with pytest.raises(Exception) as raised:
        get(f"https://127.0.0.1:{found.server_port}/")
    found.shutdown()
    found.server_close()
    assert http_outcome(raised.value) == "terminal", raised.value


@pytest.mark.parametrize("url", ["nothing", "ftp2://x/y", "http://"])
def test_urls_that_are_none(url: str) -> None:
    for get in (by_requests, by_httpx):
        with pytest.raises(Exception) as raised:
            get(url)
        assert http_outcome(raised.value) == "terminal", raised.value


@pytest.mark.parametrize("error", [ValueError("404"), KeyError(503), OSError(28, "full"), RuntimeError("timeout")])
def test_other_errors_are_left_alone(error: Exception) -> None:
    error.status_code = 404  # type: ignore[attr-defined]
    assert http_outcome(error) is None and verdict(error) == "unknown"


def test_no_failure_no_outcome() -> None:
    assert [status_outcome(status) for status in (200, 302, 399, 600)] == [None] * 4


def test_who_raised_last_knew_best() -> None:
    """The outermost error that says anything decides, along causes and along contexts."""
    try:
        try:
            raise DestinationTerminalException("inner")
        except DestinationTerminalException:
            raise ValueError("in between")  # noqa: B904
    except ValueError as error:
        assert verdict(error) == "terminal"
        outer = DestinationTransientException("outer")
        outer.__cause__ = error
        assert verdict(outer) == "transient"
        hidden = ValueError("hidden")
        hidden.__context__, hidden.__suppress_context__ = error, True
        assert verdict(hidden) == "unknown"


def test_the_failure_of_a_step_travels() -> None:
    """Its facts go to other processes; the pipeline, which holds a lock, stays."""

    class Shop:
        pipeline_name, has_pending_data, working_dir = "shop", True, "/tmp/shop"

    error = PipelineStepFailed(Shop(), "load", "1.5", ValueError("x"), {"a": 1}, is_package_partially_loaded=True)
    assert (error.pipeline.pipeline_name, error.step, error.load_id, error.step_info) == (
        "shop",
        "load",
        "1.5",
        {"a": 1},
    )
    assert error.is_package_partially_loaded and error.has_pending_data
    back = pickle.loads(pickle.dumps(error))
    assert str(back) == str(error) and back.pipeline is None and back.pipeline_name == "shop"
    assert (back.step, back.load_id, back.has_pending_data) == ("load", "1.5", True)
    assert isinstance(back.exception, ValueError)


def test_headrace_imports_no_library_for_requests() -> None:
    heavy = "('requests', 'urllib3', 'httpx')"
    code = f"import sys, headrace, headrace.errors.verdict; print([m for m in {heavy} if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
