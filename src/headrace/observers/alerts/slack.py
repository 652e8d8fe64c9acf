"""Slack: incoming hooks, with blocks (https://docs.slack.dev/reference/block-kit/blocks)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from headrace.base import json
from headrace.observers.alerts.alert import Alert, Section, TKind, clip
from headrace.observers.alerts.delivery import post

# what Slack accepts: characters of a header, of a field, of a section, and fields of a section
HEADER, FIELD, SECTION, FIELDS = 150, 2000, 3000, 10
# the gravest section may be long; the rest are to be read at a glance
_FIRST, _OTHERS = 2900, 1200
_MEMBER = re.compile(r"@?([UW][A-Z0-9]{4,})")
_GROUP = re.compile(r"@?(S[A-Z0-9]{4,})")


def send_slack_message(incoming_hook: str, message: str, is_markdown: bool = True) -> None:
    """Post a message of your own to a Slack channel; the function of dlt's that has this name.

    Args:
        incoming_hook: The hook's address: ``pipeline.runtime_config.slack_incoming_hook``.
        message: The text. What comes from data is to be `escaped`.
        is_markdown: Whether Slack reads its marks (``*bold*``) in it.

    Raises:
        AlertNotDelivered: Slack did not take it.
    """
    post(incoming_hook, json.dumps({"text": message, "mrkdwn": is_markdown}).encode("utf-8"))


def escaped(text: str) -> str:
    """A text that calls nobody and links nothing: the three characters that mean something to Slack are escaped."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Slack:
    """A channel of Slack's.

    Args:
        incoming_hook: The hook's address.
        on: What is told; all when None.
        mention: Whom to call when there is trouble: ``here``, ``channel``, ids of members (``U…``) or groups (``S…``).
    """

    name = "Slack"

    def __init__(
        self, incoming_hook: str, on: Sequence[TKind] | None = None, mention: str | Sequence[str] = ()
    ) -> None:
        self.on = on
        self._hook = incoming_hook
        names = mention.split(",") if isinstance(mention, str) else mention
        self._mentions = [found for found in (_mention(name.strip()) for name in names) if found]

    def send(self, alert: Alert) -> None:
        """Post an alert.

        Raises:
            AlertNotDelivered: Slack did not take it.
        """
        post(self._hook, json.dumps(self.payload(alert)).encode("utf-8"))

    def payload(self, alert: Alert) -> dict[str, Any]:
        """What is posted."""
        blocks: list[dict[str, Any]] = [
            {"type": "header", "text": {"type": "plain_text", "text": clip(_mark(alert), HEADER), "emoji": False}}
        ]
        if self._mentions and alert.is_trouble:
            blocks.append(_section(" ".join(self._mentions)))
        fields = [_mrkdwn(f"*{name}*\n{_inline(value)}") for name, value in alert.facts()[:FIELDS]]
        blocks.append({"type": "section", "fields": fields})
        for i, section in enumerate(alert.sections()):
            blocks.append(_section(_titled(section, _OTHERS if i else _FIRST)))
        told = f"run {alert.run_id}" + (f", packages {', '.join(alert.load_ids)}" if alert.load_ids else "")
        blocks.append({"type": "context", "elements": [_mrkdwn(_fitting(told, 500))]})
        # the text is what notifications and screen readers say
        return {"text": _fitting(_mark(alert), SECTION), "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def _mark(alert: Alert) -> str:
    return f"{'✖' if alert.is_trouble else '✔'} {alert.title}"


def _mention(name: str) -> str:
    word = name.lower().lstrip("@<!").rstrip(">")
    if word in ("here", "channel", "everyone"):
        return f"<!{word}>"
    if member := _MEMBER.fullmatch(name):
        return f"<@{member[1]}>"
    if group := _GROUP.fullmatch(name):
        return f"<!subteam^{group[1]}>"
    return escaped(name)


def _mrkdwn(text: str) -> dict[str, Any]:
    # verbatim: Slack makes no links of what looks like an address
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _mrkdwn(text)}


def _inline(value: str) -> str:
    # no mark has a meaning inside of ` `
    return f"`{_fitting(' '.join(value.split()).replace('`', chr(39)), 300)}`"


def _titled(section: Section, longest: int) -> str:
    text = "\n".join(section.lines)
    # three of them would end the block; a space of no width between them does not
    text = re.sub(r"`{3,}", lambda m: "\u200b".join(m[0]), text)
    return f"*{section.title}*\n```\n{_fitting(text, longest)}\n```"


def _fitting(text: str, longest: int) -> str:
    """The text escaped, cut so that it is not longer than allowed afterwards."""
    found = escaped(text)
    if len(found) <= longest:
        return found
    parts, room = [], longest - 1
    for part in map(escaped, text):
        room -= len(part)
        if room < 0:
            break
        parts.append(part)
    return "".join(parts) + "…"
