"""The public suite finds what is wrong: doubled rows, forgotten keys, gaps that are none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headrace.testing import DestinationTests
from tests.servers.fixtures import outcomes

HEAD = """
import headrace, pytest
from headrace.testing import DestinationTests

class Base(DestinationTests):
    __test__ = False
    keep_datasets = True
    def destination(self):
        return headrace.destinations.duckdb(str(self.folder / "a.db"))
"""


def run(folder: Path, text: str, *chosen: str) -> tuple[int, str]:
    """Run a user's test file, without this project's settings and without xdist."""
    (folder / "test_mine.py").write_text(HEAD + text)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
        "-q",
        "-rA",
        "-c",
        os.devnull,
    ]
    command += [f"--rootdir={folder}", "--tb=short", str(folder / "test_mine.py"), "-k", " or ".join(chosen)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_good_destination_passes_and_a_closed_gap_is_a_failure(tmp_path: Path) -> None:
    text = """
class TestGood(Base):
    gaps = {"test_type_keeps_value[bool-true]": "closed long ago"}
"""
    code, told = run(tmp_path, text, "bool", "test_append_adds", "unreachable")
    assert code == 1
    assert "PASSED test_mine.py::TestGood::test_append_adds_to_what_is_there" in told
    assert "PASSED test_mine.py::TestGood::test_type_keeps_value[bool-false]" in told
    assert "FAILED test_mine.py::TestGood::test_type_keeps_value[bool-true]" in told
    assert "[XPASS(strict)] closed long ago" in told
    assert "`unreachable` of the suite gives no destination" in told


def test_destinations_that_break_promises_are_found(tmp_path: Path) -> None:
    """Jobs without a memory, sums that lose digits, and errors that tell a password."""
    text = """
from headrace.destinations.sql.ledger import Ledger
from headrace.errors.destination import DatabaseTerminalException

class TestForgetful(Base):
    @pytest.fixture(autouse=True)
    def _forget(self, monkeypatch):
        monkeypatch.setattr(Ledger, "enter", lambda self, *facts: None)

class TestRounding(Base):
    def destination(self):
        return headrace.destinations.duckdb(str(self.folder / "a.db"), decimal_precision=(18, 3))
    def capabilities(self):
        return headrace.destinations.duckdb().capabilities()

class TestTelling(Base):
    secrets = ["no/such"]
    def unreachable(self):
        return headrace.destinations.duckdb(str(self.folder / "no/such/a.db"))
"""
    code, told = run(tmp_path, text, "all_done_twice", "decimal-smallest", "unreachable")
    assert code == 1
    failed = {
        line.split()[1].removeprefix("test_mine.py::") for line in told.splitlines() if line.startswith("FAILED ")
    }
    assert failed == {
        "TestForgetful::test_all_done_twice",
        "TestRounding::test_type_keeps_value[decimal-smallest]",
        "TestTelling::test_unreachable_place_is_told",
    }


@pytest.mark.parametrize(
    "gap", ["test_no_such_thing", "test_type_keeps_value[no-such-case]", "test_append_wide_table[x]"]
)
def test_gaps_name_tests(gap: str) -> None:
    with pytest.raises(TypeError, match="there is no such test"):
        type("TestTypo", (DestinationTests,), {"gaps": {gap: "a slip of the pen"}})


def test_the_table_tells_outcomes_apart() -> None:
    """Gaps, what capabilities rule out, and what is missing on this machine."""

    class Report:
        def __init__(self, name: str, longrepr: Any = None) -> None:
            self.user_properties, self.longrepr = [("destination", name)], longrepr

    found = outcomes(
        {
            "passed": [Report("a"), Report("a")],
            "xfailed": [Report("a")],
            "skipped": [
                Report("a", ("x", 1, "Skipped: never: a has no merge strategy scd2")),
                Report("b", ("x", 1, "Skipped: no server; to get it: pip install server")),
            ],
        }
    )
    assert dict(found["a"].counts) == {"passed": 2, "gap": 1, "ruled out": 1}
    assert dict(found["b"].counts) == {"skipped": 1}
    assert list(found["b"].reasons) == ["no server; to get it: pip install server"]
