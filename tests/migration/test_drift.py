"""Tables that somebody has changed by hand: what is missing is made again, what stands in the way is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.destination import DestinationSchemaWillNotUpdate
from headrace.errors.load import SchemaUpdateError
from headrace.errors.pipeline import PipelineStepFailed
from tests.e2e.project import rows
from tests.migration.test_widening import column, hint, pipeline

ROW = {"id": 1, "x": 7, "l": [{"y": 1}]}


@pytest.fixture
def loaded(project: Path) -> headrace.Pipeline:
    p = pipeline()
    p.run([ROW], table_name="t")
    return p


def by_hand(p: headrace.Pipeline, sql: str) -> None:
    with p.sql_client() as client:
        client.execute_sql(sql)


def test_a_column_dropped_by_hand_comes_back(loaded: headrace.Pipeline) -> None:
    by_hand(loaded, "ALTER TABLE t DROP COLUMN x")
    loaded.run([{**ROW, "id": 2}], table_name="t")
    assert rows(loaded, "t", "id, x") == [(1, None), (2, 7)]


def test_a_table_dropped_by_hand_comes_back(loaded: headrace.Pipeline) -> None:
    by_hand(loaded, "DROP TABLE t__l")
    loaded.run([{**ROW, "id": 2}], table_name="t")
    assert rows(loaded, "t", "id") == [(1,), (2,)]
    assert rows(loaded, "t__l", "y") == [(1,)]


def test_a_table_dropped_by_hand_comes_back_before_a_merge(loaded: headrace.Pipeline) -> None:
    by_hand(loaded, "DROP TABLE t__l")
    loaded.run([{**ROW, "x": 8}], table_name="t", write_disposition="merge", primary_key="id")
    assert rows(loaded, "t", "id, x") == [(1, 8)]
    assert rows(loaded, "t__l", "y") == [(1,)]


def test_a_dataset_dropped_by_hand_comes_back(loaded: headrace.Pipeline) -> None:
    by_hand(loaded, "DROP SCHEMA raw CASCADE")
    loaded.run([{**ROW, "id": 2}], table_name="t")
    assert rows(loaded, "t", "id") == [(2,)]


@pytest.mark.parametrize("extra", ["note VARCHAR", "note VARCHAR DEFAULT 'new'", "tags VARCHAR[]"])
def test_columns_of_the_users_own_are_left_alone(loaded: headrace.Pipeline, extra: str) -> None:
    by_hand(loaded, f"ALTER TABLE t ADD COLUMN {extra}")
    loaded.run([{**ROW, "id": 2}], table_name="t")
    assert rows(loaded, "t", "id") == [(1,), (2,)]
    name = extra.split()[0]
    assert name not in loaded.default_schema.tables["t"]["columns"]
    by_hand(loaded, f"SELECT {name} FROM t")


@pytest.mark.parametrize("default", [True, False])
def test_a_required_column_that_the_schema_does_not_know(loaded: headrace.Pipeline, default: bool) -> None:
    """With a default nothing is wrong; without one the rows could not get in, which is said before any moves."""
    by_hand(loaded, "ALTER TABLE t ADD COLUMN owner VARCHAR DEFAULT 'me'")
    by_hand(loaded, "ALTER TABLE t ALTER COLUMN owner SET NOT NULL")
    if default:
        loaded.run([{**ROW, "id": 2}], table_name="t")
        assert rows(loaded, "t", "owner") == [("me",), ("me",)]
        return
    by_hand(loaded, "ALTER TABLE t ALTER COLUMN owner DROP DEFAULT")
    with pytest.raises(PipelineStepFailed) as failed:
        loaded.run([{"id": 2, "new": 1}], table_name="t")
    cause = failed.value.exception
    assert isinstance(cause, SchemaUpdateError)
    assert isinstance(cause.__cause__, DestinationSchemaWillNotUpdate)
    for part in ("`t`", "`owner`", "NOT NULL", "give the column a default"):
        assert part in str(cause)
    assert not loaded.has_pending_data
    assert "new" not in loaded.default_schema.tables["t"]["columns"], "the schema went back"
    # other tables, and rows that bring the column, are not kept from loading
    loaded.run([{"a": 1}], table_name="other")
    loaded.run([{"id": 3, "owner": "you"}], table_name="t")
    assert rows(loaded, "t", "id, owner") == [(1, "me"), (3, "you")]


def test_a_column_made_narrower_by_hand_is_widened_again(loaded: headrace.Pipeline) -> None:
    by_hand(loaded, "ALTER TABLE t ALTER COLUMN x TYPE SMALLINT")
    loaded.run([{"id": 2, "x": 1 << 40}], table_name="t")
    assert column(loaded) == ("BIGINT", True)
    assert rows(loaded, "t", "x") == [(7,), (1 << 40,)]


def test_a_column_made_not_null_by_hand_may_be_null_again(loaded: headrace.Pipeline) -> None:
    by_hand(loaded, "ALTER TABLE t ALTER COLUMN x SET NOT NULL")
    loaded.run([{"id": 2}], table_name="t")
    assert rows(loaded, "t", "id, x") == [(1, 7), (2, None)]


@pytest.mark.parametrize("kind", ["HUGEINT", "DECIMAL(30, 4)", "VARCHAR"])
def test_a_column_made_wider_by_hand_stays(loaded: headrace.Pipeline, kind: str) -> None:
    by_hand(loaded, f"ALTER TABLE t ALTER COLUMN x TYPE {kind}")
    loaded.run([{"id": 2, "x": 8}], table_name="t")
    assert column(loaded)[0].replace(" ", "") == kind.replace(" ", "")
    assert rows(loaded, "t", "x::DOUBLE") == [(7,), (8,)]


def test_a_column_of_another_type_by_hand_is_refused_while_rows_bring_it(loaded: headrace.Pipeline) -> None:
    by_hand(loaded, "ALTER TABLE t ALTER COLUMN x TYPE TIMESTAMP USING make_timestamp(x)")
    with pytest.raises(PipelineStepFailed) as failed:
        loaded.run([{"id": 2, "x": 8}], table_name="t")
    for part in ("`x`", "`t`", "TIMESTAMP", "BIGINT", "Nothing was loaded", "drop_resources"):
        assert part in str(failed.value)
    assert not loaded.has_pending_data
    loaded.run([{"id": 3}], table_name="t")
    by_hand(loaded, "ALTER TABLE t ALTER COLUMN x TYPE BIGINT USING epoch_us(x)")
    loaded.run([{"id": 4, "x": 9}], table_name="t")
    assert rows(loaded, "t", "id, x") == [(1, 7), (3, None), (4, 9)]


def test_an_import_schema_file_may_ask_for_another_type(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no hint has asked for is found by the load: values that the column cannot hold go to a variant of it."""
    monkeypatch.setenv("SCHEMAS__EXTERNAL_SCHEMA_FORMAT", "json")
    settings: Any = {"import_schema_path": str(project / "in")}
    pipeline(**settings).run([{"id": 1, "x": 7}], table_name="t")
    file = project / "in" / "shop.schema.json"
    document = json.loads(file.read_text())
    document["tables"]["t"] = {"columns": {"x": {"data_type": "date", "nullable": True}}}
    file.write_text(json.dumps(document))
    p = pipeline(**settings)
    p.run([{"id": 2, "x": "2020-01-01"}], table_name="t")
    assert rows(p, "t", "id, x, x__v_date::VARCHAR") == [(1, 7, None), (2, None, "2020-01-01")]


def test_sync_schema_widens_too(project: Path) -> None:
    p = pipeline()
    p.run([{"id": 1, "x": 7}], table_name="t", columns={"x": hint("bigint", 16)})  # type: ignore[dict-item]
    p.default_schema.tables["t"]["columns"]["x"]["precision"] = 64
    assert p.sync_schema()["t"]["columns"]["x"]["precision"] == 64
    assert column(p)[0] == "BIGINT"
