"""Every test has an empty project folder, an empty home, default providers, and no pipeline."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.config import current, registry, run_context


@pytest.fixture(autouse=True)
def clean_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in list(os.environ):
        if "__" in name or name.startswith(("DLT_", "HEADRACE_")):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    (home / "project").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(run_context, "global_dir", lambda name: str(home / f".{name}"))
    monkeypatch.chdir(home / "project")
    registry.reset()
    current.set_pipeline_name(None)
    current.clear_resolved_traces()
    yield
    registry.reset()
    current.set_pipeline_name(None)


@pytest.fixture
def write_toml(tmp_path: Path):
    """Write a settings file of the project: ``write_toml("secrets.toml", text)``."""

    def write(name: str, text: str, folder: str | None = None) -> Path:
        path = Path(folder or ".dlt") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write
