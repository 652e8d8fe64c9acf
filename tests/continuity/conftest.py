"""Both engines, started once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from tests.continuity.engines import Engine, NoDlt, dlt_python

# with HEADRACE_LONG=1 also the version whose schemas the model's test vectors come from
LONG = bool(os.environ.get("HEADRACE_LONG"))
VERSIONS = ["1.31", "1.26"] if LONG else ["1.31"]


@pytest.fixture(scope="session", params=VERSIONS)
def dlt_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A real dlt."""
    try:
        python = dlt_python(request.param)
    except NoDlt as error:
        pytest.skip(f"there is no dlt to compare with: {error}")
    with Engine("dlt", python) as engine:
        yield engine


@pytest.fixture(scope="session")
def headrace_engine() -> Iterator[Engine]:
    """This headrace."""
    with Engine("headrace", sys.executable) as engine:
        yield engine


@pytest.fixture
def engines(dlt_engine: Engine, headrace_engine: Engine) -> dict[str, Engine]:
    """Both, by the letter that histories name them by."""
    return {"d": dlt_engine, "h": headrace_engine}
