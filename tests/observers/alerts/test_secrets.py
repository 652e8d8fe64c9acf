"""No message and no log of an alert holds a secret: not of the pipeline's, not of the channel's."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import headrace
from headrace.errors.pipeline import PipelineStepFailed
from tests.observers.alerts.servers import Answer, Inbox, mail_server

PLANTED = {
    "api key": "ak-Zx81-planted-key",
    "password in a url": "pg-Zx82-planted-pass",
    "header": "hd-Zx83-planted-header",
    "hook": "hk-Zx84-planted-hook",
    "webhook": "wh-Zx85-planted-hook",
    "webhook header": "wx-Zx86-planted-header",
    "webhook secret": "ws-Zx87-planted-secret",
    "teams": "tm-Zx88-planted-url",
    "trace": "tr-Zx89-planted-url",
    "mail": "ml-Zx90-planted-pass",
}


@headrace.source(name="crm")
def crm(api_key: str = headrace.secrets.value):
    @headrace.resource
    def customers():
        yield {"id": 1}
        raise ConnectionError(
            f"401 for key {api_key} at postgresql://ann:{PLANTED['password in a url']}@db/x, "
            f"headers {{'Authorization': 'Bearer {PLANTED['header']}'}}"
        )

    return customers


@pytest.mark.parametrize("refused", [False, True], ids=["delivered", "refused"])
def test_none_of_them_is_told(
    refused: bool, server: Inbox, project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with mail_server(login=True) as mail:
        settings = {
            "SOURCES__CRM__API_KEY": PLANTED["api key"],
            "RUNTIME__SLACK_INCOMING_HOOK": f"{server.url}/{PLANTED['hook']}",
            "RUNTIME__TRACE_URL": f"{server.url}/{PLANTED['trace']}",
            "RUNTIME__ALERTS__WEBHOOK_URL": f"{server.url}/{PLANTED['webhook']}",
            "RUNTIME__ALERTS__WEBHOOK_HEADERS": f'{{"X-Key": "{PLANTED["webhook header"]}"}}',
            "RUNTIME__ALERTS__WEBHOOK_SECRET": PLANTED["webhook secret"],
            "RUNTIME__ALERTS__TEAMS_URL": f"{server.url}/{PLANTED['teams']}",
            "RUNTIME__ALERTS__EMAIL_TO": "ann@shop.example",
            "RUNTIME__ALERTS__EMAIL_HOST": "127.0.0.1",
            "RUNTIME__ALERTS__EMAIL_PORT": str(mail.port),
            "RUNTIME__ALERTS__EMAIL_SECURITY": "none",
            "RUNTIME__ALERTS__EMAIL_USER": "etl",
            "RUNTIME__ALERTS__EMAIL_PASSWORD": "correct-horse-battery" if not refused else PLANTED["mail"],
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        if refused:
            server.answers = [Answer(404, body=b"no {path} here")] * 4
        p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
        with pytest.raises(PipelineStepFailed):
            p.run(crm())
    assert len(server.requests) == 4
    assert len(mail.messages) == (0 if refused else 1)
    texts = {request.path: request.body.decode() for request in server.requests}
    texts |= {f"mail {i}": message.as_string() for i, message in enumerate(mail.messages)}
    texts |= {f"file {path}": path.read_text("utf-8", "replace") for path in Path(p.working_dir).rglob("*.json")}
    texts["log"] = caplog.text
    for where, text in texts.items():
        for name, secret in PLANTED.items():
            assert secret not in text, f"{name} in {where}"
    if refused:
        assert caplog.text.count("was NOT delivered, after 1 try: ") == 5
        assert caplog.text.count("the server answered 404: no /*** here.") == 4, "not even when the server repeats it"
