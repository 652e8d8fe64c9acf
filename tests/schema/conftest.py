"""Every test of this room runs in a folder of its own, with no pipeline active."""

from __future__ import annotations

import pytest

from tests.e2e.project import project as project


@pytest.fixture(autouse=True)
def _alone(project: object) -> None:
    """Take the project for each test."""
