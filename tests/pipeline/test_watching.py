"""Observers of installed packages are found without loading the package machinery for nothing."""

from __future__ import annotations

import sys
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
    assert watching.installed() == ((), ())


OBSERVER = """
def observer_for(p):
    if p.pipeline_name == "broken":
        raise ValueError("no such colour")
    return Watcher()

class Watcher:
    def notify(self, event, run):
        print(run.pipeline.pipeline_name, "told", type(event).__name__)
"""


@pytest.fixture
def configured(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that watches when a setting asks for it."""
    (project / "painted.py").write_text(OBSERVER)
    monkeypatch.syspath_prepend(str(project))
    monkeypatch.delitem(sys.modules, "painted", raising=False)
    monkeypatch.setattr(watching, "CONFIGURED", {"painted": ("dlthub_dsn", "paint.")})


def _run(name: str = "shop", times: int = 1) -> None:
    p = headrace.pipeline(name, destination="duckdb", dataset_name="raw")
    for _ in range(times):
        p.run([{"id": 1}], table_name="t")


def test_a_setting_brings_its_observer(
    configured: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _run()
    assert "painted" not in sys.modules, "nothing is set, so nothing is imported"
    monkeypatch.setenv("RUNTIME__DLTHUB_DSN", "https://paint.example")
    _run(times=2)
    assert capsys.readouterr().out.count("shop told RunStarted") == 2, "added once, told of each run"


@pytest.mark.parametrize("key", ["RUNTIME__PAINT__COLOUR", "SHOP__RUNTIME__PAINT__COLOUR"])
def test_so_does_a_setting_of_a_section(
    key: str, configured: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(key, "red")
    _run()
    assert "shop told RunEnded" in capsys.readouterr().out


def test_so_does_a_section_of_a_file(configured: None, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / ".dlt").mkdir(exist_ok=True)
    (project / ".dlt" / "config.toml").write_text('[runtime.paint]\ncolour = "red"\n')
    _run()
    assert "shop told RunEnded" in capsys.readouterr().out


def test_one_that_cannot_be_set_up_is_told_once_and_stops_nothing(
    configured: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME__DLTHUB_DSN", "https://paint.example")
    _run("broken", times=2)
    said = [r.getMessage() for r in caplog.records if "painted" in r.getMessage()]
    assert len(said) == 1
    assert "no such colour" in said[0]
    assert "`runtime.dlthub_dsn`: correct that setting, or remove it" in said[0]


def test_one_whose_module_cannot_be_loaded_stops_nothing(
    configured: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "CONFIGURED", {"headrace_no_such_module": ("dlthub_dsn",)})
    monkeypatch.setenv("RUNTIME__DLTHUB_DSN", "https://paint.example")
    _run()
    assert "`headrace_no_such_module` could not be set up" in caplog.text
