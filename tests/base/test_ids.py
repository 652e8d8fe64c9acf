"""Names of files that hold rows of a table."""

from __future__ import annotations

from pathlib import Path

import headrace
from headrace.base.ids import MAX_STEM, file_stem


def test_names_of_files_are_short_and_differ() -> None:
    assert file_stem("orders__items") == "orders__items"
    one, two = file_stem("ü" * 200 + "1"), file_stem("ü" * 200 + "2")
    assert one != two and len(one.encode()) <= MAX_STEM and "/" not in one


def test_a_table_with_a_very_long_name_is_loaded(tmp_path: Path) -> None:
    name = "t" * 400
    pipeline = headrace.pipeline(
        "long", destination=headrace.destinations.duckdb(str(tmp_path / "x.duckdb")), pipelines_dir=str(tmp_path / "w")
    )
    pipeline.run([{"a": 1, "l": [1]}], table_name=name)
    assert pipeline.dataset()[name].select("a").fetchall() == [(1,)]
    assert pipeline.dataset()[f"{name}__l"].select("value").fetchall() == [(1,)]
