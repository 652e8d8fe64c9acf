"""Tables that are dropped or emptied on the user's wish."""

from __future__ import annotations

from headrace.testing.asserts import assert_load_ok, rows_of
from headrace.testing.kit import Kit


class RefreshTests(Kit):
    """Refresh and drop."""

    def test_refresh_drops_resources(self) -> None:
        """Tables of the resources that run are made anew; others stay."""
        p = self.pipeline()
        self.load(p, [{"other": 1}], "others")
        self.load(p, [{"id": 1, "old": 1}])
        assert_load_ok(p.run(self.resource([{"id": 2}], "items"), refresh="drop_resources"))
        assert rows_of(p, "items", "id") == [(2,)]
        assert "old" not in p.default_schema.tables["items"]["columns"]
        assert rows_of(p, "others", "other") == [(1,)]
        with p.destination_client() as client:
            assert "old" not in (client.describe(["items"])["items"] or {})

    def test_refresh_drops_sources(self) -> None:
        """All tables of the source go, also those of resources that do not run."""
        p = self.pipeline()
        self.load(p, [{"other": 1}], "others")
        assert_load_ok(p.run(self.resource([{"id": 2}], "items"), refresh="drop_sources"))
        assert rows_of(p, "items", "id") == [(2,)]
        with p.destination_client() as client:
            assert client.describe(["others"])["others"] is None

    def test_refresh_empties_tables(self) -> None:
        """Rows go, columns stay."""
        p = self.pipeline()
        self.load(p, [{"id": 1, "old": 1}])
        assert_load_ok(p.run(self.resource([{"id": 2}], "items"), refresh="drop_data"))
        assert rows_of(p, "items", "id", "old") == [(2, None)]

    def test_dataset_is_dropped(self) -> None:
        """Dropped with all that it remembers, twice; a fresh pipeline begins from nothing."""
        p = self.pipeline()
        self.load(p, [{"id": 1}])
        with p.destination_client() as client:
            assert client.has_dataset()
            client.drop_dataset()
            client.drop_dataset()
            assert not client.has_dataset()
        fresh = self.pipeline(machine="there")
        self.load(fresh, [{"id": 2}])
        assert rows_of(fresh, "items", "id") == [(2,)]

    def test_dropping_one_dataset_leaves_others(self) -> None:
        """Datasets of one place know nothing of each other, even where their names begin alike."""
        p = self.pipeline()
        self.load(p, [{"id": 1}])
        longer = self.pipeline(machine="b", dataset_name=f"{self.dataset_name}_2")
        self.load(longer, [{"id": 2}])
        with p.destination_client() as client:
            client.drop_dataset()
        assert rows_of(longer, "items", "id") == [(2,)]
