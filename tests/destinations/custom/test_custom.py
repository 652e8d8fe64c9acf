"""Destinations that are functions of the user; what is expected was seen with dlt 1.31."""

from __future__ import annotations

import datetime as dt
import json
import logging
import signal
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace
from headrace.destinations.impl.custom.errors import UnknownCustomDestinationCallable
from headrace.errors.config import ConfigFieldMissingException
from headrace.errors.destination import DestinationTerminalException
from headrace.testing import assert_load_failed, assert_load_ok
from tests.crash import forks

UTC = dt.timezone.utc


@pytest.fixture
def pipeline(tmp_path: Path) -> Callable[..., headrace.Pipeline]:
    def make(destination: Any, name: str = "sinking") -> headrace.Pipeline:
        return headrace.pipeline(name, destination=destination, dataset_name="ds", pipelines_dir=str(tmp_path / "work"))

    return make


class Sink:
    """Functions that note what they were called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, Any]] = []

    def of(self, **settings: Any) -> Any:
        @headrace.destination(**settings)
        def sink(items: Any, table: Any) -> None:
            self.calls.append((items, table))

        return sink

    @property
    def items(self) -> list[Any]:
        return [items for items, _ in self.calls]


def test_rows_come_in_batches(pipeline: Any) -> None:
    """As dictionaries with typed values, without NULLs and what headrace adds; nested data stays, names too."""
    sink, at = Sink(), dt.datetime(2024, 1, 1, tzinfo=UTC)
    rows: list[dict[str, Any]] = [
        {"Id": 1, "n": None, "d": Decimal("1.50"), "t": at, "nest": [{"a": 1}], "o": {"x": 1, "y": [1]}},
        {"Id": 2, "b": b"x"},
        {"Id": 3},
    ]
    info = assert_load_ok(pipeline(sink.of(batch_size=2)).run(rows, table_name="T t"))
    assert sink.items == [[{k: v for k, v in rows[0].items() if v is not None}, rows[1]], [rows[2]]]
    [table] = {table["name"]: table for _, table in sink.calls}.values()
    assert table["name"] == "T t"
    assert list(table["columns"]) == ["Id", "d", "t", "nest", "o", "b"]
    assert info.destination_name == "sink"
    assert info.destination_type == "dlt.destinations.destination"


def test_ten_rows_by_default(pipeline: Any) -> None:
    sink = Sink()
    pipeline(sink.of()).run([{"n": n} for n in range(25)], table_name="t")
    assert [len(items) for items in sink.items] == [10, 10, 5]


def test_parquet_gives_record_batches(pipeline: Any) -> None:
    sink = Sink()
    pipeline(sink.of(batch_size=2, loader_file_format="parquet")).run([{"a": n} for n in range(3)], table_name="t")
    assert all(isinstance(items, pa.RecordBatch) for items in sink.items)
    assert [items.to_pylist() for items in sink.items] == [[{"a": 0}, {"a": 1}], [{"a": 2}]]


@pytest.mark.parametrize("file_format", [None, "parquet"])
def test_size_zero_gives_paths(pipeline: Any, file_format: str | None) -> None:
    """One call a file, which can be read while the function runs."""
    found = []

    @headrace.destination(batch_size=0, loader_file_format=file_format)
    def sink(path: str, table: Any) -> None:
        lines = Path(path).read_text("latin-1").splitlines()
        rows = pq.read_table(path).to_pylist() if file_format else map(json.loads, lines)
        found.append([row["a"] for row in rows])

    pipeline(sink).run([{"a": 1}, {"a": 2}], table_name="t")
    assert found == [[1, 2]]


def test_what_headrace_adds_on_request(pipeline: Any) -> None:
    sink = Sink()
    pipeline(sink.of(skip_dlt_columns_and_tables=False, batch_size=100)).run([{"a": 1}], table_name="t")
    by_table = {table["name"]: items for items, table in sink.calls}
    assert set(by_table) == {"t", "_dlt_pipeline_state"}
    assert set(by_table["t"][0]) == {"a", "_dlt_id", "_dlt_load_id"}


def test_nested_tables_and_names_on_request(pipeline: Any) -> None:
    sink = Sink()
    made = sink.of(max_table_nesting=None, naming_convention="snake_case", batch_size=100)
    pipeline(made).run([{"MyId": 1, "l": [{"A": 1}]}], table_name="T")
    assert {table["name"]: items for items, table in sink.calls} == {"t": [{"my_id": 1}], "t__l": [{"a": 1}]}


# ---- settings ------------------------------------------------------------------------------------------------------


def test_arguments_come_from_the_configuration(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the destination's name; what is given goes before; what is nowhere is said."""
    seen = []

    @headrace.destination(name="my_place")
    def sink(items: Any, table: Any, key: str = headrace.secrets.value, top: int = 3) -> None:
        seen.append((key, top))

    with assert_load_failed(ConfigFieldMissingException, "key"):
        pipeline(sink, "lacking").run([{"a": 1}], table_name="t")
    monkeypatch.setenv("DESTINATION__MY_PLACE__KEY", "from the environment")
    monkeypatch.setenv("DESTINATION__MY_PLACE__TOP", "5")
    pipeline(sink, "found").run([{"a": 1}], table_name="t")
    pipeline(sink(key="given"), "given").run([{"a": 1}], table_name="t")
    pipeline(sink(key="given", destination_name="elsewhere"), "renamed").run([{"a": 1}], table_name="t")
    assert seen == [("from the environment", 5), ("given", 5), ("given", 3)]


def test_batch_size_from_the_configuration(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Sink()
    pipeline(sink.of()(batch_size=1)).run([{"a": 1}, {"a": 2}], table_name="t")
    assert len(sink.calls) == 2


def test_functions_by_reference(pipeline: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``module.function``, decorated or not, also as the configuration of a named destination."""
    text = "import headrace\ngot = []\ndef plain(items, table): got.append(('plain', items))\n"
    text += "@headrace.destination\ndef decorated(items, table): got.append(('decorated', items))\n"
    (tmp_path / "sinks_of_a_user.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    make = headrace.destinations.destination
    assert make(destination_callable="sinks_of_a_user.plain").destination_name == "plain"
    pipeline(make(destination_callable="sinks_of_a_user.plain"), "one").run([{"a": 1}], table_name="t")
    pipeline(make(destination_callable="sinks_of_a_user.decorated"), "two").run([{"a": 2}], table_name="t")
    monkeypatch.setenv("DESTINATION__BIN__DESTINATION_TYPE", "destination")
    monkeypatch.setenv("DESTINATION__BIN__DESTINATION_CALLABLE", "sinks_of_a_user.plain")
    pipeline("bin", "three").run([{"a": 3}], table_name="t")
    assert sys.modules["sinks_of_a_user"].got == [
        ("plain", [{"a": 1}]),
        ("decorated", [{"a": 2}]),
        ("plain", [{"a": 3}]),
    ]


@pytest.mark.parametrize("ref", ["no_such_module.f", "json.no_such_function", "json.__version__"])
def test_unknown_functions(ref: str) -> None:
    with pytest.raises(UnknownCustomDestinationCallable, match=ref) as caught:
        headrace.destinations.destination(destination_callable=ref)
    assert isinstance(caught.value, KeyError)


def test_a_name_without_a_module() -> None:
    with pytest.raises(ValueError, match="module"):
        headrace.destinations.destination(destination_callable="f")


def test_a_pipeline_that_lost_its_function(pipeline: Any) -> None:
    """Only the name is kept: without the function nothing can be loaded."""
    pipeline(Sink().of()).run([{"a": 1}], table_name="t")
    with assert_load_failed(UnknownCustomDestinationCallable, "has no function"):
        pipeline(None).run([{"a": 1}], table_name="t")


def test_kinds_by_name() -> None:
    made = headrace.destination("duckdb", name="mine")
    assert made.destination_type == "dlt.destinations.duckdb"
    assert made.destination_name == "mine"


# ---- dispositions ----------------------------------------------------------------------------------------------------


def test_merge_is_given_as_rows(pipeline: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A function has no way to merge: it is told the disposition, and gets the rows."""
    sink = Sink()
    hints: dict[str, Any] = {"write_disposition": "merge", "primary_key": "a"}
    with caplog.at_level(logging.WARNING, "headrace"):
        pipeline(sink.of()).run([{"a": 1}], table_name="t", **hints)
    [(items, table)] = sink.calls
    assert items == [{"a": 1}]
    assert table["write_disposition"] == "merge"
    assert "no way to merge" in caplog.text


def test_replace_is_given_as_rows(pipeline: Any) -> None:
    sink = Sink()
    for n in (1, 2):
        pipeline(sink.of()).run([{"a": n}], table_name="t", write_disposition="replace")
    assert sink.items == [[{"a": 1}], [{"a": 2}]]


# ---- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file_format", [None, "jsonl", "parquet"])
def test_a_retry_goes_on_with_the_batch_that_failed(pipeline: Any, file_format: str | None) -> None:
    calls = []

    @headrace.destination(batch_size=3, loader_file_format=file_format)
    def sink(items: Any, table: Any) -> None:
        rows = items if isinstance(items, list) else items.to_pylist()
        calls.append([row["a"] for row in rows])
        if len(calls) in (2, 3):
            raise OSError("the line is busy")

    assert_load_ok(pipeline(sink).run([{"a": n} for n in range(8)], table_name="t"))
    assert calls == [[0, 1, 2], [3, 4, 5], [3, 4, 5], [3, 4, 5], [6, 7]]


def test_another_process_goes_on_where_one_gave_up(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches that were taken stay taken, also when the size of a batch is another one by then."""
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")
    calls, broken = [], [True]

    @headrace.destination(batch_size=2)
    def sink(items: Any, table: Any) -> None:
        if broken[0] and len(calls) == 2:
            raise OSError("the line is busy")
        calls.append([row["a"] for row in items])

    with assert_load_failed(text="failed at rows 5 to 6 of table `t`"):
        pipeline(sink).run([{"a": n} for n in range(9)], table_name="t")
    broken[0] = False
    assert_load_ok(pipeline(sink(batch_size=3)).run())
    assert calls == [[0, 1], [2, 3], [4, 5, 6], [7, 8]]


def test_terminal_errors_set_the_package_aside(pipeline: Any) -> None:
    @headrace.destination(batch_size=1)
    def sink(items: Any, table: Any) -> None:
        if items[0]["a"] == 2:
            raise DestinationTerminalException("this row is poison")

    with assert_load_failed(DestinationTerminalException, "poison"):
        pipeline(sink).run([{"a": n} for n in range(4)], table_name="t")
    assert not pipeline(sink).has_pending_data


def test_a_file_that_failed_does_not_hold_up_others(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is a job of its own."""
    monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    taken = []

    @headrace.destination
    def sink(items: Any, table: Any) -> None:
        if table["name"] == "bad":
            raise DestinationTerminalException("no")
        taken.append(table["name"])

    resources = [headrace.resource([{"a": 1}], name=name) for name in ("one", "bad", "two")]
    info = pipeline(sink).run(resources)
    assert sorted(taken) == ["one", "two"]
    assert info.has_failed_jobs


SCRIPT = """
import os, signal, sys, headrace

@headrace.destination(batch_size=2)
def sink(items, table):
    with open("taken", "a") as file:
        file.write("".join(f"{row['a']}\\n" for row in items))
    if str(items[0]["a"]) in sys.argv[1:]:
        os.kill(os.getpid(), signal.SIGKILL)

pipeline = headrace.pipeline("sinking", destination=sink, dataset_name="ds", pipelines_dir="work")
if pipeline.has_pending_data:
    pipeline.load()
else:
    pipeline.run([{"a": n} for n in range(7)], table_name="t")
"""


def test_killed_in_the_function(tmp_path: Path) -> None:
    """After `kill -9` the batch in hand comes again, and no other."""

    def run(*kill: str) -> int:
        return forks.python(SCRIPT, *kill, cwd=tmp_path).returncode

    assert run("2") == -signal.SIGKILL
    assert run("4") == -signal.SIGKILL
    assert run() == 0
    assert (tmp_path / "taken").read_text().split() == ["0", "1", "2", "3", "2", "3", "4", "5", "4", "5", "6"]
