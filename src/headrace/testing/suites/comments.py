"""Descriptions of tables and columns become comments."""

from __future__ import annotations

import pytest

from headrace.testing.kit import Kit


class CommentTests(Kit):
    """Comments at the destination."""

    def test_comments_of_tables_and_columns(self) -> None:
        """They are written with new tables and new columns, changed, and taken away."""
        p = self.pipeline()
        for told, x in (('It\'s a "table"', "a column"), ("another", ""), ("another", "back")):
            columns = {"x": {"description": x}, "y": {"data_type": "bigint"}}
            resource = self.resource([{"x": 1}], "items", columns=columns)
            resource.apply_hints(additional_table_hints={"description": told})
            p.run(resource)
            with p.destination_client() as client:
                found = client.describe_comments(["items"])["items"]
            assert (found.table, found.columns.get("x", "")) == (told, x)
        self.load(p, [{"x": 1, "z": 2}], columns={"z": {"description": "late"}})
        with p.destination_client() as client:
            assert client.describe_comments(["items"])["items"].columns["z"] == "late"

    def test_comments_can_be_switched_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """With `load.comments` off nothing is written."""
        monkeypatch.setenv("LOAD__COMMENTS", "false")
        p = self.pipeline()
        self.load(p, [{"x": 1}], columns={"x": {"description": "a column"}})
        with p.destination_client() as client:
            found = client.describe_comments(["items"]).get("items")
        assert found is None or not found.columns.get("x")
