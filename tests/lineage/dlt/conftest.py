"""A real dlt with headrace beside it, started once."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.continuity.engines import ROOT, Engine, NoDlt, python_with
from tests.lineage.dlt.lab import Lab

_MODULES = ("headrace.lineage", "headrace.observers.lineage.dlt", "dlt.destinations.impl.duckdb.duck", "sqlalchemy")


def started(version: str) -> Engine:
    """dlt of a version in an environment that headrace can be imported in; skips where it cannot be installed."""
    own = [need for need in importlib.metadata.requires("headrace") or () if "extra ==" not in need]
    needs = [f"dlt[duckdb,sqlalchemy]=={version}.*", f"duckdb=={duckdb.__version__}", "openlineage-python>=1.50", *own]
    try:
        python = python_with(f"dlt-{version}-lineage", needs)
    except NoDlt as error:
        pytest.skip(f"there is no dlt to attach to: {error}")
    return Engine("dlt", python, _MODULES, {"PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"})


@pytest.fixture(scope="session")
def dlt_131() -> Iterator[Engine]:
    with started("1.31") as engine:
        yield engine


@pytest.fixture(scope="session")
def dlt_120() -> Iterator[Engine]:
    with started("1.20") as engine:
        yield engine


@pytest.fixture
def lab(dlt_131: Engine, tmp_path: Path) -> Lab:
    """dlt 1.31 in a folder of its own."""
    return Lab(dlt_131, tmp_path)


@pytest.fixture
def old_lab(dlt_120: Engine, tmp_path: Path) -> Lab:
    """A dlt that knows no locations."""
    return Lab(dlt_120, tmp_path)
