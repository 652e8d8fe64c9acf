"""The pages on destinations say what the code says."""

from __future__ import annotations

from headrace.destinations import FACTORIES
from tests.docs.destinations_table import PAGE, ROWS, table
from tests.docs.pages import ROOT, blocks

FOLDER = ROOT / "docs" / "destinations"


def test_the_table_is_what_destinations_say() -> None:
    """If this fails: ``python -m tests.docs.destinations_table``."""
    assert table() in PAGE.read_text()


def test_the_table_has_every_destination() -> None:
    assert {kind.partition(":")[0] for _, kind, _ in ROWS} == set(FACTORIES)


def test_the_tutorial_shows_the_whole_file() -> None:
    """What is shown is what the conformance suite tests."""
    [shown] = [block for block in blocks(FOLDER / "write-your-own.md") if block.argument == "pocket.py"]
    assert shown.text == (FOLDER / "pocket.py").read_text()


def test_the_tutorial_stays_short() -> None:
    """About 120 lines of code: without blank lines, comments and imports."""
    lines = [line.strip() for line in (FOLDER / "pocket.py").read_text().splitlines()]
    code = [line for line in lines if line and not line.startswith(("#", "import ", "from ", '"""'))]
    assert len(code) <= 120
