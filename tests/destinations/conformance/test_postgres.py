"""The public suite on PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

import headrace
from headrace.testing import DestinationTests


@pytest.mark.destination("postgres")
class TestPostgres(DestinationTests):
    secrets = ("secret-of-postgres",)

    @pytest.fixture(autouse=True, scope="class")
    def _database(self, request: pytest.FixtureRequest, postgres_server: Any) -> None:
        # one for all tests: each has a dataset of its own
        request.cls.url = postgres_server.database()

    def destination(self) -> Any:
        return headrace.destinations.postgres(self.url)  # type: ignore[attr-defined]

    def unreachable(self) -> Any:
        return headrace.destinations.postgres("postgresql://loader:secret-of-postgres@127.0.0.1:9/nothing")
