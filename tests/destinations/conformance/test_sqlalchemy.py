"""The public suite on SQLite and MariaDB, through SQLAlchemy."""

from __future__ import annotations

from typing import Any

import pytest

import headrace
from headrace.testing import DestinationTests


@pytest.mark.destination("sqlite")
class TestSqlite(DestinationTests):
    keep_datasets = True

    def destination(self) -> Any:
        return headrace.destinations.sqlalchemy(f"sqlite:///{self.folder}/kit.db")

    def unreachable(self) -> Any:
        return headrace.destinations.sqlalchemy(f"sqlite:///{self.folder}/no/such/folder/kit.db")


@pytest.mark.destination("mariadb")
class TestMariaDb(DestinationTests):
    secrets = ("secret-of-mariadb",)

    @pytest.fixture(autouse=True, scope="class")
    def _database(self, request: pytest.FixtureRequest, mariadb_server: Any) -> None:
        # one for all tests: each has a dataset of its own
        request.cls.url = mariadb_server.database()

    def destination(self) -> Any:
        return headrace.destinations.sqlalchemy(self.url)  # type: ignore[attr-defined]

    def unreachable(self) -> Any:
        return headrace.destinations.sqlalchemy("mysql+pymysql://loader:secret-of-mariadb@127.0.0.1:9/nothing")
