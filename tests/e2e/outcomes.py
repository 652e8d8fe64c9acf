"""What the destination holds after a run, as data: the test runs every line, and the docs' table is made of them.

A table ``t`` with a nested table ``t__l`` holds the *old* rows, 1 and 2. A second run happens. What it finds in its
source is one of `DATA`; what the tables hold after it is one of `OUTCOMES`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

DISPOSITIONS: dict[str, Any] = {
    "append": "append",
    "replace, insert-from-staging": {"disposition": "replace", "strategy": "insert-from-staging"},
    "replace, staging-optimized": {"disposition": "replace", "strategy": "staging-optimized"},
    "replace, truncate-and-insert": {"disposition": "replace", "strategy": "truncate-and-insert"},
    "merge, delete-insert": {"disposition": "merge", "strategy": "delete-insert"},
    "merge, upsert": {"disposition": "merge", "strategy": "upsert"},
    "merge, insert-only": {"disposition": "merge", "strategy": "insert-only"},
    "merge, scd2": {"disposition": "merge", "strategy": "scd2"},
    "skip": "skip",
}
DATA = {
    "rows": "the resource yields rows: 2 changed, 3 new",
    "nothing": "the resource is run and yields nothing",
    "materialized": "the resource yields `mark.materialize_table_schema()` alone",
    "not selected": "another resource of the source is run, this one is not selected",
    "extract fails": "the resource yields a row and raises",
    "load fails": "rows are extracted; the load fails after the first job that changes the table has begun",
}
REFRESH = ("none", "drop_sources", "drop_resources", "drop_data")
OUTCOMES = {
    "old": "the old rows",
    "new": "the new rows alone",
    "old + new": "the old rows and the new ones",
    "merged": "old rows whose key did not come, and the new ones",
    "first kept": "the old rows, and new ones whose key was not there",
    "history": "all versions: old ones that did not come again are retired",
    "empty": "the table without rows",
    "gone": "no table",
}

_WITH_ROWS = {"append": "old + new", "skip": "old", "merge, insert-only": "first kept", "merge, scd2": "history"}


class Cell(NamedTuple):
    """One line of the table."""

    disposition: str
    data: str
    refresh: str
    outcome: str


def _outcome(disposition: str, data: str, refresh: str) -> str:
    kind = disposition.partition(",")[0]
    if data == "extract fails":
        return "old"  # nothing was sealed, so nothing is dropped or emptied either
    if data == "load fails":
        return _half_way(disposition, refresh)
    if data == "not selected":
        return "gone" if refresh == "drop_sources" else "old"
    if refresh != "none":
        if data == "rows":
            return "empty" if kind == "skip" else "new"
        return "gone" if data == "nothing" and refresh != "drop_data" else "empty"
    if data == "rows":
        return _WITH_ROWS.get(disposition, "new" if kind == "replace" else "merged")
    return "empty" if kind == "replace" else "old"


def _half_way(disposition: str, refresh: str) -> str:
    # a refresh is done before the rows come, as it says
    return "empty" if refresh != "none" or disposition == "replace, truncate-and-insert" else "old"


def cells() -> Iterator[Cell]:
    """All lines."""
    for disposition in DISPOSITIONS:
        for refresh in REFRESH:
            for data in DATA:
                yield Cell(disposition, data, refresh, _outcome(disposition, data, refresh))
