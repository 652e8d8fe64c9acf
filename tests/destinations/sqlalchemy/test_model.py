"""The merge model (`tests.destinations.merge_model`) on SQLite, MariaDB and PostgreSQL: random histories of loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headrace
from tests.destinations.test_merge_model import HISTORIES, LONG, check

EXAMPLES = HISTORIES if LONG else 5
FAMILIES = ["delete-insert", "keyed", "scd2"]
pytestmark = pytest.mark.timeout(3 * 3600 if LONG else 120)


@pytest.mark.destination("sqlite")
@pytest.mark.parametrize("family", FAMILIES)
def test_sqlite(tmp_path: Path, family: str) -> None:
    """All strategies do to the tables what the model does to its documents, and count the same."""
    check(tmp_path, family, lambda name: headrace.destinations.sqlalchemy(f"sqlite:///{tmp_path}/{name}.db"), EXAMPLES)


@pytest.mark.destination("mariadb")
@pytest.mark.parametrize("family", FAMILIES)
def test_mariadb(tmp_path: Path, mariadb_server: Any, family: str) -> None:
    """The same, with no hash joins and with temporary tables that have keys of their own."""
    url = mariadb_server.database()
    check(tmp_path, family, lambda name: headrace.destinations.sqlalchemy(url), EXAMPLES)


@pytest.mark.destination("sqlalchemy-postgresql")
@pytest.mark.parametrize("family", FAMILIES)
def test_postgresql(tmp_path: Path, postgres_server: Any, family: str) -> None:
    """The same through SQLAlchemy's dialect of a database that has a destination of its own."""
    url = postgres_server.database().replace("postgresql://", "postgresql+psycopg://")
    check(tmp_path, family, lambda name: headrace.destinations.sqlalchemy(url), EXAMPLES if LONG else 3)
