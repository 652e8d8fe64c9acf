"""Killed anywhere in a load, one plain rerun makes it whole: no row lost or doubled, nothing left over."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.destinations.filesystem.places import DATASET, Place, ids, numbers

pytestmark = pytest.mark.destination("filesystem-local")

PLACES = [
    "Planned:after",
    "migrate.after",
    "files.placed",
    "files.written",
    "files.removed",
    "job.committed",
    "JobDone:after",
    "complete.before",
    "complete.state_written",
    "complete.after",
    "Loaded:before",
]


# by turns, so that each place and each disposition has its share in the everyday run
CASES = [
    (place, disposition) if (i + k) % 2 else pytest.param(place, disposition, marks=pytest.mark.long)
    for i, place in enumerate(PLACES)
    for k, disposition in enumerate(("append", "replace"))
]


@pytest.mark.parametrize(("failpoint", "write_disposition"), CASES)
def test_killed_once(tmp_path: Path, home: Path, failpoint: str, write_disposition: str) -> None:
    if failpoint == "files.removed" and write_disposition == "append":
        pytest.skip("an append removes nothing")
    place = Place(str(tmp_path / "files"), {})
    place.pipeline(home).run(numbers(3), write_disposition=write_disposition)
    assert place.run_killed(failpoint, home, "shop", 5, write_disposition=write_disposition) == -signal.SIGKILL
    p = place.pipeline(home)
    p.run(numbers(6), write_disposition=write_disposition)
    assert ids(p) == ids(p, "orders__items", "of") == list(range(1, 7))
    root = Path(place.url) / DATASET
    assert not list(root.glob("_headrace_tmp/**/*")), "what was half written is gone"
    loads = {path.stem.partition("__")[2] for path in (root / "_dlt_loads").iterdir()}
    assert {load_id for (load_id,) in p.dataset()["orders"].select("_dlt_load_id").fetchall()} <= loads
    assert not p.has_pending_data


def test_readers_of_a_killed_replace_find_the_old_rows(tmp_path: Path, home: Path) -> None:
    """Or the old ones and the new ones, but never none."""
    place = Place(str(tmp_path / "files"), {})
    place.pipeline(home).run(numbers(3), write_disposition="replace")
    for failpoint in ("files.placed", "files.written"):
        assert place.run_killed(failpoint, home, "shop", 5, write_disposition="replace") == -signal.SIGKILL
        p = place.pipeline(home)
        with p.sql_client() as client:
            assert {1, 2, 3} <= {n for (n,) in client.execute_sql("SELECT id FROM orders")}
