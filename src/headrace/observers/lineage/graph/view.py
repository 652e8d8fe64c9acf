"""The graph as it is shown: names joined to datasets, fields, table edges and column edges between them.

Two names are one dataset when the namespace map says so, or a symlink: those of the type ``TABLE`` always, others
(``LOCATION``) only when a single dataset claims the place; the file of a database is not any of its tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from headrace.observers.lineage.graph.fold import Graph
from headrace.observers.lineage.graph.model import NO_DATASET, NO_JOB, RANK, Basis, Dataset, How, Job, Key, Run
from headrace.observers.lineage.graph.reading import key_of, listed, mapping, text
from headrace.observers.lineage.naming.namespaces import Namespaces

_SYSTEM = "_dlt_"


class Column(msgspec.Struct, omit_defaults=True):
    """A field of a dataset; nested ones have dots, elements of arrays are ``_element``.

    Attributes:
        generated: The job makes it: it comes from nowhere. Not said of a table of which no source is known at all, but
            of the columns of the engine.
    """

    name: str
    type: str = ""
    description: str = ""
    tags: list[str] = []
    generated: bool = False


class Node(msgspec.Struct, omit_defaults=True):
    """A dataset.

    Attributes:
        names: Its other names.
        label: The last parts of the name.
        written_at, state, rows: Of the newest run that wrote it.
    """

    id: str
    namespace: str
    name: str
    label: str
    names: list[Key] = []
    type: str = ""
    columns: list[Column] = []
    facets: dict[str, dict[str, Any]] = {}
    dropped_at: str = ""
    written_at: str = ""
    state: str = ""
    rows: int | None = None
    bytes: int | None = None

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)


class Work(msgspec.Struct, omit_defaults=True):
    """A job with its newest runs, the newest first."""

    id: str
    namespace: str
    name: str
    state: str = ""
    at: str = ""
    parent: Key | None = None
    facets: dict[str, dict[str, Any]] = {}
    runs: list[dict[str, Any]] = []
    producer: str = ""


class Edge(msgspec.Struct, omit_defaults=True):
    """Data flow from one dataset to another.

    Attributes:
        source: Id of a dataset; empty when the job is the origin.
        target: Id of a dataset; empty when the job only reads.
        job: Id of the job; empty when no job is known.
    """

    source: str
    target: str
    job: str
    basis: Basis
    state: str = ""
    at: str = ""
    run_id: str = ""
    rows: int | None = None


class ColumnEdge(msgspec.Struct, omit_defaults=True):
    """A column depends on a field; an empty `column`: the whole target does."""

    source: str
    field: str
    target: str
    column: str
    job: str
    how: list[How] = []

    @property
    def is_direct(self) -> bool:
        """The value comes from there, not only the decision which rows there are."""
        return not self.how or any(one.type != "INDIRECT" for one in self.how)


class View(msgspec.Struct):
    """The whole graph, by ids that stay the same as long as names do."""

    datasets: dict[str, Node]
    jobs: dict[str, Work]
    edges: list[Edge]
    columns: list[ColumnEdge]


def view(graph: Graph, namespaces: Mapping[str, str] | None = None, runs_kept: int = 10) -> View:
    """Join what events said.

    Args:
        graph: What they said.
        namespaces: Namespaces of datasets, and those that they are to be read as.
        runs_kept: Newest runs that each job is shown with.
    """
    names = _Names(graph.datasets, namespaces or {})
    found = View({}, {}, [], [])
    for key, record in graph.datasets.items():
        _add_dataset(found, names, key, record)
    for job in graph.jobs.values():
        found.jobs[job_id(job.key)] = _work(job)
    _add_runs(found, graph.runs.values(), runs_kept)
    reads_only = {flow.job for flow in graph.flows.values() if flow.target != NO_DATASET}
    for flow in sorted(graph.flows.values(), key=lambda f: f.at):
        if flow.target == NO_DATASET and flow.job in reads_only:
            continue
        _add_flow(found, names, flow)
    _tidy(found)
    return found


def dataset_id(key: Key) -> str:
    """The id of a dataset."""
    return f"d:{key.namespace}|{key.name}"


def job_id(key: Key) -> str:
    """The id of a job; empty for no job."""
    return "" if key == NO_JOB else f"j:{key.namespace}|{key.name}"


class _Names:
    """From names to the one that stands for them."""

    def __init__(self, datasets: Mapping[Key, Dataset], namespaces: Mapping[str, str]) -> None:
        self._namespaces = Namespaces(namespaces)
        self._up: dict[Key, Key] = {}
        known = {self._mapped(key) for key, one in datasets.items() if one.named}
        claims: dict[Key, set[Key]] = {}
        for key, record in sorted(datasets.items()):
            facet = record.facets.get("symlinks")
            for one in listed(facet.body.get("identifiers")) if facet else ():
                alias = key_of(one)
                if alias is None:
                    continue
                alias = self._mapped(alias)
                if text(one.get("type")).upper() == "TABLE":
                    self._join(self._mapped(key), alias, known)
                else:
                    claims.setdefault(alias, set()).add(self._mapped(key))
        for alias, owners in claims.items():
            if len({self._top(owner) for owner in owners}) == 1:
                self._join(min(owners), alias, known)

    def _mapped(self, key: Key) -> Key:
        return Key(self._namespaces.of(key.namespace), key.name)

    def of(self, key: Key) -> Key:
        """The name that stands for a name."""
        return self._top(self._mapped(key))

    def _top(self, key: Key) -> Key:
        while (above := self._up.get(key)) is not None:
            key = above
        return key

    def _join(self, first: Key, second: Key, known: set[Key]) -> None:
        one, other = self._top(first), self._top(second)
        if one == other:
            return
        # a name that nobody sent stands for none that somebody sent; else the one that has the symlink stays
        if one not in known and other in known:
            one, other = other, one
        self._up[other] = one


def _add_dataset(found: View, names: _Names, key: Key, record: Dataset) -> None:
    own = names.of(key)
    node = _node(found, own)
    if key != own:
        node.names = sorted({*node.names, key})
    node.dropped_at = max(node.dropped_at, record.dropped_at)
    facets = {name: facet.body for name, facet in record.facets.items()}
    # the name that stands for all tells first; others add what it does not say
    node.facets = {**node.facets, **facets} if key == own else {**facets, **node.facets}
    for one in listed(mapping(facets, "symlinks").get("identifiers")):
        alias = key_of(one)
        if alias is not None and alias != own and names.of(alias) == own:
            node.names = sorted({*node.names, alias})


def _node(found: View, key: Key) -> Node:
    own = dataset_id(key)
    if own not in found.datasets:
        found.datasets[own] = Node(own, key.namespace, key.name, label_of(key), names=[], columns=[], facets={})
    return found.datasets[own]


def label_of(key: Key) -> str:
    """A short name: the table with its schema, the end of a path."""
    if "/" in key.name:
        parts = [part for part in key.name.split("/") if part]
        return "/".join(parts[-2:]) if len(parts) > 1 else key.name
    return ".".join(key.name.split(".")[-2:])


def _work(job: Job) -> Work:
    facets = {name: facet.body for name, facet in job.facets.items()}
    return Work(
        job_id(job.key), *job.key, at=job.last_at, parent=job.parent, facets=facets, runs=[], producer=job.producer
    )


def _add_runs(found: View, runs: Iterable[Run], kept: int) -> None:
    by_job: dict[str, list[Run]] = {}
    for run in runs:
        by_job.setdefault(job_id(run.job), []).append(run)
    for own, of_job in by_job.items():
        work = found.jobs.get(own)
        if work is not None:
            newest = sorted(of_job, key=lambda r: (r.started_at, r.run_id), reverse=True)[:kept]
            work.runs = [run_row(run) for run in newest]
            work.state = newest[0].state


def run_row(run: Run) -> dict[str, Any]:
    """A run as a row of a table."""
    written = [one.rows for one in run.outputs if one.rows is not None]
    read = [one.rows for one in run.inputs if one.rows is not None]
    return {
        "run_id": run.run_id,
        "state": run.state,
        "started_at": run.started_at or None,
        "ended_at": run.ended_at or None,
        "rows_read": sum(read) if read else None,
        "rows_written": sum(written) if written else None,
        "error": run.error or None,
        "parent_run_id": run.parent[0] if run.parent else None,
    }


def _add_flow(found: View, names: _Names, flow: Any) -> None:
    job = job_id(flow.job)
    target = "" if flow.target == NO_DATASET else _node(found, names.of(flow.target)).id
    told = (flow.state, flow.at, flow.run_id, flow.rows)
    if target and flow.at >= found.datasets[target].written_at and flow.state in ("COMPLETE", "FAIL", "ABORT"):
        node = found.datasets[target]
        node.state, node.written_at, node.rows, node.bytes = flow.state, flow.at, flow.rows, flow.bytes
    sources = {_node(found, names.of(one.key)).id: one.basis for one in flow.sources}
    found.edges += [Edge(one, target, job, basis, *told) for one, basis in sources.items() if one != target]
    if not sources:
        found.edges.append(Edge("", target, job, flow.basis, *told))
    if not target:
        return
    for one in flow.fields:
        source = _node(found, names.of(one.source)).id
        found.columns.append(ColumnEdge(source, one.field, target, one.target_field, job, list(one.how)))
        if one.target_field:
            _column(found.datasets[target], one.target_field)
        _column(found.datasets[source], one.field)
    for name in flow.generated:
        _column(found.datasets[target], name).generated = True


def _column(node: Node, name: str) -> Column:
    for one in node.columns:
        if one.name == name:
            return one
    node.columns.append(Column(name, tags=[]))
    return node.columns[-1]


def _tidy(found: View) -> None:
    """Columns in the order of the schema, and each edge once."""
    sourced = {edge.target for edge in found.edges if edge.source}
    for node in found.datasets.values():
        of_schema = list(_fields(listed(mapping(node.facets, "schema").get("fields")), ""))
        known = {one.name for one in of_schema}
        generated = {one.name for one in node.columns if one.generated}
        # fields of the schema that lineage knows from elsewhere; a struct whose parts are told is told by them
        node.columns = of_schema + [one for one in node.columns if one.name not in known]
        made_from = {e.column for e in found.columns if e.target == node.id} if generated else set()
        tags = _tags(node.facets)
        for one in node.columns:
            is_of_job = node.id in sourced or one.name.startswith(_SYSTEM)
            one.generated = is_of_job and one.name in generated - made_from
            one.tags = tags.get(one.name, [])
        node.type = text(mapping(node.facets, "datasetType").get("datasetType"))
    found.edges = list({(e.source, e.target, e.job): e for e in _by_strength(found.edges)}.values())
    found.columns = list({(e.source, e.field, e.target, e.column, e.job): e for e in found.columns}.values())


def _by_strength(edges: list[Edge]) -> list[Edge]:
    # several names of one dataset may give an edge twice: the surer one is last, and stays
    with_source = {(e.target, e.job) for e in edges if e.source}
    kept = [e for e in edges if e.source or (e.target, e.job) not in with_source]
    return sorted(kept, key=lambda e: RANK[e.basis])


def _fields(fields: list[dict[str, Any]], above: str) -> list[Column]:
    found: list[Column] = []
    for one in fields:
        name = text(one.get("name"))
        if not name:
            continue
        nested = listed(one.get("fields"))
        found.append(Column(above + name, text(one.get("type")), text(one.get("description")), []))
        found += _fields(nested, f"{above}{name}.")
    return found


def _tags(facets: Mapping[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in listed(mapping(facets, "tags").get("tags")):
        key, value = text(one.get("key")), text(one.get("value"))
        if field := text(one.get("field")):
            found.setdefault(field, []).append(key if value in ("", "true") else f"{key}: {value}")
    return found
