"""The search finds what it must: else a suite of green tests says nothing."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from urllib.parse import quote, quote_plus

import pytest

from tests.secrets.search import Planted

SECRET = 'Tm"8Gr\\3Zk=6Pw;Yx1Vn'
PLANTED = Planted({"one": SECRET})


@pytest.mark.parametrize(
    "data",
    [
        f"so {SECRET} is",
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        json.dumps({"a": SECRET}),
        json.dumps(json.dumps({"a": SECRET})),
        repr({"a": SECRET}),
        base64.b64encode(f"user:{SECRET}".encode()),
        base64.b64encode(f"{SECRET}:x".encode()),
        base64.urlsafe_b64encode(f"ab{SECRET}c".encode()),
        gzip.compress(json.dumps([SECRET]).encode(), mtime=0),
        base64.b64encode(zlib.compress(json.dumps({"state": SECRET}).encode())),
        f"a frame │ {SECRET[:9]} │\n│ {SECRET[9:]} │",
        f"cut short: {SECRET[:14]}…",
        f"its end: …{SECRET[-13:]}",
        SECRET.encode("utf-16-le"),
        SECRET.upper(),
    ],
)
def test_it_is_found(data: bytes | str) -> None:
    if data == SECRET.upper():
        data = SECRET.swapcase()
    assert PLANTED.find(data)


def test_a_text_without_it_is_clean() -> None:
    assert not PLANTED.find("Pipeline `shop` failed: *** is not a password; Tm8Gr3Zk")
