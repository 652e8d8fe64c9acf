"""One fact of a checkup."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

Status = Literal["ok", "warn", "fail"]
_ORDER: tuple[Status, ...] = ("ok", "warn", "fail")


class Check(NamedTuple):
    """A fact.

    Attributes:
        topic: What it belongs to: ``versions``, ``settings``, ``machine``, ``pipeline``, ``destination``, ``staging``.
        name: What was looked at.
        status: ``ok``; ``warn``: it works, and something should be done; ``fail``: it does not work.
        text: What was found.
        fix: What to do; empty when there is nothing to do.
    """

    topic: str
    name: str
    status: Status
    text: str
    fix: str = ""


def worst(checks: Iterable[Check]) -> Status:
    """The gravest status among facts."""
    return max((check.status for check in checks), key=_ORDER.index, default="ok")


def failed(topic: str, name: str, error: BaseException) -> Check:
    """The fact that something raised an error."""
    from headrace.errors.base import HeadraceException
    from headrace.errors.masking import without_secrets

    if isinstance(error, HeadraceException) and error.what:
        why = f" {error.why}" if error.why else ""
        return Check(topic, name, "fail", without_secrets(f"{error.what}{why}"), without_secrets(error.fix or ""))
    return Check(topic, name, "fail", without_secrets(f"{type(error).__name__}: {error}"))
