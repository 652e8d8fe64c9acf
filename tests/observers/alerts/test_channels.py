"""Teams, webhooks and e-mail: the forms that receivers document, taken by real servers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from standardwebhooks import Webhook as Verifier

from headrace.errors import ValueErrorWithKnownValues
from headrace.observers.alerts import AlertNotDelivered, Email, Teams, Webhook
from tests.observers.alerts.make import NASTY, alert, huge
from tests.observers.alerts.servers import Inbox, mail_server

# ---- Teams -----------------------------------------------------------------------------------------------------------


def test_teams_gets_an_adaptive_card(server: Inbox) -> None:
    Teams(server.url, mention="ann@shop.example").send(alert())
    message = server.requests[0].json
    assert message["type"] == "message"
    (attachment,) = message["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert card["body"][0]["inlines"][0]["text"].startswith("shop: FAILED in load")
    (entity,) = card["msteams"]["entities"]
    assert entity["text"] == "<at>ann@shop.example</at>"
    assert entity["mentioned"] == {"id": "ann@shop.example", "name": "ann@shop.example"}
    assert card["body"][1] == {"type": "TextBlock", "text": "<at>ann@shop.example</at>"}


def test_teams_reads_no_markdown_in_data(server: Inbox) -> None:
    Teams(server.url).send(alert())
    body = server.requests[0].json["attachments"][0]["content"]["body"]
    assert {element["type"] for element in body} == {"RichTextBlock"}, "text runs are shown as they are"
    runs = [run for element in body for run in element["inlines"]]
    assert all(run["type"] == "TextRun" and run["text"] for run in runs)
    assert any(NASTY in run["text"] for run in runs)


def test_teams_takes_28_kilobytes(server: Inbox) -> None:
    Teams(server.url).send(huge())
    assert len(server.requests[0].body) <= 28_000
    assert server.requests[0].json["attachments"][0]["content"]["body"]


# ---- webhook ---------------------------------------------------------------------------------------------------------


def test_the_payload_of_a_webhook(server: Inbox) -> None:
    Webhook(server.url, headers={"Authorization": "Bearer token-of-the-hook"}).send(alert())
    request = server.requests[0]
    assert request.headers["authorization"] == "Bearer token-of-the-hook"
    assert request.headers["user-agent"].startswith("headrace/")
    assert "webhook-signature" not in request.headers
    document = request.json
    assert (document["type"], document["timestamp"]) == ("headrace.failure", "2026-05-01T12:01:23+00:00")
    assert {key: value for key, value in document["data"].items() if key != "text"} == {
        "version": 1,
        "id": "1777636800.1",
        "kinds": ["failure", "failed_jobs", "set_aside", "rejected", "schema_change"],
        "outcome": "failure",
        "title": "shop: FAILED in load; 1 job FAILED; 1 package SET ASIDE; 12 rows rejected; 1 table changed",
        "pipeline_name": "shop",
        "dataset_name": "raw",
        "destination": "postgres at shop.example:5432/db",
        "host": "worker-1",
        "run_id": "1777636800.0",
        "steps": ["extract", "normalize"],
        "load_ids": ["1777636801.0"],
        "loaded": False,
        "started_at": "2026-05-01T12:00:00+00:00",
        "finished_at": "2026-05-01T12:01:23+00:00",
        "seconds": 83.0,
        "rows": {"orders": 1200, "orders__lines": 4800},
        "schema_changes": [{"table": "orders", "new_table": False, "columns": {"discount": "double"}, "widened": {}}],
        "rejected": [{"table": "orders", "rule": "columns:discard_row", "column": "price", "lost": 12, "share": 0.01}],
        "failed_jobs": [
            {
                "load_id": "1777636801.0",
                "job_id": "orders.abc.parquet",
                "table": "orders",
                "message": f"no such column: {NASTY}",
            }
        ],
        "set_aside": [{"load_id": "1777636801.0", "reason": "no such column"}],
        "left_out": {},
        "error": {
            "step": "load",
            "type": "LoadClientJobFailed",
            "what": f"Job failed. {NASTY}",
            "why": "no such column",
            "fix": "correct the cause",
        },
        "next": ["headrace pipeline trace shop"],
        "repeated": 0,
        "since": None,
    }
    assert "Why: no such column" in document["data"]["text"]


def test_its_signature_is_accepted_by_the_library_of_the_standard(server: Inbox) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    Webhook(server.url, secret=secret).send(alert())
    request = server.requests[0]
    assert Verifier(secret).verify(request.body, request.headers) == request.json
    assert request.headers["webhook-id"] == "1777636800.1"
    with pytest.raises(Exception, match="No matching signature"):
        Verifier(secret).verify(request.body.replace(b"shop", b"shoq"), request.headers)


def test_any_text_signs_too(server: Inbox) -> None:
    Webhook(server.url, secret="a plain secret of mine").send(alert())
    request = server.requests[0]
    assert Verifier(b"a plain secret of mine").verify(request.body, request.headers) == request.json


# ---- e-mail ----------------------------------------------------------------------------------------------------------


def trust(server: object, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client trust the server's certificate, as a company's machines trust their own."""
    file = folder / "ca.pem"
    server.ca.cert_pem.write_to_path(str(file))  # type: ignore[attr-defined]
    monkeypatch.setenv("SSL_CERT_FILE", str(file))


def test_an_email_is_text_and_html(tmp_path: Path) -> None:
    with mail_server() as server:
        to = ["ann@shop.example", "ben@shop.example"]
        Email(to, "etl@shop.example", "127.0.0.1", server.port, security="none").send(alert())
    (message,) = server.messages
    assert server.envelopes == [("etl@shop.example", to)]
    assert (message["From"], message["To"]) == ("etl@shop.example", "ann@shop.example, ben@shop.example")
    assert message["Subject"].startswith("[headrace] shop: FAILED in load")
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Importance"] == "high"
    assert message.get_content_type() == "multipart/alternative"
    plain, html = (part.get_content() for part in message.iter_parts())
    assert "Why: no such column" in plain
    assert NASTY in plain
    assert "<b>" not in html, "data are no HTML"
    assert "&lt;!channel&gt; &amp; " in html
    assert "headrace pipeline trace shop" in html


@pytest.mark.parametrize("security", ["starttls", "ssl"])
def test_a_secure_login(security: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mail_server(security, login=True) as server:
        channel = Email(
            "ann@shop.example",
            "etl@shop.example",
            "127.0.0.1",
            server.port,
            user="etl",
            password="correct-horse-battery",
            security=security,  # type: ignore[arg-type]
        )
        with pytest.raises(AlertNotDelivered, match="no secure connection"):
            channel.send(alert())
        trust(server, tmp_path, monkeypatch)
        channel.send(alert())
    assert len(server.messages) == 1


def test_a_wrong_password_is_not_tried_again_and_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mail_server("starttls", login=True) as server:
        trust(server, tmp_path, monkeypatch)
        where = ("ann@shop.example", "etl@shop.example", "127.0.0.1", server.port)
        with pytest.raises(AlertNotDelivered, match="answered 535") as caught:
            Email(*where, user="etl", password="wrong-horse-battery").send(alert())
    assert not caught.value.again
    assert "wrong-horse" not in str(caught.value)


@pytest.mark.parametrize(("answer", "again"), [("451 come later", True), ("554 spam", False)])
def test_a_server_that_refuses(answer: str, again: bool) -> None:
    with (
        mail_server(refuse=answer) as server,
        pytest.raises(AlertNotDelivered, match=f"answered {answer[:3]}: {answer[4:]}") as caught,
    ):
        Email("ann@shop.example", "etl@shop.example", "127.0.0.1", server.port, security="none").send(alert())
    assert caught.value.again is again


def test_line_ends_make_no_headers() -> None:
    channel = Email("ann@shop.example", "etl@shop.example", "127.0.0.1")
    message = channel.message(alert(pipeline_name="shop\nBcc: all@shop.example"))
    assert message["Bcc"] is None
    assert "\n" not in message["Subject"]


def test_what_cannot_be_set() -> None:
    with pytest.raises(ValueErrorWithKnownValues, match="starttls"):
        Email("ann@shop.example", "etl@shop.example", "h", security="tls")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="email_to"):
        Email(" , ", "etl@shop.example", "h")


def test_all_of_it_is_json() -> None:
    assert json.loads(json.dumps(huge().asdict()))["kinds"]
