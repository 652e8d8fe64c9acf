"""Settings of all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

# how long an example takes says something about the machine, not about the code
settings.register_profile("headrace", deadline=None, print_blob=True)
settings.load_profile("headrace")

pytest_plugins = ["tests.servers.fixtures", "tests.crash.summary"]


@pytest.fixture(autouse=True)
def no_pipeline_stays_active() -> Iterator[None]:
    """A pipeline that a test made is not the current one of the next."""
    yield
    if (module := sys.modules.get("headrace.pipeline.current")) is not None and (active := module.active()) is not None:
        active.deactivate()


@pytest.fixture(autouse=True)
def no_secret_stays_known() -> Iterator[None]:
    """What one test gave out as a password is a word like any other in the next."""
    yield
    if (module := sys.modules.get("headrace.errors.masking")) is not None:
        module.forget()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests marked ``long`` (others cover the same ground thinly), unless asked for, or named one by one.

    Of those marked ``each(n)``, one in n stays.
    """
    if os.environ.get("HEADRACE_LONG") or any("::" in arg for arg in config.args):
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    turns: dict[str, int] = {}
    for item in items:
        if (mark := item.get_closest_marker("each")) is not None:
            group = item.nodeid.partition("[")[0].rpartition("::")[0]
            turn = turns[group] = turns.get(group, -1) + 1
            left_out += [item] if turn % mark.args[0] else []
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]
