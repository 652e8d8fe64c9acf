"""The public suite on DuckDB."""

from __future__ import annotations

from typing import Any

import pytest

import headrace
from headrace.testing import DestinationTests


@pytest.mark.each(2)
@pytest.mark.destination("duckdb")
class TestDuckDb(DestinationTests):
    keep_datasets = True

    def destination(self) -> Any:
        return headrace.destinations.duckdb(str(self.folder / "kit.duckdb"))

    def unreachable(self) -> Any:
        return headrace.destinations.duckdb(str(self.folder / "no" / "such" / "folder" / "kit.duckdb"))
