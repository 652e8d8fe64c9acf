"""The graph as text of other programs: Mermaid, Graphviz' DOT, JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from headrace.observers.lineage.graph.view import ColumnEdge, Edge, View

_STATES = {"COMPLETE": "done", "FAIL": "failed", "ABORT": "aborted", "START": "running", "RUNNING": "running"}


def as_json(graph: View) -> dict[str, Any]:
    """The graph as plain values: ``datasets``, ``jobs``, ``edges``, ``columns``.

    Ids are ``d:namespace|name`` and ``j:namespace|name``. An edge goes from ``source`` (null: the job is the origin)
    to ``target`` (null: the job only reads) through ``job``; ``basis`` says how it is known.
    """
    return {
        "datasets": [msgspec.to_builtins(one) | {"names": _names(one.names)} for one in graph.datasets.values()],
        "jobs": [
            msgspec.to_builtins(one) | {"parent": f"j:{one.parent[0]}|{one.parent[1]}" if one.parent else None}
            for one in graph.jobs.values()
        ],
        "edges": [
            msgspec.to_builtins(one) | {name: getattr(one, name) or None for name in ("source", "target", "job")}
            for one in graph.edges
        ],
        "columns": [_column_edge(one) for one in graph.columns],
    }


def _names(names: list[Any]) -> list[dict[str, str]]:
    return [{"namespace": one[0], "name": one[1]} for one in names]


def _column_edge(edge: ColumnEdge) -> dict[str, Any]:
    return {
        "source": edge.source,
        "field": edge.field,
        "target": edge.target,
        "column": edge.column or None,
        "job": edge.job or None,
        "transformations": [one._asdict() for one in edge.how],
    }


def as_mermaid(graph: View, columns: bool = False) -> str:
    """A flowchart, as Markdown pages of many places show it.

    Args:
        graph: The graph.
        columns: Edges between columns instead of tables.
    """
    ids = {one: f"n{i}" for i, one in enumerate([*graph.datasets, *graph.jobs])}
    lines = ["flowchart LR"]
    if columns:
        return "\n".join([*lines, *_mermaid_columns(graph)]) + "\n"
    lines += [f'  {ids[i]}[("{_mermaid(one.label)}")]' for i, one in graph.datasets.items()]
    used = [i for i in graph.jobs if any(e.job == i for e in graph.edges)]
    lines += [f'  {ids[i]}(["{_mermaid(graph.jobs[i].name)}"])' for i in used]
    links = dict.fromkeys(pair for edge in graph.edges for pair in _links(edge))
    lines += [f"  {ids[one]} --> {ids[other]}" for one, other in links]
    failed = [ids[i] for i in used if graph.jobs[i].state == "FAIL"]
    if failed:
        lines += ["  classDef failed stroke:#c62828,stroke-width:2px", f"  class {','.join(failed)} failed"]
    return "\n".join(lines) + "\n"


def _mermaid_columns(graph: View) -> list[str]:
    used: dict[str, dict[str, str]] = {}
    number: dict[str, int] = {}
    for edge in graph.columns:
        for dataset, column in ((edge.source, edge.field), (edge.target, edge.column)):
            fields = used.setdefault(dataset, {})
            fields.setdefault(column, f"c{number.setdefault(dataset, len(number))}_{len(fields)}")
    lines = []
    for i, (dataset, fields) in enumerate(used.items()):
        lines.append(f'  subgraph t{i}["{_mermaid(graph.datasets[dataset].label)}"]')
        lines += [f'    {own}["{_mermaid(column) or "(all rows)"}"]' for column, own in fields.items()]
        lines.append("  end")
    for edge in graph.columns:
        arrow = "-->" if edge.is_direct else "-.->"
        lines.append(f"  {used[edge.source][edge.field]} {arrow} {used[edge.target][edge.column]}")
    return lines


def _links(edge: Edge) -> list[tuple[str, str]]:
    if not edge.job:
        return [(edge.source, edge.target)] if edge.source and edge.target else []
    return [
        pair
        for pair, there in (((edge.source, edge.job), edge.source), ((edge.job, edge.target), edge.target))
        if there
    ]


def _mermaid(text: str) -> str:
    # entities by number: quotes would end the text, other signs mean something to Mermaid, or to HTML
    return "".join(c if c.isalnum() or c in " _-.,/:" else f"#{ord(c)};" for c in text if c.isprintable())


def as_dot(graph: View, columns: bool = False) -> str:
    """A digraph for Graphviz.

    Args:
        graph: The graph.
        columns: Tables with their columns, and edges between columns.
    """
    lines = ["digraph lineage {", "  rankdir=LR;", '  node [fontname="Helvetica", fontsize=10];']
    if columns:
        lines += [f"  {_dot(i)} [shape=plain, label={_dot_table(graph, i)}];" for i in graph.datasets]
        ports = _ports(graph)
        for edge in graph.columns:
            style = "" if edge.is_direct else " [style=dashed]"
            one, other = ports[edge.source, edge.field], ports[edge.target, edge.column]
            lines.append(f"  {_dot(edge.source)}:{one} -> {_dot(edge.target)}:{other}{style};")
        return "\n".join([*lines, "}"]) + "\n"
    for i, node in graph.datasets.items():
        lines.append(f"  {_dot(i)} [shape=cylinder, label={_dot(node.label)}, tooltip={_dot(node.namespace)}];")
    for i in graph.jobs:
        if any(e.job == i for e in graph.edges):
            colour = ", color=red" if graph.jobs[i].state == "FAIL" else ""
            lines.append(f"  {_dot(i)} [shape=box, style=rounded, label={_dot(graph.jobs[i].name)}{colour}];")
    links = dict.fromkeys(pair for edge in graph.edges for pair in _links(edge))
    lines += [f"  {_dot(one)} -> {_dot(other)};" for one, other in links]
    return "\n".join([*lines, "}"]) + "\n"


def _ports(graph: View) -> dict[tuple[str, str], str]:
    ports: dict[tuple[str, str], str] = {}
    for edge in graph.columns:
        for pair in ((edge.source, edge.field), (edge.target, edge.column)):
            ports.setdefault(pair, f"p{len(ports)}" if pair[1] else "head")
    return ports


def _dot_table(graph: View, own: str) -> str:
    from html import escape

    ports = _ports(graph)
    node = graph.datasets[own]
    rows = [f'<tr><td port="head" bgcolor="#e0e0e0"><b>{escape(_printable(node.label))}</b></td></tr>']
    rows += [
        f'<tr><td port="{ports[own, one.name]}" align="left">{escape(_printable(one.name))}</td></tr>'
        for one in node.columns
        if (own, one.name) in ports
    ]
    return f'<<table border="0" cellborder="1" cellspacing="0">{"".join(rows)}</table>>'


def _dot(text: str) -> str:
    quoted = _printable(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'


def _printable(text: str) -> str:
    return "".join(c for c in text if c.isprintable())


def state_word(state: str) -> str:
    """A state in a word for people."""
    return _STATES.get(state, state.lower())
