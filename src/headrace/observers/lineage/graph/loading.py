"""Loads the graph into a destination, by a pipeline of its own: no package and no schema of others is touched."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from headrace.observers.lineage.graph.local import LocalGraph
from headrace.observers.lineage.graph.tables import tables
from headrace.observers.lineage.graph.view import View, job_id
from headrace.observers.lineage.graph.walk import NotInGraph, find, part

if TYPE_CHECKING:
    from headrace.extract.source import DltSource
    from headrace.pipeline.pipeline import Pipeline

NAME = "headrace_lineage"


class LoadedGraph(NamedTuple):
    """What was loaded.

    Attributes:
        place: The destination, for people.
        dataset_name: The dataset.
        rows: Rows by table.
    """

    place: str
    dataset_name: str
    rows: dict[str, int]


def source_of(graph: LocalGraph, pipeline: str | None = None) -> DltSource[Any]:
    """The tables of a graph on this machine, with all its runs.

    Args:
        graph: The graph, refreshed.
        pipeline: Only what is up- and downstream of a job, with the runs of the jobs in it.

    Raises:
        NotInGraph: There is no such job.
    """
    whole = graph.view()
    runs = graph.store.runs()
    if pipeline is None:
        return tables(whole, runs)
    kept = around_job(whole, pipeline)
    return tables(kept, (run for run in runs if job_id(run.job) in kept.jobs))


def around_job(graph: View, name: str) -> View:
    """The part of a graph around a job and the jobs that are part of it."""
    found = find(graph, name)
    if not found.jobs:
        raise NotInGraph(f"`{name}` is no job.", fix="give the name of a pipeline whose runs told lineage")
    return part(graph, found, ("upstream", "downstream"))


def load_graph(
    graph: LocalGraph, beside: Pipeline | None, destination: Any, dataset_name: str | None, pipelines_dir: str
) -> LoadedGraph:
    """Load the graph.

    Args:
        graph: The graph, refreshed.
        beside: The pipeline whose destination and dataset are used, and around which the graph is cut.
        destination: Another destination.
        dataset_name: Another dataset.
        pipelines_dir: The folder of working folders.

    Raises:
        NotInGraph: Nothing is known of the pipeline.
    """
    from headrace.pipeline.factory import pipeline

    source = source_of(graph, beside.pipeline_name if beside else None)
    made = pipeline(
        f"{beside.pipeline_name}_lineage" if beside else NAME,
        pipelines_dir=pipelines_dir,
        destination=destination or (beside.destination if beside else None),
        dataset_name=dataset_name or (beside.dataset_name if beside else NAME),
    )
    if beside is not None and destination is None:
        # a file or a setting that goes by the pipeline's name is that of the pipeline beside
        setattr(made._destinations, "facts", beside._destinations.facts)  # noqa: B010 - mypy: it is a method
    with _untold():
        info = made.run(source)
    normalized = made.last_trace.last_normalize_info if made.last_trace else None
    rows = dict(normalized.row_counts) if normalized else {}
    place = info.destination_displayable_credentials if info else None
    return LoadedGraph(place or "", made.dataset_name or "", rows)


class _untold:
    """Inside, runs tell no lineage: else each load of lineage would be new lineage to load."""

    def __enter__(self) -> None:
        self._before = os.environ.get("OPENLINEAGE_DISABLED")
        os.environ["OPENLINEAGE_DISABLED"] = "true"

    def __exit__(self, *_: object) -> None:
        if self._before is None:
            del os.environ["OPENLINEAGE_DISABLED"]
        else:
            os.environ["OPENLINEAGE_DISABLED"] = self._before
