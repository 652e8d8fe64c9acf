"""Servers that are away, hang or refuse: the run goes on, hardly later, and no log tells an address."""

from __future__ import annotations

import logging
import time
from email.utils import formatdate
from pathlib import Path

import pytest

import headrace
from headrace.base.retry import RetryPolicy
from headrace.observers.alerts import AlertNotDelivered, delivery
from headrace.observers.alerts.delivery import Sending, deliver, post, retry_after
from tests.observers.alerts.servers import Answer, Inbox
from tests.observers.receivers import dead, hanging

PATH = "/services/T0/B0/hook-secret-part"


def run() -> None:
    p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    p.run([{"id": 1}], table_name="orders")
    assert p.dataset().orders.fetchall()


def undelivered(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "headrace.alerts"]


def test_nobody_there(project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with dead() as port:
        monkeypatch.setenv("RUNTIME__SLACK_INCOMING_HOOK", f"http://127.0.0.1:{port}{PATH}")
        monkeypatch.setenv("RUNTIME__ALERTS__WAIT", "0.3")
        monkeypatch.setattr(delivery, "_RETRIES", RetryPolicy(attempts=4, first_wait=0.3, max_wait=0.3))
        run()
        end = time.monotonic() + 60
        while "NOT delivered" not in undelivered(caplog)[-1] and time.monotonic() < end:
            time.sleep(0.05)
    first, _ = undelivered(caplog)
    assert "the alert by Slack was not delivered within 0.3 s" in first
    told = [r for r in caplog.records if r.name == "headrace.alerts"]
    assert {(r.pipeline_name, bool(r.run_id)) for r in told} == {("shop", True)}, "formats may ask for them"
    last = undelivered(caplog)[-1]
    assert "the alert by Slack was NOT delivered, after 4 tries: the server cannot be reached" in last
    assert "`runtime.slack_incoming_hook`" in last
    assert "hook-secret-part" not in caplog.text


def test_a_server_that_hangs_delays_the_run_by_the_wait_alone(
    project: Path, server: Inbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with hanging() as port:
        monkeypatch.setenv("RUNTIME__SLACK_INCOMING_HOOK", f"http://127.0.0.1:{port}{PATH}")
        monkeypatch.setenv("RUNTIME__ALERTS__WEBHOOK_URL", f"{server.url}/hook")
        monkeypatch.setenv("RUNTIME__ALERTS__EMAIL_TO", "ann@shop.example")
        monkeypatch.setenv("RUNTIME__ALERTS__EMAIL_HOST", "127.0.0.1")
        monkeypatch.setenv("RUNTIME__ALERTS__EMAIL_PORT", str(port))
        monkeypatch.setenv("RUNTIME__ALERTS__WAIT", "0.5")
        times: list[float] = []
        monkeypatch.setattr("headrace.observers.alerts.observer.deliver", _timed(times))
        run()
        server.wait(1)
    assert 0.5 <= times[0] < 60
    assert len(server.at("/hook")) == 1, "one channel does not hold up another"
    assert {text.split("alert by ")[1].split()[0] for text in undelivered(caplog)} >= {"Slack", "e-mail"}


def _timed(times: list[float]):
    def timed(*args, **kwargs):
        started = time.monotonic()
        deliver(*args, **kwargs)
        times.append(time.monotonic() - started)

    return timed


def test_it_is_tried_again(server: Inbox) -> None:
    server.answers = [Answer(503), Answer(429, {"Retry-After": "1"})]
    sending = Sending("Slack", lambda: post(server.url, b"{}"))
    started = time.monotonic()
    deliver([sending], "shop", 60)
    assert sending.done
    assert len(server.requests) == 3
    assert time.monotonic() - started >= 1.3, "first as we like, then as the server says"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, body=b"no_service"),
        Answer(302, {"Location": "https://elsewhere.example/hook-secret-part"}),
        Answer(429, {"Retry-After": "86400"}),
    ],
)
def test_or_not(answer: Answer, server: Inbox, caplog: pytest.LogCaptureFixture) -> None:
    server.answers = [answer]
    sending = Sending("Slack", lambda: post(f"{server.url}{PATH}", b"{}"), "`runtime.slack_incoming_hook`.")
    deliver([sending], "shop", 60)
    assert not sending.done
    assert len(server.requests) == 1
    (text,) = undelivered(caplog)
    assert f"after 1 try: the server answered {answer.status}" in text
    assert "hook-secret-part" not in text


@pytest.mark.parametrize("url", ["no-scheme-hook-secret-part", "http://", "ftp://host/hook-secret-part"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(AlertNotDelivered, match="the request could not be made") as caught:
        post(url, b"{}")
    assert not caught.value.again
    assert "hook-secret-part" not in repr(caught.value)


def test_a_channel_with_a_mistake(caplog: pytest.LogCaptureFixture) -> None:
    def send() -> None:
        raise KeyError("https://hooks.example/hook-secret-part")

    deliver([Sending("pager", send)], "shop", 5)
    (text,) = undelivered(caplog)
    assert "after 1 try: KeyError" in text
    assert "hook-secret-part" not in text


def test_libraries_do_not_log_the_address(server: Inbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    post(f"{server.url}{PATH}", b"{}")
    assert "hook-secret-part" not in caplog.text
    import requests

    requests.post(f"{server.url}/of-the-application", data=b"{}", timeout=60)
    assert "/of-the-application" in caplog.text, "other requests of the program are logged as before"


def test_when_the_server_wants_to_be_asked_again() -> None:
    assert retry_after("7") == 7
    assert retry_after(None) is None
    assert retry_after("soon") is None
    instant = retry_after(formatdate(time.time() + 30, usegmt=True))
    assert instant is not None
    assert 25 < instant <= 30


def test_a_working_folder_that_cannot_be_written(
    server: Inbox, project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RUNTIME__SLACK_INCOMING_HOOK", server.url)
    p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    (Path(p.working_dir) / "alerts.json").write_text("{ torn")
    p.run([{"id": 1}], table_name="orders")
    assert len(server.requests) == 1
    assert "alerts begin anew" in caplog.text
