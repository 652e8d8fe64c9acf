"""The same documents make the same tables as with dlt: names, order, types, nullability, values, and schema hash."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.parity.documents import CASES, NotHere
from tests.parity.record import content, load
from tests.parity.record_documents import SCRIPT, outcome, prepare, recorded
from tests.parity.snapshot import snapshot

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("recorded.json").read_text())["cases"]


@pytest.mark.parametrize("name", sorted(RECORDED))
@pytest.mark.each(2)
def test_as_dlt(name: str, tmp_path: Path) -> None:
    import headrace

    pipeline = load(headrace, name, tmp_path)
    expected = RECORDED[name]
    assert snapshot(tmp_path / "parity_db.duckdb", "data") == expected["tables"]
    assert content(pipeline.default_schema) == expected["schema"]


# a text that looks like an instant, in a column of another type: of the variant dlt makes a timestamp, headrace a text
DEPARTURES = ("installation__created_at__v_text", "installation__updated_at__v_text")
# a hundred tables and more take their time
SOME = ("webhooks_in_one_table", "demo_tables")


@pytest.mark.parametrize("name", sorted(CASES if os.environ.get("HEADRACE_LONG") else SOME))
def test_documents_as_dlt(name: str, tmp_path: Path) -> None:
    try:
        runs = CASES[name]()
    except NotHere as error:
        pytest.skip(str(error))
    prepare(runs, tmp_path)
    exec(SCRIPT.replace("{engine}", "headrace"), {"place": str(tmp_path)})
    found, expected = outcome(tmp_path), recorded()[name]
    assert sorted(found["tables"]) == sorted(expected["tables"])
    for table, of_dlt in expected["tables"].items():
        assert common(found["tables"][table]) == common(of_dlt), table
    assert {**found, "tables": None} == {**expected, "tables": None}


def common(table: dict[str, Any]) -> dict[str, Any]:
    """A table without the columns in which headrace departs from dlt."""
    if not set(DEPARTURES) & set(table["values"]):
        return table
    return {
        "rows": table["rows"],
        "columns": [column for column in table["columns"] if not column.startswith(DEPARTURES)],
        "values": {column: digest for column, digest in table["values"].items() if column not in DEPARTURES},
    }
