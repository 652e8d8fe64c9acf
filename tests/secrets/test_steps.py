"""Secrets that the code of sources holds: runs that go well, each step that fails, signals, retries."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import headrace
from headrace.errors.pipeline import PipelineStepFailed
from tests.secrets.record import Record


def shop(record: Record, name: str = "shop") -> Any:
    return record.watch(headrace.pipeline(name, destination="duckdb", dataset_name="raw"))


@pytest.fixture
def server() -> Iterator[str]:
    """A web server that refuses everything, and repeats in its answer what it was sent."""

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = f"no: {self.path} {self.headers}".encode()
            self.send_response(401)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *args: Any) -> None:
            pass

    web = HTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=web.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{web.server_port}"
    web.shutdown()
    web.server_close()
    thread.join()


def write_secrets(folder: Path, secrets: dict[str, str]) -> None:
    (folder / ".dlt").mkdir(exist_ok=True)
    value = secrets["toml"].replace("\\", "\\\\").replace('"', '\\"')
    (folder / ".dlt" / "secrets.toml").write_text(f'[sources.shop]\napi_key = "{value}"\n')


def test_all_goes_well(record: Record, secrets: dict[str, str], project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets of TOML, environment and code that a source uses are in nothing that it leaves."""
    write_secrets(project, secrets)
    monkeypatch.setenv("SOURCES__SHOP__PASSWORD", secrets["environment"])

    @headrace.source(name="shop", section="shop")
    def source(
        api_key: str = headrace.secrets.value,
        password: headrace.TSecretStrValue = headrace.secrets.value,
        token: headrace.TSecretStrValue = None,
    ) -> Any:
        assert api_key == secrets["toml"] and password == secrets["environment"] and token == secrets["code"]
        return headrace.resource([{"id": 1, "n": len(api_key)}], name="orders", primary_key="id")

    pipeline = shop(record)
    info = record.attempt(pipeline.run, source(token=secrets["code"]))
    assert info is not None and not info.has_failed_jobs
    record.attempt(pipeline.run, [info], table_name="_load_info")
    record.attempt(pipeline.run, [pipeline.last_trace], table_name="_trace")
    record.tables(pipeline)
    record.pipeline(pipeline)
    record.check(expect="orders")


def test_code_of_the_user_says_them(
    record: Record, secrets: dict[str, str], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was resolved is hidden wherever it stands; in the errors below the first one too, as each is printed."""
    write_secrets(project, secrets)
    monkeypatch.setenv("SOURCES__SHOP__PASSWORD", secrets["environment"])

    @headrace.source(name="shop", section="shop")
    def source(
        api_key: str = headrace.secrets.value, password: headrace.TSecretStrValue = headrace.secrets.value
    ) -> Any:
        @headrace.resource
        def orders() -> Any:
            yield {"id": 1}
            try:
                raise ValueError(f"first {api_key}, {password!r}", {"k": api_key})
            except ValueError as error:
                raise RuntimeError(f"said {quote(api_key)} and {api_key}:{password}") from error

        return orders

    pipeline = shop(record)
    record.attempt(pipeline.run, source())
    assert isinstance(record.error, PipelineStepFailed)
    record.pipeline(pipeline)
    record.check(expect="RuntimeError")


def texts(secrets: dict[str, str]) -> dict[str, str]:
    """Texts with secrets that nobody has resolved, as libraries write them."""
    word = secrets["exception"]
    return {
        "url": f"no answer of https://shop:{word}@api.example.com/orders",
        "web token": f"could not clone https://{word}@git.example.com/x.git",
        "dsn": f"connection to postgresql://shop:{word}@db.example.com:5432/shop failed",
        "dsn of words": f"connection failed: host=db user=shop password='{word}' dbname=shop",
        "odbc": f"Login failed: Driver={{x}};UID=shop;PWD={word};Server=db",
        "query": f"401 for url: https://api.example.com/orders?page=2&api_key={word}&size=10",
        "query of a signature": f"403 for https://x.blob.core.windows.net/c/f?sv=2020&sig={word}&se=2030",
        "query with key": f"400 for https://maps.example.com/json?key={word}",
        "header": f"sent {{'Authorization': 'Bearer {word}', 'Accept': '*/*'}}",
        "header, plain": f"GET / HTTP/1.1\nAuthorization: Basic {word}\nAccept: */*",
        "header of a pair": f"sent [('Authorization', 'Bearer {word}')]",
        "header of one's own": f"X-Shop-Token: {word}",
        "cookie": f"Cookie: session={word}; theme=dark",
        "document": f'answered {{"access_token": "{word}", "expires": 3600}}',
        "document in a document": f'answered "{{\\"client_secret\\": \\"{word}\\"}}"',
        "hook": f"404 for https://hooks.slack.com/services/T0/B0/{word}",
        "token of GitHub": f"bad credentials ghp_{word}",
    }


@pytest.mark.parametrize("kind", texts({"exception": ""}))
@pytest.mark.each(2)
def test_libraries_say_them(record: Record, secrets: dict[str, str], kind: str) -> None:
    """Secrets that were never resolved: what looks like one is hidden."""
    text = texts(secrets)[kind]

    @headrace.resource
    def orders() -> Any:
        yield {"id": 1}
        raise ConnectionError(text)

    pipeline = shop(record)
    record.attempt(pipeline.run, orders)
    assert isinstance(record.error, PipelineStepFailed)
    record.pipeline(pipeline)
    record.check(expect="***")


def test_requests_says_them(record: Record, secrets: dict[str, str], server: str) -> None:
    """A client for web requests: password and query of the url, a header, and an answer that repeats them."""
    import requests

    @headrace.resource
    def orders() -> Any:
        url = f"http://shop:{quote(secrets['userinfo'], safe='')}@{server}/orders"
        answer = requests.get(url, params={"api_key": secrets["query"]}, headers={"X-Api-Key": secrets["header"]})
        answer.raise_for_status()
        yield {}

    pipeline = shop(record)
    record.attempt(pipeline.run, orders)
    record.pipeline(pipeline)
    record.check(expect="401")


def test_nobody_answers(record: Record, secrets: dict[str, str]) -> None:
    """A server that is away: the url stands in errors of several libraries, one in another."""
    import requests

    @headrace.resource
    def orders() -> Any:
        url = f"http://shop:{quote(secrets['userinfo'], safe='')}@127.0.0.1:9/orders"
        requests.get(url, params={"token": secrets["query"]}, timeout=1)
        yield {}

    pipeline = shop(record)
    record.attempt(pipeline.run, orders)
    assert record.error is not None
    record.pipeline(pipeline)
    record.check(expect="ConnectionError")


def test_a_signal_ends_it(record: Record, secrets: dict[str, str]) -> None:
    @headrace.resource
    def orders(api_key: headrace.TSecretStrValue = None) -> Any:
        yield {"id": 1}
        os.kill(os.getpid(), signal.SIGINT)
        yield {"id": 2}

    pipeline = shop(record)
    record.attempt(pipeline.run, orders(api_key=secrets["code"]))
    assert isinstance(record.error, KeyboardInterrupt)
    record.pipeline(pipeline)
    record.check(expect="KeyboardInterrupt")


@pytest.mark.parametrize("how", ["terminal", "transient"])
@pytest.mark.parametrize("raising", [True, False])
def test_a_destination_of_the_user_says_them(
    record: Record, secrets: dict[str, str], how: str, raising: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function as destination: jobs fail at once or are retried; messages are kept in the journal."""
    monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", str(raising))
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "2")
    monkeypatch.setenv("DESTINATION__SINK__API_KEY", secrets["environment"])

    from headrace.errors.outcome import DestinationTerminalException

    @headrace.destination(name="sink", batch_size=1)
    def sink(items: Any, table: Any, api_key: headrace.TSecretStrValue = headrace.secrets.value) -> None:
        kind = DestinationTerminalException if how == "terminal" else OSError
        raise kind(
            f"refused {api_key} at https://u:{quote(secrets['userinfo'], safe='')}@sink/x?token={secrets['query']}"
        )

    pipeline = record.watch(headrace.pipeline("shop", destination=sink))
    record.attempt(pipeline.run, [{"id": 1}], table_name="orders")
    record.pipeline(pipeline)
    record.check(expect="refused ***")
