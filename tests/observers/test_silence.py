"""Nothing is sent to anybody unless somebody asked for it; settings of dlt's telemetry are accepted and do nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import headrace

SCRIPT = """
import sys

seen = []


def guard(event, args):
    if event.startswith("socket.") and event not in ("socket.__new__", "socket.gethostname"):
        seen.append((event, args[1:]))
        raise PermissionError(f"a socket is used: {event} {args[1:]}")


sys.addaudithook(guard)

import headrace


@headrace.resource
def broken():
    yield {"id": 1}
    raise ValueError("gone")


p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
p.run([{"id": 1}], table_name="orders")
p.run([{"id": 2, "extra": 1}], table_name="orders", schema_contract={"columns": "discard_row"})
try:
    p.run(broken)
except Exception as error:
    assert type(error).__name__ == "PipelineStepFailed", error
assert p.dataset().orders.fetchall() == [(1,)] or len(p.dataset().orders.fetchall()) == 1
assert seen == [], seen
watching = [name for name in sys.modules if name.startswith("headrace.observers.") and "progress" not in name]
assert [n for n in watching if n.split(".")[2] not in ("bars", "collector")] == [], watching
assert "requests" not in sys.modules
print("RAN", p.runtime_config.dlthub_telemetry_endpoint)
"""

TELEMETRY = {
    "RUNTIME__DLTHUB_TELEMETRY": "true",
    "RUNTIME__DLTHUB_TELEMETRY_ENDPOINT": "https://telemetry.example/track",
    "RUNTIME__DLTHUB_TELEMETRY_SEGMENT_WRITE_KEY": "segment-write-key",
}
OFF = {"RUNTIME__DLTHUB_TELEMETRY": "false", "DO_NOT_TRACK": "1"}


def run(folder: Path, more: dict[str, str], *before: str) -> subprocess.CompletedProcess[str]:
    # no proxies and no settings of the machine the tests run on
    known = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH", "LANG") if name in os.environ}
    environment = {**known, "HEADRACE_DATA_DIR": str(folder / "data"), **more}
    command = [*before, sys.executable, "-c", SCRIPT]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("settings", [{}, TELEMETRY, OFF], ids=["nothing set", "telemetry on", "telemetry off"])
def test_no_socket_is_used(settings: dict[str, str], tmp_path: Path) -> None:
    done = run(tmp_path, settings)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["RAN", settings.get("RUNTIME__DLTHUB_TELEMETRY_ENDPOINT", "None")]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_nor_by_libraries_that_are_not_python(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    done = run(tmp_path, TELEMETRY, "strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg", "-o", str(log))
    if "ptrace" in done.stderr:
        pytest.skip("this machine does not let processes be traced")
    assert done.returncode == 0, done.stderr
    assert [line for line in log.read_text().splitlines() if "AF_INET" in line] == []


def test_the_guard_sees_a_connection(tmp_path: Path) -> None:
    done = run(tmp_path, {"RUNTIME__SLACK_INCOMING_HOOK": "http://127.0.0.1:9/hook", "RUNTIME__ALERTS__WAIT": "0.5"})
    assert done.returncode != 0
    assert "socket." in done.stderr


def test_settings_of_telemetry_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Path) -> None:
    (project / ".dlt").mkdir()
    (project / ".dlt" / "config.toml").write_text(
        '[runtime]\ndlthub_telemetry = true\ndlthub_telemetry_endpoint = "https://telemetry.example/track"\n'
        'dlthub_telemetry_segment_write_key = "key"\n'
    )
    p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    assert p.runtime_config.dlthub_telemetry is True
    assert p.run([{"id": 1}], table_name="orders") is not None
    assert p.bus.observers == ()
