"""Options of the merge disposition through whole pipelines; expected results are those seen with dlt 1.31."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.base import ValueErrorWithKnownValues
from headrace.errors.pipeline import PipelineStepFailed
from headrace.model.changes import RowChanges

Rows = Sequence[dict[str, Any]]
Load = Callable[..., RowChanges]


class Shop:
    """A pipeline that merges documents into the table `t`."""

    def __init__(self, folder: Path) -> None:
        self.pipeline = headrace.pipeline(
            "shop",
            destination=headrace.destinations.duckdb(str(folder / "shop.duckdb")),
            dataset_name="ds",
            pipelines_dir=str(folder / "work"),
        )

    def load(
        self, rows: Rows, strategy: str | None = None, key: Any = "id", merge_key: Any = None, **options: Any
    ) -> Any:
        """Merge rows; returns the changes by table."""
        hints: dict[str, Any] = {"columns": options.pop("columns", None)}
        disposition = {"disposition": "merge", **({"strategy": strategy} if strategy else {}), **options}
        resource = headrace.resource(
            rows, name="t", primary_key=key, merge_key=merge_key, write_disposition=disposition, **hints
        )
        return self.pipeline.run(resource).row_changes

    def rows(self, *columns: str, table: str = "t") -> list[tuple[Any, ...]]:
        """Rows of a table, sorted."""
        return sorted(self.pipeline.dataset()[table].select(*columns).fetchall(), key=repr)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def numbered(*ids: int, v: int = 1) -> list[dict[str, Any]]:
    return [{"id": i, "v": v} for i in ids]


# ---- cdc ---------------------------------------------------------------------------------------------------------


def test_cdc_mirrors_the_load(shop: Shop) -> None:
    """Rows that are loaded no more go, with all nested in them."""
    shop.load([{"id": 1, "v": 1, "n": [1, 2]}, {"id": 2, "v": 1, "n": [3]}], "cdc")
    changes = shop.load([{"id": 2, "v": 2, "n": [4]}, {"id": 3, "v": 2, "n": []}], "cdc")
    assert shop.rows("id", "v") == [(2, 2), (3, 2)]
    assert shop.rows("value", table="t__n") == [(4,)]
    assert changes["t"] == RowChanges(inserted=1, updated=1, deleted=1, unchanged=None)
    assert changes["t__n"] == RowChanges(inserted=0, updated=1, deleted=2, unchanged=None)


def test_cdc_deletes_in_the_scope_only(shop: Shop) -> None:
    """The scope may name the table; a row outside of it that is loaded is written all the same."""
    shop.load(numbered(1, 2, 5), "cdc")
    shop.load(numbered(2, 3, v=2), "cdc", destination_scope="{table}.id > 1")
    assert shop.rows("id", "v") == [(1, 1), (2, 2), (3, 2)]


def test_cdc_deletes_among_rows_of_a_staged_merge_key(shop: Shop) -> None:
    """A load may bring the rows of some groups; others are left alone."""
    shop.load([{"id": 1, "k": 1}, {"id": 2, "k": 1}, {"id": 3, "k": 2}], "cdc", merge_key="k")
    shop.load([{"id": 1, "k": 1}], "cdc", merge_key="k")
    assert shop.rows("id", "k") == [(1, 1), (3, 2)]


def test_cdc_takes_filtered_rows_for_absent_ones(shop: Shop) -> None:
    """What the filter leaves out is not in the source."""
    shop.load(numbered(1, 2, 3, v=2), "cdc", source_filter="v > 1")
    shop.load([{"id": 1, "v": 1}, {"id": 2, "v": 3}], "cdc", source_filter="v > 1")
    assert shop.rows("id", "v") == [(2, 3)]


def test_an_empty_cdc_load_deletes_nothing(shop: Shop) -> None:
    """A source that gives nothing is more often broken than empty."""
    shop.load(numbered(1, 2), "cdc")
    assert "t" not in shop.load([], "cdc")
    assert shop.rows("id") == [(1,), (2,)]


# ---- destination scope -------------------------------------------------------------------------------------------


def test_delete_insert_replaces_the_scope(shop: Shop) -> None:
    """All rows in it go, whatever their keys; rows outside stay, even with a key that is loaded."""
    shop.load([{"id": i, "v": 1, "n": [i]} for i in (1, 2, 3, 4, 5)])
    changes = shop.load(
        [{"id": 1, "v": 2, "n": [7]}, {"id": 4, "v": 2, "n": [8]}], "delete-insert", destination_scope="id > 3"
    )
    assert shop.rows("id", "v") == [(1, 1), (1, 2), (2, 1), (3, 1), (4, 2)]
    assert shop.rows("value", table="t__n") == [(1,), (2,), (3,), (7,), (8,)]
    assert changes["t"] == RowChanges(inserted=1, updated=1, deleted=1, unchanged=None)
    assert changes["t__n"] == RowChanges(inserted=2, deleted=2)


def test_a_scope_needs_no_key(shop: Shop) -> None:
    """The rows of a month, say, are replaced without one."""
    shop.load(numbered(1, 2, 3), key=None)
    shop.load(numbered(3, 3, v=2), "delete-insert", key=None, destination_scope="{table}.id >= 2 -- the rest")
    assert shop.rows("id", "v") == [(1, 1), (3, 2), (3, 2)]


def test_scd2_retires_in_the_scope_only(shop: Shop) -> None:
    """The scope is asked and no merge key."""
    shop.load(numbered(1, 4, 5), "scd2", merge_key="id", destination_scope="id > 3")
    changes = shop.load([{"id": 1, "v": 2}, {"id": 4, "v": 2}], "scd2", merge_key="id", destination_scope="id > 3")
    active = "SELECT id, v FROM t WHERE _dlt_valid_to IS NULL ORDER BY ALL"
    with shop.pipeline.sql_client() as client:
        assert client.execute_sql(active) == [(1, 1), (1, 2), (4, 2)]
    assert changes["t"] == RowChanges(inserted=2, updated=2)


# ---- source filter -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["delete-insert", "upsert", "scd2"])
def test_a_filter_leaves_rows_out(shop: Shop, strategy: str) -> None:
    """With all nested in them, and before anything else is done; NULL does not pass."""
    rows = [{"id": 1, "v": 2, "n": [1]}, {"id": 2, "v": 1, "n": [2]}, {"id": 3, "v": None, "n": [3]}]
    changes = shop.load(rows, strategy, source_filter="v > 1 OR v < 0")
    assert shop.rows("id") == [(1,)]
    assert shop.rows("value", table="t__n") == [(1,)]
    assert changes["t"].inserted == changes["t__n"].inserted == 1


def test_a_filter_comes_before_the_choice_among_duplicates(shop: Shop) -> None:
    """dlt 1.31 chooses first, and deletes the record when the chosen row does not pass."""
    columns = {"v": {"dedup_sort": "desc"}}
    shop.load(numbered(1, v=2), columns=columns)
    rows = [{"id": 1, "v": 3}, {"id": 1, "v": 7}]
    shop.load(rows, "delete-insert", columns=columns, source_filter="{staging_table}.v < 5")
    assert shop.rows("id", "v") == [(1, 3)]


def test_deletions_are_filtered_too(shop: Shop) -> None:
    """A mark on a row that does not pass deletes nothing."""
    columns = {"d": {"hard_delete": True}}
    shop.load([{"id": 1, "v": 2, "d": False}, {"id": 2, "v": 2, "d": False}], columns=columns)
    rows = [{"id": 1, "v": 1, "d": True}, {"id": 2, "v": 5, "d": True}]
    changes = shop.load(rows, "delete-insert", columns=columns, source_filter="v > 1")
    assert shop.rows("id") == [(1,)]
    assert changes["t"] == RowChanges(deleted=1)


def test_a_filter_that_is_taken_out_of_the_code_filters_no_more(shop: Shop) -> None:
    """dlt 1.31 keeps it in the schema and goes on filtering. A plain name keeps it, as it keeps the strategy."""
    shop.load(numbered(1, 2, v=1), "upsert", source_filter="id < 2", skip_unchanged_rows=True)
    shop.pipeline.run(numbered(3), table_name="t", write_disposition="merge", primary_key="id")
    assert shop.rows("id") == [(1,)]
    shop.load(numbered(2), "upsert")
    assert shop.rows("id") == [(1,), (2,)]
    table = shop.pipeline.default_schema.tables["t"]
    assert "x-merge-source-filter" not in table and "x-merge-skip-unchanged-rows" not in table


def test_a_condition_the_database_does_not_take(shop: Shop) -> None:
    """The error names the table and the options; nothing is written."""
    with pytest.raises(PipelineStepFailed, match=r"`source_filter` and `destination_scope` of table `t`"):
        shop.load(numbered(1), "upsert", source_filter="nosuch > 1")


# ---- unchanged rows ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["upsert", "cdc"])
def test_unchanged_rows_are_left_alone(shop: Shop, strategy: str) -> None:
    """They keep the id of the load that brought them; nested rows are compared by themselves."""
    rows = [{"id": 1, "v": 1, "n": [1, 2]}, {"id": 2, "v": 1, "n": [3]}, {"id": 3, "v": None, "n": []}]
    first = shop.load(rows, strategy, skip_unchanged_rows=True)
    assert first["t"] == RowChanges(inserted=3)
    again = shop.load(rows, strategy, skip_unchanged_rows=True)
    assert again["t"] == RowChanges(unchanged=3) and again["t__n"] == RowChanges(unchanged=3)
    rows = [{"id": 1, "v": 1, "n": [1, 9]}, {"id": 2, "v": 2, "n": [3]}, {"id": 3, "v": None, "n": []}]
    changes = shop.load(rows, strategy, skip_unchanged_rows=True)
    assert changes["t"] == RowChanges(updated=1, unchanged=2)
    assert changes["t__n"] == RowChanges(updated=1, unchanged=2)
    loads = [load for (load,) in shop.rows("load_id", table="_dlt_loads")]
    assert shop.rows("id", "_dlt_load_id") == [(1, loads[0]), (2, loads[2]), (3, loads[0])]
    assert shop.rows("value", table="t__n") == [(1,), (3,), (9,)]


def test_a_new_column_is_a_change_where_it_has_a_value(shop: Shop) -> None:
    """NULL is what rows had in it before."""
    shop.load(numbered(1, 2), "upsert", skip_unchanged_rows=True)
    changes = shop.load([{"id": 1, "v": 1, "w": None}, {"id": 2, "v": 1, "w": 3}], "upsert", skip_unchanged_rows=True)
    assert changes["t"] == RowChanges(updated=1, unchanged=1)


def test_a_version_column_alone_is_compared(shop: Shop) -> None:
    """A row with the same version is the same row, whatever else it says; its nested rows are written."""
    options = {"skip_unchanged_rows": True, "row_version_column_name": "h"}
    shop.load([{"id": 1, "v": 1, "h": "a", "n": [1]}], "upsert", **options)
    shop.load([{"id": 1, "v": 2, "h": "a", "n": [2, 3]}], "upsert", **options)
    assert shop.rows("v") == [(1,)] and shop.rows("value", table="t__n") == [(2,), (3,)]
    changes = shop.load([{"id": 1, "v": 3, "h": "b", "n": [5]}], "upsert", **options)
    assert shop.rows("v") == [(3,)] and changes["t"] == RowChanges(updated=1)


def test_a_version_column_that_is_taken_out_of_the_code_is_compared_no_more(shop: Shop) -> None:
    """All columns are compared then."""
    shop.load([{"id": 1, "v": 1, "h": "a"}], "upsert", skip_unchanged_rows=True, row_version_column_name="h")
    shop.load([{"id": 1, "v": 2, "h": "a"}], "upsert", skip_unchanged_rows=True)
    assert shop.rows("v") == [(2,)]


def test_a_history_with_a_version_column_of_its_own(shop: Shop) -> None:
    """Row ids are random then: a version that comes back gets another; nested rows of known versions stay away."""
    one = {"id": 1, "h": "a", "n": [{"m": [1, 2]}]}
    for rows in ([one], [one], [{"id": 2, "h": "b", "n": []}], [one]):
        changes = shop.load(rows, "scd2", key=None, row_version_column_name="h")
    assert changes["t"] == RowChanges(inserted=1, updated=1)
    assert len(set(shop.rows("_dlt_id"))) == len(shop.rows("_dlt_id")) == 3
    assert shop.rows("value", table="t__n__m") == [(1,), (1,), (2,), (2,)]


# ---- mistakes ----------------------------------------------------------------------------------------------------


def test_an_unknown_option_is_named(shop: Shop) -> None:
    """dlt 1.31 passes it over."""
    with pytest.raises(ValueErrorWithKnownValues, match=r"source_filtre.*\n.*\n?.*'source_filter'"):
        shop.load(numbered(1), "upsert", source_filtre="id > 1")


@pytest.mark.parametrize(
    ("strategy", "option", "value"),
    [
        ("insert-only", "source_filter", "id > 1"),
        ("upsert", "destination_scope", "id > 1"),
        ("delete-insert", "skip_unchanged_rows", True),
        ("scd2", "skip_unchanged_rows", True),
        ("insert-only", "row_version_column_name", "v"),
        ("upsert", "boundary_timestamp", "2024-01-01"),
    ],
)
def test_an_option_of_other_strategies(shop: Shop, strategy: str, option: str, value: Any) -> None:
    """The error says which strategies take it."""
    with pytest.raises(ValueError, match=f"{option}.*goes with the merge strategies.*not with `{strategy}`"):
        shop.load(numbered(1), strategy, **{option: value})


@pytest.mark.parametrize("value", ["", "  ", 5, "{nosuch}.id > 1", "a = '{'"])
def test_conditions_that_are_none(shop: Shop, value: Any) -> None:
    """Said where the resource is made, not where it is loaded."""
    with pytest.raises(ValueError, match="source_filter"):
        shop.load(numbered(1), "upsert", source_filter=value)


def test_braces_are_written_twice(shop: Shop) -> None:
    """As in dlt."""
    shop.load([{"id": 1, "v": "{"}, {"id": 2, "v": "x"}], "upsert", source_filter="v = '{{'")
    assert shop.rows("id") == [(1,)]


def test_a_version_without_comparison_is_warned_of(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """It has no effect, and rows are updated."""
    with caplog.at_level(logging.WARNING, "headrace"):
        shop.load([{"id": 1, "v": 1, "h": "a"}], "upsert", row_version_column_name="h")
        shop.load([{"id": 1, "v": 2, "h": "a"}], "upsert", row_version_column_name="h")
    assert "skip_unchanged_rows" in caplog.text and shop.rows("v") == [(2,)]
