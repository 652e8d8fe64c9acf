"""Slack: what is posted has the documented form and sizes, and data in it calls nobody."""

from __future__ import annotations

import json
import re

import pytest

from headrace.observers.alerts import AlertNotDelivered, Slack, send_slack_message
from tests.observers.alerts.make import alert, check_slack, huge
from tests.observers.alerts.servers import Answer, Inbox


def posted(server: Inbox, channel: Slack, message: object) -> dict[str, object]:
    channel.send(message)  # type: ignore[arg-type]
    request = server.requests[-1]
    assert request.headers["content-type"].startswith("application/json")
    return request.json  # type: ignore[no-any-return]


def test_an_alert_in_blocks(server: Inbox) -> None:
    payload = posted(server, Slack(server.url), alert())
    check_slack(payload)
    blocks = payload["blocks"]
    assert blocks[0]["text"]["text"] == (
        "✖ shop: FAILED in load; 1 job FAILED; 1 package SET ASIDE; 12 rows rejected; 1 table changed"
    )
    facts = [field["text"] for field in blocks[1]["fields"]]
    assert facts[:4] == [
        "*Pipeline*\n`shop`",
        "*Destination*\n`postgres at shop.example:5432/db`",
        "*Dataset*\n`raw`",
        "*Duration*\n`1 min 23 s`",
    ]
    titles = [block["text"]["text"].split("\n")[0] for block in blocks[2:-1]]
    assert titles == [
        "*What happened*",
        "*Failed jobs*",
        "*Set aside*",
        "*Rejected*",
        "*Schema changes*",
        "*Rows*",
        "*What to type next*",
    ]
    texts = json.dumps(payload)
    for said in ("Why: no such column", "What to do: correct the cause", "orders         1,200", "discount double"):
        assert said in texts


def test_data_call_nobody_and_break_out_of_nothing(server: Inbox) -> None:
    for block in posted(server, Slack(server.url), alert())["blocks"][1:]:
        for part in [block.get("text"), *block.get("fields", ()), *block.get("elements", ())]:
            if part is None:
                continue
            assert part["verbatim"] is True
            assert not re.search(r"[<>]", part["text"]), "mentions and links begin with <"
            assert not re.search(r"&(?!amp;|lt;|gt;)", part["text"])
            if "```" in part["text"]:
                title, fence, rest = part["text"].partition("\n```\n")
                assert fence
                assert "`" not in title
                assert rest.endswith("\n```")
                assert "```" not in rest[:-4]


def test_however_much_there_is_to_say(server: Inbox) -> None:
    payload = posted(server, Slack(server.url), huge())
    check_slack(payload)
    assert "…" in payload["blocks"][2]["text"]["text"]
    assert len(json.dumps(payload)) < 40_000


@pytest.mark.parametrize(
    ("mention", "said"),
    [
        ("here", "<!here>"),
        ("@channel", "<!channel>"),
        (["U012AB3CD", "@S0614TZR7"], "<@U012AB3CD> <!subteam^S0614TZR7>"),
        ("here, <b>", "<!here> &lt;b&gt;"),
    ],
)
def test_people_are_called_when_there_is_trouble(server: Inbox, mention: object, said: str) -> None:
    channel = Slack(server.url, mention=mention)  # type: ignore[arg-type]
    assert posted(server, channel, alert())["blocks"][1]["text"]["text"] == said
    fine = alert(kinds=("success",), outcome="success", error=None)
    assert said not in json.dumps(posted(server, channel, fine)["blocks"])


@pytest.mark.parametrize("is_markdown", [True, False])
def test_a_message_of_ones_own(server: Inbox, is_markdown: bool) -> None:
    send_slack_message(server.url, "*done*, 3 rows, ü", is_markdown)
    assert server.requests[0].json == {"text": "*done*, 3 rows, ü", "mrkdwn": is_markdown}


def test_what_slack_refuses_is_an_error_without_the_hook(server: Inbox) -> None:
    server.answers = [Answer(403, body=b"invalid_token")]
    with pytest.raises(AlertNotDelivered, match="the server answered 403: invalid_token") as caught:
        send_slack_message(f"{server.url}/services/T0/B0/very-secret-part", "hello")
    seen: list[BaseException | None] = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert not any("very-secret-part" in f"{one!r} {one}" for one in seen)
