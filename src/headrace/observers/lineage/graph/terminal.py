"""The graph as trees of lines, for a terminal."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from headrace.observers.lineage.graph.formats import state_word
from headrace.observers.lineage.graph.view import ColumnEdge, Edge, Node, View, Work
from headrace.observers.lineage.graph.walk import Direction, Field, Found

_T = TypeVar("_T")
_E = TypeVar("_E")
Paint = Callable[[str, str], str]
"""Colours a text in a style of the command line: ``ok``, ``warn``, ``fail``, ``dim``, ``head``, ``key``."""

_STYLES = {"COMPLETE": "ok", "FAIL": "fail", "ABORT": "warn", "START": "warn", "RUNNING": "warn"}
_TITLES: dict[Direction, str] = {"upstream": "comes from", "downstream": "goes into"}
_UNKNOWN = "no source is known"
_ERROR = 160  # letters of an error
_SHOWN = 4
"""Transformations of an edge that are named."""


def plain(text: str, style: str) -> str:
    """No colours."""
    return text


class Tree:
    """Draws parts of a graph.

    Args:
        graph: The graph.
        paint: How to colour.
        columns: Columns are shown under their datasets.
        depth: Steps from where it begins.
    """

    def __init__(self, graph: View, paint: Paint = plain, columns: bool = False, depth: int | None = None) -> None:
        self.graph, self._paint, self._columns, self._depth = graph, paint, columns, depth
        self._labels = _labels(graph)
        self._into: dict[str, list[Edge]] = {}
        self._out: dict[str, list[Edge]] = {}
        for edge in graph.edges:
            self._into.setdefault(edge.target, []).append(edge)
            self._out.setdefault(edge.source, []).append(edge)
        self._parents = {f"j:{one.parent[0]}|{one.parent[1]}" for one in graph.jobs.values() if one.parent is not None}
        self._of_job: dict[str, list[Edge]] = {}
        for edge in graph.edges:
            self._of_job.setdefault(edge.job, []).append(edge)
        self._column_into: dict[tuple[str, str], list[ColumnEdge]] = {}
        self._column_out: dict[tuple[str, str], list[ColumnEdge]] = {}
        for one in graph.columns:
            self._column_into.setdefault((one.target, one.column), []).append(one)
            self._column_out.setdefault((one.source, one.field), []).append(one)

    def lines(self, found: Found | None, directions: Sequence[Direction]) -> Iterator[str]:
        """The lines of what was found; of all jobs without it."""
        if found is None:
            yield from self._jobs([i for i, one in self.graph.jobs.items() if not self._is_container(one)])
            yield from self._loose()
        elif found.jobs:
            yield from self._jobs([i for i in found.jobs if not self._is_container(self.graph.jobs[i])] or found.jobs)
        elif found.column is not None:
            yield from self._column(found.datasets[0], found.column, directions)
        else:
            yield from self._dataset(found.datasets[0], directions)

    # ---- jobs ----

    def _is_container(self, job: Work) -> bool:
        return job.id in self._parents and job.id not in self._of_job

    def _jobs(self, jobs: list[str]) -> Iterator[str]:
        for i, own in enumerate(sorted(jobs, key=lambda one: self.graph.jobs[one].name)):
            job = self.graph.jobs[own]
            if i:
                yield ""
            yield self._paint(_clean(job.name), "head") + self._told(job.state, job.at, None)
            yield from self._fault(job)
            edges = self._of_job.get(own, [])
            targets = list(dict.fromkeys(one.target for one in edges if one.target))
            if not targets:
                yield from self._branches([one.source for one in edges if one.source], "", "reads ")
            for n, target in enumerate(sorted(targets, key=lambda one: self._labels[one])):
                last = n == len(targets) - 1
                sources = [one.source for one in edges if one.target == target and one.source]
                rows = next(one.rows for one in edges if one.target == target)
                origin = "" if sources else self._paint(f"  {_origin_word('upstream')}", "dim")
                yield ("└─ " if last else "├─ ") + self._name(target) + self._numbers(rows) + origin
                gap = "   " if last else "│  "
                if self._columns:
                    yield from self._of_columns(target, gap, bool(sources))
                yield from self._branches(sources, gap, "◂ ")

    def _fault(self, job: Work) -> Iterator[str]:
        """Why the last run failed, in a line."""
        error = str(job.runs[0].get("error") or "").strip() if job.runs else ""
        if error and job.state in ("FAIL", "ABORT"):
            line = _clean(error.splitlines()[0])
            yield self._paint(f"!  {line if len(line) <= _ERROR else line[: _ERROR - 1] + '…'}", "fail")

    def _loose(self) -> Iterator[str]:
        """Datasets that no job of the graph touches."""
        edges = self.graph.edges
        touched = {one.source for one in edges} | {one.target for one in edges}
        loose = sorted(self._labels[one] for one in self.graph.datasets if one not in touched)
        if loose:
            yield ""
            yield self._paint("of no job that is known", "head")
            yield from (("└─ " if n == len(loose) - 1 else "├─ ") + _clean(one) for n, one in enumerate(loose))

    def _branches(self, sources: list[str], gap: str, word: str) -> Iterator[str]:
        for n, one in enumerate(sources):
            yield gap + ("└─ " if n == len(sources) - 1 else "├─ ") + word + self._name(one)

    def _of_columns(self, dataset: str, gap: str, more: bool) -> Iterator[str]:
        node = self.graph.datasets[dataset]
        width = max((len(_clean(one.name)) for one in node.columns), default=0)
        for column in node.columns:
            sources = self._column_into.get((dataset, column.name), [])
            found = ", ".join(self._field(one.source, one.field) + self._how(one) for one in sources[:_SHOWN])
            rest = f" and {len(sources) - _SHOWN} more" if len(sources) > _SHOWN else ""
            text = found + rest or self._paint("made by the job" if column.generated else _UNKNOWN, "dim")
            lead = "│  " if more else "   "
            yield f"{gap}{lead}{self._paint(_clean(column.name).ljust(width), 'key')} ◂ {text}"

    # ---- datasets ----

    def _dataset(self, own: str, directions: Sequence[Direction]) -> Iterator[str]:
        node = self.graph.datasets[own]
        yield self._paint(_clean(node.name), "head") + self._told(node.state, node.written_at, node.rows)
        yield self._paint(f"{_clean(node.namespace)}{_is_dropped(node)}", "dim")
        for way in directions:
            yield ""
            yield self._paint(_TITLES[way], "key")
            edges = self._into if way == "upstream" else self._out
            yield from self._tree(own, way, edges) if edges.get(own) else [self._nothing(way)]
        if self._columns and node.columns:
            yield ""
            yield self._paint("columns", "key")
            yield from self._of_columns(own, "", False)

    def _tree(self, own: str, way: Direction, edges: dict[str, list[Edge]]) -> Iterator[str]:
        def line(edge: Edge, other: str, again: bool) -> str:
            name = self._name(other) if other else self._paint(_origin_word(way), "dim")
            return name + self._by(edge) + (self._paint("  (above)", "dim") if again else "")

        yield from self._walk(own, edges, lambda e: e.source if way == "upstream" else e.target, line)

    def _walk(
        self,
        start: _T,
        edges: dict[_T, list[_E]],
        far: Callable[[_E], _T],
        line: Callable[[_E, _T, bool], str],
    ) -> Iterator[str]:
        """The lines of a tree; what was shown before is not gone into again. Chains may be of any length."""
        seen, open_ = {start}, [("", deque(edges.get(start, ())))]
        while open_:
            gap, near = open_[-1]
            if not near:
                open_.pop()
                continue
            edge = near.popleft()
            other, last = far(edge), not near
            again = other in seen and bool(edges.get(other))
            yield f"{gap}{'└─ ' if last else '├─ '}{line(edge, other, again)}"
            if other and not again:
                seen.add(other)
                if self._depth is None or len(open_) < self._depth:
                    open_.append((gap + ("   " if last else "│  "), deque(edges.get(other, ()))))

    def _by(self, edge: Edge) -> str:
        job = self.graph.jobs.get(edge.job)
        if job is None:
            return ""
        return self._paint("  by ", "dim") + _clean(job.name) + self._told(edge.state, edge.at, edge.rows)

    # ---- columns ----

    def _column(self, own: str, column: str, directions: Sequence[Direction]) -> Iterator[str]:
        node = self.graph.datasets[own]
        kind = next((one for one in node.columns if one.name == column), None)
        told = f"  {_clean(kind.type)}" if kind is not None and kind.type else ""
        yield self._paint(f"{_clean(node.name)}.{_clean(column)}", "head") + self._paint(told, "dim")
        yield self._paint(_clean(node.namespace), "dim")
        for way in directions:
            yield ""
            yield self._paint(_TITLES[way], "key")
            edges = self._column_into if way == "upstream" else self._column_out
            if way == "upstream" and kind is not None and kind.generated:
                yield self._paint("└─ made by the job", "dim")
            elif edges.get((own, column)):
                yield from self._column_tree((own, column), way, edges)
            else:
                yield self._nothing(way)
            whole = self._column_into.get((own, ""), []) if way == "upstream" else []
            if whole:
                yield ""
                yield self._paint("which rows there are depends on", "key")
                for n, one in enumerate(whole):
                    lead = "└─ " if n == len(whole) - 1 else "├─ "
                    yield lead + self._field(one.source, one.field) + self._how(one)

    def _column_tree(self, own: Field, way: Direction, edges: dict[Field, list[ColumnEdge]]) -> Iterator[str]:
        def line(edge: ColumnEdge, other: Field, again: bool) -> str:
            return self._field(*other) + self._how(edge) + (self._paint("  (above)", "dim") if again else "")

        yield from self._walk(
            own, edges, lambda e: (e.source, e.field) if way == "upstream" else (e.target, e.column), line
        )

    # ---- words ----

    def _name(self, own: str) -> str:
        node = self.graph.datasets[own]
        return _clean(self._labels[own]) + (self._paint(_is_dropped(node), "warn") if node.dropped_at else "")

    def _field(self, own: str, field: str) -> str:
        table = _clean(self._labels[own])
        return f"{table}  {self._paint(_clean(field), 'key')}" if field else f"{table}  {self._paint('(rows)', 'dim')}"

    def _how(self, edge: ColumnEdge) -> str:
        words = [one for one in edge.how if (one.type, one.subtype) != ("DIRECT", "IDENTITY")]
        told = [f"{one.subtype or one.type}{' masked' if one.masking else ''}".lower() for one in words]
        return self._paint(f"  {', '.join(dict.fromkeys(told))}", "dim") if told else ""

    def _told(self, state: str, at: str, rows: int | None) -> str:
        if not state:
            return ""
        when = self._paint(f" {short_instant(at)}", "dim") if at else ""
        return f"  {self._paint(state_word(state), _STYLES.get(state, 'dim'))}{when}{self._numbers(rows)}"

    def _numbers(self, rows: int | None) -> str:
        return "" if rows is None else self._paint(f"  {rows:,} {'row' if rows == 1 else 'rows'}", "dim")

    def _nothing(self, way: Direction) -> str:
        return self._paint(f"└─ {_UNKNOWN}" if way == "upstream" else "└─ nothing", "dim")


def _labels(graph: View) -> dict[str, str]:
    """What datasets are called in trees: the name, with the namespace where two have the same."""
    times: dict[str, int] = {}
    for node in graph.datasets.values():
        times[node.name] = times.get(node.name, 0) + 1
    return {
        i: _with_host(node) if times[node.name] > 1 or node.name.startswith("/") else node.name
        for i, node in graph.datasets.items()
    }


def _with_host(node: Node) -> str:
    if node.name.startswith("/") and node.namespace not in ("", "file"):
        return f"{node.namespace}{node.name}"
    return node.name if node.namespace == "file" else f"{node.namespace}/{node.name}"


def _clean(text: str) -> str:
    """A name that cannot steer the terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _origin_word(way: Direction) -> str:
    return _UNKNOWN if way == "upstream" else "only read"


def _is_dropped(node: Node) -> str:
    return f"  dropped {short_instant(node.dropped_at)}" if node.dropped_at else ""


def short_instant(at: str) -> str:
    """An instant to the minute, in UTC."""
    try:
        return f"{dt.datetime.fromisoformat(at.replace('Z', '+00:00')):%Y-%m-%d %H:%M}"
    except ValueError:
        return at
