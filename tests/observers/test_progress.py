"""Collectors count what a run does and show it; nothing is shown unless somebody asked."""

from __future__ import annotations

import importlib.util
import io
import logging
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from headrace import progress
from headrace.bus import Bus, Run
from headrace.errors import TypeErrorWithKnownTypes, ValueErrorWithKnownValues
from headrace.model.events import Progress, RunEnded, StepEnded, StepStarted
from headrace.observers.progress import (
    Collector,
    DictCollector,
    LogCollector,
    NullCollector,
    ProgressObserver,
    TqdmCollector,
    make_collector,
)


def installed(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} is not installed")


class Recording(Collector):
    """Writes down which methods were called."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def update(self, name, inc=1, total=None, inc_total=None, message=None, label=""):
        self.calls.append((name, inc, total, message, label))

    def _start(self, step):
        self.calls.append(("start", step))

    def _stop(self):
        self.calls.append(("stop",))


def test_a_collector_is_started_and_stopped_around_a_step_even_when_it_fails():
    collector = Recording()
    with pytest.raises(ZeroDivisionError), collector("Extract shop") as same:
        assert same is collector
        collector.update("users", 3)
        raise ZeroDivisionError
    assert collector.calls == [("start", "Extract shop"), ("users", 3, None, None, ""), ("stop",)]


def test_events_of_a_run_open_move_and_close_the_display():
    collector = Recording()
    bus = Bus(Run(pipeline=SimpleNamespace(pipeline_name="shop")))
    bus.observe(ProgressObserver(collector))
    bus.publish(StepStarted(step="run"))
    bus.publish(Progress(step="run", name="lost"))
    bus.publish(StepStarted(step="extract"))
    bus.publish(Progress(step="extract", name="users", inc=5, total=9, message="m", label="l"))
    bus.publish(StepEnded(step="extract"))
    bus.publish(StepStarted(step="load"))
    bus.publish(RunEnded(pipeline_name="shop", error="killed"))
    assert collector.calls == [
        ("start", "Extract shop"),
        ("users", 5, 9, "m", "l"),
        ("stop",),
        ("start", "Load shop"),
        ("stop",),
    ]


def test_the_log_says_counts_totals_rates_memory_and_messages_in_one_line_each():
    out = io.StringIO()
    collector = LogCollector(log_period=0.0, logger=out)
    clock = iter(range(100))
    collector._clock = lambda: float(next(clock))
    with collector("Extract shop"):
        collector.update("Resources", 1, total=2)
        collector.update("users", 1000, message="page 3")
        collector.update("users", 500, inc_total=3000)
        collector.update("users", 1, label="eu")
    lines = out.getvalue().splitlines()
    assert len(lines) == 5
    assert all(line.startswith("Extract shop: ") for line in lines)
    assert "Resources 1/2 (50%)" in lines[0]
    assert re.search(r"users 1,000 \([\d,]+/s\) \[page 3\]", lines[1])
    assert "users 1,500/3,000 (50%)" in lines[2]
    assert "users (eu) 1 " in lines[3]
    assert "memory" in lines[-1]


def test_the_log_keeps_its_period_and_still_says_the_end():
    out = io.StringIO()
    collector = LogCollector(log_period=1000, logger=out, dump_system_stats=False)
    with collector("Load shop"):
        for _ in range(50):
            collector.update("Jobs")
    assert len(out.getvalue().splitlines()) == 1
    assert "Jobs 50" in out.getvalue()


def test_the_log_can_go_to_a_logger(caplog: pytest.LogCaptureFixture):
    with (
        caplog.at_level(logging.WARNING),
        LogCollector(logger=logging.getLogger("mine"), log_level=logging.WARNING)("s"),
    ):
        pass
    assert caplog.records[0].name == "mine"


def test_the_log_goes_to_the_stdout_of_the_moment(capsys: pytest.CaptureFixture[str]):
    with make_collector("log")("Extract shop"):
        pass
    assert "Extract shop: begun" in capsys.readouterr().out


@pytest.mark.parametrize("single_bar", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("tqdm", marks=installed("tqdm")),
        pytest.param("rich", marks=installed("rich")),
        pytest.param("enlighten", marks=installed("enlighten")),
        pytest.param("alive_progress", marks=installed("alive_progress")),
    ],
)
def test_bars_can_be_drawn_twice(name: str, single_bar: bool, capsys: pytest.CaptureFixture[str]):
    collector = getattr(progress, name)(single_bar=single_bar)
    for step in ("Extract shop", "Load shop"):
        with collector(step):
            collector.update("Resources", 1, total=3)
            collector.update("Resources", 1, inc_total=2, message="[/red] 50%")
            collector.update("users", 1000, message="m")
            collector.update("users", 1000, label="eu")


@installed("tqdm")
def test_tqdm_draws_names_and_totals():
    out = io.StringIO()
    collector = TqdmCollector(file=out, mininterval=0)
    with collector("Extract shop"):
        collector.update("users", 3, total=10)
    assert "Extract shop: users" in out.getvalue()
    assert "3/10" in out.getvalue()


@installed("rich")
def test_rich_draws_on_a_terminal_and_leaves_files_clean(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm")
    from rich.console import Console

    for terminal in (True, False):
        out = io.StringIO()
        with progress.rich(console=Console(file=out, force_terminal=terminal, width=120))("Extract shop") as collector:
            collector.update("users", 3, total=10, message="[red]page 2[/]")
        assert ("[red]page 2[/]" in out.getvalue()) is terminal
        assert ("3/10" in out.getvalue()) is terminal
        assert terminal or out.getvalue() == ""


def test_nothing_is_shown_unless_asked(capsys: pytest.CaptureFixture[str]):
    collector = make_collector()
    assert isinstance(collector, NullCollector)
    with collector("Extract shop"):
        collector.update("users")
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_collectors_are_found_by_name_or_given():
    mine = DictCollector()
    assert make_collector(mine) is mine
    with mine("s"):
        mine.update("users", 2)
        mine.update("users", 3)
    assert mine.counters == {"users": 5}
    with pytest.raises(ValueErrorWithKnownValues, match="tqdm"):
        make_collector("bars")
    with pytest.raises(TypeErrorWithKnownTypes):
        make_collector(3)  # type: ignore[arg-type]


def test_importing_progress_loads_no_bars():
    code = (
        "import sys, headrace.progress; print([m for m in ('tqdm', 'rich', 'psutil', 'pyarrow') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
