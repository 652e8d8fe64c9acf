"""The command line in the test's process, in an empty folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import headrace
from headrace.cli.app import call


class Answer(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Cli:
    """Runs commands: ``cli("pipeline", "list")``."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capture = folder, capture

    def __call__(self, *arguments: str, code: int = 0) -> Answer:
        self._capture.readouterr()
        got = call(arguments)
        answer = Answer(got, *self._capture.readouterr())
        assert got == code, answer
        return answer

    def json(self, *arguments: str, code: int = 0) -> Any:
        return self(*arguments, "--json", code=code).json

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    return Cli(tmp_path, capsys)


@pytest.fixture
def shop(cli: Cli) -> Any:
    """A pipeline that has run once."""
    pipeline = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    orders = [{"id": 1, "note": "first\x1b[31m", "items": [{"sku": "pen"}, {"sku": "ink"}]}, {"id": 2, "note": None}]
    pipeline.run(orders, table_name="orders")
    return pipeline
