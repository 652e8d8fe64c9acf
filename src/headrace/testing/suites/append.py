"""Append: rows arrive, all of them, with their nested tables, in every file format."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from headrace.testing.asserts import assert_load_ok, assert_rows, rows_of
from headrace.testing.kit import Kit

ORDERS: list[dict[str, Any]] = [
    {"id": 1, "who": "Ann", "paid": True, "sum": 12.5, "lines": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}]},
    {"id": 2, "who": None, "paid": False, "sum": -0.25, "lines": []},
    {"id": 3, "who": "Ølé", "paid": None, "sum": 0.0, "lines": [{"sku": "c", "n": 3, "tags": ["x", "y"]}]},
]
FORMATS = ("arrow", "parquet", "jsonl", "csv")


class AppendTests(Kit):
    """Rows that are added."""

    def test_append_rows_and_their_nested_tables(self) -> None:
        """Documents become rows of a root table and of nested tables that point to it."""
        self.need_nesting()
        p = self.pipeline()
        info = self.load(p, ORDERS, "orders")
        assert_rows(p, "orders", [{k: v for k, v in row.items() if k != "lines"} for row in ORDERS])
        assert rows_of(p, "orders__lines", "sku", "n") == [("a", 1), ("b", 2), ("c", 3)]
        assert rows_of(p, "orders__lines__tags", "value") == [("x",), ("y",)]
        parents = dict(rows_of(p, "orders", "_dlt_id", "id"))
        assert [parents[up] for _, up in rows_of(p, "orders__lines", "sku", "_dlt_parent_id")] == [1, 1, 3]
        assert rows_of(p, "orders", "_dlt_load_id") == [(info.loads_ids[0],)] * 3

    def test_append_adds_to_what_is_there(self) -> None:
        """The rows of two loads, equal ones too, and both loads are in the table of loads."""
        p = self.pipeline()
        ids = [self.load(p, [{"id": 1}, {"id": 2}]).loads_ids[0] for _ in range(2)]
        assert rows_of(p, "items", "id") == [(1,), (1,), (2,), (2,)]
        assert sorted(p.dataset().load_ids()) == sorted(ids)

    def test_append_several_files_of_one_table(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A table whose rows are cut into many loader files."""
        monkeypatch.setenv("NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS", "50")
        p = self.pipeline()
        assert_load_ok(p.run(self.resource(({"n": n} for n in range(220)), "items")))
        assert sorted(n for (n,) in rows_of(p, "items", "n")) == list(range(220))

    def test_append_rows_that_lack_columns(self) -> None:
        """Rows of one load with different columns; what is missing is NULL, and an empty text is not NULL."""
        p = self.pipeline()
        self.load(p, [{"id": 1, "a": ""}, {"id": 2, "b": "x"}, {"id": 3, "a": None}])
        assert_rows(p, "items", [{"id": 1, "a": "", "b": None}, {"id": 2, "b": "x"}, {"id": 3}])

    def test_append_arrow_table(self) -> None:
        """A table that is Arrow already."""
        p = self.pipeline()
        self.load(p, [pa.table({"id": [1, 2, 3], "name": ["a", None, "ö"]})])
        assert rows_of(p, "items", "id", "name") == [(1, "a"), (2, None), (3, "ö")]

    def test_append_wide_table(self) -> None:
        """Three hundred columns."""
        p = self.pipeline()
        row = {f"column_{n:03}": n for n in range(300)}
        self.load(p, [row])
        assert rows_of(p, "items") == [tuple(range(300))]

    def test_append_nothing_leaves_all_as_it_is(self) -> None:
        """A resource without items adds no rows and removes none."""
        p = self.pipeline()
        self.load(p, [{"id": 1}])
        assert_load_ok(p.run(self.resource([], "items")), packages=None)
        assert rows_of(p, "items", "id") == [(1,)]

    @pytest.mark.parametrize("file_format", FORMATS)
    def test_append_file_format(self, file_format: str) -> None:
        """The same rows, whatever file they travel in."""
        formats = self.capabilities().supported_loader_file_formats
        if file_format not in formats:
            self.never(f"loads no {file_format}, only {', '.join(formats)}")
        p = self.pipeline()
        texts = [
            "",
            " ",
            'quo"te',
            "it's",
            "a,b;c",
            "tab\there",
            "line\nbreak",
            "back\\slash",
            "€ 漢字 🎈",
            "NULL",
            "\\N",
        ]
        rows = [{"id": n, "t": text, "x": n / 4, "b": n % 2 == 0, "none": None} for n, text in enumerate(texts)]
        rows += [{"id": 100, "t": None, "x": None, "b": None}]
        assert_load_ok(p.run(self.resource(rows, "items"), loader_file_format=file_format))  # type: ignore[arg-type]
        assert_rows(p, "items", [{k: v for k, v in row.items() if k != "none"} for row in rows])
