"""A frozen contract says what broke it, shows nothing that is sensitive, and leaves no trace for later runs."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from pydantic import BaseModel

import headrace as hr
from headrace.errors.normalize import NormalizeJobFailed
from headrace.errors.pipeline import PipelineStepFailed
from headrace.errors.schema import DataValidationError
from tests.contracts.conftest import Project, rows, tables

SECRET = "4711-very-private"


def refused(call: Any) -> tuple[DataValidationError, str]:
    """The violation behind a failed step, and all that a person may read of it."""
    with pytest.raises(PipelineStepFailed) as failed:
        call()
    seen: BaseException | None = failed.value
    while seen is not None and not isinstance(seen, DataValidationError):
        seen = seen.__cause__
    assert seen is not None
    return seen, str(failed.value)


def test_row_data_fail_in_normalize_with_value_place_and_a_hint_that_works(pipeline: Project) -> None:
    p = pipeline()
    p.run([{"id": 1, "k": [{"a": 1}]}], table_name="t")
    good = [{"id": i, "k": [{"a": i}]} for i in range(2, 2500)]
    bad = {"id": 2500, "k": [{"a": 1}, {"a": "many"}]}
    error, text = refused(lambda: p.run([*good, bad], table_name="t", schema_contract={"data_type": "freeze"}))
    assert (error.table_name, error.column_name) == ("t__k", "a")
    assert (error.schema_entity, error.contract_mode) == ("data_type", "freeze")
    assert error.schema_contract["data_type"] == "freeze" and error.table_schema["name"] == "t__k"
    assert error.data_item == {"a": "many"} and error.schema_name == "work"
    assert (error.resource_name, error.position, error.path) == ("t", 2498, "$.k[1].a")
    assert "resource `t`, item 2498, at $.k[1].a: 'many' where bigint is expected" in text
    hint = error.fix.partition("accept it with ")[2].partition(", and")[0] if error.fix else ""
    given: dict[str, Any] = eval(f"dict({hint})")
    p.run([*good, bad], table_name="t", **given)
    assert {"a__v_text": "many"} in rows(p, "t__k")


def test_the_violation_is_wrapped_as_a_failed_file(pipeline: Project) -> None:
    p = pipeline()
    p.run([{"id": 1}], table_name="t")
    with pytest.raises(PipelineStepFailed) as failed:
        p.run([{"id": 2, "n": {"x": [{"y": 1}, {"z": 7}]}}], table_name="t", schema_contract="freeze")
    assert isinstance(failed.value.exception, NormalizeJobFailed)
    assert isinstance(failed.value.exception.__cause__, DataValidationError)


@pytest.mark.parametrize("mark", ["x-sensitive", "x-pii", "x-annotation-pii"])
@pytest.mark.parametrize("kind", ["json", "arrow", "pydantic"])
def test_sensitive_values_are_in_no_text(pipeline: Project, kind: str, mark: str, capfd: Any) -> None:
    class Person(BaseModel):
        id: int
        card: int

    p = pipeline()
    marked: Any = {"card": {"data_type": "bigint", mark: True}}
    p.run([{"id": 1, "card": 1}], table_name="t", columns=marked)
    items = [{"id": 2, "card": 2}, {"id": 3, "card": SECRET}]
    if kind == "arrow":
        data: Any = hr.resource(pa.table({"id": [2], "card": [SECRET]}), name="t")
    else:
        data = hr.resource(items, name="t", columns=Person if kind == "pydantic" else marked)
        data.apply_hints(columns=marked)
    data.apply_hints(schema_contract={"data_type": "freeze"})
    error, text = refused(lambda: p.run(data))
    said = [text, str(error), str(error.attrs()), str(p.last_trace), json.dumps(p.last_trace.asdict(), default=str)]
    assert "redacted" in text and "card" in text
    assert all(SECRET not in one for one in said)
    shown = capfd.readouterr()
    assert SECRET not in shown.out + shown.err


def test_sensitive_values_are_not_in_the_log_of_what_is_let_go(pipeline: Project, caplog: Any) -> None:
    p = pipeline()
    marked: Any = {"card": {"data_type": "bigint", "x-pii": True}}
    p.run([{"id": 1, "card": 1}], table_name="t", columns=marked)
    p.run([{"id": 2, "card": SECRET}], table_name="t", schema_contract={"data_type": "discard_value"})
    assert rows(p, "t") == [{"id": 1, "card": 1}, {"id": 2}]
    assert SECRET not in caplog.text and SECRET not in str(p.last_trace)


@pytest.mark.parametrize("steps", ["run", "single"])
@pytest.mark.parametrize("kind", ["json", "arrow"])
def test_a_violation_leaves_nothing_behind(pipeline: Project, kind: str, steps: str) -> None:
    """Neither a package that waits, nor a schema, nor a cursor."""

    def source(items: list[dict[str, Any]], contract: Any = None) -> Any:
        @hr.resource(name="t", schema_contract=contract)
        def read(at: Any = hr.sources.incremental("at", initial_value=0)) -> Any:
            asked.append(at.last_value)
            columns = {k: [i.get(k) for i in items] for k in items[-1]}
            yield pa.table(columns) if kind == "arrow" else items

        return read

    def go(p: hr.Pipeline, data: Any) -> None:
        if steps == "run":
            p.run(data)
        else:
            p.extract(data)
            p.normalize()
            p.load()

    asked: list[Any] = []
    p = pipeline()
    go(p, source([{"at": 1}]))
    before, state = p.default_schema.version_hash, p.state["sources"]
    bad = [{"at": 3}, {"at": 4, "new": "x"}]
    refused(lambda: go(p, source(bad, {"columns": "freeze"})))
    assert not p.has_pending_data
    assert p.default_schema.version_hash == before and p.state["sources"] == state
    fresh = pipeline()
    assert fresh.default_schema.version_hash == before and fresh.state["sources"] == state
    # good data come in at once, and the refused ones too, once the contract takes them
    go(fresh, source([{"at": 2}], {"columns": "freeze"}))
    go(fresh, source(bad, {"columns": "evolve"}))
    assert asked == [0, 1, 1, 2]
    assert sorted(r["at"] for r in rows(fresh, "t")) == [1, 2, 3, 4]


def test_a_violation_of_the_first_load_of_all(pipeline: Project) -> None:
    p = pipeline()
    refused(lambda: p.run([{"v": 1}, {"v": "x"}], table_name="t", schema_contract={"data_type": "freeze"}))
    assert not p.has_pending_data
    p.run([{"v": "y"}], table_name="t", schema_contract={"data_type": "freeze"})
    assert rows(p, "t") == [{"v": "y"}]


def test_a_package_that_waits_keeps_its_schema_when_a_later_one_is_refused(pipeline: Project) -> None:
    p = pipeline()
    p.run([{"id": 1}], table_name="t")
    p.extract([{"id": 2, "v": 1}], table_name="t")
    p.normalize()
    p.extract([{"id": 3, "v": "x"}], table_name="t", schema_contract={"data_type": "freeze"})
    refused(p.normalize)
    assert "v" in p.default_schema.tables["t"]["columns"]
    p.load()
    p.run([{"id": 4, "v": 2}], table_name="t")
    assert rows(p, "t") == [{"id": 1}, {"id": 2, "v": 1}, {"id": 4, "v": 2}]


# ---- where contracts apply -------------------------------------------------------------------------------------------


def test_the_error_does_not_say_that_a_package_is_kept_which_was_set_aside(pipeline: Project) -> None:
    p = pipeline()
    p.run([{"id": 1}], table_name="t")
    p.extract([{"id": 2, "new": 1}], table_name="t", schema_contract={"columns": "freeze"})
    p.extract([{"id": 3}], table_name="t", schema_contract={"columns": "freeze"})
    _, text = refused(p.normalize)
    assert p.has_pending_data and "the package is kept" not in text
    assert "packages of earlier runs are kept" in text


def test_nested_tables_follow_their_parent_and_may_have_a_contract_of_their_own(pipeline: Project) -> None:
    p = pipeline()
    own: Any = {("k",): {"schema_contract": {"columns": "evolve"}}}
    p.run([hr.resource([{"id": 1, "k": [{"a": 1}], "m": [{"a": 1}]}], name="t", nested_hints=own)])
    later = hr.resource(
        [{"id": 2, "k": [{"a": 2, "b": 1}], "m": [{"a": 2, "b": 1}]}],
        name="t",
        nested_hints=own,
        schema_contract={"columns": "discard_row"},
    )
    info = p.run(later)
    assert info is not None and info.rejected_counts == {"t__m": 1}
    assert rows(p, "t__k") == [{"a": 1}, {"a": 2, "b": 1}]
    assert rows(p, "t__m") == [{"a": 1}]


@pytest.mark.usefixtures("keep")
def test_tables_of_the_system_and_of_rejected_rows_are_always_welcome(pipeline: Project) -> None:
    p = pipeline()
    p.run([{"id": 1}], table_name="t")
    frozen: Any = {"tables": "freeze", "columns": "discard_row", "data_type": "freeze"}

    @hr.resource(name="t")
    def stateful() -> Any:
        hr.current.resource_state()["seen"] = True
        yield {"id": 2, "new": 1}

    p.run(stateful, schema_contract=frozen)
    assert {"t__rejected", "_dlt_pipeline_state", "_dlt_version", "_dlt_loads"} <= tables(p)
    p.run([{"id": "3", "new": 1}], table_name="t", schema_contract=frozen)
    assert len(rows(p, "t__rejected")) == 2


def test_a_later_run_thaws_what_an_earlier_one_froze(pipeline: Project) -> None:
    p = pipeline()
    p.run([{"id": 1}], table_name="t", schema_contract={"columns": "freeze"})
    refused(lambda: p.run([{"id": 2, "new": 1}], table_name="t"))
    p.run([{"id": 2, "new": 1}], table_name="t", schema_contract="evolve")
    p.run([{"id": 3, "more": 1}], table_name="t")
    assert len(rows(p, "t")) == 3 and "more" in p.default_schema.tables["t"]["columns"]


@pytest.mark.parametrize("mode", ["freeze", "discard_row", "discard_value"])
def test_a_variant_that_is_there_takes_its_values(pipeline: Project, mode: str) -> None:
    p = pipeline()
    p.run([{"id": 1, "v": 1}], table_name="t")
    p.run([{"id": 2, "v": "a"}], table_name="t")
    contract: Any = {"data_type": mode}
    info = p.run([{"id": 3, "v": "b"}, {"id": 4, "v": 4}], table_name="t", schema_contract=contract)
    assert info is not None and info.rejected_counts == {}
    assert rows(p, "t")[2:] == [{"id": 3, "v__v_text": "b"}, {"id": 4, "v": 4}]
