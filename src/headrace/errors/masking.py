"""Secrets in texts for people: what the configuration found to be one, and what looks like one.

The configuration tells of every secret that it resolves (`remember`). Texts of errors, logs, infos and traces pass
through here on their way out: they are made seldom, so that it costs nothing while all goes well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, unquote

SHORTEST = 6
"""Characters below which a secret is not looked for: `admin` or `test` would take half of a text away."""

HIDDEN = "***"

_known: dict[str, None] = {}
_pattern: re.Pattern[str] | None = None
_version = 0
_LONG_LINE = 16  # of a secret of several lines, a key file for example: lines from here on are secrets themselves
_LONG_BYTES = 9  # below this the base64 of a part of a text is too short to be told from a word

# Each pattern begins where a word begins, or is bounded: a text without spaces may be megabytes long (a value in hex),
# and one that were searched again from each of its letters would keep the run for minutes.
_URL = re.compile(r"(?<![\w+.-])(?P<user>[\w+.-]+://[^/\s:@]*):[^/\s]*@")
# on the web the user alone may be the secret: https://TOKEN@host, https://TOKEN:x-oauth-basic@host
_WEB = re.compile(r"(?i)(?P<scheme>\bhttps?://)[^/\s@?#\"']+@")
_HOOK = re.compile(
    r"(?i)(?P<host>https?://(?:hooks\.slack\.com/(?:services|workflows|triggers)|[\w.-]*webhook\.office\.com/webhookb2"
    r"|discord(?:app)?\.com/api/webhooks)/)[^\s\"'<>)]+"
)
_WORDS = (
    r"(?:[\w-]*(?:password|passwd|passphrase|secret|token|signature)"
    r"|pwd|[\w-]*(?:api|access|account|private|shared)[_-]?key|sas[_-]?url)"
)
_STEMS = (  # one is in each
    *("password", "passwd", "passphrase", "secret", "token", "signature", "pwd", "sas_url", "sas-url", "sasurl"),
    *(f"{kind}{bar}key" for kind in ("api", "access", "account", "private", "shared") for bar in ("", "_", "-")),
)
# in a query these are secrets too, elsewhere they are words like others
_QUERY = re.compile(r"(?i)(?P<key>[?&](?:amp;)?(?:key|sig|auth|code|jwt|sid)=)[^&\s\"'#;)>]+")
# what texts of help have in the place of a value
_NO_VALUE = r"(?!…|\.\.\.|<|\*\*\*|None\b|True\b|False\b|null\b|bool\b|str\b)"
_VALUE = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s"'`&;,)\]}]+)"""
# `password=x`, `password = 'x y'`, `PWD={x}`
_SETTING = re.compile(rf"(?i)(?P<key>(?:(?<![\w.-])|(?<=\.)\w*-){_WORDS}\s*=\s*){_NO_VALUE}(?:\{{[^}}]*\}}|{_VALUE})")
# `"password": "x"`, `'token': 'x'`; without quotes a colon ends half of all sentences
_MEMBER = re.compile(rf"""(?i)(?P<key>\\?["']{_WORDS}\\?["']\s*:\s*){_NO_VALUE}(?:\\"(?:[^"\\])*\\"|{_VALUE})""")
_HEADER = re.compile(
    r"""(?i)(?P<key>\b(?:(?:proxy-)?authorization|x-[\w-]{0,64}?(?:key|token|secret|signature|password|auth))["']?\s*"""
    r"""(?:[:=]|(?<=["']),|(?<=["'] ),)\s*(?:b(?=["']))?["']?)"""
    r"""(?P<scheme>(?:basic|bearer|digest|token|apikey)\s+)?[^\s"',;}]+"""
)
_COOKIE = re.compile(r"""(?i)(?P<key>\b(?:set-)?cookie["']?\s*:\s*["']?)[^\s"'=]{1,256}=[^\n"']+""")
_BEARER = re.compile(r"(?i)\b(?P<key>bearer\s+|basic\s+(?=[\w+/]*[\d=]))[\w.~+/=-]{8,}")
_PEM = re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
# tokens that tell by themselves what they are: JSON web tokens, those of GitHub, GitLab, Slack, Stripe, OpenAI, Google
_TOKEN = re.compile(
    r"\beyJ[\w-]{10,4096}\.[\w-]{10,}\.[\w-]*|\b(?:gh[oprsu]_|github_pat_|glpat-|xox[abeoprs]-|xapp-|sk-|[rs]k_live_)"
    r"[\w-]{16,}|\bAIza[\w-]{35}"
)

_TOKENS = (
    *("eyj", "gho_", "ghp_", "ghr_", "ghs_", "ghu_", "github_pat_", "glpat-", "xox", "xapp-", "sk-", "k_live_", "aiza"),
)

# what a text has in lower case when the pattern may be in it, the pattern, and what takes its place; in this order.
# Words that most documents have (`key`, `://`, `=`) are none: with them each document of events would be suspicious
_RULES: tuple[tuple[tuple[str, ...], re.Pattern[str], Any], ...] = (
    (("private key-----",), _PEM, rf"\1 {HIDDEN} \2"),
    (("@",), _WEB, rf"\g<scheme>{HIDDEN}@"),
    (("@",), _URL, rf"\g<user>:{HIDDEN}@"),
    (("hooks.slack", "webhook.office", "discord"), _HOOK, rf"\g<host>{HIDDEN}"),
    (("authorization", "x-"), _HEADER, lambda m: f"{m['key']}{m['scheme'] or ''}{HIDDEN}"),
    (("cookie",), _COOKIE, rf"\g<key>{HIDDEN}"),
    (_STEMS, _MEMBER, rf'\g<key>"{HIDDEN}"'),
    (_STEMS, _SETTING, rf"\g<key>{HIDDEN}"),
    (("key=", "sig=", "auth=", "code=", "jwt=", "sid="), _QUERY, rf"\g<key>{HIDDEN}"),
    (("bearer", "basic"), _BEARER, rf"\g<key>{HIDDEN}"),
    (_TOKENS, _TOKEN, HIDDEN),
)


def remember(secret: Any) -> None:
    """Take note of a secret: it is hidden from now on, also where it stands encoded.

    That is: in a url, as JSON, HTML, SQL, with line ends escaped, or in base64, alone or inside a longer text. Of a
    connection string the password is taken note of by itself, of a text of many lines each long line.

    Args:
        secret: Its value: text, bytes, or a list of them; of a mapping what its keys say is secret. What is short, or
            none of these, is left alone.
    """
    global _pattern, _version
    for text in _texts(secret):
        if len(text) >= SHORTEST and text not in _known:
            # a new one is rare; the pattern is made when a text comes
            _known.update(dict.fromkeys(form for form in _forms(text) if len(form) >= SHORTEST))
            _pattern, _version = None, _version + 1


def forget() -> None:
    """Know no secret any more."""
    global _pattern, _version
    _known.clear()
    _pattern, _version = None, _version + 1


def version() -> int:
    """A number that grows with every secret: a text that was cleaned under another one may have to be cleaned anew."""
    return _version


def _texts(secret: Any) -> Iterator[str]:
    """A secret and the secrets in it."""
    if isinstance(secret, (bytes, bytearray)):
        secret = bytes(secret).decode("utf-8", "ignore")
    if isinstance(secret, str):
        yield secret
        yield from _passwords(secret)
        if "\n" in secret:
            yield from (line.strip() for line in secret.splitlines() if len(line.strip()) >= _LONG_LINE)
    elif isinstance(secret, Mapping):
        for key, value in secret.items():
            if not isinstance(value, (str, bytes)) or re.fullmatch(_WORDS, str(key), re.IGNORECASE):
                yield from _texts(value)
    elif isinstance(secret, (list, tuple, set, frozenset)):
        for one in secret:
            yield from _texts(one)


_PARTS = (
    re.compile(r"://[^/\s:@]*:(?P<value>[^\s]*)@"),
    re.compile(rf"(?i)(?<![\w.]){_WORDS}\s*=\s*(?P<value>\{{[^}}]*\}}|{_VALUE})"),
    re.compile(rf"""(?i)["']{_WORDS}["']\s*:\s*(?P<value>{_VALUE})"""),
)


def _passwords(text: str) -> Iterator[str]:
    """What is secret in a connection string, or in a document as JSON."""
    for pattern in _PARTS:
        for found in pattern.finditer(text):
            value = found["value"].strip("{}\"'")
            yield from (value, unquote(value))


def _forms(text: str) -> Iterator[str]:
    """How a secret may be spelled."""
    import json  # a program without secrets needs neither
    from base64 import b64encode

    yield text
    yield quote(text, safe="")
    yield quote(text)
    yield quote_plus(text)
    yield repr(text)[1:-1]
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    yield text.replace("'", "''")
    data = text.encode("utf-8", "surrogatepass")
    yield b64encode(data).decode()
    if len(data) >= _LONG_BYTES:
        # inside a longer text, as in `user:password`, its base64 begins at one of three places in a group of letters
        for ahead in range(3):
            coded = b64encode(b"\0" * ahead + data).decode()
            left = (ahead + len(data)) % 3
            yield coded[(0, 2, 3)[ahead] : len(coded) - (0, 3, 2)[left]]


@lru_cache(maxsize=4096)
def names_a_secret(name: str) -> bool:
    """Whether a column or key is called like one that holds secrets: ``password``, ``api_key``, ``refresh_token``."""
    return re.fullmatch(_WORDS, name, re.IGNORECASE) is not None


def without_known(text: str) -> str:
    """The text without the secrets that the configuration has resolved."""
    return _known_pattern().sub(HIDDEN, text) if _known else text


def _known_pattern() -> re.Pattern[str]:
    global _pattern
    found = _pattern
    if found is None:
        # the longest first: one secret may be the beginning of another
        found = _pattern = re.compile("|".join(re.escape(s) for s in sorted(_known, key=len, reverse=True)))
    return found


def without_secrets(text: str) -> str:
    """The text without known secrets and without what looks like one; for texts that come from elsewhere.

    Passwords of urls and connection strings, members of documents, headers, well-known tokens and private keys are
    hidden.
    """
    text = without_known(text)
    if not text.isascii():
        # half a character, as names of files may have it, is something that nobody can write down
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    # most texts have nothing of the kind, and long ones are told often: to look for words is a hundred times faster
    low = text.casefold()
    for words, pattern, hidden in _RULES:
        if any(word in low for word in words):
            text = pattern.sub(hidden, text)
    return text


_SIGNS = tuple(dict.fromkeys(word for words, _, _ in _RULES for word in words))


def may_hold_secrets(document: str) -> bool:
    """Whether a JSON document may have a text in it that `without_secrets` changes; False is sure.

    Args:
        document: Its text. Characters other than ASCII may be escaped or not.
    """
    if _known and _written_known().search(document):
        return True
    low = document.casefold()
    return any(sign in low for sign in _SIGNS)


_written: tuple[re.Pattern[str] | None, re.Pattern[str]] = (None, re.compile(""))


def _written_known() -> re.Pattern[str]:
    """Known secrets as they stand in a JSON document: what has quotes or backslashes, there are more of them."""
    global _written
    known = _known_pattern()
    if _written[0] is not known:
        import json

        forms = {json.dumps(form, ensure_ascii=plain)[1:-1] for form in list(_known) for plain in (True, False)}
        _written = (known, re.compile("|".join(re.escape(form) for form in sorted(forms))))
    return _written[1]


# ---- errors of others ------------------------------------------------------------------------------------------------


def clean(error: BaseException, hide: Callable[[str], str] = without_secrets) -> None:
    """Take secrets out of the texts of an error and of those it came from, in place.

    An error that ends a program is printed with all its causes, and Python does not ask us how: what a driver or a
    user's code wrote into its own error has to be mended where it stands. Type and attributes stay as they are.

    Args:
        error: The outermost one.
        hide: What is done to each text.
    """
    for one in _family(error):
        try:
            args = tuple(_hidden(arg, hide) for arg in one.args)
            if args != one.args:
                one.args = args
            notes = getattr(one, "__notes__", None)
            if notes:
                notes[:] = [hide(note) for note in notes]
            if hasattr(one, "hide_texts"):
                one.hide_texts(hide)
        except Exception:  # noqa: BLE001 - an error of a strange class is no reason to lose the error
            continue


def _hidden(value: Any, hide: Callable[[str], str]) -> Any:
    if type(value) is str:
        return hide(value)
    if isinstance(value, (bytes, bytearray)):
        text = value.decode("utf-8", "backslashreplace")
        return hide(text).encode() if hide(text) != text else value
    if type(value) is dict:
        # the name may be what tells that it is one
        told = {key: hide(f"{key!r}: {one!r}") != f"{key!r}: {one!r}" for key, one in value.items()}
        return {key: HIDDEN if told[key] and type(one) is str else _hidden(one, hide) for key, one in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(_hidden(one, hide) for one in value)
    return value


def _family(error: BaseException) -> Iterator[BaseException]:
    """An error, all that it came from, members of groups, and errors that are arguments of errors."""
    seen: set[int] = set()
    left: list[Any] = [error]
    while left:
        one = left.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        left += [one.__cause__, one.__context__, *one.args, *getattr(one, "exceptions", ())]
        left += [getattr(one, name, None) for name in ("reason", "orig")]
