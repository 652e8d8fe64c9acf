"""Relations and queries as what resources yield, and relations narrowed down by an incremental."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

import headrace as dlt
from headrace.errors.dataset import DatasetException, RelationUnknownColumnException
from headrace.errors.incremental import IncrementalCursorPathHasValueNone
from headrace.errors.pipeline import PipelineStepFailed
from headrace.formats.sqlmodel import SqlModel


def pipeline(folder: Path, name: str = "p", file: str = "p.duckdb", dataset: str = "raw") -> Any:
    destination = dlt.destinations.duckdb(str(folder / file))
    return dlt.pipeline(name, destination=destination, dataset_name=dataset, pipelines_dir=folder)


@pytest.fixture
def p(tmp_path: Path) -> Any:
    made = pipeline(tmp_path)
    made.run([{"id": i, "name": f"n{i}", "tags": [i]} for i in range(5)], table_name="users")
    return made


def ids(p: Any, table: str, column: str = "id") -> list[int]:
    return [row[0] for row in p.dataset()[table].select(column).order_by(column).fetchall()]


def test_a_relation_is_data(p: Any, tmp_path: Path) -> None:
    users = p.dataset().users
    p.run(users.where("id", "gt", 2), table_name="direct")
    p.run(dlt.resource(users.select("id"), name="as_resource"))
    p.run(dlt.resource(lambda: iter([users.select("id")]), name="yielded"))
    p.run(users.select("id").iter_arrow(2), table_name="chunks")
    assert ids(p, "direct") == [3, 4]
    assert ids(p, "as_resource") == ids(p, "yielded") == ids(p, "chunks") == [0, 1, 2, 3, 4]
    load_id = p.dataset().direct.select("_dlt_load_id").max().fetchscalar()
    assert load_id in p.dataset().load_ids()
    assert load_id != users.select("_dlt_load_id").max().fetchscalar()
    other = pipeline(tmp_path, "other", "other.duckdb")
    other.run(users, table_name="users")
    assert ids(other, "users") == [0, 1, 2, 3, 4]


def test_dlts_way_with_hints_of_the_columns(p: Any) -> None:
    relation = p.dataset().users.select("id")
    item = dlt.mark.with_hints(relation, dlt.mark.make_hints(columns=relation.columns_schema))
    p.run(dlt.resource(lambda: iter([item]), name="hinted"))
    assert ids(p, "hinted") == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("disposition", ["append", "replace", "merge"])
def test_a_model_is_run_by_the_destination(p: Any, disposition: Any) -> None:
    dataset = p.dataset()

    @dlt.resource(write_disposition=disposition, primary_key="new_id")
    def made() -> Any:
        yield dataset("SELECT id + 1 AS NewId, name FROM users").to_model()

    for _ in range(2):
        info = p.run(made())
    rows = [1, 1, 2, 2, 3, 3, 4, 4, 5, 5] if disposition == "append" else [1, 2, 3, 4, 5]
    assert ids(p, "made", "new_id") == rows
    assert p.dataset().made.columns == ["new_id", "name", "_dlt_load_id"]
    assert info.row_changes["made"].inserted + info.row_changes["made"].updated in (5, 10)
    assert p.dataset().made.select("_dlt_load_id").max().fetchscalar() == p.dataset().latest_load_id()


def test_models_that_cannot_be_run_are_said(p: Any, tmp_path: Path) -> None:
    model = p.dataset().users.select("id").to_model()
    p.run(dlt.resource(lambda: iter([model]), name="kept", write_disposition="replace"))
    own = p.dataset().kept.to_model()
    with pytest.raises(PipelineStepFailed, match="reads the table itself"):
        p.run(dlt.resource(lambda: iter([own]), name="kept", write_disposition="replace"))
    assert ids(p, "kept") == [0, 1, 2, 3, 4]
    other = pipeline(tmp_path, "other", "other.duckdb")
    with pytest.raises(PipelineStepFailed, match="another database"):
        other.run(dlt.resource(lambda: iter([model]), name="kept"))
    untyped = SqlModel.from_query_string("SELECT id, name FROM raw.users", "duckdb")
    with pytest.raises(PipelineStepFailed, match="has no column `name`"):
        p.run(dlt.resource(lambda: iter([untyped]), name="typed", columns={"id": {"data_type": "bigint"}}))
    with pytest.raises(ValueError, match="one SELECT"):
        SqlModel.from_query_string("DROP TABLE users")


def test_a_model_as_text_and_back() -> None:
    model = SqlModel("SELECT 1\nAS a", "duckdb", place="x")
    read = SqlModel.from_file(str(model))
    assert (read.to_sql(), read.query_dialect, read.place) == ("SELECT 1\nAS a", "duckdb", "x")
    assert SqlModel.from_file(str(SqlModel("SELECT 1"))).query_dialect is None


# ---- incremental -------------------------------------------------------------------------------------------------

# conditions that dlt 1.31 writes for the same incrementals
CONDITIONS = [
    ({"initial_value": 1}, '"users"."id" >= CAST(1 AS BIGINT) AND NOT "users"."id" IS NULL'),
    (
        {"initial_value": 1, "end_value": 3},
        '"users"."id" >= CAST(1 AS BIGINT) AND "users"."id" < CAST(3 AS BIGINT) AND NOT "users"."id" IS NULL',
    ),
    ({}, 'NOT "users"."id" IS NULL'),
    ({"initial_value": 3, "last_value_func": min}, '"users"."id" <= CAST(3 AS BIGINT) AND NOT "users"."id" IS NULL'),
    (
        {"initial_value": 1, "end_value": 3, "range_start": "open", "range_end": "closed"},
        '"users"."id" > CAST(1 AS BIGINT) AND "users"."id" <= CAST(3 AS BIGINT) AND NOT "users"."id" IS NULL',
    ),
]


@pytest.mark.parametrize(("settings", "condition"), CONDITIONS)
def test_ranges_are_conditions(p: Any, settings: Any, condition: str) -> None:
    cursor = dlt.sources.incremental("id", on_cursor_value_missing="exclude", **settings)
    relation = p.dataset().table("users", incremental=cursor)
    assert relation.to_sql().split(" WHERE ")[1] == condition
    assert relation.is_incremental
    assert relation.limit(1).is_incremental
    assert not p.dataset().users.is_incremental


def test_cursors_in_other_tables(p: Any) -> None:
    dataset = p.dataset()
    cursor = dlt.sources.incremental("users.id", initial_value=3, on_cursor_value_missing="exclude")
    assert dataset.users__tags.incremental(cursor).select("value").fetchall() == [(3,), (4,)]
    loads = dlt.sources.incremental("_dlt_loads.inserted_at", on_cursor_value_missing="exclude")
    assert len(dataset.users.incremental(loads).fetchall()) == 5
    assert dataset.users.incremental(loads).columns == dataset.users.columns
    with pytest.raises(RelationUnknownColumnException, match="did you mean `name`"):
        dataset.users.incremental(dlt.sources.incremental("nam"))
    with pytest.raises(ValueError, match="last_value_func"):
        dataset.users.incremental(dlt.sources.incremental("id", last_value_func=lambda values: values[0]))


def test_rows_without_a_cursor_value(p: Any) -> None:
    p.run([{"id": None, "name": "none"}], table_name="users")
    users = p.dataset().users
    with pytest.warns(UserWarning, match="left out"):
        assert len(users.incremental(dlt.sources.incremental("id", initial_value=0)).fetchall()) == 5
    included = dlt.sources.incremental("id", initial_value=4, on_cursor_value_missing="include")
    assert len(users.incremental(included).fetchall()) == 2

    @dlt.resource
    def strict(cursor: Any = dlt.sources.incremental("id", initial_value=0)) -> Any:
        yield users.incremental(cursor)

    with pytest.raises(PipelineStepFailed) as caught:
        p.run(strict())
    assert IncrementalCursorPathHasValueNone.__name__ in repr(caught.value.__cause__) + str(caught.value)


def test_a_range_of_another_type_than_the_column_is_said(p: Any) -> None:
    @dlt.resource
    def wrong(cursor: Any = dlt.sources.incremental("id", initial_value="1")) -> Any:
        yield p.dataset().users.incremental(cursor)

    with pytest.raises(PipelineStepFailed, match="in the type of the data"):
        p.run(wrong())


@pytest.mark.parametrize("as_model", [False, True])
def test_a_table_is_read_on_from_run_to_run(p: Any, as_model: bool) -> None:
    """Each row once, as dlt does it: rows at an open end wait until no more of that value can come."""

    @dlt.resource
    def copied(cursor: Any = dlt.sources.incremental("id", initial_value=1)) -> Any:
        relation = p.dataset().users.incremental(cursor)
        yield relation.to_model() if as_model else relation

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        p.run(copied())
        assert ids(p, "copied") == [1, 2, 3]
        p.run(copied())
        assert ids(p, "copied") == [1, 2, 3]
        p.run([{"id": 4, "name": "again"}, {"id": 7, "name": "new"}], table_name="users")
        p.run(copied())
    assert ids(p, "copied") == [1, 2, 3, 4, 4]
    assert p.state["sources"]["p"]["resources"]["copied"]["incremental"]["id"]["last_value"] == 7


# ---- other datasets ----------------------------------------------------------------------------------------------


def test_relations_of_two_datasets_in_one_database_are_joined(p: Any, tmp_path: Path) -> None:
    q = pipeline(tmp_path, "q", dataset="more")
    q.run([{"user_id": 3, "city": "Rome"}], table_name="users")
    joined = q.dataset().users.join(p.dataset().users, on="users.user_id = u.id", alias="u")
    assert joined.select("city", "u__name").fetchall() == [("Rome", "n3")]
    assert joined.columns_schema["u__name"]["data_type"] == "text"
    with pytest.raises(DatasetException, match="by a condition"):
        q.dataset().users.join(p.dataset().users)
    far = pipeline(tmp_path, "far", "far.duckdb")
    far.run([{"id": 1}], table_name="users")
    with pytest.raises(DatasetException, match="two databases"):
        p.dataset().users.join(far.dataset().users, on="users.id = users.id")


def test_what_was_said_of_columns_goes_with_them(p: Any) -> None:
    p.run(
        [{"id": 1, "mail": "x"}],
        table_name="people",
        columns={"mail": {"x-pii": True, "description": "address"}, "id": {"primary_key": True}},
    )
    said = p.dataset()("SELECT mail AS contact, upper(mail) AS big, id FROM people").columns_schema
    assert (said["contact"]["x-pii"], said["contact"]["description"]) == (True, "address")
    assert "x-pii" not in said["big"]
    assert "primary_key" not in said["id"]
