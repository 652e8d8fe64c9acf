"""Observers of installed packages are found without loading the package machinery for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import headrace
from headrace.pipeline import watching

MODULE = """
class Watcher:
    def notify(self, event, run):
        print("saw", type(event).__name__)
"""


@pytest.fixture
def package(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package that offers an observer."""
    site = project / "site"
    (site / "watcher-1.0.dist-info").mkdir(parents=True)
    (site / "watcher-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: watcher\nVersion: 1.0\n")
    (site / "watcher-1.0.dist-info" / "entry_points.txt").write_text("[headrace.observers]\nw = watcher_x:Watcher\n")
    (site / "watcher_x.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(site))
    watching.installed.cache_clear()
    yield site
    watching.installed.cache_clear()


def test_they_are_told_of_runs(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    p.run([{"id": 1}], table_name="t")
    assert "saw RunStarted" in capsys.readouterr().out


def test_without_any_there_are_none() -> None:
    watching.installed.cache_clear()
    assert watching.installed() == ()
