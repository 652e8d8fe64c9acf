"""Settings of all tests."""

from __future__ import annotations

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
