"""What a load says it changed: over jobs, packages, processes, and in everything that an info is turned into."""

from __future__ import annotations

import ast
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import headrace
from headrace.model.changes import UNKNOWN_CHANGES, RowChanges, add_changes
from headrace.model.tracejson import trace_from_json, trace_to_json
from tests.crash import forks

UPSERT = {"disposition": "merge", "strategy": "upsert"}


@pytest.fixture
def pipeline(tmp_path: Path) -> headrace.Pipeline:
    return headrace.pipeline(
        "shop",
        destination=headrace.destinations.duckdb(str(tmp_path / "shop.duckdb")),
        dataset_name="ds",
        pipelines_dir=str(tmp_path / "work"),
    )


def rows(pipeline: headrace.Pipeline, table: str, *columns: str) -> list[tuple[Any, ...]]:
    return sorted(pipeline.dataset()[table].select(*columns).fetchall(), key=repr)


# ---- the numbers -------------------------------------------------------------------------------------------------


def test_sums_know_what_they_do_not_know() -> None:
    """A number that one part does not tell is unknown in the sum."""
    assert RowChanges(1, 2, 3, 4) + RowChanges(1, 0, 0, None) == RowChanges(2, 2, 3, None)
    assert add_changes([{"a": RowChanges(1)}, {"a": RowChanges(2), "b": UNKNOWN_CHANGES}]) == {
        "a": RowChanges(3),
        "b": UNKNOWN_CHANGES,
    }
    assert [str(c) for c in (RowChanges(2, 0, 1, None), UNKNOWN_CHANGES, RowChanges(), RowChanges(1, None))] == [
        "2 inserted, 1 deleted",
        "not counted",
        "no change",
        "1 inserted, others not counted",
    ]


def test_dispositions_in_turn(pipeline: headrace.Pipeline) -> None:
    """Append, replace, truncate-and-insert and an empty replace; nested tables too."""

    def load(docs: Sequence[dict[str, Any]], disposition: Any) -> tuple[RowChanges, RowChanges]:
        resource = headrace.resource(
            docs, name="t", write_disposition=disposition, columns={"id": {"data_type": "bigint"}}
        )
        changes = pipeline.run(resource).row_changes
        return changes.get("t", RowChanges()), changes.get("t__n", RowChanges())

    docs = [{"id": 1, "n": [1, 2]}, {"id": 2, "n": [3]}]
    assert load(docs, "append") == (RowChanges(inserted=2), RowChanges(inserted=3))
    assert load(docs[:1], "replace") == (RowChanges(inserted=1, deleted=2), RowChanges(inserted=2, deleted=3))
    truncate = {"disposition": "replace", "strategy": "truncate-and-insert"}
    assert load(docs[1:], truncate) == (RowChanges(inserted=1, deleted=1), RowChanges(inserted=1, deleted=2))
    assert load([], "replace") == (RowChanges(deleted=1), RowChanges(deleted=1))
    assert load([{"id": 7}], "skip") == (RowChanges(), RowChanges())


def test_an_info_tells_them_everywhere(pipeline: headrace.Pipeline) -> None:
    """As a property, by job, as rows to load, as text, and in a trace that is written and read again."""
    resource = headrace.resource([{"id": 1, "n": [1]}], name="t", primary_key="id", write_disposition=UPSERT)
    pipeline.run(resource)
    info = pipeline.run(resource)
    wanted = {"t": RowChanges(updated=1, unchanged=None), "t__n": RowChanges(updated=1, unchanged=None)}
    assert info.row_changes == wanted
    jobs = {job.table_name: job.row_changes for m in info.metrics.values() for job in m[0]["job_metrics"].values()}
    assert jobs == wanted
    told = [
        {k: v for k, v in row.items() if k not in ("load_id", "dataset_name")} for row in info.asdict()["row_changes"]
    ]
    numbers = {"inserted": 0, "updated": 1, "deleted": 0, "unchanged": None}
    assert told == [{"table_name": "t", **numbers}, {"table_name": "t__n", **numbers}]
    assert "1 updated" in info.asstr() and "1 updated" in str(pipeline.last_trace)
    again = trace_from_json(trace_to_json(pipeline.last_trace))
    assert again.last_load_info.row_changes == wanted
    pipeline.run([info], table_name="_load_info")
    assert rows(pipeline, "_load_info__row_changes", "table_name", "updated") == [("t", 1), ("t__n", 1)]
    assert rows(pipeline, "_load_info__job_metrics", "table_name", "row_changes__updated") == [("t", 1), ("t__n", 1)]


SCRIPT = """
import sys, headrace
pipeline = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
docs = [{"id": 1, "v": int(sys.argv[1]), "n": [1, 2]}, {"id": 2, "v": 0, "n": []}]
disposition = {"disposition": "merge", "strategy": "upsert", "skip_unchanged_rows": True}
if sys.argv[1] == "3":
    info = pipeline.load()
else:
    info = pipeline.run(docs, table_name="t", primary_key="id", write_disposition=disposition)
print({table: tuple(changes) for table, changes in info.row_changes.items() if table[:1] == "t"})
"""


@pytest.mark.parametrize("place", ["job.committed", "JobDone:after", "complete.before"])
def test_a_load_that_another_process_finishes(tmp_path: Path, place: str) -> None:
    """What the killed process did is told by the one that goes on: from the ledger, or from the package's journal."""

    def run(number: int, failpoint: str = "") -> Any:
        environment = {**os.environ, "HEADRACE_DATA_DIR": str(tmp_path / "data"), "HEADRACE_FAILPOINT": failpoint}
        return forks.python(SCRIPT, number, cwd=tmp_path, env=environment)

    assert run(1).returncode == 0
    assert run(2, place).returncode == -signal.SIGKILL
    done = run(3)
    assert ast.literal_eval(done.stdout) == {"t": (0, 1, 0, 1), "t__n": (0, 0, 0, 2)}, done.stderr


# ---- keys of all kinds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["delete-insert", "upsert"])
@pytest.mark.parametrize("kind", ["documents", "table", "batch"])
def test_keys_are_spelled_as_the_data_spell_them(pipeline: headrace.Pipeline, strategy: str, kind: str) -> None:
    """A key given as `OrderID` is the column `order_id`; Arrow data of both kinds are merged like documents."""
    changes: list[RowChanges] = []
    for docs in ([{"OrderID": 1, "load_id": "a"}, {"OrderID": 2, "load_id": "b"}], [{"OrderID": 2, "load_id": "c"}]):
        arrow = pa.Table.from_pylist(docs)
        data: Any = {"documents": docs, "table": arrow, "batch": arrow.to_batches()}[kind]
        resource = headrace.resource(
            data, name="t", primary_key="OrderID", write_disposition={"disposition": "merge", "strategy": strategy}
        )
        changes.append(pipeline.run(resource).row_changes["t"])
    assert rows(pipeline, "t", "order_id", "load_id") == [(1, "a"), (2, "c")]
    assert changes == [RowChanges(inserted=2), RowChanges(updated=1, unchanged=None)]


def test_a_nested_table_with_a_key_of_its_own_is_merged_by_itself(pipeline: headrace.Pipeline) -> None:
    """It is a root table then: rows whose parents are loaded no more stay, others are replaced by their key."""
    hints: Any = {"items": {"primary_key": "sku", "write_disposition": "merge"}}

    def load(docs: Sequence[dict[str, Any]]) -> dict[str, RowChanges]:
        resource = headrace.resource(
            docs, name="t", primary_key="id", write_disposition="merge", nested_hints=hints, columns={"id": {}}
        )
        return dict(pipeline.run(resource).row_changes)

    load([{"id": 1, "items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 1}]}])
    changes = load([{"id": 1, "items": [{"sku": "b", "n": 2}, {"sku": "c", "n": 2}]}])
    assert rows(pipeline, "t__items", "sku", "n") == [("a", 1), ("b", 2), ("c", 2)]
    assert changes["t"] == RowChanges(updated=1, unchanged=None)
    assert changes["t__items"] == RowChanges(inserted=1, updated=1, unchanged=None)


def test_nested_tables_that_come_later(pipeline: headrace.Pipeline) -> None:
    """A load may be the first with nested rows, and the next have none."""
    changes = []
    for nested in (None, [{"m": [1, 2]}], None, [{"m": [3]}]):
        docs = [{"id": 1, **({"n": nested} if nested else {})}]
        resource = headrace.resource(docs, name="t", primary_key="id", write_disposition=UPSERT)
        changes.append(pipeline.run(resource).row_changes.get("t__n__m", RowChanges()))
    assert changes == [RowChanges(), RowChanges(inserted=2), RowChanges(deleted=2), RowChanges(inserted=1)]
    assert rows(pipeline, "t__n__m", "value") == [(3,)]


@pytest.mark.parametrize("own", [False, True])
def test_scd2_of_arrow_data(pipeline: headrace.Pipeline, own: bool) -> None:
    """With a version column of the user's own, or with a hash of each row, which dlt leaves to the user."""
    disposition = {"disposition": "merge", "strategy": "scd2", **({"row_version_column_name": "h"} if own else {})}
    for docs in ([{"id": 1, "h": "a"}, {"id": 2, "h": "b"}], [{"id": 1, "h": "c"}, {"id": 2, "h": "b"}]):
        resource = headrace.resource(pa.Table.from_pylist(docs), name="t", write_disposition=disposition)
        changes = pipeline.run(resource).row_changes["t"]
    assert changes == RowChanges(inserted=1, updated=1, unchanged=1)
    assert len(rows(pipeline, "t", "id")) == 3


def test_arrow_rows_with_ids_are_known_by_their_key(
    pipeline: headrace.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their ids are those of documents, so that rows that did not change are left alone."""
    monkeypatch.setenv("NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_ID", "true")
    docs = [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}]
    for data in (pa.Table.from_pylist(docs), docs):
        disposition = {**UPSERT, "skip_unchanged_rows": True}
        resource = headrace.resource(data, name="t", primary_key="id", write_disposition=disposition)
        changes = pipeline.run(resource).row_changes["t"]
    assert changes == RowChanges(unchanged=2)
