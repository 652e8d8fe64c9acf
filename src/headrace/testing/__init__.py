"""Tests that every destination should pass, and what tests of pipelines need; wants `pip install 'headrace[testing]'`.

A destination's own tests subclass `DestinationTests`::

    from headrace.testing import DestinationTests

    class TestMine(DestinationTests):
        gaps = {"test_comments_of_tables_and_columns": "the database has no comments"}

        def destination(self):
            return mine(str(self.folder / "a.db"))

Each gap is strict: a test that passes although it is declared a gap fails, and so does a gap that names no test.
"""

from __future__ import annotations

import pytest

# before the modules are imported: their asserts then tell what they compared
pytest.register_assert_rewrite(
    *(f"headrace.testing.{name}" for name in ("asserts", "child", "fakes", "kit", "suite", "suites", "values"))
)

from headrace.testing.asserts import (  # noqa: E402
    assert_empty,
    assert_load_failed,
    assert_load_ok,
    assert_rows,
    dict_rows,
    rows_of,
)
from headrace.testing.fakes import Faults, refuse, twice  # noqa: E402
from headrace.testing.suite import DestinationTests  # noqa: E402

__all__ = [
    "DestinationTests",
    "Faults",
    "assert_empty",
    "assert_load_failed",
    "assert_load_ok",
    "assert_rows",
    "dict_rows",
    "refuse",
    "rows_of",
    "twice",
]
