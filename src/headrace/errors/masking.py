"""Secrets in texts for people: what the configuration found to be one, and what looks like one.

The configuration tells of every secret that it resolves (`remember`). Texts of errors, logs, infos and traces pass
through here on their way out: they are made seldom, so that it costs nothing while all goes well.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, quote_plus

SHORTEST = 6
"""Characters below which a secret is not looked for: `admin` or `test` would take half of a text away."""

HIDDEN = "***"

_known: dict[str, None] = {}
_pattern: re.Pattern[str] | None = None

_URL = re.compile(r"(?P<user>[a-zA-Z][\w+.-]*://[^/\s:@]*):[^/\s]*@")
_WORDS = (
    r"(?:[\w-]*(?:password|passwd|secret|token)|pwd|[\w-]*(?:api|access|account|private|shared)[_-]?key|sas[_-]?url)"
)
_VALUE = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s"'`&;,)\]}]+)"""
# `password=x`, `password = 'x y'`, `PWD={x}`
_SETTING = re.compile(rf"(?i)(?<![\w.])(?P<key>{_WORDS}\s*=\s*)(?:\{{[^}}]*\}}|{_VALUE})")
# `"password": "x"`, `'token': 'x'`; without quotes a colon ends half of all sentences
_MEMBER = re.compile(rf"""(?i)(?P<key>\\?["']{_WORDS}\\?["']\s*:\s*)(?:\\"(?:[^"\\])*\\"|{_VALUE})""")
_HEADER = re.compile(
    r"""(?i)(?P<key>\b(?:(?:proxy-)?authorization|x-(?:api-key|auth-token|access-token))["']?\s*[:=]\s*["']?)"""
    r"""(?P<scheme>(?:basic|bearer|digest|token|apikey)\s+)?[^\s"',;}]+"""
)
_BEARER = re.compile(r"(?i)\b(?P<key>bearer\s+)[\w.~+/=-]{8,}")
_PEM = re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)


def remember(secret: Any) -> None:
    """Take note of a secret: it is hidden from now on, also where it stands encoded in a url or with line ends escaped.

    Args:
        secret: Its value; what is no text, or a short one, is left alone.
    """
    global _pattern
    if not isinstance(secret, str) or len(secret) < SHORTEST or secret in _known:
        return
    # a new one is rare; the pattern is made when a text comes
    _known.update(dict.fromkeys([secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]]))
    _pattern = None


def without_known(text: str) -> str:
    """The text without the secrets that the configuration has resolved."""
    global _pattern
    if not _known:
        return text
    if _pattern is None:
        # the longest first: one secret may be the beginning of another
        _pattern = re.compile("|".join(re.escape(s) for s in sorted(_known, key=len, reverse=True)))
    return _pattern.sub(HIDDEN, text)


def without_secrets(text: str) -> str:
    """The text without known secrets and without what looks like one; for texts that come from elsewhere.

    Passwords of urls and connection strings, members of documents, headers and private keys are hidden.
    """
    text = _PEM.sub(rf"\1 {HIDDEN} \2", without_known(text))
    text = _URL.sub(rf"\g<user>:{HIDDEN}@", text)
    text = _HEADER.sub(lambda m: f"{m['key']}{m['scheme'] or ''}{HIDDEN}", text)
    text = _MEMBER.sub(rf'\g<key>"{HIDDEN}"', text)
    text = _SETTING.sub(rf"\g<key>{HIDDEN}", text)
    return _BEARER.sub(rf"\g<key>{HIDDEN}", text)
