"""Trackers written for dlt are told by headrace what dlt tells them; `recorded.json` has what dlt 1.31 told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.observers.collector import Collector
from headrace.pipeline import trace as traces
from tests.hooks.tracked import SCENARIOS, Recorder, record, recording_collector

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("recorded.json").read_text(encoding="utf-8"))

# Differences that are meant, see docs/dlt/departures.md: packages that break a contract are set aside, and a package
# that was only extracted is loaded by `run`.
OTHER_PACKAGES = {"normalize_fails"}
OTHER_CALLS = {"a_pending_package"}
# a run that finds nothing to do is a run, not one step more of the last; a trace that is not kept is still in memory
OTHER_LAST_TRACE = {"nothing_to_do", "switched_off"}


@pytest.fixture(autouse=True)
def place(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(traces, "TRACKING_MODULES", [])
    yield project


def comparable(calls: list[dict[str, Any]], packages: bool = True) -> list[dict[str, Any]]:
    """Calls without the type of the driver's error, and where that is meant without the state of packages."""
    found: list[dict[str, Any]] = json.loads(json.dumps(calls))
    for call in found:
        if call.get("exceptions") not in (None, "ValueError", "DataValidationError"):
            call["exceptions"] = "of the driver"
        if not packages and call.get("info"):
            del call["info"]["packages"]
    return found


@pytest.mark.parametrize("name", sorted(SCENARIOS.keys() - OTHER_CALLS))
def test_the_calls_are_those_of_dlt(name: str, place: Path) -> None:
    found, expected = record(headrace, traces.TRACKING_MODULES, name, str(place)), RECORDED["scenarios"][name]
    packages = name not in OTHER_PACKAGES
    assert comparable(found["calls"], packages) == comparable(expected["calls"], packages)
    if name not in OTHER_LAST_TRACE:
        assert [list(step) for step in found["last_trace"]] == expected["last_trace"]


def test_a_run_of_a_pending_package_is_told_with_its_steps(place: Path) -> None:
    """dlt's `run` leaves a package that was only extracted; here it is normalized and loaded."""
    calls = record(headrace, traces.TRACKING_MODULES, "a_pending_package", str(place))["calls"]
    told = [(call["method"], call.get("step")) for call in calls if call["trace"]["number"] == 1]
    assert told == [
        ("on_start_trace", "run"),
        ("on_start_trace_step", "run"),
        *[(m, s) for s in ("normalize", "load") for m in ("on_start_trace_step", "on_end_trace_step")],
        ("on_end_trace_step", "run"),
        ("on_end_trace", None),
    ]


@pytest.mark.parametrize("name", ["run", "extract_fails"])
def test_a_collector_is_told_the_same(name: str, place: Path) -> None:
    collector = recording_collector(Collector)
    record(headrace, traces.TRACKING_MODULES, name, str(place), collector)
    expected = RECORDED["collector"][name]
    assert comparable(collector.recorder.calls) == comparable(expected["traced"])
    # displays: dlt opens one more for the package of its state; counts of rows are those of dlt, in larger steps
    starts = [call[1] for call in collector.calls if call[0] == "_start"]
    assert starts == list(dict.fromkeys(call[1] for call in expected["calls"] if call[0] == "_start"))
    assert [c[0] for c in collector.calls].count("_stop") == len(starts)


class Broken(Recorder):
    def on_start_trace(self, trace: Any, step: str, pipeline: Any) -> None:
        raise ValueError("not today")

    on_end_trace_step = None  # type: ignore[assignment]


def test_a_tracker_that_fails_is_named_and_the_others_are_told(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken = Broken()
    traces.TRACKING_MODULES.append(broken)
    try:
        found = record(headrace, traces.TRACKING_MODULES, "run", str(place))
    finally:
        traces.TRACKING_MODULES.remove(broken)
    assert comparable(found["calls"]) == comparable(RECORDED["scenarios"]["run"]["calls"])
    failures = [r.message for r in caplog.records if "tracker" in r.message]
    assert failures[0] == (
        "pipeline `tracked`: `on_start_trace` of the tracker tests.hooks.test_tracking.Broken failed and is passed "
        "over: ValueError: not today"
    )
    assert len(failures) == 1 + 4  # and the ends of four steps
    assert [call["method"] for call in broken.calls][-1] == "on_end_trace"


def test_another_list_may_be_put_in_the_place_of_the_first(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr(traces, "TRACKING_MODULES", [recorder])
    headrace.pipeline("p", destination="duckdb").run([{"id": 1}], table_name="t")
    assert len(recorder.calls) == 10


def test_trackers_see_settings_step_by_step_and_the_shape_of_dlts_traces(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXTRACT__WORKERS", "2")
    monkeypatch.setenv("LOAD__WORKERS", "2")
    seen: list[Any] = []

    class Tracker(Recorder):
        def on_end_trace_step(self, trace: Any, step: Any, pipeline: Any, step_info: Any, send_state: bool) -> None:
            seen.append((len(trace.resolved_config_values), step.asdict(), str(step), trace.asdict()["steps"]))

    tracker = Tracker()
    traces.TRACKING_MODULES.append(tracker)
    try:
        headrace.pipeline("p", destination="duckdb").run([{"id": 1}], table_name="t")
    finally:
        traces.TRACKING_MODULES.remove(tracker)
    found = [settings for settings, *_ in seen]
    assert 0 < found[0] <= found[-1]
    assert {"extract_info", "step_info"} <= seen[0][1].keys()
    assert [len(steps) for *_, steps in seen] == [1, 2, 3, 3]  # of a run that went well nothing is told twice


# ---- the real thing --------------------------------------------------------------------------------------------------

TRACKER = Path(os.environ.get("HEADRACE_TEST_TRACKER", Path.home() / ".cache" / "headrace" / "dlt-openlineage-0.1.1"))
INSTALL = f"{sys.executable} -m pip install --no-deps --target {TRACKER} dlt-openlineage==0.1.1"

PROGRAM = """
import json, sys, types

sys.path.insert(0, sys.argv[1])
import headrace, headrace.pipeline.trace

# what the tracker imports of dlt
dlt = types.ModuleType("dlt")
dlt.__version__ = headrace.__version__
package = types.ModuleType("dlt.pipeline")
package.__path__ = []
dlt.pipeline = package
package.trace = sys.modules["headrace.pipeline.trace"]
sys.modules |= {"dlt": dlt, "dlt.pipeline": package, "dlt.pipeline.trace": package.trace}

import dlt_openlineage
from openlineage.client.serde import Serde
from openlineage.client.transport.console import ConsoleTransport

events = []
ConsoleTransport.emit = lambda self, event: events.append(json.loads(Serde.to_json(event)))
dlt_openlineage.install(url="console://")
p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
p.run([{"id": 1, "items": [{"n": 1}, {"n": 2}]}], table_name="orders")

def rows():
    yield {"id": 1}
    raise ValueError("no more")

try:
    p.run(headrace.resource(rows, name="orders"))
except Exception:
    pass
print(json.dumps(events))
"""


def tracker_folder() -> Path:
    if not (TRACKER / "dlt_openlineage").is_dir():
        done = subprocess.run(INSTALL.split(), capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            pytest.skip(f"dlt-openlineage 0.1.1 cannot be installed: {INSTALL}")
    return TRACKER


def test_dlts_openlineage_tracker_runs_unchanged(place: Path) -> None:
    pytest.importorskip("openlineage.client", reason="pip install 'openlineage-python>=1.50'")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tracker_folder())],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(headrace.__file__).parent.parent)},
    )
    assert done.returncode == 0, done.stderr
    events = json.loads(done.stdout.splitlines()[-1])
    told = [event["eventType"] for event in events]
    assert told[:3] == ["START", "RUNNING", "COMPLETE"]
    assert told[3:5] == ["START", "FAIL"]
    complete = events[2]
    rows = {o["name"]: o["outputFacets"]["outputStatistics"]["rowCount"] for o in complete["outputs"]}
    assert rows == {"raw.orders": 1, "raw.orders__items": 2}
    facets = complete["run"]["facets"]["dlt_execution"]
    assert (facets["destination_type"], facets["dataset_name"], facets["failed_jobs"]) == (
        "dlt.destinations.duckdb",
        "raw",
        0,
    )
    assert [i["name"] for i in complete["inputs"]] == ["orders"]
    fields = {f["name"]: f["type"] for f in complete["outputs"][0]["facets"]["schema"]["fields"]}
    assert fields["id"] == "bigint"
    assert "no more" in events[4]["run"]["facets"]["errorMessage"]["message"]
