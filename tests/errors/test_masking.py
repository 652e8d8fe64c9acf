"""No secret comes out in a text."""

from __future__ import annotations

import logging
import time

import pytest

import headrace
from headrace.errors import masking
from headrace.errors.base import HeadraceException
from headrace.errors.masking import without_secrets


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_known", {})
    monkeypatch.setattr(masking, "_pattern", None)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres://u:pw@h/db", "postgres://u:***@h/db"),
        ("host=h password = 'x y' dbname=d", "host=h password = *** dbname=d"),
        ("Driver={x};PWD={a;b};UID=u", "Driver={x};PWD=***;UID=u"),
        ("AccountKey=abc==;Endpoint=x", "AccountKey=***;Endpoint=x"),
        ('{"password": "a\\"b", "user": "u"}', '{"password": "***", "user": "u"}'),
        ("{'api_key': 'k', 'n': 1}", "{'api_key': \"***\", 'n': 1}"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("'X-Api-Key': 'abc'", "'X-Api-Key': \"***\""),
        ("sent bearer abcdefgh123", "sent bearer ***"),
        (
            "-----BEGIN PRIVATE KEY-----\nM\n-----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY----- *** -----END PRIVATE KEY-----",
        ),
        ("unexpected token: foo", "unexpected token: foo"),
        ("primary_key=id, token is missing", "primary_key=id, token is missing"),
        ("no file 'a\udcff', password=x", "no file 'a\\udcff', password=***"),
        ("--db-password=x", "--db-password=***"),
        ("self.password=x, app.db-password=x", "self.password=x, app.db-password=***"),
        ("1postgres+x://u:pw@h", "1postgres+x://u:***@h"),
        ("git clone as github_pat_11ABCDEFG0123456789_x refused", "git clone as *** refused"),
        ("as ghp_0123456789abcdefXYZ refused", "as *** refused"),
    ],
)
def test_what_looks_like_a_secret(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


def test_a_resolved_secret_is_hidden_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SHOP_KEY", "s3cr/et pw")
    assert headrace.secrets["shop_key"] == "s3cr/et pw"
    error = HeadraceException("the server said", why="no s3cr/et pw today", fix="see http://x/?k=s3cr%2Fet%20pw")
    assert str(error) == "the server said\nWhy: no *** today\nWhat to do: see http://x/?k=***"
    from headrace.runtime_logging import initialize

    with caplog.at_level(logging.WARNING, logger="headrace"):
        initialize().warning("with %s", "s3cr/et pw")
    assert "with ***" in caplog.text


def test_short_values_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "test")
    assert headrace.secrets["shop_key"] == "test"
    assert str(HeadraceException("a test of tests")) == "a test of tests"


@pytest.mark.parametrize("word", ["0f", "a", "-", "a.", "token", "x-", "eyJ-", "a-", "cookie:", "basic "])
def test_the_time_grows_with_the_text_and_not_with_its_square(word: str) -> None:
    """A value in hex has no spaces: from each of its letters a pattern would look at all the rest."""
    text = word * (200_000 // len(word))
    began = time.process_time()
    assert len(without_secrets(text)) > 100
    assert time.process_time() - began < 60, "squared it takes minutes"
