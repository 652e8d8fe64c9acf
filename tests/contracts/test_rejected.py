"""What contracts let go is counted everywhere, kept where that is wanted, and can be loaded again, once."""

from __future__ import annotations

import importlib
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import BaseModel

import headrace as hr
from headrace.errors.pipeline import PipelineStepFailed
from headrace.errors.rejected import CannotReplayRejected, RejectedTableNotFound
from headrace.errors.schema import RejectedTableNameTaken
from headrace.model.events import Rejected
from headrace.model.trace import trace_from_json, trace_to_json
from tests.contracts.conftest import Project, rows, tables

ROW = {"columns": "discard_row"}
VALUE = {"columns": "discard_value"}
GOOD = {"id": 1, "k": [{"a": 1}]}
BAD = {"id": 2, "new": 7, "k": [{"a": 2}, {"a": 3}]}


def test_counts_are_in_infos_texts_rows_trace_events_and_log(
    pipeline: Project, caplog: pytest.LogCaptureFixture
) -> None:
    p, events = pipeline(), []
    p.run([GOOD], table_name="t")
    p.on(Rejected)(events.append)
    caplog.set_level(logging.WARNING, logger="headrace")
    info = p.run([BAD, {"id": 3}, {"id": 4, "new": 1}], table_name="t", schema_contract=ROW)
    wanted = {"t": 2, "t__k": 2}
    assert info is not None and info.rejected_counts == wanted
    assert "2 let go by the contract" in str(info) and "columns:discard_row" in str(info)
    (row,) = [r for r in info.asdict()["rejected"] if r["table_name"] == "t"]
    assert (row["column_name"], row["rule"], row["count"], row["resource"]) == ("new", "columns:discard_row", 2, "t")
    trace = p.last_trace
    assert trace is not None and trace.rejected_counts == wanted
    assert trace_from_json(trace_to_json(trace)).rejected_counts == wanted
    assert trace.last_normalize_info is not None and trace.last_normalize_info.rejected_counts == wanted
    assert "let go" in trace.last_normalize_info.asstr()
    assert [(e.step, e.table, e.column, e.rule, e.count) for e in events] == [
        ("normalize", "t", "new", "columns:discard_row", 2),
        ("normalize", "t__k", "", "parent:discard_row", 2),
    ]
    said = [r.getMessage() for r in caplog.records if "schema contract" in r.getMessage()]
    assert len(said) == 2 and "`t`" in said[0] and "2 rows for `new`" in said[0]
    assert not [r for r in info.asdict()["rejected"] if "x" in r]
    clean = p.run([{"id": 9}], table_name="t")
    assert clean is not None and clean.rejected_counts == {} and "rejected" not in clean.asdict()


def test_counts_survive_the_process(pipeline: Project, tmp_path: Path) -> None:
    p = pipeline()
    p.run([GOOD], table_name="t")
    assert p.extract([BAD], table_name="t", schema_contract=ROW).rejected_counts == {}
    p.normalize()
    script = (
        "import headrace as hr; p = hr.pipeline('work', destination=hr.destinations.duckdb('data.duckdb'), "
        "dataset_name='d', pipelines_dir='pipelines'); i = p.load(); "
        "print(i.rejected_counts, p.last_trace.rejected_counts)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{'t': 1, 't__k': 2} {'t': 1, 't__k': 2}"


def test_a_load_of_nothing_but_rejected_rows_is_heard_of(pipeline: Project) -> None:
    p = pipeline()
    p.run([GOOD], table_name="t")
    refused = hr.resource([{"id": 1, "k": [{"a": 1}]}], name="u", schema_contract={"tables": "discard_row"})
    info = p.run(refused)
    assert info is not None and info.rejected_counts == {"u": 1, "u__k": 1}
    trace = p.last_trace
    assert trace is not None and trace.last_extract_info is not None
    assert trace.last_extract_info.rejected_counts == {"u": 1, "u__k": 1}
    assert "u" not in tables(p)


@pytest.mark.usefixtures("keep")
def test_records_name_item_place_rule_and_load(pipeline: Project) -> None:
    p = pipeline()
    p.run([GOOD], table_name="t")
    odd = {"id": 3, "k": [{"a": 4}, {"a": 5, "b": {"c": 6}}], "list": [[1]]}
    info = p.run([BAD, odd], table_name="t", schema_contract={"columns": "discard_row", "tables": "discard_value"})
    assert info is not None and "t__rejected" in tables(p)
    by_table = {r["table_name"]: r for r in rows(p, "t__rejected")}
    first, nested, table = by_table["t"], by_table["t__k"], by_table["t__list"]
    assert json.loads(first.pop("item")) == BAD
    assert first == {
        "path": "$.new",
        "table_name": "t",
        "column_name": "new",
        "rule": "columns:discard_row",
        "resource": "t",
        "position": 0,
        "item_loaded": False,
    }
    places = {(r["path"], r["table_name"], r["position"], r["item_loaded"]) for r in (nested, table)}
    assert places == {("$.k[1].b.c", "t__k", 1, True), ("$.list", "t__list", 1, True)}
    assert json.loads(nested["item"]) == odd
    with p.sql_client() as client:
        assert client.execute_sql("SELECT DISTINCT _dlt_load_id FROM t__rejected") == [(info.loads_ids[0],)]
    assert rows(p, "t__k") == [{"a": 1}, {"a": 4}]
    schema = p.default_schema
    assert schema.tables["t__rejected"]["resource"] == "t"


def test_the_hint_of_a_resource_comes_before_the_configuration(
    pipeline: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    p = pipeline()
    p.run([hr.resource([GOOD], name=n) for n in ("a", "b", "c")])
    wanted = hr.resource([BAD], name="a", schema_contract=ROW)
    wanted.keep_rejected = True
    assert wanted.keep_rejected is True
    p.run([wanted, hr.resource([BAD], name="b", schema_contract=ROW)])
    assert "a__rejected" in tables(p) and "b__rejected" not in tables(p)
    monkeypatch.setenv("NORMALIZE__KEEP_REJECTED", "true")
    unwanted = hr.resource([BAD], name="c", schema_contract=ROW)
    unwanted.apply_hints(additional_table_hints={"x-keep-rejected": False})
    p.run([unwanted, hr.resource([BAD], name="b", schema_contract=ROW)])
    assert "b__rejected" in tables(p) and "c__rejected" not in tables(p)


@pytest.mark.usefixtures("keep")
def test_arrow_rows_are_kept_and_nulls_are_no_violation(pipeline: Project) -> None:
    p = pipeline()
    p.run(pa.table({"id": [1], "v": [1]}), table_name="t")
    frame = pa.table({"id": [2, 3], "v": [2, 3], "n": pa.array(["x", None]), "void": pa.nulls(2)})
    info = p.run(frame, table_name="t", schema_contract=ROW)
    assert info is not None and info.rejected_counts == {"t": 1}
    assert rows(p, "t") == [{"id": 1, "v": 1}, {"id": 3, "v": 3}]
    (record,) = rows(p, "t__rejected")
    assert json.loads(record["item"]) == {"id": 2, "v": 2, "n": "x", "void": None}
    assert (record["path"], record["position"], record["item_loaded"]) == ("$.n", 0, False)
    info = p.run(frame, table_name="t", schema_contract=VALUE)
    assert info is not None and info.rejected_counts == {"t": 1}
    assert [r["item_loaded"] for r in rows(p, "t__rejected")] == [False, True]


class Inner(BaseModel):
    x: int


class Outer(BaseModel):
    id: int
    inner: Inner | None = None
    many: list[Inner] = []


@pytest.mark.usefixtures("keep")
def test_models_tell_items_and_values_they_pass_over(pipeline: Project) -> None:
    p = pipeline()
    items = [{"id": 1, "extra": 1, "inner": {"x": 1, "y": 2}, "many": [{"x": 1}, {"x": 2, "z": 3}]}, {"id": 2}]
    r = hr.resource(items, name="t", columns=Outer)
    info = p.run(r)
    assert info is not None and info.rejected_counts == {"t": 3}
    assert {r["path"] for r in rows(p, "t__rejected")} == {"$.extra", "$.inner.y", "$.many[1].z"}
    assert all(r["item_loaded"] and r["rule"] == "columns:discard_value" for r in rows(p, "t__rejected"))
    lenient: Any = {"columns": "discard_row", "data_type": "discard_row"}
    bad = [{"id": "x"}, {"id": 3, "new": 1}, {"id": 4}]
    info = p.run(hr.resource(bad, name="u", columns=Outer, schema_contract=lenient))
    assert info is not None and info.rejected_counts == {"u": 2}
    assert [(r["path"], r["rule"], r["position"]) for r in rows(p, "u__rejected")] == [
        ("$.id", "data_type:discard_row", 0),
        ("$.new", "columns:discard_row", 1),
    ]
    assert [r["id"] for r in rows(p, "u")] == [4]


@pytest.mark.usefixtures("keep")
def test_data_with_a_key_of_that_name_keep_their_table(pipeline: Project) -> None:
    p = pipeline()
    p.run([{"id": 1, "rejected": [1]}], table_name="t")
    p.run([{"id": 2, "new": 1}], table_name="t", schema_contract=ROW)
    assert rows(p, "t__rejected") == [{"value": 1}] and len(rows(p, "t__rejected_items")) == 1
    p.replay_rejected("t", schema_contract="evolve")
    assert [r["id"] for r in rows(p, "t")] == [1, 2]
    # the other way round the name is taken: the data are refused, and said so
    p.run([GOOD], table_name="u")
    p.run([BAD], table_name="u", schema_contract=ROW)
    with pytest.raises(PipelineStepFailed) as failed:
        p.run([{"id": 3, "rejected": [1]}], table_name="u", schema_contract="evolve")
    assert isinstance(failed.value.exception, RejectedTableNameTaken)


# ---- replay ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("keep")
def test_replay_loads_kept_items_once(pipeline: Project) -> None:
    p = pipeline()
    p.run([GOOD], table_name="t")
    first = p.run([BAD, {"id": 3}], table_name="t", schema_contract=ROW)
    second = p.run([{"id": 5, "new": 1}], table_name="t", schema_contract=ROW)
    assert first is not None and second is not None
    again = p.replay_rejected()
    assert again is not None and again.rejected_counts == {"t": 2, "t__k": 2}
    assert len(rows(p, "t__rejected")) == 2
    assert p.replay_rejected(load_id=first.loads_ids[0]) is None, "the records belong to the replay's load by now"
    info = p.replay_rejected("t", schema_contract="evolve")
    assert info is not None and info.rejected_counts == {}
    assert rows(p, "t") == [{"id": 1}, {"id": 2, "new": 7}, {"id": 3}, {"id": 5, "new": 1}]
    assert sorted(r["a"] for r in rows(p, "t__k")) == [1, 2, 3]
    assert rows(p, "t__rejected") == []
    assert p.replay_rejected() is None


@pytest.mark.usefixtures("keep")
@pytest.mark.parametrize("frame", [list, pa.Table.from_pylist])
def test_replay_brings_numbers_back_that_json_does_not_have(pipeline: Project, frame: Any) -> None:
    p = pipeline()
    p.run([{"id": 1, "f": 1.5}], table_name="t")
    odd = {2: float("nan"), 3: float("inf"), 4: float("-inf")}
    items = [{"id": i, "f": f, "new": 1} for i, f in odd.items()]
    p.run(frame(items), table_name="t", schema_contract=ROW)
    p.replay_rejected("t", schema_contract="evolve")
    assert [str(row["f"]) for row in rows(p, "t")] == ["1.5", "nan", "inf", "-inf"]


@pytest.mark.usefixtures("keep")
def test_replay_of_one_load(pipeline: Project) -> None:
    p = pipeline()
    p.run([GOOD], table_name="t")
    first = p.run([{"id": 2, "new": 1}], table_name="t", schema_contract=ROW)
    p.run([{"id": 3, "new": 1}], table_name="t", schema_contract=ROW)
    assert first is not None
    p.replay_rejected(load_id=first.loads_ids[0], schema_contract="evolve")
    assert [r["id"] for r in rows(p, "t")] == [1, 2]
    assert len(rows(p, "t__rejected")) == 1


@pytest.mark.usefixtures("keep")
def test_replay_makes_a_table_that_was_not_welcome(pipeline: Project) -> None:
    p = pipeline()
    p.run([GOOD], table_name="t")
    p.run(hr.resource([{"id": 1, "k": [1]}], name="u", schema_contract={"tables": "discard_row"}))
    assert "u" not in tables(p)
    p.replay_rejected("u", schema_contract="evolve")
    assert rows(p, "u") == [{"id": 1}] and rows(p, "u__k") == [{"value": 1}]


@pytest.mark.usefixtures("keep")
def test_replay_merges_items_whose_values_were_let_go(pipeline: Project) -> None:
    p = pipeline()

    def data(items: list[Any], contract: Any = None) -> Any:
        return hr.resource(items, name="t", primary_key="id", write_disposition="merge", schema_contract=contract)

    p.run(data([{"id": 1, "v": 1, "k": [{"a": 1}]}]))
    p.run(data([{"id": 1, "v": 2, "new": 5, "k": [{"a": 2, "b": 1}]}, {"id": 2, "v": 3}], VALUE))
    assert rows(p, "t") == [{"id": 1, "v": 2}, {"id": 2, "v": 3}]
    p.replay_rejected(schema_contract="evolve")
    assert rows(p, "t") == [{"id": 1, "v": 2, "new": 5}, {"id": 2, "v": 3}]
    assert rows(p, "t__k") == [{"a": 2, "b": 1}]
    assert rows(p, "t__rejected") == []


@pytest.mark.usefixtures("keep")
def test_replay_refuses_to_double_or_replace_rows(pipeline: Project) -> None:
    p = pipeline()
    p.run([hr.resource([GOOD], name="t"), hr.resource([GOOD], name="r", write_disposition="replace")])
    p.run(hr.resource([{"id": 2, "new": 1}], name="t", schema_contract=VALUE))
    p.run(hr.resource([{"id": 2, "new": 1}, {"id": 3}], name="r", write_disposition="replace", schema_contract=ROW))
    for table, why in (("t", "primary key"), ("r", "`replace`")):
        with pytest.raises(PipelineStepFailed) as failed:
            p.replay_rejected(table)
        assert isinstance(failed.value.exception, CannotReplayRejected)
        assert why in str(failed.value)
        assert len(rows(p, f"{table}__rejected")) == 1
    with pytest.raises(PipelineStepFailed) as failed:
        p.replay_rejected("nowhere")
    assert isinstance(failed.value.exception, RejectedTableNotFound)
    # a later load of the resource that replaces its table leaves what was rejected
    p.run(hr.resource([{"id": 4}], name="r", write_disposition="replace"))
    assert len(rows(p, "r__rejected")) == 1


@pytest.mark.usefixtures("keep")
@pytest.mark.parametrize(
    ("strategy", "hints", "why"),
    [
        ("scd2", {}, "not among the items"),
        ("scd2", {"merge_key": "day"}, "merge key (day)"),
        ("delete-insert", {"primary_key": "id", "merge_key": "day"}, "merge key (day)"),
        ("delete-insert", {"merge_key": "day"}, "merge key (day)"),
        ("scd2", {"primary_key": "id", "merge_key": "id"}, None),
    ],
)
def test_replay_never_takes_rows_beside_the_items_away(
    pipeline: Project, strategy: Any, hints: dict[str, Any], why: str | None
) -> None:
    p = pipeline()

    def resource(*ids: dict[str, int]) -> Any:
        items = [{"day": 1, **item} for item in ids]
        return hr.resource(items, name="t", write_disposition={"disposition": "merge", "strategy": strategy}, **hints)

    p.run(resource({"id": 1}))
    p.run(resource({"id": 1}, {"id": 2, "new": 5}), schema_contract=ROW)
    before = rows(p, "t")
    if why is None:
        p.replay_rejected("t", schema_contract="evolve")
        assert [row["id"] for row in rows(p, "t")] == [1, 2] and rows(p, "t__rejected") == []
    else:
        with pytest.raises(PipelineStepFailed) as failed:
            p.replay_rejected("t", schema_contract="evolve")
        assert isinstance(failed.value.exception, CannotReplayRejected) and why in str(failed.value)
        assert rows(p, "t") == before and len(rows(p, "t__rejected")) == 1
    with p.sql_client() as client:
        retired = "_dlt_valid_to IS NOT NULL" if strategy == "scd2" else "false"
        assert client.execute_sql(f"SELECT * FROM t WHERE {retired}") == []


@pytest.mark.usefixtures("keep")
@pytest.mark.parametrize("died_after", ["extract", "normalize"])
def test_a_replay_that_died_is_finished_once(
    pipeline: Project, died_after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    p = pipeline()
    p.run([GOOD], table_name="t")
    p.run([BAD], table_name="t", schema_contract=ROW)

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        replaying = importlib.import_module("headrace.pipeline.replaying")
        patch.setattr(replaying, "normalize" if died_after == "extract" else "load", die)
        p.replay_rejected(schema_contract="evolve")
    fresh = pipeline()
    fresh.run([{"id": 9}], table_name="t")
    assert [r["id"] for r in rows(fresh, "t")] == [1, 2, 9]
    assert rows(fresh, "t__rejected") == []
    assert fresh.replay_rejected() is None


@pytest.mark.usefixtures("keep")
def test_a_replay_that_is_refused_keeps_what_was_kept(pipeline: Project) -> None:
    p = pipeline()
    p.run([GOOD], table_name="t")
    p.run([BAD], table_name="t", schema_contract=ROW)
    with pytest.raises(PipelineStepFailed):
        p.replay_rejected(schema_contract="freeze")
    assert len(rows(p, "t__rejected")) == 1 and not p.has_pending_data
    p.replay_rejected(schema_contract="evolve")
    assert [r["id"] for r in rows(p, "t")] == [1, 2]


def test_an_id_of_the_items_own_is_kept_with_it(tmp_path: Path) -> None:
    p = hr.pipeline(
        "own_id",
        pipelines_dir=str(tmp_path),
        destination=hr.destinations.duckdb(str(tmp_path / "x.duckdb")),
        dataset_name="d",
    )

    def items(*rows: Any, **more: Any) -> Any:
        return hr.resource(list(rows), name="t", **more)

    p.run(items({"_dlt_id": "one", "a": 1}))
    refusing = items({"_dlt_id": "two", "a": 2, "b": 1}, schema_contract={"columns": "discard_row"})
    refusing.keep_rejected = True
    p.run(refusing)
    assert p.dataset()["t__rejected"].select("item").fetchall() == [('{"_dlt_id":"two","a":2,"b":1}',)]
    p.replay_rejected(schema_contract="evolve")
    assert sorted(p.dataset()["t"].select("_dlt_id", "a").fetchall()) == [("one", 1), ("two", 2)]
