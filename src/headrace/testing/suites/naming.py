"""Names: reserved words, long ones, odd ones, and those that differ in little."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.testing.asserts import assert_rows, rows_of
from headrace.testing.kit import Kit

RESERVED = (
    "select",
    "from",
    "table",
    "order",
    "group",
    "user",
    "index",
    "default",
    "check",
    "primary",
    "values",
    "end",
)
ODD = ("with space", "per%cent", "que?stion", "co:lon", "dot.ted", "ümläut", "漢字", "do$lar", "da-sh", "(brackets)")


class NamingTests(Kit):
    """Tables and columns of all names."""

    def test_names_are_spelled_by_the_convention(self) -> None:
        """Names in camel case are the same at the destination and in the schema."""
        p = self.pipeline()
        self.load(p, [{"OrderId": 1, "customerName": "x", "SKU": "y"}], "OrderLines")
        name = p.default_schema.naming.normalize_identifier
        expected = (1, "x", "y")
        columns = [name(n) for n in ("OrderId", "customerName", "SKU")]
        assert rows_of(p, name("OrderLines"), *columns) == [expected]

    def test_reserved_words(self) -> None:
        """Words of SQL as names of columns and of tables, in copies and in merges."""
        p = self.pipeline()
        row = {word: number for number, word in enumerate(RESERVED)}
        for table in ("order", "select"):
            self.load(p, [row], table)
            assert_rows(p, table, [row])
        strategies = [s for s in self.capabilities().supported_merge_strategies if s in ("delete-insert", "upsert")]
        for strategy in strategies:
            hints: dict[str, Any] = {
                "write_disposition": {"disposition": "merge", "strategy": strategy},
                "primary_key": "from",
            }
            for _ in range(2):
                self.load(p, [row], f"group_{strategy[:6]}", **hints)
            assert_rows(p, p.default_schema.naming.normalize_identifier(f"group_{strategy[:6]}"), [row])

    @pytest.mark.parametrize("length", ("70", "200"))
    def test_long_names(self, length: str) -> None:
        """Names beyond the destination's limit are shortened, and those with a common beginning stay apart."""
        p = self.pipeline()
        one, two = (f"{'n' * int(length)}_{end}" for end in "ab")
        self.load(p, [{one: 1, two: 2}], f"t{one}")
        self.load(p, [{one: 3, two: 4}], f"t{two}")
        name, path = p.default_schema.naming.normalize_identifier, p.default_schema.naming.normalize_tables_path
        columns = [name(one), name(two)]
        assert rows_of(p, path(f"t{one}"), *columns) == [(1, 2)]
        assert rows_of(p, path(f"t{two}"), *columns) == [(3, 4)]
        limit = self.capabilities().max_column_identifier_length
        assert len(set(columns)) == 2
        assert max(map(len, columns)) <= limit

    def test_long_nested_names(self) -> None:
        """A nested table deep down, whose path is longer than any limit."""
        self.need_nesting()
        p = self.pipeline()
        deep = {"a" * 40: [{"b" * 40: [{"c" * 40: [{"v": 1}]}]}]}
        self.load(p, [deep, deep])
        table = max(p.default_schema.tables, key=lambda n: len(p.default_schema.get_nested_tables(n)) * -1000 + len(n))
        assert rows_of(p, table, "v") == [(1,), (1,)]

    def test_odd_names_taken_as_they_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """With the naming convention `direct`: blanks, marks and letters of all kinds, in columns and tables."""
        monkeypatch.setenv("SCHEMA__NAMING", "direct")
        p = self.pipeline()
        row = {name: number for number, name in enumerate(ODD)}
        for table in ("with space", "ümläut"):
            self.load(p, [row], table)
            assert_rows(p, table, [row])
        self.load(p, [{**row, "late %s column": 1}], "ümläut")
        assert rows_of(p, "ümläut", "late %s column") == [(1,), (None,)]

    def test_names_that_differ_in_case_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where case counts, `a` and `A` are two columns, and two tables."""
        monkeypatch.setenv("SCHEMA__NAMING", "direct")
        if not self.capabilities().has_case_sensitive_identifiers:
            self.never("does not tell names by their case (has_case_sensitive_identifiers is False)")
        p = self.pipeline()
        self.load(p, [{"a": 1, "A": 2}], "t")
        self.load(p, [{"a": 3, "A": 4}], "T")
        assert rows_of(p, "t", "a", "A") == [(1, 2)]
        assert rows_of(p, "T", "a", "A") == [(3, 4)]
