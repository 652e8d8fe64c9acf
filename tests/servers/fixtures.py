"""pytest's side of the servers: one of each for a test process, and a table at the end of what was tested.

A test that is about a destination says so with ``@pytest.mark.destination("postgres")``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

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


OUTCOMES = ("passed", "failed", "error", "gap", "ruled out", "skipped")
_NEVER = "never: "


class Tested(NamedTuple):
    """What became of the tests of one destination.

    Attributes:
        counts: How many had each outcome; a gap is a declared failure, ruled out is what its capabilities do not have.
        reasons: Why tests were skipped for other reasons, most frequent first.
    """

    counts: Counter[str]
    reasons: Counter[str]


def outcomes(stats: Mapping[str, Sequence[Any]]) -> dict[str, Tested]:
    """Outcomes by destination, from pytest's reports by outcome."""
    found: dict[str, Tested] = defaultdict(lambda: Tested(Counter(), Counter()))
    for outcome in ("passed", "failed", "error", "skipped", "xfailed"):
        for report in stats.get(outcome, []):
            for name in [v for k, v in getattr(report, "user_properties", []) if k == "destination"]:
                told = report.longrepr[2] if outcome == "skipped" and isinstance(report.longrepr, tuple) else ""
                reason = told.removeprefix("Skipped: ")
                known = "gap" if outcome == "xfailed" else "ruled out" if reason.startswith(_NEVER) else outcome
                found[name].counts[known] += 1
                if known == "skipped":
                    found[name].reasons[reason] += 1
    return dict(sorted(found.items()))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    found = outcomes(terminalreporter.stats)
    if not found:
        return
    terminalreporter.section("destinations")
    shown = [o for o in OUTCOMES if any(one.counts[o] for one in found.values())]
    width = max(len(name) for name in found) + 2
    terminalreporter.write_line(" " * width + "".join(f"{o:>11}" for o in shown))
    for name, one in found.items():
        numbers = "".join(f"{one.counts[o] or '·':>11}" for o in shown)
        state = "" if one.counts["passed"] else "   NOT TESTED"
        terminalreporter.write_line(f"{name:<{width}}{numbers}{state}")
    for name, one in found.items():
        for reason, count in one.reasons.most_common():
            terminalreporter.write_line(f"{name}: {count} skipped: {reason}")
