"""What passes and what the state says, as dlt 1.31 does it. The file was recorded from dlt runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headrace.extract.incremental import Incremental

from .driver import decode, run_with

VECTORS = json.loads((Path(__file__).parent / "dlt_vectors.json").read_text("utf-8"))


def _named(vectors: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(v, id=v["name"]) for v in vectors]


@pytest.mark.parametrize("vector", _named(VECTORS["scenarios"]))
def test_rows_and_state_documents_are_those_of_dlt(vector: dict[str, Any]) -> None:
    state: dict[str, Any] = {}
    for step, expected in zip(vector["runs"], vector["expected"], strict=True):
        settings = {**decode(vector["settings"]), **decode(step.get("settings", {}))}
        made = run_with(Incremental(**settings), decode(step["pages"]), state, decode(vector["resource_key"]))
        assert made.passed == decode(expected["passed"])
        assert made.pages_read == expected["pages_read"]
        assert state == (decode(expected["state"]) or {})
        for name, doc in state.items():
            assert list(doc) == list(expected["state"][name])


@pytest.mark.parametrize("vector", _named(VECTORS["hashes"]))
def test_hashes_are_those_of_dlt(vector: dict[str, Any]) -> None:
    row = {"c": 1, "v": decode(vector["value"])}
    for key, expected in ((None, vector["row"]), ("v", vector["key"]), (("v", "c"), vector["compound"])):
        state: dict[str, Any] = {}
        run_with(Incremental("c", primary_key=key), [[row]], state)
        assert state["c"]["unique_hashes"] == [expected]


def test_instants_are_given_back_in_their_own_awareness() -> None:
    """Equality alone would not show it in the scenarios with naive and aware instants."""
    naive = next(v for v in VECTORS["scenarios"] if v["name"] == "naive data, aware start")
    state: dict[str, Any] = {}
    for step, expected in zip(naive["runs"], naive["expected"], strict=True):
        run_with(Incremental(**decode(naive["settings"])), decode(step["pages"]), state)
        assert repr(state) == repr(decode(expected["state"]))
