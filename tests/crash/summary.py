"""pytest's side of the crash suite: how often was killed where, told at the end."""

from __future__ import annotations

from collections import defaultdict
from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for key, value in getattr(report, "user_properties", []):
                if key == "kills":
                    name, kills, faults = value
                    totals[name][0] += kills
                    totals[name][1] += faults
    if not totals:
        return
    terminalreporter.section("kill -9")
    for name, (kills, faults) in totals.items():
        terminalreporter.write_line(f"{name:<24} {kills} kills, {faults} faults")
    terminalreporter.write_line(f"{'together':<24} {sum(kills for kills, _ in totals.values())} kills")
