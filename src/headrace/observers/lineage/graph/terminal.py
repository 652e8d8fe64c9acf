"""The graph as trees of lines, for a terminal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence

from headrace.observers.lineage.graph.formats import state_word
from headrace.observers.lineage.graph.view import ColumnEdge, Edge, Node, View, Work
from headrace.observers.lineage.graph.walk import Direction, Found

Paint = Callable[[str, str], str]
"""Colours a text in a style of the command line: ``ok``, ``warn``, ``fail``, ``dim``, ``head``, ``key``."""

_STYLES = {"COMPLETE": "ok", "FAIL": "fail", "ABORT": "warn", "START": "warn", "RUNNING": "warn"}
_TITLES: dict[Direction, str] = {"upstream": "comes from", "downstream": "goes into"}
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
        self._column_into: dict[tuple[str, str], list[ColumnEdge]] = {}
        self._column_out: dict[tuple[str, str], list[ColumnEdge]] = {}
        for one in graph.columns:
            self._column_into.setdefault((one.target, one.column), []).append(one)
            self._column_out.setdefault((one.source, one.field), []).append(one)

    def lines(self, found: Found | None, directions: Sequence[Direction]) -> Iterator[str]:
        """The lines of what was found; of all jobs without it."""
        if found is None:
            yield from self._jobs([i for i, one in self.graph.jobs.items() if not self._is_container(one)])
        elif found.jobs:
            yield from self._jobs([i for i in found.jobs if not self._is_container(self.graph.jobs[i])] or found.jobs)
        elif found.column is not None:
            yield from self._column(found.datasets[0], found.column, directions)
        else:
            yield from self._dataset(found.datasets[0], directions)

    # ---- jobs ----

    def _is_container(self, job: Work) -> bool:
        return not any(edge.job == job.id for edge in self.graph.edges)

    def _jobs(self, jobs: list[str]) -> Iterator[str]:
        for i, own in enumerate(jobs):
            job = self.graph.jobs[own]
            if i:
                yield ""
            yield self._paint(_clean(job.name), "head") + self._told(job.state, job.at, None)
            edges = [one for one in self.graph.edges if one.job == own]
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
            text = found + rest or self._paint("made by the job" if column.generated else "?", "dim")
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
            yield from self._tree(own, way, edges, "", {own}, 1) if edges.get(own) else [self._nothing(way)]
        if self._columns and node.columns:
            yield ""
            yield self._paint("columns", "key")
            yield from self._of_columns(own, "", False)

    def _tree(
        self, own: str, way: Direction, edges: dict[str, list[Edge]], gap: str, seen: set[str], step: int
    ) -> Iterator[str]:
        near = edges.get(own, [])
        for n, edge in enumerate(near):
            last = n == len(near) - 1
            other = edge.source if way == "upstream" else edge.target
            by = self._by(edge)
            name = self._name(other) if other else self._paint(_origin_word(way), "dim")
            again = other in seen and bool(edges.get(other))
            yield f"{gap}{'└─ ' if last else '├─ '}{name}{by}{self._paint('  (above)', 'dim') if again else ''}"
            if other and not again:
                seen.add(other)
                if self._depth is None or step < self._depth:
                    yield from self._tree(other, way, edges, gap + ("   " if last else "│  "), seen, step + 1)

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
                yield from self._column_tree((own, column), way, edges, "", {(own, column)}, 1)
            else:
                yield self._nothing(way)
            whole = self._column_into.get((own, ""), []) if way == "upstream" else []
            if whole:
                yield ""
                yield self._paint("which rows there are depends on", "key")
                for n, one in enumerate(whole):
                    lead = "└─ " if n == len(whole) - 1 else "├─ "
                    yield lead + self._field(one.source, one.field) + self._how(one)

    def _column_tree(
        self,
        own: tuple[str, str],
        way: Direction,
        edges: dict[tuple[str, str], list[ColumnEdge]],
        gap: str,
        seen: set[tuple[str, str]],
        step: int,
    ) -> Iterator[str]:
        near = edges.get(own, [])
        for n, edge in enumerate(near):
            last = n == len(near) - 1
            other = (edge.source, edge.field) if way == "upstream" else (edge.target, edge.column)
            again = other in seen and bool(edges.get(other))
            name = self._field(*other) + self._how(edge) + (self._paint("  (above)", "dim") if again else "")
            yield f"{gap}{'└─ ' if last else '├─ '}{name}"
            if not again:
                seen.add(other)
                if self._depth is None or step < self._depth:
                    yield from self._column_tree(other, way, edges, gap + ("   " if last else "│  "), seen, step + 1)

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
        return self._paint("└─ nothing that is known" if way == "upstream" else "└─ nothing", "dim")


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
    return "made by the job, no source is known" if way == "upstream" else "only read"


def _is_dropped(node: Node) -> str:
    return f"  dropped {short_instant(node.dropped_at)}" if node.dropped_at else ""


def short_instant(at: str) -> str:
    """An instant to the minute, in UTC."""
    try:
        return f"{dt.datetime.fromisoformat(at.replace('Z', '+00:00')):%Y-%m-%d %H:%M}"
    except ValueError:
        return at
