"""pytest's side of the servers: one of each for a test process, and a table at the end of what was tested.

A test that is about a destination says so with ``@pytest.mark.destination("postgres")``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers import Missing


def _serve(kind: Any) -> Iterator[Any]:
    try:
        server = kind()
    except Missing as missing:
        pytest.skip(str(missing))
    except ImportError as error:
        pytest.skip(f"no module {error.name}; to get it: pip install -e '.[dev]'")
    with server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Any]:
    """A running PostgreSQL."""
    from tests.servers.postgres import Postgres

    yield from _serve(Postgres)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[Any]:
    """A running MariaDB."""
    from tests.servers.mariadb import MariaDb

    yield from _serve(MariaDb)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Any]:
    """A running S3 emulator."""
    from tests.servers.clouds import S3

    yield from _serve(S3)


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[Any]:
    """A running emulator of Google's object store."""
    from tests.servers.clouds import Gcs

    yield from _serve(Gcs)


@pytest.fixture(scope="session")
def azure_server() -> Iterator[Any]:
    """A running emulator of Azure's object store."""
    from tests.servers.clouds import Azure

    yield from _serve(Azure)


@pytest.fixture(scope="session")
def sftp_server() -> Iterator[Any]:
    """A running SFTP server."""
    from tests.servers.sftp import Sftp

    yield from _serve(Sftp)


# ---- the table of destinations -------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "destination(name): the test is about this destination")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("destination"):
            # properties travel from xdist's workers to the one who prints
            item.user_properties.append(("destination", mark.args[0]))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: dict[str, str] = {}
    for outcome in ("passed", "failed", "error", "skipped", "xfailed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name in [v for k, v in getattr(report, "user_properties", []) if k == "destination"]:
                counts[name][outcome] += 1
                if outcome == "skipped" and isinstance(report.longrepr, tuple):
                    reasons[name] = report.longrepr[2].removeprefix("Skipped: ")
    if not counts:
        return
    terminalreporter.section("destinations")
    for name in sorted(counts):
        found = counts[name]
        told = ", ".join(f"{found[o]} {o}" for o in ("passed", "failed", "error", "skipped", "xfailed") if found[o])
        hint = f"  ({reasons[name]})" if name in reasons and not found["passed"] else ""
        terminalreporter.write_line(f"{name:<24} {told}{hint}")
