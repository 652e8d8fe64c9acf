"""Replace: what was there is gone, what came is there, in every strategy."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.testing.asserts import assert_load_ok, assert_rows, rows_of
from headrace.testing.kit import Kit

STRATEGIES = ("truncate-and-insert", "insert-from-staging", "staging-optimized")
every_strategy = pytest.mark.parametrize("strategy", STRATEGIES)


class ReplaceTests(Kit):
    """Tables that are written anew."""

    def _replaces(self, strategy: str) -> dict[str, Any]:
        self.need_replace(strategy)
        return {"write_disposition": {"disposition": "replace", "strategy": strategy}}

    @every_strategy
    def test_replace_puts_new_rows_in_the_place_of_old(self, strategy: str) -> None:
        """Old rows go, nested ones too; other tables stay; a new column comes along."""
        self.need_nesting()
        hints, p = self._replaces(strategy), self.pipeline()
        self.load(p, [{"other": 1}], "others")
        self.load(p, [{"id": 1, "l": [1, 2]}, {"id": 2, "l": [3]}], **hints)
        self.load(p, [{"id": 3, "l": [4], "new": "x"}], **hints)
        assert rows_of(p, "items", "id", "new") == [(3, "x")]
        assert rows_of(p, "items__l", "value") == [(4,)]
        assert rows_of(p, "others", "other") == [(1,)]

    @every_strategy
    def test_replace_empties_nested_tables_without_new_rows(self, strategy: str) -> None:
        """A nested table that gets no rows in this load is emptied with its root."""
        self.need_nesting()
        hints, p = self._replaces(strategy), self.pipeline()
        self.load(p, [{"id": 1, "l": [{"m": [1]}]}], **hints)
        self.load(p, [{"id": 2}], **hints)
        assert rows_of(p, "items", "id") == [(2,)]
        assert rows_of(p, "items__l", "_dlt_id") == rows_of(p, "items__l__m", "value") == []

    @every_strategy
    def test_replace_by_nothing_empties(self, strategy: str) -> None:
        """A resource without items empties its tables."""
        hints, p = self._replaces(strategy), self.pipeline()
        self.load(p, [{"id": 1}], **hints)
        assert_load_ok(p.run(self.resource([], "items", **hints)))
        assert rows_of(p, "items", "id") == []

    @every_strategy
    def test_replace_of_appended_rows(self, strategy: str) -> None:
        """A table that was filled by append before is replaced like any other, and again."""
        hints, p = self._replaces(strategy), self.pipeline()
        self.load(p, [{"id": 1}, {"id": 2}])
        for number in (3, 4):
            self.load(p, [{"id": number}], **hints)
        self.load(p, [{"id": 5}])
        assert rows_of(p, "items", "id") == [(4,), (5,)]

    @every_strategy
    def test_replace_with_several_files(self, strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Many loader files replace the table together, not one the other."""
        monkeypatch.setenv("NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS", "10")
        hints, p = self._replaces(strategy), self.pipeline()
        for offset in (0, 100):
            self.load(p, ({"n": n + offset} for n in range(35)), **hints)
        assert sorted(n for (n,) in rows_of(p, "items", "n")) == list(range(100, 135))

    @pytest.mark.parametrize("strategy", STRATEGIES[1:])
    def test_replace_that_fails_leaves_old_rows(self, strategy: str) -> None:
        """A replace that is all or nothing: when a file of it cannot be read, the old rows stay."""
        hints, p = self._replaces(strategy), self.pipeline()
        self.load(p, [{"id": 1}], **hints)
        p.extract(self.resource([{"id": 2}], "items", **hints))
        p.normalize()
        [load_id] = p.list_normalized_load_packages()
        for job in p.get_load_package_info(load_id).jobs["new_jobs"]:
            if job.job_file_info.table_name == "items":
                with open(job.file_path, "r+b") as file:  # noqa: PTH123
                    file.truncate(0)
                    file.write(b"\x00broken\xff" * 20)
        with pytest.raises(Exception):  # noqa: B017 (which error it is, other tests look at)
            p.load()
        p.drop_pending_packages()
        assert_rows(p, "items", [{"id": 1}])
