"""From every disposition to every other, on a table with nested tables that holds data.

One load under the old disposition, two under the new one. What must come out is written down as rules over plain
records (`Table`), and compared with the rows of root and nested tables, link by link.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import headrace

DISPOSITIONS: dict[str, Any] = {
    "append": "append",
    "truncate": {"disposition": "replace", "strategy": "truncate-and-insert"},
    "replace": {"disposition": "replace", "strategy": "insert-from-staging"},
    "swap": {"disposition": "replace", "strategy": "staging-optimized"},
    "delete-insert": {"disposition": "merge", "strategy": "delete-insert"},
    "upsert": {"disposition": "merge", "strategy": "upsert"},
    "insert-only": {"disposition": "merge", "strategy": "insert-only"},
    "scd2": {"disposition": "merge", "strategy": "scd2"},
    "skip": "skip",
}


def row(number: int, text: str, *kids: str) -> dict[str, Any]:
    return {"id": number, "v": text, "l": [{"k": kid, "m": [{"w": f"{kid}{n}"} for n in range(2)]} for kid in kids]}


LOADS = [
    [row(1, "one", "a", "b"), row(2, "two", "c"), row(3, "three", "d")],
    # 1 stays away, 2 is new in all its parts, 3 is the same, 4 comes
    [row(2, "zwei", "c", "e"), row(3, "three", "d"), row(4, "four", "f")],
    # 2 is the same, 3 loses its nested rows, 4 stays away, 1 is as it was in the beginning, 5 comes
    [row(2, "zwei", "c", "e"), row(3, "drei"), row(1, "one", "a", "b"), row(5, "five", "g")],
]


@dataclass
class Record:
    """A root row with all below it; ``version`` is its content if it came under scd2."""

    item: dict[str, Any]
    version: str | None = None
    live: bool = True

    def shown(self) -> tuple[Any, ...]:
        kids = tuple(sorted((kid["k"], tuple(sorted(m["w"] for m in kid["m"]))) for kid in self.item["l"]))
        return self.item["id"], self.item["v"], self.live, kids


@dataclass
class Table:
    """What the rules say that a root table holds."""

    records: list[Record] = field(default_factory=list)

    def load(self, disposition: str, items: list[dict[str, Any]]) -> None:
        if disposition == "skip":
            return
        ids = {item["id"] for item in items}
        there = {r.item["id"] for r in self.records if r.live}
        if disposition in ("truncate", "replace", "swap"):
            self.records = []
        elif disposition in ("delete-insert", "upsert"):
            self.records = [r for r in self.records if not (r.live and r.item["id"] in ids)]
        elif disposition == "insert-only":
            items = [item for item in items if item["id"] not in there]
        elif disposition == "scd2":
            staged = {repr(item) for item in items}
            for record in self.records:
                record.live = record.live and record.version in staged
            known = {r.version for r in self.records if r.live}
            self.records += [Record(item, repr(item)) for item in items if repr(item) not in known]
            return
        self.records += [Record(item) for item in items]

    def shown(self) -> list[tuple[Any, ...]]:
        return sorted(record.shown() for record in self.records)


def source(dispositions: dict[str, Any], items: list[dict[str, Any]]) -> Any:
    """One resource for each table, all with the same items."""

    @headrace.source(name="shop")
    def shop() -> Any:
        for name, disposition in dispositions.items():
            yield headrace.resource(items, name=name, write_disposition=disposition, primary_key="id")

    return shop()


def table_of(new: str) -> str:
    return f"to_{new.replace('-', '_')}"


def expected(old: str, new: str) -> list[tuple[Any, ...]]:
    table = Table()
    for disposition, items in zip((old, new, new), LOADS, strict=True):
        table.load(disposition, items)
    return table.shown()


def fetch(p: headrace.Pipeline, table: str) -> list[dict[str, Any]]:
    with p.sql_client() as client:
        if not client.describe_tables([table]):
            return []
        with client.execute_query(f"SELECT * FROM {table}") as cursor:
            names = [c[0] for c in cursor.description or ()]
            return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]


def found(p: headrace.Pipeline, table: str) -> list[tuple[Any, ...]]:
    """Root rows with all below them, by their links; nothing hangs in the air, and root keys lead to the root."""
    roots, kids, grandkids = (fetch(p, name) for name in (table, f"{table}__l", f"{table}__l__m"))
    assert {k["_dlt_parent_id"] for k in kids} <= {r["_dlt_id"] for r in roots}
    assert {g["_dlt_parent_id"] for g in grandkids} <= {k["_dlt_id"] for k in kids}
    above = {k["_dlt_id"]: k["_dlt_parent_id"] for k in kids}
    assert all(k["_dlt_root_id"] in (None, k["_dlt_parent_id"]) for k in kids if "_dlt_root_id" in k)
    assert all(g["_dlt_root_id"] in (None, above[g["_dlt_parent_id"]]) for g in grandkids if "_dlt_root_id" in g)
    shown = []
    for root in roots:
        below = [
            (k["k"], tuple(sorted(g["w"] for g in grandkids if g["_dlt_parent_id"] == k["_dlt_id"])))
            for k in kids
            if k["_dlt_parent_id"] == root["_dlt_id"]
        ]
        shown.append((root["id"], root["v"], root.get("_dlt_valid_to") is None, tuple(sorted(below))))
    return sorted(shown)


def check_roots(p: headrace.Pipeline, new: str) -> None:
    """Merged tables know the roots of all nested rows; insert-only touches no old row, so it need not fill any."""
    for nested in (f"{table_of(new)}__l", f"{table_of(new)}__l__m"):
        kept = fetch(p, nested)
        assert kept
        assert new == "insert-only" or all(k["_dlt_root_id"] is not None for k in kept)


def check_validity(old: str, p: headrace.Pipeline) -> None:
    """Rows from before scd2 are valid from their load on."""
    rows = fetch(p, table_of("scd2"))
    assert rows
    loads = {load["load_id"]: load["inserted_at"] for load in fetch(p, "_dlt_loads")}
    first = min(loads)
    for found_row in rows:
        start, end = found_row["_dlt_valid_from"], found_row["_dlt_valid_to"]
        assert start is not None
        assert end is None or start <= end
        if found_row["_dlt_load_id"] == first and old != "scd2":
            assert start == loads[first]


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.destination(name)) for name in ("duckdb", "postgres")])
def destination(request: pytest.FixtureRequest) -> Any:
    if request.param == "duckdb":
        return "duckdb"
    return headrace.destinations.postgres(request.getfixturevalue("postgres_server").database())


@pytest.mark.parametrize("old", DISPOSITIONS)
@pytest.mark.each(4)
def test_every_switch_is_defined(project: Path, destination: Any, old: str) -> None:
    """One dataset with a table for each new disposition, as one load costs less than nine."""
    p = headrace.pipeline("shop", destination=destination, dataset_name="raw")
    p.run(source({table_of(new): DISPOSITIONS[old] for new in DISPOSITIONS}, LOADS[0]))
    for items in LOADS[1:]:
        p.run(source({table_of(new): DISPOSITIONS[new] for new in DISPOSITIONS}, items))
    assert {new: found(p, table_of(new)) for new in DISPOSITIONS} == {new: expected(old, new) for new in DISPOSITIONS}
    for new in ("delete-insert", "upsert", "insert-only"):
        check_roots(p, new)
    check_validity(old, p)
