"""Finds things in the graph by the names people use, and goes up and down from them."""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, TypeVar

from headrace.errors.base import HeadraceException
from headrace.observers.lineage.graph.view import View

Direction = Literal["upstream", "downstream"]
Field = tuple[str, str]
"""Id of a dataset and the name of a column."""
_T = TypeVar("_T")


class NotInGraph(HeadraceException):
    """The graph has nothing of that name, or several things."""


class Found(NamedTuple):
    """What a name means.

    Attributes:
        jobs: Ids of jobs.
        datasets: Ids of datasets.
        column: A column of the only dataset.
    """

    jobs: list[str]
    datasets: list[str]
    column: str | None = None


def find(graph: View, name: str) -> Found:
    """What a name means: a dataset, a column of one, or a job (with the jobs that are part of it).

    A dataset is known by namespace and name with a slash between, by its name, or by the last parts of it; a column by
    its dataset, a dot, and its name.

    Raises:
        NotInGraph: Nothing is called so, or several datasets are.
    """
    datasets = _datasets(graph, name)
    if len(datasets) == 1:
        return Found([], datasets)
    jobs = _jobs(graph, [i for i, one in graph.jobs.items() if name in (i, one.name, f"{one.namespace}/{one.name}")])
    if jobs and not datasets:
        return Found(jobs, [])
    if not datasets and (columns := _columns(graph, name)):
        if len(columns) == 1:
            return Found([], [columns[0][0]], columns[0][1])
        datasets = [one for one, _ in columns]
    if datasets:
        named = [f"{graph.datasets[one].namespace}/{graph.datasets[one].name}" for one in datasets]
        shown = ", ".join(named[:8]) + (", …" if len(named) > 8 else "")
        raise NotInGraph(f"`{name}` is the name of several datasets.", fix=f"say which: {shown}")
    # parts of a job's name: the source or the resource
    if jobs := _jobs(graph, [i for i, one in graph.jobs.items() if f".{name}." in f".{one.name}."]):
        return Found(jobs, [])
    raise _not_there(graph, name)


def _not_there(graph: View, name: str) -> NotInGraph:
    if not graph.datasets and not graph.jobs:
        return NotInGraph(
            f"There is no `{name}`: the graph is empty.",
            fix="set `lineage.enabled = true` and run a pipeline; or give the --pipelines-dir that it ran with",
        )
    labels = {node.id: node.label for node in graph.datasets.values()}
    close = [
        f"{labels[node.id]}.{one.name}"
        for node in graph.datasets.values()
        for one in node.columns
        if one.name.casefold() == name.casefold()
    ]
    if not close:
        known: dict[str, str] = {}
        for one in (*labels.values(), *(job.name for job in graph.jobs.values())):
            for shown in (one, one.rpartition(".")[2]):
                known.setdefault(shown.casefold(), one)
        found = difflib.get_close_matches(name.casefold(), known, 3)
        close = list(dict.fromkeys(known[one] for one in found))
    shown = " or ".join(f"`{one}`" for one in close[:3])
    return NotInGraph(
        f"The graph has no dataset, column or job `{name}`.",
        fix=f"did you mean {shown}?" if shown else "`headrace lineage show` shows all",
    )


def _datasets(graph: View, name: str) -> list[str]:
    full = [
        one.id
        for one in graph.datasets.values()
        if name in (one.id, f"{one.namespace}/{one.name}", f"{one.namespace}{one.name}")
        or any(name == f"{n.namespace}/{n.name}" for n in one.names)
    ]
    whole = [i for i, one in graph.datasets.items() if name in (one.name, *(n.name for n in one.names))]
    ends = (f".{name}", f"/{name}")
    parts = [
        i
        for i, one in graph.datasets.items()
        if one.name.endswith(ends) or any(n.name.endswith(ends) for n in one.names)
    ]
    return full or whole or parts


def _columns(graph: View, name: str) -> list[Field]:
    found: list[Field] = []
    for at in [i for i, char in enumerate(name) if char == "."]:
        table, column = name[:at], name[at + 1 :]
        of_name = _datasets(graph, table)
        found += [(one, column) for one in of_name if any(c.name == column for c in graph.datasets[one].columns)]
    return list(dict.fromkeys(found))


def _jobs(graph: View, own: list[str]) -> list[str]:
    """Jobs, and those that are part of them."""
    found = dict.fromkeys(own)
    for one in graph.jobs.values():  # parents may come behind their parts
        at, seen = one, {one.id}
        while at.parent is not None:
            above = f"j:{at.parent.namespace}|{at.parent.name}"
            if above in own:
                found[one.id] = None
            if above in seen or above not in graph.jobs:
                break
            at = graph.jobs[above]
            seen.add(above)
    return list(found)


def neighbours(graph: View, direction: Direction) -> dict[str, list[str]]:
    """Datasets next to each dataset."""
    found: dict[str, dict[str, None]] = {}
    for edge in graph.edges:
        if edge.source and edge.target:
            near, far = (edge.target, edge.source) if direction == "upstream" else (edge.source, edge.target)
            found.setdefault(near, {})[far] = None
    return {key: list(value) for key, value in found.items()}


def column_neighbours(graph: View, direction: Direction) -> dict[Field, list[Field]]:
    """Columns next to each column; what a whole table depends on is next to its empty column name."""
    found: dict[Field, dict[Field, None]] = {}
    for edge in graph.columns:
        source, target = (edge.source, edge.field), (edge.target, edge.column)
        near, far = (target, source) if direction == "upstream" else (source, target)
        found.setdefault(near, {})[far] = None
    return {key: list(value) for key, value in found.items()}


def reach(start: Iterable[_T], near: Callable[[_T], Iterable[_T]], depth: int | None = None) -> dict[_T, int]:
    """What can be reached, with the number of steps to it.

    Args:
        start: Where to begin; itself at 0.
        near: What is next to one.
        depth: Steps at most.
    """
    found = dict.fromkeys(start, 0)
    left = deque(found)
    while left:
        one = left.popleft()
        if depth is not None and found[one] >= depth:
            continue
        for other in near(one):
            if other not in found:
                found[other] = found[one] + 1
                left.append(other)
    return found


def part(graph: View, found: Found, directions: Iterable[Direction], depth: int | None = None) -> View:
    """The part of the graph around what was found: datasets up- and downstream of it, and the jobs between."""
    kept: set[str] = set(found.datasets)
    start = list(found.datasets)
    for edge in graph.edges if found.jobs else ():
        if edge.job in found.jobs:
            start += [one for one in (edge.source, edge.target) if one]
    ways = list(directions)
    columns = None
    if found.column is not None:
        own = (found.datasets[0], found.column)
        columns = {one for way in ways for one in reach([own], _at(column_neighbours(graph, way)), depth)}
        kept |= {one for one, _ in columns}
    else:
        kept |= {one for way in ways for one in reach(start, _at(neighbours(graph, way)), depth)}
    return cut_to(graph, kept, set(found.jobs), columns)


def _at(near: dict[_T, list[_T]]) -> Callable[[_T], Iterable[_T]]:
    return lambda one: near.get(one, ())


def cut_to(graph: View, datasets: set[str], jobs: set[str], columns: set[Field] | None = None) -> View:
    """The graph with these datasets only, the edges between them, and the jobs of those edges."""
    edges = [
        e for e in graph.edges if (not e.source or e.source in datasets) and (not e.target or e.target in datasets)
    ]
    edges = [e for e in edges if (e.source and e.target) or e.target in datasets or e.job in jobs]
    between = [e for e in graph.columns if e.source in datasets and e.target in datasets]
    if columns is not None:
        between = [e for e in between if (e.source, e.field) in columns and (e.target, e.column) in columns]
        pairs = {(e.source, e.target) for e in between}
        edges = [e for e in edges if (e.source, e.target) in pairs or not e.source]
    used = jobs | {e.job for e in edges}
    kept = {i: w for i, w in graph.jobs.items() if i in used}
    return type(graph)({i: n for i, n in graph.datasets.items() if i in datasets}, kept, edges, between)
