"""Killed by ``kill -9`` at every place that has a name, and at instants that nobody chose: every row arrives once.

Over all write dispositions at once and every destination of `tests.crash.targets`. ``HEADRACE_CRASH_RUNS`` says how
often (``make crash`` for many); places of facts and commits are found by counting them in a run that nobody disturbs.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.amount import RUNS, SEED
from tests.crash.targets import TARGETS
from tests.crash.world import Round, World, Worlds

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

SHARE = -(-RUNS // len(TARGETS))
SHARD = 20
"""Kills in one test at most, so that processes share the work."""
SHARDS = -(-SHARE // SHARD)


def at(place: str) -> Callable[[World], bool]:
    """Kill at a place: ``job.committed#2``."""

    def kill(world: World) -> bool:
        code = world.run(failpoint=place)
        assert code in (0, -signal.SIGKILL), world.log()
        return code != 0

    return kill


def after(seconds: float) -> Callable[[World], bool]:
    """Kill after some time."""
    return lambda world: world.kill_after(seconds)


def places(worlds: Worlds) -> tuple[list[tuple[str, bool]], float]:
    """Each place of a first run (True) and of a later one, with the number of its hit; how long a run takes."""
    world = worlds.new()
    found = [(f"{place}#{n}", True) for place, hits in world.hits().items() for n in range(1, hits + 1)]
    started = time.perf_counter()
    found += [(f"{place}#{n}", False) for place, hits in world.hits().items() for n in range(1, hits + 1)]
    whole = time.perf_counter() - started
    assert world.faults() == []
    return found, whole


# one of each kind; the others are variations of these
FEW = ("duckdb", "postgres", "filesystem-parquet")


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", [n if n in FEW else pytest.param(n, marks=pytest.mark.long) for n in TARGETS])
def test_killed(
    name: str, shard: int, tmp_path: Path, request: pytest.FixtureRequest, record_property: Callable[..., None]
) -> None:
    worlds = Worlds(name, tmp_path, request)
    known, whole = places(worlds)
    chance = random.Random(f"{SEED} {name}")
    chance.shuffle(known)
    mine = known[shard::SHARDS]
    budget = SHARE // SHARDS
    # two thirds at places as long as there are any, the others at any time
    chosen = mine[: budget * 2 // 3]
    rounds = Round(worlds, f"{SEED} {name} {shard}")
    for place, first in chosen:
        rounds.after(f"killed at {place} in a {'first' if first else 'later'} run", at(place), first)
    tries = 0
    while rounds.kills < budget and tries < 3 * budget:
        tries += 1
        seconds = rounds.chance.uniform(0, whole)
        rounds.after(f"killed after {seconds:.3f} s", after(seconds), fresh=tries % 4 == 0)
    if rounds.faults:  # seen at once, also when the whole takes an hour
        with Path(os.environ.get("HEADRACE_CRASH_LOG", os.devnull)).open("a") as stream:
            stream.write("\n".join([name, *rounds.faults, ""]))
    record_property("kills", [name, rounds.kills, len(rounds.faults)])
    assert rounds.faults == []
    assert rounds.kills >= budget * 2 // 3
