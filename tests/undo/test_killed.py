"""Killed by ``kill -9`` while a load keeps what it changes, and while it is undone: all or nothing, then as ever."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.crash import forks
from tests.undo.keeper import act
from tests.undo.world import DuckDb, Postgres, World, hashes, kept_tables, rows

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

UNDO = [
    "rollback.noted",
    "rollback.load",
    "rollback.before_commit",
    "rollback.committed",
    "rollback.filed",
    "RolledBack:before",
    "RolledBack:after",
    "rollback.settled",
]
LOAD = [
    "undo.begun",
    "ddl.before_commit",
    "schema.stored",
    "job.before_commit",
    "job.before_commit#3",
    "job.committed#2",
    "complete.before_commit",
    "complete.after",
]
LONG = bool(os.environ.get("HEADRACE_LONG"))
ALWAYS = {
    ("duckdb", "rollback.committed"),
    ("duckdb", "job.before_commit#3"),
    ("postgres", "rollback.committed"),
    ("postgres", "job.committed#2"),
}
FEWER = {"rollback.before_commit", "rollback.committed", "ddl.before_commit", "job.before_commit#3", "job.committed#2"}


def on_both(places: list[str]) -> list[tuple[str, str]]:
    """All places on DuckDB, those around commits on PostgreSQL; the most telling ones unless there is time."""
    every = [("duckdb", place) for place in places] + [("postgres", place) for place in places if place in FEWER]
    return every if LONG else [one for one in every if one in ALWAYS]


class Shop:
    """A folder with a pipeline that children work on."""

    def __init__(self, folder: Path, kind: str, request: pytest.FixtureRequest) -> None:
        server = request.getfixturevalue("postgres_server") if kind == "postgres" else None
        self.folder, self.kind, self.url = folder, kind, server.database() if server else ""
        self.world: World = Postgres(self.url) if server else DuckDb(folder)

    def does(self, deed: str, place: str = "") -> int:
        return forks.end_of(
            forks.start(act, self.folder, self.kind, self.url, deed, place, log=self.folder / "log" / f"{deed}.txt")
        )

    def check_whole(self) -> int:
        """Every number is there once, in all tables; returns the largest."""
        numbers = [n for (n,) in rows(self.world, "kept", "numbers", "n")]
        assert sorted(numbers) == list(range(1, max(numbers) + 1))
        last = max(numbers)
        assert [n for (n,) in rows(self.world, "kept", "newest", "n")] == [1, 2]
        latest = {n % 3: n for n in range(1, last + 1)}
        assert dict(rows(self.world, "kept", "parts", "part, n")) == latest
        assert sorted(b for (b,) in rows(self.world, "kept", "parts__bits", "b")) == sorted(latest.values())
        loads = {i for (i,) in rows(self.world, "kept", "_dlt_loads", "load_id")}
        assert {i for (i,) in rows(self.world, "kept", "numbers", "_dlt_load_id")} == loads
        return last


@pytest.mark.parametrize(("kind", "place"), on_both(UNDO))
def test_undo_killed(kind: str, place: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The dataset is as before the load or as after it; the next run follows, whichever it is."""
    shop = Shop(tmp_path, kind, request)
    assert shop.does("load") == 0
    before = hashes(shop.world, "kept")
    assert shop.does("load") == 0
    after = hashes(shop.world, "kept")
    assert shop.does("undo", place) == -signal.SIGKILL
    found = hashes(shop.world, "kept")
    undone = UNDO.index(place) >= UNDO.index("rollback.committed")
    assert found == (before if undone else after)
    assert shop.does("load") == 0
    assert shop.check_whole() == (4 if undone else 6)
    assert shop.does("undo") == 0
    assert hashes(shop.world, "kept") == found


@pytest.mark.parametrize(("kind", "place"), on_both(LOAD))
def test_load_killed(kind: str, place: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A load that was killed and finished later is undone as any other; nothing is kept twice."""
    shop = Shop(tmp_path, kind, request)
    assert shop.does("load") == 0
    before = hashes(shop.world, "kept")
    assert shop.does("load", place) == -signal.SIGKILL
    assert shop.does("load") == 0  # finishes it, and reads on
    assert shop.check_whole() == 6
    assert shop.does("undo two") == 0
    assert hashes(shop.world, "kept") == before
    assert shop.does("undo") == 0
    assert kept_tables(shop.world, "kept") == []
