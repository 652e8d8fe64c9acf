"""What happens in a child: one plain run of the shop's source into a target, armed to die or not."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import headrace
from headrace.base import failpoints
from tests.crash.shop import batches_in, shop
from tests.crash.targets import TARGETS

DATASET = "raw"


def trade(
    target_name: str,
    place: str,
    folder: Path,
    failpoint: str = "",
    count: bool = False,
    pause: str = "",
    padding: int = 0,
    **limits: int,
) -> None:
    """Run the pipeline once.

    Args:
        target_name: Where to.
        place: The target's address.
        folder: The pipelines' folder.
        failpoint: Where to die.
        count: Write how often each place of a failpoint is passed to ``folder/hits.json``.
        pause: A failpoint at which to wait: ``folder/paused`` appears, and the run goes on when it is deleted.
        padding: Characters that each event has beside its values.
        limits: By name of the limit (``RLIMIT_FSIZE``): its value; of ``RLIMIT_AS`` what there may be beyond what is.
    """
    os.chdir(folder.parent)
    target = TARGETS[target_name]
    pipeline = make_pipeline(target_name, place, folder)
    source = shop(target.resources, target.table_format, padding)
    hits: Counter[str] = Counter()
    if count:
        failpoints.hit = lambda name: hits.update([name])
    if pause:
        _pause_at(pause, folder / "paused")
    failpoints._armed.update(failpoints.parse(failpoint))
    _limit(limits)
    pipeline.run(source, **target.run_settings)
    if count:
        (folder / "hits.json").write_text(json.dumps(hits))


def make_pipeline(target_name: str, place: str, folder: Path) -> Any:
    """The pipeline of the shop."""
    target = TARGETS[target_name]
    return headrace.pipeline(
        "shop", destination=target.destination(place), dataset_name=DATASET, pipelines_dir=str(folder)
    )


def take_over(target_name: str, place: str, folder: Path) -> None:
    """As on another machine: take the state from the destination and write the number of batches it knows of."""
    target = TARGETS[target_name]
    pipeline = make_pipeline(target_name, place, folder)
    pipeline.sync_destination()
    (folder / "batches.json").write_text(json.dumps(sorted(batches_in(pipeline.state, target.resources))))


def _pause_at(place: str, paused: Path) -> None:
    armed = failpoints.parse(place)

    def hit(name: str) -> None:
        if name not in armed:
            return
        armed[name] -= 1
        if armed[name] == 0:
            paused.touch()
            while paused.exists():
                time.sleep(0.005)

    failpoints.hit = hit


def _limit(limits: dict[str, int]) -> None:
    import resource

    # a module's bytecode, cut short, would fail every later import of it
    sys.dont_write_bytecode = sys.dont_write_bytecode or bool(limits)
    for name, value in limits.items():
        if name == "RLIMIT_AS":
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            value += pages * resource.getpagesize()
        resource.setrlimit(getattr(resource, name), (value, value))


if __name__ == "__main__":
    # as a user's script would be: no fork server, no test framework
    order = json.loads(sys.argv[1])
    trade(order.pop("target"), order.pop("place"), Path(order.pop("folder")), **order)
