"""The public suite on the destination that the documentation tells newcomers to write."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from headrace.testing import DestinationTests

DOCS = Path(__file__).parents[3] / "docs" / "destinations"
if str(DOCS) not in sys.path:
    sys.path.append(str(DOCS))  # a child process gets it as well

import pocket  # noqa: E402


@pytest.mark.each(4)
@pytest.mark.destination("tutorial")
class TestTutorial(DestinationTests):
    keep_datasets = True
    gaps = {
        "test_comments_of_tables_and_columns": "SQLite has no comments",
        "test_column_is_widened[date]": "SQLite cannot change a column",
        "test_column_may_become_nullable": "SQLite cannot change a column",
        "test_type_keeps_value[double-minus_zero]": "SQLite stores whole numbers as integers, and 0 has no sign",
        "test_type_keeps_value[double-nan]": "SQLite stores NaN as NULL",
    }

    def destination(self) -> Any:
        return pocket.pocket(folder=str(self.folder / "pocket"))
