"""Merge: records are known by their keys, whatever the strategy."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from headrace.testing.asserts import assert_load_ok, assert_rows, rows_of
from headrace.testing.kit import Kit

UTC = dt.timezone.utc
both = pytest.mark.parametrize("strategy", ("delete-insert", "upsert"))


class MergeTests(Kit):
    """Tables that follow their source."""

    def _merges(self, strategy: str, key: Any = "id", **hints: Any) -> dict[str, Any]:
        self.need_merge(strategy)
        made: dict[str, Any] = {"write_disposition": {"disposition": "merge", "strategy": strategy}, **hints}
        return {**made, "primary_key": key} if key else made

    @both
    def test_merge_updates_and_inserts(self, strategy: str) -> None:
        """Known records are written anew, with NULLs; new ones come; others stay."""
        hints, p = self._merges(strategy), self.pipeline()
        self.load(p, [{"id": 1, "v": "a", "w": 1}, {"id": 2, "v": "b", "w": 2}], **hints)
        self.load(p, [{"id": 2, "v": "c", "w": None}, {"id": 3, "v": "d", "w": 3}], **hints)
        assert rows_of(p, "items", "id", "v", "w") == [(1, "a", 1), (2, "c", None), (3, "d", 3)]

    @both
    def test_merge_of_nested_tables(self, strategy: str) -> None:
        """Nested rows are those of the record's last version; those of other records stay."""
        self.need_nesting()
        hints, p = self._merges(strategy), self.pipeline()
        first = [{"id": 1, "l": [{"n": 1, "m": [1, 2]}, {"n": 2}]}, {"id": 2, "l": [{"n": 3, "m": [3]}]}]
        self.load(p, first, **hints)
        self.load(p, [{"id": 1, "l": [{"n": 4, "m": [4]}]}, {"id": 3, "l": []}], **hints)
        assert rows_of(p, "items", "id") == [(1,), (2,), (3,)]
        assert rows_of(p, "items__l", "n") == [(3,), (4,)]
        assert rows_of(p, "items__l__m", "value") == [(3,), (4,)]

    @both
    def test_merge_of_the_same_rows_changes_nothing(self, strategy: str) -> None:
        """The same load three times."""
        self.need_nesting()
        hints, p = self._merges(strategy), self.pipeline()
        for _ in range(3):
            self.load(p, [{"id": 1, "l": [1, 2]}, {"id": 2}], **hints)
        assert rows_of(p, "items", "id") == [(1,), (2,)]
        assert rows_of(p, "items__l", "value") == [(1,), (2,)]

    @both
    def test_merge_by_a_key_of_several_columns(self, strategy: str) -> None:
        """All columns of the key count, with texts that need quoting."""
        hints, p = self._merges(strategy, ("shop", "number")), self.pipeline()
        self.load(p, [{"shop": "it's", "number": 1, "v": 1}, {"shop": "ö", "number": 1, "v": 2}], **hints)
        self.load(p, [{"shop": "it's", "number": 1, "v": 3}, {"shop": "it's", "number": 2, "v": 4}], **hints)
        assert rows_of(p, "items", "shop", "number", "v") == [("it's", 1, 3), ("it's", 2, 4), ("ö", 1, 2)]

    @both
    def test_merge_deletes_marked_records(self, strategy: str) -> None:
        """A true mark deletes the record and its nested rows; an unknown record that is marked is not inserted."""
        self.need_nesting()
        gone = {"deleted": {"data_type": "bool", "hard_delete": True}}
        hints, p = self._merges(strategy, columns=gone), self.pipeline()
        self.load(p, [{"id": 1, "deleted": False, "l": [1]}, {"id": 2, "deleted": None, "l": [2]}], **hints)
        self.load(p, [{"id": 1, "deleted": True}, {"id": 9, "deleted": True}, {"id": 3, "deleted": False}], **hints)
        assert rows_of(p, "items", "id") == [(2,), (3,)]
        assert rows_of(p, "items__l", "value") == [(2,)]

    @both
    def test_merge_deletes_by_a_date(self, strategy: str) -> None:
        """A mark of another type than bool: any value but NULL deletes."""
        gone = {"gone_at": {"data_type": "timestamp", "hard_delete": True}}
        hints, p = self._merges(strategy, columns=gone), self.pipeline()
        self.load(p, [{"id": 1, "gone_at": None}, {"id": 2, "gone_at": None}], **hints)
        self.load(p, [{"id": 2, "gone_at": dt.datetime(2024, 1, 1, tzinfo=UTC)}], **hints)
        assert rows_of(p, "items", "id") == [(1,)]

    @both
    def test_merge_brings_new_columns(self, strategy: str) -> None:
        """A column that the table lacked is NULL in records that are not touched."""
        hints, p = self._merges(strategy), self.pipeline()
        self.load(p, [{"id": 1}, {"id": 2}], **hints)
        self.load(p, [{"id": 2, "new": "x"}], **hints)
        assert rows_of(p, "items", "id", "new") == [(1, None), (2, "x")]

    @both
    def test_merge_into_appended_rows(self, strategy: str) -> None:
        """A table that was filled by append."""
        hints, p = self._merges(strategy), self.pipeline()
        self.load(p, [{"id": 1, "v": 1}, {"id": 2, "v": 2}], primary_key="id")
        self.load(p, [{"id": 2, "v": 3}], **hints)
        assert rows_of(p, "items", "id", "v") == [(1, 1), (2, 3)]

    @both
    def test_merge_of_nothing(self, strategy: str) -> None:
        """A resource without items leaves the table alone."""
        hints, p = self._merges(strategy), self.pipeline()
        self.load(p, [{"id": 1}], **hints)
        assert_load_ok(p.run(self.resource([], "items", **hints)), packages=None)
        assert rows_of(p, "items", "id") == [(1,)]

    @pytest.mark.parametrize("order", ("asc", "desc"))
    def test_merge_keeps_one_row_of_a_key(self, order: str) -> None:
        """Of several rows of one key in a load the one that the sort column says; a delete that wins deletes."""
        columns = {
            "at": {"data_type": "bigint", "dedup_sort": order},
            "gone": {"data_type": "bool", "hard_delete": True},
        }
        hints, p = self._merges("delete-insert", columns=columns), self.pipeline()
        self.load(p, [{"id": 3, "at": 0, "v": "old", "gone": False}], **hints)
        rows = [{"id": 1, "at": at, "v": f"v{at}", "gone": False} for at in (2, 3, 1)]
        rows += [{"id": 3, "at": at, "v": f"w{at}", "gone": at == 3} for at in (3, 1)]
        self.load(p, rows, **hints)
        expected = [(1, "v1"), (3, "w1")] if order == "asc" else [(1, "v3")]
        assert rows_of(p, "items", "id", "v") == expected

    def test_merge_keeps_any_one_row_of_a_key(self) -> None:
        """Without a sort column one of the rows stays, with its own nested rows only."""
        self.need_nesting()
        hints, p = self._merges("delete-insert"), self.pipeline()
        self.load(p, [{"id": 1, "v": n, "l": [n]} for n in range(5)], **hints)
        [(value,)] = rows_of(p, "items", "v")
        assert rows_of(p, "items__l", "value") == [(value,)]

    def test_merge_by_merge_key(self) -> None:
        """All rows of the batches that came are replaced by those that came; rows are not made unique."""
        hints, p = self._merges("delete-insert", None, merge_key="day"), self.pipeline()
        self.load(p, [{"day": 1, "v": 1}, {"day": 1, "v": 2}, {"day": 2, "v": 3}], **hints)
        self.load(p, [{"day": 1, "v": 9}, {"day": 1, "v": 9}, {"day": 3, "v": 4}], **hints)
        assert rows_of(p, "items", "day", "v") == [(1, 9), (1, 9), (2, 3), (3, 4)]

    def test_insert_only_adds_unknown_records(self) -> None:
        """Records that are known stay as they were, with their nested rows."""
        self.need_nesting()
        hints, p = self._merges("insert-only"), self.pipeline()
        self.load(p, [{"id": 1, "v": "a", "l": [1]}], **hints)
        self.load(p, [{"id": 1, "v": "b", "l": [2]}, {"id": 2, "v": "c", "l": [3]}], **hints)
        assert_rows(p, "items", [{"id": 1, "v": "a"}, {"id": 2, "v": "c"}])
        assert rows_of(p, "items__l", "value") == [(1,), (3,)]

    def test_merge_of_many_rows(self) -> None:
        """Two thousand records, half of them known; one statement cannot name them all."""
        strategies = self.capabilities().supported_merge_strategies
        strategy = "delete-insert" if "delete-insert" in strategies else "upsert"
        hints, p = self._merges(strategy), self.pipeline()
        self.load(p, ({"id": n, "v": 0} for n in range(2000)), **hints)
        self.load(p, ({"id": n, "v": 1} for n in range(1000, 3000)), **hints)
        assert rows_of(p, "items", "id", "v") == sorted(((n, int(n >= 1000)) for n in range(3000)), key=repr)
