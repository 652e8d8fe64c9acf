"""Microsoft Teams: adaptive cards, posted to a webhook of the app Workflows.

https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.base import json
from headrace.observers.alerts.alert import Alert, Section, TKind, clip
from headrace.observers.alerts.delivery import post

SIZE = 28_000
"""Bytes that Teams accepts at most."""
_TEXTS = (2000, 1000, 400, 120)
"""Characters of each section: the next when the card is too large with one."""


class Teams:
    """A channel of Microsoft Teams.

    Args:
        url: Of a workflow "Post to a channel when a webhook request is received".
        on: What is told; all when None.
        mention: Whom to call when there is trouble: user principal names (``ann@shop.example``) or Entra ids.
    """

    name = "Teams"

    def __init__(self, url: str, on: Sequence[TKind] | None = None, mention: str | Sequence[str] = ()) -> None:
        self.on = on
        self._url = url
        names = mention.split(",") if isinstance(mention, str) else mention
        self._mentions = [name.strip() for name in names if name.strip()]

    def send(self, alert: Alert) -> None:
        """Post an alert.

        Raises:
            AlertNotDelivered: Teams did not take it.
        """
        body = b""
        for longest in _TEXTS:
            body = json.dumps(self.payload(alert, longest)).encode("utf-8")
            if len(body) <= SIZE:
                break
        post(self._url, body)

    def payload(self, alert: Alert, longest: int = _TEXTS[0]) -> dict[str, Any]:
        """What is posted.

        Args:
            alert: What to say.
            longest: Characters of each section.
        """
        body: list[dict[str, Any]] = [
            _line(
                {"text": clip(alert.title, 300), "weight": "Bolder", "size": "Large"},
                color="Attention" if alert.is_trouble else "Good",
            )
        ]
        card: dict[str, Any] = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "msteams": {"width": "Full"},
            "body": body,
        }
        if self._mentions and alert.is_trouble:
            body.append({"type": "TextBlock", "text": " ".join(f"<at>{name}</at>" for name in self._mentions)})
            card["msteams"]["entities"] = [
                {"type": "mention", "text": f"<at>{name}</at>", "mentioned": {"id": name, "name": name}}
                for name in self._mentions
            ]
        for name, value in alert.facts():
            body.append(_line({"text": f"{name}: ", "weight": "Bolder"}, {"text": clip(value, 300)}, spacing="None"))
        for section in alert.sections():
            body += _section(section, longest)
        body.append(_line({"text": f"run {alert.run_id}", "isSubtle": True, "size": "Small"}))
        attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
        return {"type": "message", "attachments": [attachment]}


def _line(*runs: dict[str, Any], spacing: str = "Default", color: str | None = None) -> dict[str, Any]:
    # text runs know no markdown, so what data say has no meaning in them
    inlines = [{"type": "TextRun", **run, **({"color": color} if color else {})} for run in runs]
    return {"type": "RichTextBlock", "spacing": spacing, "inlines": inlines}


def _section(section: Section, longest: int) -> list[dict[str, Any]]:
    lines = clip("\n".join(section.lines), longest).splitlines()
    title = _line({"text": section.title, "weight": "Bolder"}, spacing="Medium")
    # spaces at the beginning and in a row would be lost
    told = (line.replace("  ", "\u00a0\u00a0") or "\u00a0" for line in lines)
    return [title, *(_line({"text": line, "fontType": "Monospace"}, spacing="None") for line in told)]
