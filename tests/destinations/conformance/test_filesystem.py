"""The public suite on folders of files."""

from __future__ import annotations

from typing import Any

import pytest

import headrace
from headrace.testing import DestinationTests

GAPS = {
    "test_comments_of_tables_and_columns": "files have no comments",
    "test_names_that_differ_in_case_alone": "DuckDB, which reads the files, takes such names for one",
    "test_row_changes_of_replace": "the rows of files that are deleted are not counted",
}


class _Filesystem(DestinationTests):
    __test__ = False

    def unreachable(self) -> Any:
        (self.folder / "file").write_text("not a folder")
        return headrace.destinations.filesystem(str(self.folder / "file" / "lake"))


@pytest.mark.each(3)
@pytest.mark.destination("filesystem-local")
class TestJsonLines(_Filesystem):
    gaps = GAPS

    def destination(self) -> Any:
        return headrace.destinations.filesystem(str(self.folder / "lake"))


@pytest.mark.each(2)
@pytest.mark.destination("filesystem-local")
class TestParquet(_Filesystem):
    gaps = GAPS

    def destination(self) -> Any:
        return headrace.destinations.filesystem(
            str(self.folder / "lake"), preferred_loader_file_format="parquet", layout="{table_name}.{load_id}.{file_id}"
        )
