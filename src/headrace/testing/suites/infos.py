"""What a load tells of itself."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.model.changes import RowChanges
from headrace.testing.kit import Kit


class InfoTests(Kit):
    """Load infos: places, numbers of rows."""

    def test_info_tells_where(self) -> None:
        """The dataset, the destination and its place are told, and no secret is."""
        p = self.pipeline()
        info = self.load(p, [{"id": 1}])
        assert info.dataset_name == p.dataset_name
        assert info.destination_type == self.destination().destination_type
        assert info.destination_displayable_credentials
        assert info.destination_fingerprint
        assert not [word for word in self.secrets if word in str(info)]

    def test_row_changes_of_append(self) -> None:
        """All rows are inserted."""
        p = self.pipeline()
        for rows in (3, 2):
            assert self.load(p, [{"id": n} for n in range(rows)]).row_changes["items"] == RowChanges(inserted=rows)

    @pytest.mark.parametrize("strategy", ("truncate-and-insert", "insert-from-staging", "staging-optimized"))
    def test_row_changes_of_replace(self, strategy: str) -> None:
        """Old rows are deleted, new ones inserted."""
        self.need_replace(strategy)
        p = self.pipeline()
        hints: dict[str, Any] = {"write_disposition": {"disposition": "replace", "strategy": strategy}}
        self.load(p, [{"id": 1}, {"id": 2}], **hints)
        assert self.load(p, [{"id": 3}], **hints).row_changes["items"] == RowChanges(inserted=1, deleted=2)

    @pytest.mark.parametrize("strategy", ("delete-insert", "upsert", "insert-only"))
    def test_row_changes_of_merge(self, strategy: str) -> None:
        """Records are inserted, updated, or left as they were."""
        self.need_merge(strategy)
        hints: dict[str, Any] = {
            "write_disposition": {"disposition": "merge", "strategy": strategy},
            "primary_key": "id",
        }
        p = self.pipeline()
        self.load(p, [{"id": 1, "v": 1}, {"id": 2, "v": 1}], **hints)
        found = self.load(p, [{"id": 2, "v": 2}, {"id": 3, "v": 2}], **hints).row_changes["items"]
        # whether a record equals what was there, not every strategy looks at
        assert found[:3] == ((1, 0, 0) if strategy == "insert-only" else (1, 1, 0))

    def test_row_changes_of_scd2(self) -> None:
        """New versions are inserted; retired ones are updated."""
        self.need_merge("scd2")
        p = self.pipeline()
        hints: dict[str, Any] = {"write_disposition": {"disposition": "merge", "strategy": "scd2"}}
        self.load(p, [{"id": 1, "v": 1}, {"id": 2, "v": 1}], **hints)
        found = self.load(p, [{"id": 1, "v": 2}, {"id": 2, "v": 1}], **hints).row_changes["items"]
        assert found[:2] == (1, 1)
