"""What the graph remembers: plain records, as events said them. Names are as they came; `view` joins them.

Instants are text in UTC with microseconds, so that they sort; a record is one JSON document in `store`.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec

Basis = Literal["run", "columns", "explicit"]
RANK: dict[Basis, int] = {"run": 0, "columns": 1, "explicit": 2}
"""What a table edge is known by, the strongest last: read and written by one run, column lineage, explicit lineage."""

TERMINAL = ("COMPLETE", "FAIL", "ABORT")


class Key(NamedTuple):
    """Namespace and name of a job or dataset."""

    namespace: str
    name: str


NO_JOB = Key("", "")
"""Stands for the job of what an event of a dataset alone says."""
NO_DATASET = Key("", "")
"""Stands for the target of a job that only reads."""


class Facet(msgspec.Struct, array_like=True):
    """A facet and the instant of the event that it came with."""

    at: str
    body: dict[str, Any]


class How(NamedTuple):
    """A transformation: ``DIRECT`` or ``INDIRECT``, its subtype, a description."""

    type: str = ""
    subtype: str = ""
    description: str = ""
    masking: bool = False


class Source(msgspec.Struct, array_like=True):
    """A dataset that a target is made from, and how that is known."""

    key: Key
    basis: Basis


class FieldEdge(msgspec.Struct, array_like=True):
    """A field that a field of the target depends on; an empty target: the whole table does."""

    source: Key
    field: str
    target_field: str
    how: list[How] = []


class Flow(msgspec.Struct, omit_defaults=True):
    """What a job puts into a target.

    Attributes:
        job: `NO_JOB` when no job is known.
        target: `NO_DATASET` for a job that only reads.
        basis: How the sources are known at best.
        final: A run that completed said it, or a declaration.
        said_at: When the sources were said.
        generated: Fields of the target that the job itself makes.
        run_id: The newest run that wrote (or reads, or means to write) it.
        rows: Rows that this run wrote; None when it did not say.
    """

    job: Key
    target: Key
    basis: Basis = "run"
    final: bool = False
    said_at: str = ""
    sources: list[Source] = []
    fields: list[FieldEdge] = []
    generated: list[str] = []
    run_id: str = ""
    state: str = ""
    at: str = ""
    rows: int | None = None
    bytes: int | None = None


class Touched(msgspec.Struct, omit_defaults=True):
    """A dataset that a run read or wrote, with the numbers of it."""

    key: Key
    rows: int | None = None
    bytes: int | None = None
    files: int | None = None


class Run(msgspec.Struct, omit_defaults=True):
    """A run, as all of its events together tell it.

    Attributes:
        at: The instant of its newest event.
        parent: Run id and job of the run it is part of.
        facets: Its run facets.
        entries: Entries of explicit lineage by target; kept for the newest run of a job only.
        columns: `columnLineage` by target; the same.
    """

    run_id: str
    job: Key
    state: str = ""
    at: str = ""
    started_at: str = ""
    ended_at: str = ""
    parent: tuple[str, Key] | None = None
    root: tuple[str, Key] | None = None
    error: str = ""
    inputs: list[Touched] = []
    outputs: list[Touched] = []
    facets: dict[str, Facet] = {}
    entries: list[dict[str, Any]] = []
    columns: list[tuple[Key, dict[str, Any]]] = []
    producer: str = ""


class Job(msgspec.Struct, omit_defaults=True):
    """A job.

    Attributes:
        last_run: Id of its newest run.
        last_at: When that began (or the newest event of it, when its start was not told).
        parent: The job that it is part of.
    """

    key: Key
    facets: dict[str, Facet] = {}
    last_run: str = ""
    last_at: str = ""
    parent: Key | None = None
    producer: str = ""


class Dataset(msgspec.Struct, omit_defaults=True):
    """A dataset under one of its names.

    Attributes:
        facets: What is true of it between runs; the newest of each kind.
        named: It was an input, an output or the subject of an event, not only a name in lineage of others.
        dropped_at: When it was dropped; empty while it is there.
    """

    key: Key
    facets: dict[str, Facet] = {}
    named: bool = False
    dropped_at: str = ""
