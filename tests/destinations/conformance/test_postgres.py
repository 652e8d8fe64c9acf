"""The public suite on PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

import headrace
from headrace.testing import DestinationTests


@pytest.fixture(scope="session")
def kit_database(postgres_server: Any) -> str:
    """One for all tests: each has a dataset of its own."""
    return str(postgres_server.database())


@pytest.mark.each(2, 1)  # those that DuckDB has not
@pytest.mark.destination("postgres")
class TestPostgres(DestinationTests):
    secrets = ("secret-of-postgres",)

    gaps = {
        "test_type_keeps_value[text-nul]": "PostgreSQL cannot store the character NUL; it is removed, with a warning",
    }

    @pytest.fixture(autouse=True)
    def _database(self, kit_database: str) -> None:
        self.url = kit_database

    def destination(self) -> Any:
        return headrace.destinations.postgres(self.url)

    def unreachable(self) -> Any:
        return headrace.destinations.postgres("postgresql://loader:secret-of-postgres@127.0.0.1:9/nothing")
