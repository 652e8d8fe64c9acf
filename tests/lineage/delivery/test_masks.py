"""The last look for secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headrace.errors import masking
from headrace.observers.lineage import delivery
from headrace.observers.lineage.delivery.masks import masked
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
