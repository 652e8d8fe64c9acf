from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.config import registry
from headrace.pipeline import current
from tests.destinations.staging.world import World


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No configuration of the machine, no pipeline that is active."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_DATA_DIR", str(tmp_path / "data"))
    registry.reset()
    current.reset()
    yield
    current.reset()
    registry.reset()


def _kinds(*names: str) -> list[Any]:
    marks = {name: [pytest.mark.destination(name.partition("-")[0] + " through staging")] for name in names}
    return [pytest.param(name, marks=marks[name]) for name in names]


@pytest.fixture(params=_kinds("duckdb-local", "duckdb-s3", "postgres-local", "postgres-s3"))
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Each destination with each kind of place."""
    return make_world(request, request.param, tmp_path)


@pytest.fixture(params=_kinds("duckdb-local", "postgres-s3"))
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Each destination and each kind of place once."""
    return make_world(request, request.param, tmp_path)


@pytest.fixture
def local(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """DuckDB and a folder."""
    return make_world(request, "duckdb-local", tmp_path)


def make_world(request: pytest.FixtureRequest, name: str, tmp_path: Path) -> World:
    kind, place = name.split("-")
    is_duckdb = kind == "duckdb"
    credentials = str(tmp_path / "shop.duckdb") if is_duckdb else request.getfixturevalue("postgres_server").database()
    if place == "local":
        bucket, access = str(tmp_path / "buc ket"), None
    else:
        server = request.getfixturevalue("s3_server")
        bucket, access = server.bucket() + "/way", server.credentials()
    return World(kind, credentials, bucket, access, str(tmp_path / "home"))
