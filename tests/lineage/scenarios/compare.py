"""Events against what the destination holds: what they say must be so, and what is so must be in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tests.lineage.scenarios.places import DATASET, Held, Place, Tables
from tests.lineage.scenarios.stream import RunOf, Stream

LOADS = "_dlt_loads"
SYSTEM = ("_dlt_", "_headrace_")


class Look(NamedTuple):
    """What a destination held at an instant.

    Attributes:
        tables: In the dataset that was looked at.
        dataset: Its name.
        at: The instant, as events tell it.
        before: Rows of each table at the look before.
    """

    tables: Tables
    dataset: str = DATASET
    at: str = ""
    before: Mapping[str, int] = {}

    def loads(self) -> set[str]:
        """Ids of the loads that the destination has."""
        held = self.tables.get(LOADS)
        return {str(row["load_id"]) for row in held.rows} if held else set()

    def of(self, load_id: str) -> dict[str, int]:
        """Rows of a load, by table; nested rows through those they are nested in."""
        counts: dict[str, int] = {}
        owners: dict[str, str] = {}  # of every row: its load
        waiting: dict[str, list[tuple[str, str]]] = {}
        for table, held in self.data().items():
            counts[table] = 0
            if "_dlt_load_id" not in held.columns and "_dlt_parent_id" not in held.columns:
                # tables of Arrow have nothing that tells loads apart: what is new since the look before
                counts[table] = len(held.rows) - self.before.get(table, 0)
                continue
            for row in held.rows:
                if "_dlt_parent_id" in row:
                    waiting.setdefault(table, []).append((row["_dlt_id"], row["_dlt_parent_id"]))
                else:
                    counts[table] += str(row.get("_dlt_load_id")) == load_id
                    owners[str(row.get("_dlt_id"))] = str(row.get("_dlt_load_id"))
        for table in sorted(waiting, key=len):  # parents before children
            for own, parent in waiting[table]:
                owners[own] = owners.get(parent, "nobody's")
            counts[table] = sum(owners[own] == load_id for own, _ in waiting[table])
        return counts

    def data(self) -> Tables:
        """Its tables of data."""
        return {name: held for name, held in self.tables.items() if not name.startswith(SYSTEM)}


def faults(stream: Stream, place: Place, looks: list[Look]) -> list[str]:
    """All differences.

    Args:
        stream: All events of the scenario.
        place: The destination.
        looks: What it held after each load, in order. A load is compared with the first look that has it.
    """
    return [
        *_of_ends(stream),
        *_of_invocations(stream),
        *(fault for run in stream.resources for fault in _of_resource(run, place, looks)),
        *_untold(stream, place, looks),
    ]


def _of_ends(stream: Stream) -> Iterator[str]:
    for run in stream.runs:
        ends = [s for s in run.states if s in ("COMPLETE", "FAIL", "ABORT")]
        if len(ends) != 1 or run.states[-1] != ends[0]:
            yield f"{run!r}: {len(ends)} terminal events"
        if run.states.count("START") != 1 or run.states[0] != "START":
            yield f"{run!r}: {run.states.count('START')} START events"
        if run.end in ("FAIL",) and not run.facet("errorMessage"):
            yield f"{run!r}: FAIL without a message"


def _of_invocations(stream: Stream) -> Iterator[str]:
    known = {run.id: run for run in stream.runs}
    for run in stream.invocations:
        if any(e.get("inputs") or e.get("outputs") for e in run.events):
            yield f"{run!r}: an invocation with datasets"
    for run in stream.resources:
        parents = {e["run"]["facets"].get("parent", {}).get("run", {}).get("runId") for e in run.events}
        if len(parents) != 1 or None in parents:
            yield f"{run!r}: parents {parents}"
            continue
        parent = known.get(run.parent)
        if parent is None or parent.kind != "PIPELINE":
            yield f"{run!r}: its parent {run.parent} was never told of"
            continue
        top = parent.facet("parent").get("root", {}).get("run", {}).get("runId") or parent.id
        if run.facet("parent").get("root", {}).get("run", {}).get("runId") != top:
            yield f"{run!r}: root is not {top}"
        if not run.load_id:
            yield f"{run!r}: of no load package"


def _first_with(looks: list[Look], load_id: str, since: str) -> Look | None:
    """The first look at a load that was not before an instant."""
    return next((look for look in looks if load_id in look.loads() and look.at >= since), None)


def _of_resource(run: RunOf, place: Place, looks: list[Look]) -> Iterator[str]:
    look = _first_with(looks, run.load_id, str(run.last["eventTime"]))
    outputs = {(out["namespace"], out["name"]): out for out in run.outputs}
    if len(outputs) != len(run.outputs):
        yield f"{run!r}: an output is told twice"
    if look is None:
        if run.end == "COMPLETE" and run.outputs:
            yield f"{run!r}: COMPLETE, and the destination does not have load {run.load_id}"
        # what failed half-way may have left rows of jobs that were done
        look = looks[-1] if looks else Look({})
    names = {place.identity(table, look.dataset): table for table in look.data()}
    counts = look.of(run.load_id)
    for identity, out in outputs.items():
        table = names.get(identity)
        if table is None:
            yield f"{run!r}: {identity} is not in the destination, which has {sorted(names)}"
            continue
        held = look.tables[table] if not _cut(run) or "schema" in out.get("facets", {}) else Held({}, [])
        yield from (f"{run!r}: {fault}" for fault in _of_output(out, table, held, counts.get(table, 0)))
    if run.end == "COMPLETE" and not _cut(run):
        yield from (f"{run!r}: {fault}" for fault in _lineage_gaps(run))


def _cut(run: RunOf) -> bool:
    """Whether its last event says that it would be too large with everything in it."""
    return "the event would be too large" in str(run.facet("extractionError"))


def _of_output(out: dict[str, Any], table: str, held: Held, count: int) -> Iterator[str]:
    rows = out.get("outputFacets", {}).get("outputStatistics", {}).get("rowCount")
    if rows is not None and rows != count:
        yield f"{table}: {rows} rows told, {count} are there"
    if rows is None and count:
        yield f"{table}: no row count told, {count} rows are there"
    fields = out.get("facets", {}).get("schema", {}).get("fields", [])
    told = {f["name"]: f.get("type") for f in fields}
    if held.columns and list(told) != list(held.columns) and (set(told) != set(held.columns) or _typed(held)):
        yield f"{table}: columns told {list(told)}, there are {list(held.columns)}"
    for name, kind in held.columns.items():
        if kind is not None and name in told and plain(told[name]) != plain(kind):
            yield f"{table}.{name}: type told {told[name]}, it is {kind}"


def _typed(held: Held) -> bool:
    """Its columns have an order that means something: not one of keys of documents."""
    return any(kind is not None for kind in held.columns.values())


# MySQL's BOOL is a word for tinyint
_ALIASES = {
    "bool": "boolean",
    "tinyint": "boolean",
    "timestamptz": "timestamp with time zone",
    "varchar": "character varying",
    "json": "varchar",
}


def plain(kind: str | None) -> str:
    """A type without length and precision, in lower case, under one name."""
    text = str(kind).lower().partition("(")[0].strip()
    return _ALIASES.get(text, text)


def _lineage_gaps(run: RunOf) -> Iterator[str]:
    inputs = {(d["namespace"], d["name"]): d for d in run.inputs}
    for out in run.outputs:
        told = [f["name"] for f in out.get("facets", {}).get("schema", {}).get("fields", [])]
        lineage = out.get("facets", {}).get("columnLineage", {}).get("fields", {})
        for column in told if inputs else ():
            sources = lineage.get(column)
            if sources is None:
                yield f"{out['name']}.{column} has no lineage"
            elif not sources["inputFields"] and not column.startswith(SYSTEM):
                yield f"{out['name']}.{column} comes from nowhere"
        if missing := set(lineage) - set(told):
            yield f"{out['name']}: lineage of columns that it does not have: {sorted(missing)}"


def _untold(stream: Stream, place: Place, looks: list[Look]) -> Iterator[str]:
    """Rows in the destination that no event tells of."""
    seen: set[str] = set()
    for look in looks:
        for load_id in look.loads() - seen:
            seen.add(load_id)
            told = {
                (out["namespace"], out["name"])
                for run in stream.resources
                if run.load_id == load_id
                for out in run.outputs
            }
            for table, count in look.of(load_id).items():
                if count and place.identity(table, look.dataset) not in told:
                    yield f"load {load_id}: {count} rows of {table} that no event tells of"
