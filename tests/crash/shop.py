"""A source with a resource of every disposition, and what tables must hold after so many of its batches.

Each run of the source yields one batch; which one comes from cursors and from state, so that a lost state shows as a
doubled batch and a state that ran ahead as a missing one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import headrace

ROWS = 8
"""Rows of a resource in a batch."""
RESOURCES = ("events", "snapshot", "accounts", "prices", "items")

Rows = list[dict[str, Any]]
Read = Callable[[str], Rows]
"""Reads all rows of a table of the destination; no rows when it does not exist."""


# ---- what a batch is -----------------------------------------------------------------------------------------------


def event_rows(batch: int) -> Rows:
    """Appended: ids without a gap over all batches."""
    ids = range((batch - 1) * ROWS, batch * ROWS)
    return [{"id": n, "batch": batch, "lines": [{"n": n, "k": k} for k in range(n % 3)]} for n in ids]


def snapshot_rows(batch: int) -> Rows:
    """Replaced: only the rows of the last batch are left."""
    return [
        {"id": n, "batch": batch, "parts": [{"batch": batch, "k": k} for k in range(2)]} for n in range(batch % 3 + 1)
    ]


def account_rows(batch: int) -> Rows:
    """Merged: half of the keys are those of the batch before."""
    keys = range(batch * (ROWS // 2), batch * (ROWS // 2) + ROWS)
    return [{"id": k, "batch": batch, "lines": [{"batch": batch, "k": i} for i in range(k % 3)]} for k in keys]


def item_rows(batch: int) -> Rows:
    """Slowly changing: keys come and go, and a value changes in every third batch."""
    return [{"id": k, "value": (batch + k) // 3} for k in range(batch, batch + ROWS)]


# ---- the source ----------------------------------------------------------------------------------------------------


@headrace.source(name="shop")
def shop(resources: Sequence[str] = RESOURCES, table_format: Any = None, padding: int = 0) -> Any:
    """The next batch of each resource.

    Args:
        resources: Their names; not every destination can do all.
        table_format: Of all tables.
        padding: Characters that each event has beside its values.
    """

    @headrace.resource(primary_key="id", table_format=table_format)
    def events(at: Any = headrace.sources.incremental("batch", initial_value=0)) -> Iterator[Rows]:
        rows = event_rows((at.last_value or 0) + 1)
        yield [{**row, "padding": "x" * padding} for row in rows] if padding else rows

    @headrace.resource(write_disposition="replace", table_format=table_format)
    def snapshot() -> Iterator[Rows]:
        yield snapshot_rows(_count("snapshot"))

    def merged(name: str, strategy: Any) -> Any:
        @headrace.resource(
            name=name,
            primary_key="id",
            write_disposition={"disposition": "merge", "strategy": strategy},
            table_format=table_format,
        )
        def changed(at: Any = headrace.sources.incremental("batch", initial_value=0)) -> Iterator[Rows]:
            yield account_rows((at.last_value or 0) + 1)

        return changed

    @headrace.resource(write_disposition={"disposition": "merge", "strategy": "scd2"}, table_format=table_format)
    def items() -> Iterator[Rows]:
        yield item_rows(_count("items"))

    made = {
        r.name: r for r in (events, snapshot, merged("accounts", "delete-insert"), merged("prices", "upsert"), items)
    }
    return [made[name] for name in resources]


def _count(name: str) -> int:
    # the source's: a resource's own state begins anew whenever its table is replaced
    batches = headrace.current.source_state().setdefault("batches", {})
    batches[name] = batches.get(name, 0) + 1
    return int(batches[name])


# ---- what must be there --------------------------------------------------------------------------------------------


def batches_in(state: dict[str, Any], resources: Sequence[str] = RESOURCES) -> set[int]:
    """How many batches the resources have yielded by a pipeline's state; one number unless something is wrong."""
    found = state.get("sources", {}).get("shop", {})
    cursors = {
        name: part["incremental"]["batch"]["last_value"]
        for name, part in found.get("resources", {}).items()
        if "incremental" in part
    }
    counts = {**cursors, **found.get("batches", {})}
    return {int(counts.get(name) or 0) for name in resources}


def faults(read: Read, batches: int, resources: Sequence[str] = RESOURCES) -> list[str]:
    """What is wrong with the tables after so many batches: rows that are lost, doubled, orphaned, of unknown loads."""
    checks = {"events": _events, "snapshot": _snapshot, "accounts": _accounts, "prices": _accounts, "items": _items}
    found: list[str] = []
    loads = read("_dlt_loads")
    if len(loads) != batches or len({row["load_id"] for row in loads}) != batches:
        found.append(f"_dlt_loads has {len(loads)} rows after {batches} batches")
    if any(int(row["status"]) != 0 for row in loads):
        found.append("_dlt_loads has a load that is not complete")
    known = {row["load_id"] for row in loads}
    for name in resources:
        rows = read(name)
        strays = {row["_dlt_load_id"] for row in rows} - known
        if strays:
            found.append(f"{name} has rows of loads that are not in _dlt_loads: {sorted(strays)}")
        found += [f"{name}{fault}" for fault in checks[name](read, name, rows, batches)]
    return found


def _difference(what: str, have: list[Any], want: list[Any]) -> list[str]:
    if sorted(have) == sorted(want):
        return []
    lost, more = list(want), []
    for one in have:
        if one in lost:
            lost.remove(one)
        else:
            more.append(one)
    return [f"{what}: lost {sorted(lost)[:5]} ({len(lost)}), too many {sorted(more)[:5]} ({len(more)})"]


def _nested(read: Read, table: str, parents: Rows, columns: tuple[str, ...], want: list[Any]) -> list[str]:
    rows = read(table)
    found = _difference(f": {table}", [tuple(int(row[c]) for c in columns) for row in rows], want)
    known = {row["_dlt_id"] for row in parents}
    orphans = sum(row["_dlt_parent_id"] not in known for row in rows)
    return [*found, *([f": {table} has {orphans} rows without a parent"] if orphans else [])]


def _events(read: Read, name: str, rows: Rows, batches: int) -> list[str]:
    want = [row for batch in range(1, batches + 1) for row in event_rows(batch)]
    lines = [(line["n"], line["k"]) for row in want for line in row["lines"]]
    found = _difference("", [int(row["id"]) for row in rows], [row["id"] for row in want])
    return [*found, *_nested(read, f"{name}__lines", rows, ("n", "k"), lines)]


def _snapshot(read: Read, name: str, rows: Rows, batches: int) -> list[str]:
    want = snapshot_rows(batches) if batches else []
    parts = [(batches, part["k"]) for row in want for part in row["parts"]]
    have = [(int(row["id"]), int(row["batch"])) for row in rows]
    found = _difference("", have, [(row["id"], row["batch"]) for row in want])
    return [*found, *_nested(read, f"{name}__parts", rows, ("batch", "k"), parts)]


def _accounts(read: Read, name: str, rows: Rows, batches: int) -> list[str]:
    last = {row["id"]: row for batch in range(1, batches + 1) for row in account_rows(batch)}
    lines = [(line["batch"], line["k"]) for row in last.values() for line in row["lines"]]
    have = [(int(row["id"]), int(row["batch"])) for row in rows]
    found = _difference("", have, [(k, row["batch"]) for k, row in last.items()])
    return [*found, *_nested(read, f"{name}__lines", rows, ("batch", "k"), lines)]


def _items(read: Read, name: str, rows: Rows, batches: int) -> list[str]:
    active: set[tuple[int, int]] = set()
    retired: list[tuple[int, int]] = []
    for batch in range(1, batches + 1):
        now = {(row["id"], row["value"]) for row in item_rows(batch)}
        retired += active - now
        active = now
    have = [((int(row["id"]), int(row["value"])), row["_dlt_valid_to"] is None) for row in rows]
    return [
        *_difference(" (active)", [one for one, is_active in have if is_active], [*active]),
        *_difference(" (retired)", [one for one, is_active in have if not is_active], retired),
    ]
