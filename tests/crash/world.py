"""One pipeline's working folder and one place at a destination: run, kill, look."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.crash.forks import end_of, start
from tests.crash.shop import batches_in, faults
from tests.crash.targets import TARGETS, Target
from tests.crash.trade import take_over, trade

LEDGER = "_headrace_jobs"


class World:
    """A pipeline on this machine and its place.

    Args:
        target: Where it loads to.
        place: The address.
        folder: Of its own; the pipelines' folder is made in it.
        logs: Where the children's output goes.
    """

    def __init__(self, target: Target, place: str, folder: Path, logs: Path) -> None:
        self.target, self.place, self.folder, self._logs = target, place, folder / "pipelines", logs
        self.folder.mkdir(parents=True)
        self.done = 0  # runs that ended well
        self.deaths = 0  # runs that did not

    def begin(self, folder: Path | None = None, **kw: Any) -> Any:
        """Start a run in a child."""
        log = self._logs / f"run-{self.done + self.deaths}.log"
        return start(trade, self.target.name, self.place, folder or self.folder, log=log, **kw)

    def finish(self, child: Any) -> int:
        """Wait for a run; its exit code, negative when a signal ended it."""
        code = end_of(child)
        self.done, self.deaths = self.done + (code == 0), self.deaths + (code != 0)
        return code

    def run(self, **kw: Any) -> int:
        """Run once, to its end."""
        return self.finish(self.begin(**kw))

    def kill_after(self, seconds: float) -> bool:
        """Run, and kill it after some time; whether it was still at work."""
        child = self.begin()
        time.sleep(seconds)
        child.kill()
        return self.finish(child) != 0

    def paused(self, at: str, seconds: float = 60) -> Any:
        """Start a run and wait until it waits at a failpoint; `go_on` lets it go on."""
        child, mark = self.begin(pause=at), self.folder / "paused"
        end = time.monotonic() + seconds
        while not mark.exists():
            assert child.is_alive() and time.monotonic() < end, f"{at} was not reached:\n{self.log()}"
            time.sleep(0.005)
        return child

    def go_on(self, child: Any) -> int:
        """Let a paused run go on, to its end."""
        (self.folder / "paused").unlink()
        return self.finish(child)

    def log(self) -> str:
        """What the last run printed."""
        logs = sorted(self._logs.glob("run-*.log"), key=lambda path: path.stat().st_mtime_ns)
        return logs[-1].read_text(errors="replace")[-3000:] if logs else ""

    def hits(self) -> dict[str, int]:
        """How often a whole run passes each place; the run counts as done."""
        assert self.run(count=True) == 0, self.log()
        found: dict[str, int] = json.loads((self.folder / "hits.json").read_text())
        return found

    # ---- looking ---------------------------------------------------------------------------------------------------

    def faults(self) -> list[str]:
        """What is wrong here and at the place, after a run that ended well."""
        target, here = self.target, self.folder / "shop"
        state = json.loads((here / "pipeline.json").read_text())
        counts = batches_in(state, target.resources)
        batches = max(counts)
        found = [] if len(counts) == 1 else [f"the cursors and counts of the resources differ: {counts}"]
        if not self.done <= batches <= self.done + self.deaths:
            found.append(f"{batches} batches after {self.done} runs and {self.deaths} deaths")
        tables = target.tables(self.place)
        found += faults(lambda table: tables.get(table, []), batches, target.resources)
        found += [f"left over: {path}" for path in here.glob("packages/*/spool")]
        found += [f"left over: {path}" for path in here.glob("packages/.dropped*")]
        if tables.get(LEDGER):
            found.append("keys of jobs are left in the ledger")
        found += [f"left over: table {name}" for name in tables if "staging" in name or "stage" in name]
        return found

    def faults_elsewhere(self) -> list[str]:
        """What another machine is told wrong, which has nothing but the destination."""
        other = self.folder.with_name("elsewhere") / str(self.done + self.deaths)
        other.mkdir(parents=True)
        log = other / "log"
        if end_of(start(take_over, self.target.name, self.place, other, log=log)) != 0:
            return [f"the state could not be taken over:\n{log.read_text()[-2000:]}"]
        told = set(json.loads((other / "batches.json").read_text()))
        here = batches_in(json.loads((self.folder / "shop/pipeline.json").read_text()), self.target.resources)
        return [] if told == here else [f"the destination's state says {told} batches, and here it is {here}"]


class Worlds:
    """Makes worlds of one target, each with a place of its own."""

    def __init__(self, name: str, folder: Path, request: pytest.FixtureRequest, logs: Path | None = None) -> None:
        self.target = TARGETS[name]
        self._folder, self._logs, self._made = folder, logs or folder, 0
        from headrace.destinations import FACTORIES

        if self.target.kind not in FACTORIES:
            pytest.skip(f"headrace has no destination {self.target.kind} yet")
        for module in self.target.modules:
            pytest.importorskip(module, reason=f"no module {module}; to get it: pip install -e '.[dev]'")
        self._server: Any = request.getfixturevalue(self.target.server) if self.target.server else None

    def new(self) -> World:
        """A new one, with nothing in it."""
        self._made += 1
        folder = self._folder / str(self._made)
        place = self._server.database() if self._server is not None else str(folder / "place")
        folder.mkdir(parents=True, exist_ok=True)
        return World(self.target, place, folder, self._logs / f"logs-{self._made}")


class Round:
    """Kills, reruns and looks, and goes on in a fresh world when something is wrong.

    Attributes:
        kills: How many runs were killed.
        faults: What was wrong, with the death that led to it.
    """

    def __init__(self, worlds: Worlds, seed: str) -> None:
        self.worlds, self.chance = worlds, random.Random(seed)
        self.kills = 0
        self.faults: list[str] = []
        self._world: World | None = None

    def after(self, what: str, kill: Callable[[World], bool], fresh: bool) -> None:
        """One death (now and then a second one in the run after it), one plain rerun, one look.

        Args:
            what: For people.
            kill: Kills a run; whether it did.
            fresh: In a place where nothing was ever loaded.
        """
        world = self.worlds.new() if fresh or self._world is None else self._world
        if not fresh and self._world is None:
            assert world.run() == 0, world.log()
        killed = kill(world)
        self.kills += killed
        if killed and self.chance.random() < 0.25:
            again = world.kill_after(self.chance.uniform(0, 0.5))
            self.kills += again
            what += ", and again in the next run" if again else ""
        code = world.run()
        found = world.faults() if code == 0 else [f"the rerun ended with {code}:\n{world.log()}"]
        if not found and self.chance.random() < 0.2:
            found = world.faults_elsewhere()
        self.faults += [f"{what}: {fault}" for fault in found]
        if not fresh:
            self._world = None if found else world
