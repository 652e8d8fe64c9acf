"""The trace follows the steps of a run, and survives being written as JSON."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator

import infoparts as parts
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import HeadraceException
from headrace.model.infos import DataWriterAndCustomMetrics
from headrace.model.trace import (
    PipelineTrace,
    SerializableResolvedValueTrace,
    TraceBuilder,
    merge_traces,
    trace_from_json,
    trace_to_json,
)


class Clock:
    """Gives one instant a second."""

    def __init__(self) -> None:
        self._ticks: Iterator[int] = iter(range(1000))

    def __call__(self) -> dt.datetime:
        return parts.START + dt.timedelta(seconds=next(self._ticks))


def whole_run() -> PipelineTrace:
    builder = TraceBuilder("shop", Clock())
    builder.start_trace({"python": "3.12"})
    builder.start_step("run")
    for step, info in (
        ("extract", parts.extract_info()),
        ("normalize", parts.normalize_info()),
        ("load", parts.load_info()),
    ):
        builder.start_step(step)
        builder.end_step(step, info)
    builder.end_step("run", parts.load_info())
    return builder.end_trace([SerializableResolvedValueTrace("x", "1", None, False, ["a"], "Environment Variables")])


def failed_run() -> PipelineTrace:
    builder = TraceBuilder("shop", Clock())
    builder.start_step("run")
    builder.start_step("extract")
    try:
        try:
            raise KeyError("id")
        except KeyError as error:
            raise HeadraceException("resource `users` broke", why="no `id`", fix="give one") from error
    except HeadraceException as error:
        builder.end_step("extract", parts.extract_info(), error)
        builder.end_step("run", None, error)
    return builder.end_trace()


def test_steps_stand_in_the_order_of_their_ends():
    trace = whole_run()
    assert [step.step for step in trace.steps] == ["extract", "normalize", "load", "run"]
    assert trace.finished_at is not None
    assert trace.last_load_info is trace.steps[-1].step_info
    assert trace.last_pipeline_step_trace("normalize") is trace.steps[1]
    assert trace.last_pipeline_step_trace("sync") is None
    assert trace.last_extract_info is not None
    assert trace.last_normalize_info is not None


def test_dict_of_a_good_run_leaves_the_run_step_out_and_splits_the_infos():
    fields = whole_run().asdict()
    assert list(fields) == [
        "transaction_id",
        "pipeline_name",
        "execution_context",
        "started_at",
        "steps",
        "finished_at",
        "resolved_config_values",
        "engine_version",
    ]
    assert [step["step"] for step in fields["steps"]] == ["extract", "normalize", "load"]
    load = fields["steps"][2]
    assert list(load) == [
        "span_id",
        "step",
        "started_at",
        "finished_at",
        "step_exception",
        "exception_traces",
        "load_info",
        "step_info",
    ]
    assert list(load["step_info"]) == [
        "pipeline",
        "loads_ids",
        "load_packages",
        "first_run",
        "started_at",
        "finished_at",
    ]
    assert load["load_info"]["dataset_name"] == "raw"


def test_text_of_a_run_says_steps_rows_changes_and_retries():
    text = str(whole_run())
    for part in (
        "extract: done",
        "normalize: done",
        "load: done",
        "users__tags",
        "6 rows",
        "new table users",
        "1 retry",
    ):
        assert part in text
    assert "run: done" not in text
    assert "span" in whole_run().asstr(verbosity=1)


def test_a_failure_is_said_once_with_what_why_and_what_to_do():
    text = str(failed_run())
    assert text.count("resource `users` broke") == 1
    assert "FAILED" in text
    assert "Why: no `id`" in text
    assert "What to do: give one" in text


def test_the_chain_of_errors_is_kept_as_data():
    step = failed_run().steps[0]
    outer, inner = step.exception_traces or []
    assert inner["exception_type"] == "KeyError"
    assert outer["exception_type"].endswith("HeadraceException")
    assert outer["is_terminal"] is False
    assert outer["stack_trace"]


def test_a_failed_run_keeps_its_run_step():
    assert [step["step"] for step in failed_run().asdict()["steps"]] == ["extract", "run"]


@pytest.mark.parametrize("make", [whole_run, failed_run])
def test_json_gives_the_same_trace_back(make):
    trace = make()
    read = trace_from_json(trace_to_json(trace))
    assert isinstance(read, PipelineTrace)
    assert read.asdict() == trace.asdict()
    assert str(read) == str(trace)
    assert trace_to_json(read) == trace_to_json(trace)


def test_other_json_is_refused():
    with pytest.raises(ValueError, match="not a trace"):
        trace_from_json("[]")


def test_single_steps_are_put_behind_the_trace_before_and_a_run_begins_anew():
    first = whole_run()
    builder = TraceBuilder("shop", Clock())
    builder.start_step("extract")
    builder.end_step("extract", parts.extract_info())
    single = builder.end_trace()
    merged = merge_traces(first, single)
    assert [step.step for step in merged.steps] == ["extract", "normalize", "load", "run", "extract"]
    assert merged.transaction_id == first.transaction_id
    assert merge_traces(merged, first) is first
    assert merge_traces(None, single) is single


def test_ending_a_step_that_never_began_is_an_error():
    with pytest.raises(ValueError, match="was not begun"):
        TraceBuilder("shop").end_step("load")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.just("$")
    | st.datetimes(timezones=st.just(dt.timezone.utc)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.just("$") | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_json_keeps_whatever_steps_measured(value: object):
    resource = DataWriterAndCustomMetrics("", 1, 2, 3.0, 4.0, {"mine": value})
    info = parts.extract_info()
    info.metrics[parts.LOAD_ID][0]["resource_metrics"] = {"users": resource}
    builder = TraceBuilder("shop", Clock())
    builder.start_step("extract")
    builder.end_step("extract", info)
    read = trace_from_json(trace_to_json(builder.end_trace()))
    assert read.last_extract_info is not None
    [[metrics]] = read.last_extract_info.metrics.values()
    assert metrics["resource_metrics"]["users"].custom_metrics == {"mine": value}


def test_a_schema_is_written_once_and_read_back_whole():
    trace = whole_run()
    text = trace_to_json(trace)
    assert len(json.loads(text)["schemas"]) == 1
    read = trace_from_json(text)
    assert read.last_load_info is not None
    schema = read.last_load_info.load_packages[0].schema
    assert schema.to_dict() == parts.package().schema.to_dict()
    assert schema is read.steps[0].step_info.load_packages[0].schema


def test_a_field_of_a_newer_version_is_passed_over_and_an_unknown_kind_is_refused():
    text = trace_to_json(whole_run())
    newer = text.replace('"transaction_id"', '"invented":1,"transaction_id"')
    assert trace_from_json(newer).asdict() == trace_from_json(text).asdict()
    with pytest.raises(ValueError, match="does not know"):
        trace_from_json(text.replace('"LoadPackageInfo"', '"Invented"'))
