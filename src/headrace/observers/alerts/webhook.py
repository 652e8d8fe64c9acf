"""Webhooks: an alert, or the trace of every run, as JSON to an address of the user's.

Signatures are those of https://www.standardwebhooks.com, for which receivers find libraries in most languages.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace.base import json
from headrace.base.time import now
from headrace.errors.masking import remember, without_secrets
from headrace.observers.alerts.alert import Alert, TKind
from headrace.observers.alerts.delivery import post

if TYPE_CHECKING:
    from headrace.model.trace import PipelineTrace

_PREFIX = "whsec_"


class Webhook:
    """An address that alerts are posted to.

    Args:
        url: The address.
        on: What is told; all when None.
        headers: Sent along, for example ``{"Authorization": "Bearer …"}``.
        secret: Signs what is posted: ``whsec_`` and base64, or any text.
    """

    name = "webhook"

    def __init__(
        self,
        url: str,
        on: Sequence[TKind] | None = None,
        headers: Mapping[str, str] | None = None,
        secret: str | None = None,
    ) -> None:
        self.on = on
        self._url, self._headers, self._secret = url, headers, secret
        _keep_to_ourselves(headers)

    def send(self, alert: Alert) -> None:
        """Post an alert.

        Raises:
            AlertNotDelivered: The server did not take it.
        """
        body = json.dumps(self.payload(alert)).encode("utf-8")
        headers = {name: str(value) for name, value in (self._headers or {}).items()}
        if self._secret:
            headers |= signature(self._secret, alert.id, now(), body)
        post(self._url, body, headers)

    def payload(self, alert: Alert) -> dict[str, Any]:
        """What is posted; fields may be added in later versions, none is taken away."""
        return {
            "type": f"headrace.{alert.kinds[0] if alert.kinds else 'success'}",
            "timestamp": alert.finished_at.isoformat(),
            "data": {"version": 1, **alert.asdict()},
        }


class TraceTo:
    """An address that the trace of every run is posted to, in the form of ``trace.asdict()``.

    Args:
        url: The address.
        headers: Sent along.
    """

    name = "trace_url"

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self._url, self._headers = url, headers
        _keep_to_ourselves(headers)

    def send(self, trace: PipelineTrace) -> None:
        """Post a trace.

        Raises:
            AlertNotDelivered: The server did not take it.
        """
        body = json.dumps(_cleaned(trace.asdict())).encode("utf-8")
        post(self._url, body, {name: str(value) for name, value in (self._headers or {}).items()})


def signature(secret: str, message_id: str, at: dt.datetime, body: bytes) -> dict[str, str]:
    """The three headers that sign a message: HMAC with SHA-256 over its id, its second and its body."""
    second = str(int(at.timestamp()))
    signed = b".".join((message_id.encode(), second.encode(), body))
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": second,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _key(secret: str) -> bytes:
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret[len(_PREFIX) :], validate=True)
        except binascii.Error:
            pass
    return secret.encode("utf-8")


def _keep_to_ourselves(headers: Mapping[str, str] | None) -> None:
    """Values of headers are mostly tokens: they are hidden in all texts."""
    for value in (headers or {}).values():
        remember(str(value))


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {key: _cleaned(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(one) for one in value]
    return value
