"""A thousand runs that chance decides on: every run is told once, ends once, and as it did."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from tests.lineage.scenarios.chance import Story
from tests.lineage.scenarios.places import DuckDb
from tests.lineage.scenarios.scenario import LATER
from tests.lineage.scenarios.test_scenarios import judged_findings, project, shop, world

assert project and shop  # fixtures

STEPS = 20  # of a story


@pytest.mark.parametrize(
    "seed", [seed if seed < 1 else pytest.param(seed, marks=pytest.mark.long) for seed in range(50)]
)
def test_chance(seed: int, project: Path, shop: tuple[Path, ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    w = world(project, shop, DuckDb(project), monkeypatch)
    story = Story(w, monkeypatch, seed)
    for _ in range(STEPS):
        story.act()
    story.finish()
    found = [*story.faults(), *judged_findings(w, *LATER)]
    assert not found, "\n".join([f"after {story.done}:", *found])
