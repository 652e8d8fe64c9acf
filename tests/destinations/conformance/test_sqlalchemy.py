"""The public suite on SQLite and MariaDB, through SQLAlchemy."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

import headrace
from headrace.testing import DestinationTests


@pytest.mark.each(3, 1)
@pytest.mark.destination("sqlite")
class TestSqlite(DestinationTests):
    keep_datasets = True
    gaps: ClassVar[dict[str, str]] = {
        "test_comments_of_tables_and_columns": "SQLite has no comments",
        "test_type_keeps_value[double-nan]": "SQLite takes NaN for NULL",
        "test_type_keeps_value[double-minus_zero]": "SQLite stores minus zero as zero",
        "test_type_keeps_value[decimal-digits]": "SQLite keeps 15 digits of a number; a warning says so",
        "test_column_is_widened[decimal]": "the same: the value has 20 digits",
        "test_column_is_widened[date]": "SQLite cannot change the type of a column; the error says so",
        "test_column_may_become_nullable": "SQLite cannot change a column; the error says so",
    }

    def destination(self) -> Any:
        return headrace.destinations.sqlalchemy(f"sqlite:///{self.folder}/kit.db")

    def unreachable(self) -> Any:
        return headrace.destinations.sqlalchemy(f"sqlite:///{self.folder}/no/such/folder/kit.db")


@pytest.mark.each(4)
@pytest.mark.destination("mariadb")
class TestMariaDb(DestinationTests):
    secrets = ("secret-of-mariadb",)
    gaps: ClassVar[dict[str, str]] = {
        "test_type_keeps_value[double-nan]": "MySQL has no NaN; the load is refused",
        "test_type_keeps_value[double-infinite]": "MySQL has no infinity; the load is refused",
        "test_type_keeps_value[double-minus_infinite]": "MySQL has no infinity; the load is refused",
        "test_type_keeps_value[double-minus_zero]": "MySQL stores minus zero as zero",
    }

    @pytest.fixture(autouse=True, scope="class")
    def _database(self, request: pytest.FixtureRequest, mariadb_server: Any) -> None:
        # one for all tests: each has a dataset of its own
        request.cls.url = mariadb_server.database()

    def destination(self) -> Any:
        return headrace.destinations.sqlalchemy(self.url)  # type: ignore[attr-defined]

    def unreachable(self) -> Any:
        return headrace.destinations.sqlalchemy("mysql+pymysql://loader:secret-of-mariadb@127.0.0.1:9/nothing")
