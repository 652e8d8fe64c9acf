"""One of several writers: loads rounds of appended and merged documents whose columns nobody has agreed on."""

from __future__ import annotations

import random
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import headrace
from tests.concurrency.world import DATASET, World

ROOTS = ("events", "accounts", "balances")
NESTED = ("lines", "tags", "parts")
KEYS = 12
EVENTS = 5
# what a column holds depends on who writes it: whoever comes first decides its type, the others get variants
MAKERS: list[Any] = [
    lambda rng: rng.randrange(1000),
    lambda rng: f"t{rng.randrange(1000)}",
    lambda rng: rng.randrange(1000) + 0.5,
    lambda rng: bool(rng.randrange(2)),
]


@dataclass
class Written:
    """What a writer has loaded, for the test to compare with.

    Attributes:
        events: Appended documents by id.
        accounts: By key and load id, merged documents.
        load_ids: In the order of loads.
        errors: Tracebacks.
    """

    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    accounts: dict[tuple[str, int, str], dict[str, Any]] = field(default_factory=dict)
    load_ids: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def documents(writer: int, number: int, rng: random.Random, keys: list[Any]) -> list[dict[str, Any]]:
    """Documents with columns, nested tables and types by chance."""
    made = []
    for key in keys:
        doc: dict[str, Any] = {"id": key, "writer": writer, "number": number}
        for column in rng.sample(range(10), 4):
            kind = (column + writer) % (len(MAKERS) - 1) if column % 3 == 0 else column % len(MAKERS)
            doc[f"c{column}"] = MAKERS[kind](rng)
        for name in rng.sample(NESTED, 2):
            doc[name] = [{"n": i, f"d{rng.randrange(4)}": i} for i in range(rng.randrange(1, 3))]
        made.append(doc)
    return made


def write(world: World, folder: Path, writer: int, rounds: int, start: Any = None) -> Written:
    """Load all rounds and tell what was loaded; a fresh pipeline object each time, as by a scheduler."""
    written, rng = Written(), random.Random(writer)
    if start is not None:
        start.wait()
    for number in range(rounds):
        try:
            _round(world, folder, writer, number, rng, written)
        except Exception:
            written.errors.append(f"writer {writer}, round {number}: {traceback.format_exc()}")
    return written


def _round(world: World, folder: Path, writer: int, number: int, rng: random.Random, written: Written) -> None:
    # pairs of writers are one pipeline on two machines
    name = f"pipe{writer // 2}"
    pipeline: Any = headrace.pipeline(
        name, destination=world.destination(), dataset_name=DATASET, pipelines_dir=str(folder / f"machine{writer}")
    )
    events = documents(writer, number, rng, [f"{writer}-{number}-{i}" for i in range(EVENTS)])
    accounts = documents(writer, number, rng, rng.sample(range(KEYS), 4))
    balances = documents(writer, number, rng, rng.sample(range(KEYS), 4))
    tables = [
        headrace.resource(events, name="events"),
        headrace.resource(accounts, name="accounts", primary_key="id", write_disposition="merge"),
        headrace.resource(
            balances,
            name="balances",
            primary_key="id",
            write_disposition={"disposition": "merge", "strategy": "upsert"},
        ),
    ]
    chosen = rng.sample(tables, rng.randrange(1, 4))
    info = pipeline.run(headrace.source(lambda: chosen, name="shop")())
    assert info is not None and not info.has_failed_jobs
    (load_id,) = info.loads_ids
    written.load_ids.append(load_id)
    loaded = {resource.name for resource in chosen}
    written.events.update({doc["id"]: doc for doc in events} if "events" in loaded else {})
    for table, docs in (("accounts", accounts), ("balances", balances)):
        written.accounts.update({(table, doc["id"], load_id): doc for doc in docs} if table in loaded else {})
