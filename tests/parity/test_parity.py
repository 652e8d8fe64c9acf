"""The same documents make the same tables as with dlt: names, order, types, nullability, values, and schema hash."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.parity.record import content, load
from tests.parity.snapshot import snapshot

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("recorded.json").read_text())["cases"]


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_as_dlt(name: str, tmp_path: Path) -> None:
    import headrace

    pipeline = load(headrace, name, tmp_path)
    expected = RECORDED[name]
    assert snapshot(tmp_path / "parity_db.duckdb", "data") == expected["tables"]
    assert content(pipeline.default_schema) == expected["schema"]
