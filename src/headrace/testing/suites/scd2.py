"""Slowly changing dimensions: every version of a record, with the time in which it was valid."""

from __future__ import annotations

from typing import Any

from headrace.testing.asserts import rows_of
from headrace.testing.kit import Kit


class Scd2Tests(Kit):
    """Tables with history."""

    def _versions(self, **hints: Any) -> dict[str, Any]:
        self.need_merge("scd2")
        return {"write_disposition": {"disposition": "merge", "strategy": "scd2"}, **hints}

    def test_scd2_keeps_every_version(self) -> None:
        """Unchanged records stay, changed and missing ones are retired, and one that comes back gets a new row."""
        hints, p = self._versions(), self.pipeline()
        for rows in (
            [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}],
            [{"id": 1, "v": "a"}, {"id": 2, "v": "c"}],
            [{"id": 2, "v": "c"}],
        ):
            self.load(p, rows, **hints)
        self.load(p, [{"id": 1, "v": "a"}, {"id": 2, "v": "c"}], **hints)
        found = rows_of(p, "items", "id", "v", "_dlt_valid_from", "_dlt_valid_to")
        active = [row[:2] for row in found if row[3] is None]
        retired = [row[:2] for row in found if row[3] is not None]
        assert active == [(1, "a"), (2, "c")]
        assert retired == [(1, "a"), (2, "b")]
        assert all(row[2] < row[3] for row in found if row[3] is not None)
        # the old version ends at the instant at which the new one begins
        assert next(r[3] for r in found if r[1] == "b") == next(r[2] for r in found if r[1] == "c")

    def test_scd2_retires_within_merge_keys_only(self) -> None:
        """With a merge key a load says nothing of the records of other keys."""
        hints, p = self._versions(merge_key="shop"), self.pipeline()
        self.load(p, [{"shop": 1, "v": "a"}, {"shop": 2, "v": "b"}], **hints)
        self.load(p, [{"shop": 2, "v": "c"}], **hints)
        found = rows_of(p, "items", "shop", "v", "_dlt_valid_to")
        assert [(shop, v, end is None) for shop, v, end in found] == [(1, "a", True), (2, "b", False), (2, "c", True)]

    def test_scd2_keeps_nested_rows_of_all_versions(self) -> None:
        """Nested rows belong to a version and are never changed."""
        self.need_nesting()
        hints, p = self._versions(), self.pipeline()
        self.load(p, [{"id": 1, "l": [1]}, {"id": 2, "l": [2]}], **hints)
        self.load(p, [{"id": 1, "l": [1, 3]}, {"id": 2, "l": [2]}], **hints)
        versions = dict(rows_of(p, "items", "_dlt_id", "id"))
        nested = sorted((versions[up], n) for n, up in rows_of(p, "items__l", "value", "_dlt_parent_id"))
        assert nested == [(1, 1), (1, 1), (1, 3), (2, 2)]

    def test_scd2_with_a_marker_for_active_records(self) -> None:
        """Active records may end on a far date instead of NULL."""
        far = "9999-12-31T00:00:00+00:00"
        self.need_merge("scd2")
        disposition = {"disposition": "merge", "strategy": "scd2", "active_record_timestamp": far}
        p = self.pipeline()
        for value in ("a", "b"):
            self.load(p, [{"id": 1, "v": value}], write_disposition=disposition)
        found = rows_of(p, "items", "v", "_dlt_valid_to")
        assert [(v, end.year) for v, end in found][1] == ("b", 9999)
        assert found[0][1].year < 9999
