from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.observers.alerts.servers import Inbox, inbox


@pytest.fixture
def server() -> Iterator[Inbox]:
    """A web server that keeps what is posted."""
    with inbox() as one:
        yield one


@pytest.fixture
def hook(server: Inbox, project: Path, monkeypatch: pytest.MonkeyPatch) -> Inbox:
    """The server, as the hook of Slack that is configured."""
    monkeypatch.setenv("RUNTIME__SLACK_INCOMING_HOOK", f"{server.url}/services/T0/B0/hook-secret-part")
    return server
