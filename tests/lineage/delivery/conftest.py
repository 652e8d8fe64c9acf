from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.observers.lineage import delivery
from tests.lineage.delivery import world


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No file and no variable of the machine says where events go, and no thread outlives a test."""
    for name in list(os.environ):
        if name.startswith("OPENLINEAGE"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    yield
    delivery.close(0)
    world.until(world.nobody_sends)


@pytest.fixture
def backend() -> Iterator[world.Receiver]:
    with world.receiver() as it:
        yield it
