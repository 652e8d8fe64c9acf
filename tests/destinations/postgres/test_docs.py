"""The page on PostgreSQL, with a server."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks
from tests.docs.run_page import run

pytestmark = pytest.mark.destination("postgres")
PLACE = "postgresql://loader:secret@localhost:5432/warehouse"


def test_page(
    project: Path, postgres_server: object, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its example runs as it stands, but for the address of the server."""
    # the page is the main module while it runs, and not for the processes that later tests start
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    page = ROOT / "docs" / "destinations" / "postgres.md"
    [shown] = [block for block in blocks(page) if block.language == "python"]
    assert PLACE in shown.text
    text = shown.text.replace(PLACE, postgres_server.database())  # type: ignore[attr-defined]
    run(
        page,
        [
            Block("python", text, shown.line),
            Block("text", "[('a',), ('b',)]\n", shown.line, "output"),
        ],
    )
