"""Lines of JSON are those that each value would give alone."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from headrace.base import json

NOW = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)


@pytest.mark.parametrize(
    "rows", [[], [{"a": 1}, {"b": "x"}], [{"at": NOW}, {"a": "Z"}], [{1: "a key that is no text"}]]
)
def test_lines(rows: list[Any]) -> None:
    assert json.dump_lines(rows) == b"".join(json.dumpb(row) + b"\n" for row in rows)
