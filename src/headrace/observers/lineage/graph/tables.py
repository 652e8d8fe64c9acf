"""Lineage as tables, to be asked with SQL: resources that a pipeline loads like any others.

==================================  ======================  ==========================================================
table                               key                     a row
==================================  ======================  ==========================================================
``_headrace_lineage_runs``          ``run_id``              a run of a job; it is written anew when it went on
``_headrace_lineage_datasets``      ``dataset_id``          a dataset: where and what it is, how it was last written
``_headrace_lineage_columns``       ``dataset_id``, merged  a column of a dataset
``_headrace_lineage_edges``         ``flow_id``, merged     a dataset that feeds a dataset, through a job
``_headrace_lineage_column_edges``  ``flow_id``, merged     a field that a column depends on, through a job
==================================  ======================  ==========================================================

All rows of a flow, that is of a job and a target, are replaced together, so that edges that are no more vanish; other
pipelines may keep their own in the same tables.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from headrace.observers.lineage.graph.model import TERMINAL, Run
from headrace.observers.lineage.graph.view import Edge, View

if TYPE_CHECKING:
    from headrace.extract.source import DltSource

PREFIX = "_headrace_lineage_"
SCHEMA = "headrace_lineage"
"""Name of the schema, so that the user's own schemas stay as they are."""
Row = dict[str, Any]

_TEXT, _INSTANT, _NUMBER, _BOOL = (
    {"data_type": kind, "nullable": True} for kind in ("text", "timestamp", "bigint", "bool")
)
_KINDS: dict[str, Any] = {"rows_": _NUMBER, "at": _INSTANT, "ordinal": _NUMBER, "is_": _BOOL, "bytes": _NUMBER}


def tables(graph: View, runs: Iterable[Run] = ()) -> DltSource[Any]:
    """The tables of a graph, as a source.

    Args:
        graph: The graph.
        runs: All runs; those that the graph shows are few.
    """
    from headrace.extract.decorators import resource
    from headrace.extract.source import DltSource
    from headrace.model.schema import Schema

    found: dict[str, tuple[Iterable[Row], dict[str, Any], str]] = {
        "runs": (run_rows(runs), {"primary_key": "run_id"}, _RUNS),
        "datasets": (dataset_rows(graph), {"primary_key": "dataset_id"}, _DATASETS),
        "columns": (column_rows(graph), {"merge_key": "dataset_id"}, _COLUMNS),
        "edges": (edge_rows(graph), {"merge_key": "flow_id"}, _EDGES),
        "column_edges": (column_edge_rows(graph), {"merge_key": "flow_id"}, _COLUMN_EDGES),
    }
    made = [
        resource(list(rows), name=PREFIX + name, write_disposition="merge", columns=_hints(columns), **keys)
        for name, (rows, keys, columns) in found.items()
    ]
    return DltSource(Schema(SCHEMA), "lineage", made)


_RUNS = "run_id job_id job_namespace job_name state started_at ended_at rows_read rows_written error parent_run_id"
_DATASETS = (
    "dataset_id namespace name dataset_type state written_at rows_written bytes_written dropped_at documentation owners"
)
_COLUMNS = "dataset_id namespace dataset_name column_name ordinal data_type description tags is_generated"
_EDGES = (
    "flow_id source_id source_namespace source_name target_id target_namespace target_name job_id job_name basis state "
    "at run_id rows_written"
)
_COLUMN_EDGES = (
    "flow_id source_id source_namespace source_name source_field target_id target_namespace target_name target_column "
    "job_id job_name transformation_type transformation_subtype description is_masked is_direct"
)


def _hints(names: str) -> dict[str, Any]:
    """Columns with their types: they are there even when no row has a value."""
    found = {}
    for name in names.split():
        kind = next((k for part, k in _KINDS.items() if name.startswith(part) or name.endswith(f"_{part}")), _TEXT)
        found[name] = {"name": name, **(_INSTANT if name == "at" else kind)}
    return found


def run_rows(runs: Iterable[Run]) -> Iterator[Row]:
    """Rows of runs."""
    from headrace.observers.lineage.graph.view import job_id, run_row

    for run in runs:
        row = run_row(run)
        moments = {name: _instant(row.pop(name)) for name in ("started_at", "ended_at")}
        if run.state not in TERMINAL:
            moments["ended_at"] = None
        yield {"job_id": job_id(run.job), "job_namespace": run.job[0], "job_name": run.job[1], **row, **moments}


def dataset_rows(graph: View) -> Iterator[Row]:
    """Rows of datasets."""
    for one in graph.datasets.values():
        owners = [str(o.get("name")) for o in one.facets.get("ownership", {}).get("owners", []) if isinstance(o, dict)]
        yield {
            "dataset_id": one.id,
            "namespace": one.namespace,
            "name": one.name,
            "dataset_type": one.type or None,
            "state": one.state or None,
            "written_at": _instant(one.written_at),
            "rows_written": one.rows,
            "bytes_written": one.bytes,
            "dropped_at": _instant(one.dropped_at),
            "documentation": one.facets.get("documentation", {}).get("description"),
            "owners": ", ".join(owners) or None,
        }


def column_rows(graph: View) -> Iterator[Row]:
    """Rows of columns."""
    for one in graph.datasets.values():
        for i, column in enumerate(one.columns):
            yield {
                "dataset_id": one.id,
                "namespace": one.namespace,
                "dataset_name": one.name,
                "column_name": column.name,
                "ordinal": i + 1,
                "data_type": column.type or None,
                "description": column.description or None,
                "tags": ", ".join(column.tags) or None,
                "is_generated": column.generated,
            }


def edge_rows(graph: View) -> Iterator[Row]:
    """Rows of table edges."""
    for edge in graph.edges:
        yield {
            **_ends(graph, edge.source, edge.target, edge.job),
            "basis": edge.basis,
            "state": edge.state or None,
            "at": _instant(edge.at),
            "run_id": edge.run_id or None,
            "rows_written": edge.rows,
        }


def column_edge_rows(graph: View) -> Iterator[Row]:
    """Rows of column edges; of a flow without any there is one row that names no column, so that old ones vanish."""
    told = set()
    for edge in graph.columns:
        told.add((edge.target, edge.job))
        how = edge.how[0] if edge.how else None
        yield {
            **_ends(graph, edge.source, edge.target, edge.job),
            "source_field": edge.field,
            "target_column": edge.column or None,
            "transformation_type": (how.type or None) if how else None,
            "transformation_subtype": ", ".join(dict.fromkeys(h.subtype for h in edge.how if h.subtype)) or None,
            "description": "; ".join(h.description for h in edge.how if h.description) or None,
            "is_masked": any(h.masking for h in edge.how),
            "is_direct": edge.is_direct,
        }
    rest: dict[tuple[str, str], Edge] = {(e.target, e.job): e for e in graph.edges}
    for pair in rest:
        if pair not in told:
            yield {**_ends(graph, "", *pair), "source_field": None, "target_column": None}


def _ends(graph: View, source: str, target: str, job: str) -> Row:
    one, other, work = graph.datasets.get(source), graph.datasets.get(target), graph.jobs.get(job)
    return {
        "flow_id": hashlib.sha256(f"{job}\n{target}".encode()).hexdigest()[:32],
        "source_id": source or None,
        "source_namespace": one.namespace if one else None,
        "source_name": one.name if one else None,
        "target_id": target or None,
        "target_namespace": other.namespace if other else None,
        "target_name": other.name if other else None,
        "job_id": job or None,
        "job_name": work.name if work else None,
    }


def _instant(text: str | None) -> dt.datetime | None:
    if not text:
        return None
    try:
        return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
