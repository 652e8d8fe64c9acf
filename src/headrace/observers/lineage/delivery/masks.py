"""The last look for secrets: every text of every event goes through here before it is written anywhere."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from headrace.errors import masking

# what we or the specification say ourselves, never a value of a user's
_OURS = frozenset({"_schemaURL", "_producer", "schemaURL", "producer", "eventType", "eventTime", "runId"})
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)(://.*)", re.DOTALL)
_CACHED = 20_000
_cache: dict[str, str] = {}
_version = -1


_encode = msgspec.json.Encoder().encode


def clean_line(event: dict[str, Any]) -> bytes:
    """An event as JSON, without secrets.

    Most have nothing in them that even looks like one. To see that in the JSON as a whole takes a fraction of the time
    that a look at each of its texts takes.
    """
    try:
        line = _encode(event)
    except UnicodeEncodeError:
        return _encode(masked(event))  # half a character: the look at each text writes it otherwise
    return _encode(masked(event)) if masking.may_hold_secrets(line.decode()) else line


def masked(event: dict[str, Any]) -> dict[str, Any]:
    """A copy of an event, or of a part of one, without secrets."""
    global _version
    if _version != masking.version() or len(_cache) > _CACHED:
        # a secret that was resolved since may be in texts that were fine before
        _cache.clear()
        _version = masking.version()
    return {_text(key): _member(key, value) for key, value in event.items()} if _plain(event) else _pair(event)


def _plain(event: dict[str, Any]) -> bool:
    """Whether it is anything but a name and its value."""
    name = event.get("name", event.get("key"))
    return not (type(event.get("value")) is str and type(name) is str and masking.names_a_secret(name))


def _pair(event: dict[str, Any]) -> dict[str, Any]:
    return {key: masking.HIDDEN if key == "value" else _member(key, value) for key, value in event.items()}


def _member(key: str, value: Any) -> Any:
    if type(value) is str:
        if key in _OURS:
            return value
        return masking.HIDDEN if value and masking.names_a_secret(key) else _text(value)
    return _any(value)


def _any(value: Any) -> Any:
    kind = type(value)
    if kind is str:
        return _text(value)
    if kind is dict:
        return masked(value)
    if kind in (list, tuple):
        return [_any(one) for one in value]
    return value


def _text(text: str) -> str:
    if len(text) < masking.SHORTEST and text.isascii():
        return text
    found = _cache.get(text)
    if found is None:
        found = _cache[text] = _hidden(text)
    return found


def _hidden(text: str) -> str:
    clean = masking.without_secrets(text)
    scheme = _SCHEME.fullmatch(text)
    if scheme and not clean.startswith(scheme[1]):
        # somebody's password is the word `postgres`: the kind of a store is no secret, and without it a name is none
        rest = masking.without_secrets("x" + scheme[2])
        return scheme[1] + rest[rest.find("://") :]
    return clean
