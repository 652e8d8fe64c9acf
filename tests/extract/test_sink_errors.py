"""Items that cannot become rows: the error says which resource, table and item."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from headrace.errors.columns import InvalidDataItem
from headrace.extract.sink import SpoolSink
from headrace.model.capabilities import Capabilities
from headrace.model.schema import Schema


@pytest.fixture
def sink(tmp_path: Path) -> SpoolSink:
    (tmp_path / "spool").mkdir()
    return SpoolSink(tmp_path, Schema("s"), Capabilities())


def write(sink: SpoolSink, *rows: Any) -> None:
    sink.write_rows("items", list(rows), resource="r", max_nesting=None)
    sink.finish()


def test_an_item_that_is_no_row_is_named(sink: SpoolSink) -> None:
    with pytest.raises(InvalidDataItem, match=r"`r` .* `items` .*stored \(item 1 of its batch\)[\s\S]*builtins.range"):
        write(sink, {"a": 1}, range(3))


def test_a_document_that_contains_itself_is_refused(sink: SpoolSink) -> None:
    document: dict[str, Any] = {"a": 1}
    document["self"] = document
    with pytest.raises(InvalidDataItem, match="contains itself"):
        write(sink, document)


def test_a_frame_that_arrow_does_not_take_is_named(sink: SpoolSink) -> None:
    with pytest.raises(InvalidDataItem, match=r"`r` .* `items` [\s\S]*column a"):
        sink.write_arrow("items", pd.DataFrame({"a": [1, "x"]}), resource="r")


def test_durations_of_pandas_are_durations(sink: SpoolSink) -> None:
    write(sink, {"a": pd.Timedelta("1s")})
    assert sink.row_counts == {"items": 1}
