"""Ctrl-C: extract stops at once and keeps nothing; load finishes the running job and leaves the rest for later."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors.base import SignalReceivedException
from headrace.load.destination import LoadContext
from headrace.model.jobs import AnyJob
from tests.e2e.project import rows


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_in_extract(project: Path) -> None:
    p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")

    @headrace.resource(name="t")
    def endless() -> Any:
        headrace.current.resource_state()["begun"] = True
        yield {"id": 1}
        interrupt()
        yield {"id": 2}

    with pytest.raises(KeyboardInterrupt):
        p.run(endless())
    assert not p.has_pending_data
    assert "sources" not in p.state
    p.run([{"id": 3}], table_name="t")
    assert rows(p, "t", "id") == [(3,)]


def test_in_load(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headrace.destinations.sql.client import SqlJobClient

    apply, seen = SqlJobClient.apply, []

    def interrupted(self: SqlJobClient, job: AnyJob, context: LoadContext) -> int:
        if not seen:
            interrupt()
        seen.append(job.id)
        return apply(self, job, context)

    monkeypatch.setattr(SqlJobClient, "apply", interrupted)
    p = headrace.pipeline("shop", destination="duckdb", dataset_name="raw")
    with pytest.raises(SignalReceivedException):
        p.run([{"id": 1}], table_name="t")
    assert len(seen) == 1
    p.run()
    assert not p.has_pending_data
    assert rows(p, "t", "id") == [(1,)]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
