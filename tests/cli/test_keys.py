"""The keys of JSON documents are those that docs/cli.md promises."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.docs.pages import ROOT

ARGUMENTS = {
    "run": ["run", "empty.py"],
    "init": ["init", "crm"],
    "pipeline list": ["pipeline", "list"],
    "pipeline failed-jobs": ["pipeline", "failed-jobs", "shop"],
    "pipeline drop": ["pipeline", "drop", "shop", "orders", "--yes"],
    "pipeline retry": ["pipeline", "retry", "shop"],
    "pipeline info": ["pipeline", "info", "shop"],
    "pipeline show": ["pipeline", "show", "shop"],
    "pipeline drop-pending-packages": ["pipeline", "drop-pending-packages", "shop"],
    "pipeline abort-packages": ["pipeline", "abort-packages", "shop"],
    "config explain": ["config", "explain", "load.workers"],
    "doctor": ["doctor"],
    "completion": ["completion", "bash"],
    "telemetry": ["telemetry"],
}

LINEAGE = {
    "lineage show": ["lineage", "show"],
    "lineage replay": ["lineage", "replay"],
    "lineage load": ["lineage", "load", "shop"],
}
"""Tried where there is lineage, in `test_lineage`."""


def promised() -> dict[str, set[str]]:
    text = (ROOT / "docs" / "cli.md").read_text()
    section = text[text.index("## For scripts") : text.index("## Completion")]
    rows = re.findall(r"^\| `([^`]+)` \| (`.*`) \|$", section, re.MULTILINE)
    return {command: set(re.findall(r"`([a-z_]+)`", keys)) for command, keys in rows}


def test_every_command_with_keys_of_its_own_is_tried() -> None:
    assert set(promised()) == {*ARGUMENTS, *LINEAGE}


@pytest.mark.parametrize("command", ARGUMENTS)
def test_keys(shop: Any, cli: Cli, command: str) -> None:
    cli.write("empty.py", "")
    assert set(cli.json(*ARGUMENTS[command])) == promised()[command]
