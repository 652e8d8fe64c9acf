"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

# how long an example takes says something about the machine, not about the code
settings.register_profile("headrace", deadline=None, print_blob=True)
settings.load_profile("headrace")

pytest_plugins = ["tests.servers.fixtures", "tests.crash.summary"]
