"""The server: OpenLineage's own client posts to it, other clients too; what is wrong is refused and says why."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.observers.lineage.graph import find
from headrace.observers.lineage.graph.local import LocalGraph
from headrace.observers.lineage.graph.serving import LineageServer
from tests.lineage.graph import samples

HALF = "a text is no Unicode: it has half of a surrogate pair"


class Running:
    def __init__(self, server: LineageServer) -> None:
        self.server = server

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_address[1], timeout=60)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and "Content-Type" not in sent:
            sent["Content-Type"] = "application/json"
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        connection.request(method, path, data, sent)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        kind = answer.headers.get_content_type()
        return answer.status, json.loads(text) if text and kind == "application/json" else text, answer.headers

    def post(self, body: Any, path: str = "/api/v1/lineage", **headers: str) -> tuple[int, Any]:
        return self.ask("POST", path, body, **headers)[:2]

    @property
    def datasets(self) -> list[str]:
        return sorted(one["name"] for one in self.ask("GET", "/api/v1/graph")[1]["datasets"])


@pytest.fixture
def running(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Running]:
    graph = LocalGraph(None, tmp_path / "graph")
    server = LineageServer(graph, "127.0.0.1", 0, **getattr(request, "param", {}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield Running(server)
    server.shutdown()
    server.server_close()
    thread.join()
    graph.close()


def test_events_of_all_producers_are_one_graph(running: Running) -> None:
    for event in samples.everything():
        assert running.post(event) == (201, b"")
    _, document, headers = running.ask("GET", "/api/v1/graph")
    assert len(document["datasets"]) == 6 and len(document["edges"]) == 6
    assert running.ask("GET", "/api/v1/graph", If_None_Match=headers["ETag"])[0] == 304
    status, part, _ = running.ask("GET", "/api/v1/graph?around=raw.orders__lines")
    assert status == 200 and {one["name"] for one in part["datasets"]} == {"/orders", "dwh.raw.orders__lines"}
    assert running.ask("GET", "/api/v1/graph?around=nothing")[0] == 404
    status, page, headers = running.ask("GET", "/")
    assert status == 200 and b"dwh.marts.fct_orders" in page
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_openlineages_own_client(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    client_module = pytest.importorskip("openlineage.client", reason="pip install 'headrace[lineage]'")
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
    from openlineage.client.facet_v2 import schema_dataset
    from openlineage.client.uuid import generate_new_uuid

    for name in [name for name in os.environ if name.startswith("OPENLINEAGE")]:
        monkeypatch.delenv(name)
    transport = {"type": "http", "url": running.server.url, "compression": "gzip", "timeout": 20}
    client = client_module.OpenLineageClient(config={"transport": transport})
    fields = [schema_dataset.SchemaDatasetFacetFields(name="id", type="int")]
    out = OutputDataset(
        "postgres://db:5432", "db.s.t", facets={"schema": schema_dataset.SchemaDatasetFacet(fields=fields)}
    )
    run, job = Run(str(generate_new_uuid())), Job("ns", "job")
    for state in (RunState.START, RunState.COMPLETE):
        given: dict[str, Any] = {"eventTime": samples.at(0), "producer": "https://example.com/me", "eventType": state}
        client.emit(RunEvent(**given, run=run, job=job, inputs=[InputDataset("a", "x")], outputs=[out]))
    assert running.datasets == ["db.s.t", "x"]
    _, graph = running.server.current()
    assert [c.name for c in graph.datasets["d:postgres://db:5432|db.s.t"].columns] == ["id"]
    assert graph.jobs["j:ns|job"].state == "COMPLETE"


def test_batches(running: Running) -> None:
    bad = {**samples.load()[0], "eventTime": "never"}
    status, answer = running.post([*samples.load(), bad], "/api/v1/lineage/batch")
    assert status == 200 and answer["status"] == "partial_success"
    assert answer["summary"] == {"received": 3, "successful": 2, "failed": 1, "retriable": 0, "non_retriable": 1}
    assert answer["failed_events"][0]["index"] == 2 and "eventTime" in answer["failed_events"][0]["reason"]
    assert running.post([], "/api/v1/lineage/batch")[1]["status"] == "success"
    status, answer = running.post([bad], "/api/v1/lineage/batch")
    assert status == 400 and answer["status"] == "error"
    assert running.post({"a": 1}, "/api/v1/lineage/batch")[0] == 400
    assert len(running.datasets) == 3


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"eventTime": None}, "`eventTime` is missing"),
        ({"eventTime": "21.11.2026"}, "RFC 3339"),
        ({"producer": ""}, "`producer` is missing"),
        ({"schemaURL": 5}, "`schemaURL` is missing"),
        ({"run": {"runId": "1"}}, "no UUID"),
        ({"run": []}, "`run` is no object"),
        ({"job": {"namespace": "n"}}, "`job.name` is missing"),
        ({"eventType": "DONE"}, "`eventType` is none of"),
        ({"inputs": {}}, "`inputs` is no list"),
        ({"outputs": [{"namespace": "n", "name": "x"}, {"namespace": 1, "name": "x"}]}, "`outputs[1].namespace`"),
        ({"inputs": [{"namespace": "n", "name": "x", "facets": []}]}, "`inputs[0].facets` is no object"),
    ],
)
def test_what_is_wrong_is_said(running: Running, change: dict[str, Any], complaint: str) -> None:
    status, answer = running.post({**samples.load()[0], **change})
    assert status == 400 and complaint in answer["message"] and answer["code"] == 400
    assert running.datasets == []


def test_bodies(running: Running) -> None:
    event = samples.load()[0]
    data = json.dumps(event).encode()
    assert running.post(gzip.compress(data), Content_Encoding="gzip")[0] == 201
    assert running.post(b"no gzip", Content_Encoding="gzip")[0] == 400
    assert running.post(gzip.compress(data)[:-9], Content_Encoding="gzip")[0] == 400
    assert running.post(data, Content_Encoding="br")[0] == 415
    assert (
        running.post(
            b"{",
        )[0]
        == 400
    )
    assert running.post(b"[" * 100_000)[0] == 400
    assert running.post(data, Content_Type="text/plain")[0] == 415
    assert running.post(data, Content_Type="application/json; charset=utf-8")[0] == 201
    assert running.post(data, "/api/v2/lineage")[0] == 404
    assert running.ask("GET", "/api/v1/lineage")[0] == 405
    assert running.ask("GET", "/nothing")[0] == 404
    assert running.ask("GET", "/health")[1]["status"] == "ok"
    assert running.ask("HEAD", "/health")[:2] == (200, b"")


def test_chunks(running: Running) -> None:
    data = json.dumps(samples.load()[0]).encode()
    connection = http.client.HTTPConnection("127.0.0.1", running.server.server_address[1], timeout=60)
    parts = (data[i : i + 100] for i in range(0, len(data), 100))
    connection.request("POST", "/api/v1/lineage", parts, {"Content-Type": "application/json"}, encode_chunked=True)
    assert connection.getresponse().status == 201
    connection.close()
    with socket.create_connection(("127.0.0.1", running.server.server_address[1]), timeout=60) as raw:
        head = b"POST /api/v1/lineage HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        raw.sendall(head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")
        assert b" 400 " in raw.recv(1000)
    with socket.create_connection(("127.0.0.1", running.server.server_address[1]), timeout=60) as raw:
        raw.sendall(head + b"\r\n")
        assert b" 411 " in raw.recv(1000)


@pytest.mark.parametrize("running", [{"body_bytes": 10_000}], indirect=True)
def test_large_bodies_are_refused(running: Running) -> None:
    event = {**samples.load()[0], "more": "x" * 20_000}
    assert running.post(event)[0] == 413
    assert (
        running.post(gzip.compress(json.dumps(event).encode()), Content_Encoding="gzip")[0] == 413
    )  # 200 bytes packed
    assert running.post(samples.load()[0])[0] == 201


def test_who_sends_too_much_reads_the_answer(running: Running) -> None:
    """Clients that send all before they look would otherwise see a broken connection, and try again for ever."""
    body = b"[" + b" " * (40 * 2**20)
    assert running.post(body)[0] == 413
    assert running.post(body, Content_Type="text/plain")[0] == 415


def test_half_a_character_is_no_text(running: Running) -> None:
    [good, *_], bad = samples.load(), samples.load()[0]
    bad["job"]["name"] = "half \ud800"
    assert running.post(json.dumps(bad).encode()) == (400, {"code": 400, "message": HALF})
    status, told = running.post(json.dumps([bad, good]).encode(), "/api/v1/lineage/batch")
    assert status == 200 and [(one["index"], one["reason"]) for one in told["failed_events"]] == [(0, HALF)]
    assert running.datasets


@pytest.mark.parametrize("rows", ["1e999", "1" + "0" * 40, "-1e30", "NaN"])
def test_numbers_that_no_table_could_hold_are_none(running: Running, rows: str) -> None:
    out = samples.written(samples.dataset("n", "t"), 7)
    text = json.dumps(samples.event("COMPLETE", "j", 1, 0, [], [out])).replace('"rowCount": 7', f'"rowCount": {rows}')
    assert running.post(text.encode())[0] == 201
    [one] = running.ask("GET", "/api/v1/graph")[1]["datasets"]
    assert one["state"] == "COMPLETE" and one.get("rows") is None and one["bytes"] == 70


@pytest.mark.parametrize("running", [{"token": "s3cret"}], indirect=True)
def test_tokens(running: Running) -> None:
    event = samples.load()[0]
    assert running.post(event)[0] == 401 and running.ask("GET", "/api/v1/graph")[0] == 401
    assert running.post(event, Authorization="Bearer wrong")[0] == 401
    assert running.post(event, Authorization="Bearer s3cret")[0] == 201
    basic = base64.b64encode(b"anybody:s3cret").decode()
    status, _, headers = running.ask("GET", "/", Authorization=f"Basic {basic}")
    assert status == 200
    assert "Basic" in running.ask("GET", "/")[2]["WWW-Authenticate"] and headers["X-Frame-Options"] == "DENY"


def test_a_page_of_elsewhere_reads_nothing(running: Running) -> None:
    assert running.ask("GET", "/api/v1/graph", Host="evil.example:5000")[0] == 403
    assert running.ask("GET", "/api/v1/graph", Host="localhost:5000")[0] == 200


def test_many_at_once(running: Running) -> None:
    answers: list[int] = []

    def work(number: int) -> None:
        for n in range(10):
            out = samples.dataset("n", f"t{number}_{n}")
            event = samples.event("COMPLETE", f"j{number}", number * 100 + n, n, [], [out])
            answers.append(running.post(event)[0])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert running.ask("GET", "/api/v1/graph")[0] == 200
    assert answers == [201] * 60 and len(running.datasets) == 60


def test_the_command_serves_keeps_and_stops(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "headrace",
        "lineage",
        "serve",
        "--port",
        "0",
        "--pipelines-dir",
        str(tmp_path / "p"),
    ]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
    for number, events in enumerate((samples.load(), samples.dbt())):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        assert process.stdout is not None
        found = re.search(r"http://localhost:(\d+)", process.stdout.readline())
        assert found is not None
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=60)
        for event in events:
            connection.request("POST", "/api/v1/lineage", json.dumps(event), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (201, b"")
        process.send_signal(signal.SIGINT if number == 0 else signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0 and err.endswith("stopped\n"), err
        connection.close()
    graph = LocalGraph(tmp_path / "p")  # nothing was asked for before the end: events are kept all the same
    graph.refresh()
    assert find(graph.view(), "fct_orders").datasets and len(graph.view().datasets) == 4
    graph.close()
