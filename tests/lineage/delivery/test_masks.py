"""The last look for secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import masking
from headrace.observers.lineage import delivery
from headrace.observers.lineage.delivery.masks import clean_line, masked
from headrace.observers.lineage.store import FOLDER
from tests.lineage.delivery.world import Receiver, event, settings


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    """A value that the configuration has resolved as a secret."""
    monkeypatch.setattr(masking, "_known", {})
    monkeypatch.setattr(masking, "_pattern", None)
    masking.remember("Tr0ub4dor&3")
    return "Tr0ub4dor&3"


def _planted(secret: str) -> dict[str, Any]:
    one = event(1, "FAIL", errorMessage={"message": f"cannot log in with {secret}", "programmingLanguage": "PYTHON"})
    one["run"]["facets"]["x"] = {
        "url": f"postgres://me:{secret}@host:5432/db",
        "other": "https://me:another1@host/x?sig=abcdef123&a=1",
        "password": "short",
        "list": [["plain", f"a {secret} b"], {"name": "api_key", "value": "12345678"}],
        "tags": [{"key": "pii", "value": "true"}, {"key": "access_token", "value": "abc12345"}],
        f"key {secret}": 1,
        "text": "Authorization: Bearer abcdefgh12345678",
        "numbers": [1, 2.5, True, None],
    }
    one["outputs"] = [
        {
            "namespace": "postgres://host:5432",
            "name": "db.public.t",
            "facets": {"schema": {"fields": [{"name": "password", "type": "text"}, {"name": "api_token"}]}},
        }
    ]
    return one


def test_every_text_of_an_event(tmp_path: Path, backend: Receiver, secret: str) -> None:
    sink = delivery.sink_for(tmp_path / "p", settings(url=backend.url, path="events.ndjson"))
    sink.emit(lambda: [_planted(secret)])
    assert sink.flush(20)
    seen = repr(backend.events) + (tmp_path / "events.ndjson").read_text()
    for path in (tmp_path / "p" / FOLDER).rglob("*"):
        seen += path.read_text() if path.is_file() else ""
    for one in (secret, "Tr0ub4dor", "another1", "abcdef123", "12345678", "abc12345", "'short'"):
        assert one not in seen, one
    facet = backend.events[0]["run"]["facets"]["x"]
    assert facet["numbers"] == [1, 2.5, True]
    assert facet["tags"][0] == {"key": "pii", "value": "true"}
    assert facet["url"] == "postgres://me:***@host:5432/db"
    assert backend.events[0]["outputs"] == _planted(secret)["outputs"], "names of columns are no secrets"


def test_a_secret_that_is_learnt_later_is_hidden_from_then_on(secret: str) -> None:
    one = {"a": "correct horse battery"}
    assert masked(one) == one
    masking.remember("correct horse battery")
    assert masked(one) == {"a": "***"}


def test_a_password_that_is_the_name_of_a_store_leaves_its_kind(secret: str) -> None:
    masking.remember("postgres")
    assert masked({"namespace": "postgres://host:5432"}) == {"namespace": "postgres://host:5432"}
    assert masked({"u": "postgres://me:postgres@host"}) == {"u": "postgres://me:***@host"}
    assert masked({"message": "password postgres is wrong"}) == {"message": "password *** is wrong"}
    # what the specification and we say ourselves
    constant = {"_schemaURL": "https://x/postgres", "producer": "https://postgres"}
    assert masked(constant) == constant


def test_what_it_is_given_is_left_alone(secret: str) -> None:
    one = _planted(secret)
    masked(one)
    assert one == {**_planted(secret), "eventTime": one["eventTime"]}


# pieces of which what looks like a secret is made, and of which it is not
_PIECES = st.sampled_from(
    (
        *("password", "PassWord", "api_key", "account-key", "sas_url", "token", "signature", "key", "sig", "secret"),
        *("=", ": ", '"', "'", "?", "&", "&amp;", "@", "://", "https", "postgres", "user", ":", "hunter22secret", " "),
        *("Authorization: ", "x-auth-token: ", "Set-Cookie: a=", "Bearer ", "basic ", "eyJhbGciOiJIUzI1NiJ9.", "ghp_"),
        *("sk-", "AIza", "-----BEGIN RSA PRIVATE KEY-----", "0123456789abcdef" * 3, "\n", "\t", "é", "ſ", "K", "\\"),
        *("hooks.slack.com/services/", "webhook.office.com/webhookb2/", "discord.com/api/webhooks/", "\ud800"),
    )
)
_TEXTS = st.lists(_PIECES, max_size=6).map("".join)
_EVENTS = st.dictionaries(
    st.one_of(_TEXTS, st.sampled_from(("name", "key", "value", "url"))),
    st.one_of(_TEXTS, st.lists(_TEXTS, max_size=2), st.fixed_dictionaries({"name": _TEXTS, "value": _TEXTS})),
    max_size=4,
)


@given(_EVENTS)
def test_the_quick_look_at_a_whole_event_finds_what_the_look_at_each_text_finds(event: dict[str, Any]) -> None:
    masking.remember("geheim&nis/1")
    assert msgspec.json.decode(clean_line(event)) == msgspec.json.decode(msgspec.json.encode(masked(event)))
    known = {**event, "told": "x geheim%26nis%2F1 y"}
    assert b"geheim" not in clean_line(known)


@pytest.mark.parametrize("value", ['pa"ss\\word99', "line\x1bfeed99", "tab\tsecret99", 'ünter "den" Linden'])
def test_the_quick_look_knows_how_secrets_stand_in_json(secret: str, value: str) -> None:
    masking.remember(value)
    for form in masking._forms(value):
        assert form not in str(msgspec.json.decode(clean_line(event(1, error={"message": f"x {form} y"}))))


def test_an_event_without_secrets_is_not_looked_at_text_by_text() -> None:
    assert not masking.may_hold_secrets('{"run":{"runId":"0195f6de"},"_schemaURL":"https://openlineage.io/a#/$defs/B"}')
