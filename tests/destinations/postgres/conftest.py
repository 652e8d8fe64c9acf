from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import headrace
from tests.e2e.project import project as project

MakePipeline = Callable[..., Any]


@pytest.fixture(scope="session")
def shared_url(postgres_server: Any) -> str:
    """A database for tests that have datasets of their own."""
    return str(postgres_server.database())


@pytest.fixture
def url(shared_url: str) -> str:
    return shared_url


@pytest.fixture
def dataset(request: pytest.FixtureRequest) -> str:
    """A dataset for each test, by its name."""
    return "".join(c if c.isalnum() else "_" for c in request.node.name.lower())[:40]


@pytest.fixture
def pipeline(project: Path, url: str, dataset: str) -> MakePipeline:
    """Makes pipelines into the test's dataset; arguments are those of the destination."""

    def make(**settings: Any) -> Any:
        return headrace.pipeline(
            "shop", destination=headrace.destinations.postgres(url, **settings), dataset_name=dataset
        )

    return make


@pytest.fixture
def db(url: str, dataset: str) -> Iterator[Any]:
    """A connection of a stranger's, in which bare names are those of the dataset."""
    with psycopg.connect(url, autocommit=True, options=f"-csearch_path={dataset}") as connection:
        yield connection
