"""The pipeline state: hash, version, transport, older layouts."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import pytest
from vectors import VECTORS

from headrace.errors.schema import PipelineStateEngineNoUpgradePathException
from headrace.model.state import (
    bump_state_version,
    compress_state,
    decompress_state,
    default_state,
    migrate_state,
    state_hash,
    state_row,
)


def example() -> Any:
    incremental = {"at": {"last_value": "2024-05-01T10:00:00Z", "unique_hashes": ["a"]}}
    return {
        "_state_version": 2,
        "_state_engine_version": 4,
        "pipeline_name": "p",
        "dataset_name": "d",
        "sources": {"s": {"resources": {"r": {"incremental": incremental}}, "n": [1, 2.5, None, True, "ü"]}},
        "_local": {"x": 1},
    }


def test_hash_and_text_are_those_of_the_compatible_library() -> None:
    state = example()
    assert bump_state_version(state)[1] == VECTORS["state"]["hash"]
    assert compress_state(state) == VECTORS["state"]["compressed"]


def test_typed_values_hash_as_in_the_compatible_library() -> None:
    instant = dt.datetime(2024, 5, 1, 10, tzinfo=dt.timezone.utc)
    typed = [decimal.Decimal("1.50"), instant, dt.date(2024, 5, 1), dt.time(1, 2, 3), b"ab"]
    state: Any = {"pipeline_name": "p", "typed": typed}
    assert state_hash(state) == VECTORS["typed_state_hash"]


def test_the_first_hash_does_not_raise_the_version() -> None:
    state = default_state()
    assert bump_state_version(state)[0] == 0
    assert bump_state_version(state)[0] == 0
    state["sources"] = {"s": {}}
    version, new, previous = bump_state_version(state)
    assert (version, new != previous) == (1, True)


def test_local_facts_are_neither_hashed_nor_sent() -> None:
    state = example()
    before = state_hash(state)
    state["_local"]["x"] = 2
    assert state_hash(state) == before
    assert "_local" not in decompress_state(compress_state(state))


def test_the_row_for_the_destination() -> None:
    state = example()
    bump_state_version(state)
    row = state_row(state, "17.5")
    assert row["pipeline_name"] == "p"
    assert row["_dlt_load_id"] == "17.5"
    assert row["version_hash"] == VECTORS["state"]["hash"]
    assert decompress_state(row["state"])["sources"] == state["sources"]
    assert "_dlt_load_id" not in state_row(state)


@pytest.mark.parametrize("engine", [1, 2, 3])
def test_older_layouts_are_brought_up_to_date(engine: int) -> None:
    old = {"_state_version": 3, "_state_engine_version": engine, "sources": {}, "_local": {"a": 1}}
    old["destination"] = "dlt.destinations.duckdb"
    state = migrate_state(old, "p")
    assert state["_state_engine_version"] == 4
    assert (state["destination_type"], state["destination_name"]) == ("dlt.destinations.duckdb", None)
    assert "destination" not in state


@pytest.mark.parametrize("engine", [0, 5])
def test_unknown_layouts_are_refused(engine: int) -> None:
    with pytest.raises(PipelineStateEngineNoUpgradePathException, match="`p`"):
        migrate_state({"_state_engine_version": engine, "pipeline_name": "p"})
