from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.project import project as project
from tests.undo.world import DuckDb, Postgres, World


@pytest.fixture(params=["duckdb", "postgres"])
def world(request: pytest.FixtureRequest, project: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A database, and a project whose loads are kept undoable."""
    monkeypatch.setenv("LOAD__KEEP_UNDO", "3")
    if request.param == "duckdb":
        return DuckDb(project)
    return Postgres(request.getfixturevalue("postgres_server").database())
