"""The model of merges on PostgreSQL: random histories of loads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import headrace
from tests.destinations.test_merge_model import HISTORIES, check

LONG = bool(os.environ.get("HEADRACE_LONG"))
pytestmark = [pytest.mark.destination("postgres"), pytest.mark.timeout(3 * 3600 if LONG else 300)]


@pytest.mark.parametrize("family", ("delete-insert", "keyed", "scd2"))
def test_histories(tmp_path: Path, postgres_server: Any, family: str) -> None:
    """What the tables hold after each load, and which changes it tells."""
    url = postgres_server.database()
    check(tmp_path, family, lambda name: headrace.destinations.postgres(url), HISTORIES if LONG else 8)
