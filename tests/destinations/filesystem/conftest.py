from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.config import registry
from headrace.pipeline import current
from tests.destinations.filesystem.places import Place


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


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The pipelines' working folders."""
    return tmp_path / "home"


@pytest.fixture(scope="session")
def _buckets() -> dict[str, Place]:
    return {}


KINDS = ("local", "memory", "s3", "gcs", "azure", "sftp")


@pytest.fixture(params=[pytest.param(kind, marks=[pytest.mark.destination(f"filesystem-{kind}")]) for kind in KINDS])
def place(request: pytest.FixtureRequest, tmp_path: Path, _buckets: dict[str, Place]) -> Place:
    """A new folder at each kind of place."""
    kind = request.param
    if kind == "local":
        return Place(str(tmp_path / "files"), {})
    if kind == "memory":
        return Place(f"memory://{tmp_path.name}", {})
    if kind not in _buckets:
        _buckets[kind] = _serve(kind, request.getfixturevalue(f"{kind}_server"))
    return _buckets[kind].below()


def _serve(kind: str, server: Any) -> Place:
    if kind == "sftp":
        login = {"sftp_username": server.username, "sftp_password": server.password}
        return Place(server.url(), {"credentials": login})
    if kind == "gcs":
        return Place(server.bucket(), {"kwargs": server.kwargs()})
    return Place(
        server.bucket(), {"credentials": server.connection_string if kind == "azure" else server.credentials()}
    )
