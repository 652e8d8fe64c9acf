"""Reading back: what `Pipeline.dataset` gives."""

from __future__ import annotations

import pytest

from headrace.errors.destination import DatabaseTerminalException, DatabaseUndefinedRelation
from headrace.pipeline.pipeline import Pipeline
from headrace.testing.asserts import assert_load_failed
from headrace.testing.kit import Kit


class ReadingTests(Kit):
    """Datasets and relations."""

    def _shop(self) -> Pipeline:
        self.need_sql()
        p = self.pipeline()
        self.load(p, [{"id": n, "v": f"v{n}", "g": n % 2} for n in range(10)])
        return p

    def test_reading_rows(self) -> None:
        """All rows, some at a time, one."""
        relation = self._shop().dataset()["items"].select("id", "v").order_by("id")
        assert relation.fetchall()[:2] == [(0, "v0"), (1, "v1")]
        assert relation.fetchmany(3) == [(0, "v0"), (1, "v1"), (2, "v2")]
        assert relation.fetchone() == (0, "v0")
        assert [len(chunk) for chunk in relation.iter_fetch(4)] == [4, 4, 2]

    def test_reading_arrow(self) -> None:
        """As Arrow tables, whole and in pieces."""
        relation = self._shop().dataset()["items"].select("id", "v").order_by("id")
        table = relation.arrow()
        assert table is not None
        assert table.column("id").to_pylist() == list(range(10))
        pieces = list(relation.iter_arrow(chunk_size=3))
        assert [n for piece in pieces for n in piece.column("id").to_pylist()] == list(range(10))

    def test_reading_data_frames(self) -> None:
        """As a data frame."""
        pytest.importorskip("pandas")
        frame = self._shop().dataset()["items"].select("id").order_by("id").df()
        assert frame is not None
        assert list(frame["id"]) == list(range(10))

    def test_reading_selections(self) -> None:
        """Conditions, order, limits."""
        items = self._shop().dataset()["items"]
        assert items.where("id", "gt", 7).select("id").order_by("id", "desc").fetchall() == [(9,), (8,)]
        assert items.select("id").order_by("id").limit(2).fetchall() == [(0,), (1,)]
        assert items.select("id").max().fetchall() == [(9,)]

    def test_reading_by_sql(self) -> None:
        """A query in the user's own words."""
        dataset = self._shop().dataset()
        assert dataset("SELECT g, count(*) AS n FROM items GROUP BY g ORDER BY g").fetchall() == [(0, 5), (1, 5)]

    def test_reading_counts_of_rows(self) -> None:
        """How many rows each table has."""
        assert dict(self._shop().dataset().row_counts().fetchall())["items"] == 10

    def test_reading_what_is_not_there(self) -> None:
        """A table that does not exist is told apart from a statement that is wrong."""
        p = self._shop()
        with p.sql_client() as session:
            with assert_load_failed(DatabaseUndefinedRelation):
                session.execute_sql(f"SELECT * FROM {session.make_qualified_table_name('nothing')}")
            with assert_load_failed(DatabaseTerminalException):
                session.execute_sql("SELECT FROM WHERE")
            assert session.execute_sql("SELECT 1") == [(1,)]

    def test_reading_with_parameters(self) -> None:
        """Values for marks are not text of the statement."""
        p = self._shop()
        with p.sql_client() as session:
            table = session.make_qualified_table_name("items")
            found = session.execute_sql(f"SELECT id FROM {table} WHERE v = %s", "v3")
            assert found == [(3,)]
            assert session.execute_sql(f"SELECT id FROM {table} WHERE v = %s", "v3' OR '1'='1") == []
