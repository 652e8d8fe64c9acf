"""Loads the graph into a destination, by a pipeline of its own: no package and no schema of others is touched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from headrace.errors.base import HeadraceException
from headrace.observers.lineage.graph.local import LocalGraph
from headrace.observers.lineage.graph.model import Run
from headrace.observers.lineage.graph.tables import tables
from headrace.observers.lineage.graph.view import View, job_id
from headrace.observers.lineage.graph.walk import NotInGraph, find, part

if TYPE_CHECKING:
    from headrace.extract.source import DltSource
    from headrace.pipeline.core import PipelineCore
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


class KeepsNoTables(HeadraceException):
    """The graph cannot be loaded there."""


def source_of(graph: LocalGraph, pipeline: str | None = None, newest: bool = False) -> DltSource[Any]:
    """The tables of a graph on this machine, with its runs.

    Args:
        graph: The graph, refreshed.
        pipeline: Only what is up- and downstream of a job, with the runs of the jobs in it.
        newest: Only the newest runs of each job (`RUNS_IN_MEMORY`), where those before them were loaded before.

    Raises:
        NotInGraph: There is no such job.
    """
    runs: Iterable[Run]
    if newest:
        found = graph.store.graph()
        whole, runs = graph.view(found), found.runs.values()
    else:
        whole, runs = graph.view(), graph.store.runs()
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
    graph: LocalGraph,
    beside: PipelineCore | None,
    destination: Any,
    dataset_name: str | None,
    pipelines_dir: str,
    newest: bool = False,
) -> LoadedGraph:
    """Load the graph.

    Where a destination can merge, rows go over those of the last load, in the dataset of the pipeline beside. Where it
    cannot, tables are replaced, in a dataset of their own: those of two pipelines would replace each other.

    Args:
        graph: The graph, refreshed.
        beside: The pipeline whose destination and dataset are used, and around which the graph is cut.
        destination: Another destination.
        dataset_name: Another dataset.
        pipelines_dir: The folder of working folders.
        newest: As of `source_of`; not where tables are replaced.

    Raises:
        NotInGraph: Nothing is known of the pipeline.
        KeepsNoTables: The destination hands rows to a function, say.
    """
    from headrace.pipeline import current

    made = _pipeline(beside, destination, pipelines_dir)
    capabilities = made._destinations.capabilities()
    if not capabilities.supported_replace_strategies:
        raise KeepsNoTables(
            f"The destination `{made.destination and made.destination.destination_name}` keeps no tables.",
            fix="`headrace lineage load --destination duckdb` writes them elsewhere",
        )
    merges = bool(capabilities.supported_merge_strategies)
    own = f"{beside.pipeline_name}_lineage" if beside else NAME
    made.dataset_name = dataset_name or (beside.dataset_name if beside and merges else None) or own
    source = source_of(graph, beside.pipeline_name if beside else None, newest and merges)
    active = current.active()
    try:
        if made.has_pending_data:  # what an earlier load has left is in this one too
            made.drop_pending_packages()
        info = made.run(source, write_disposition=None if merges else "replace")
    finally:
        if active is not None:
            current.activate(active)
    normalized = made.last_trace.last_normalize_info if made.last_trace else None
    rows = dict(normalized.row_counts) if normalized else {}
    place = info.destination_displayable_credentials if info else None
    return LoadedGraph(place or "", made.dataset_name or "", rows)


def _pipeline(beside: PipelineCore | None, destination: Any, pipelines_dir: str) -> Pipeline:
    """The pipeline that loads; nobody watches it: each load of lineage would be new lineage to load."""
    from headrace.observers.collector import NullCollector
    from headrace.pipeline.pipeline import Pipeline
    from headrace.pipeline.watching import unwatched

    made = Pipeline(
        f"{beside.pipeline_name}_lineage" if beside else NAME,
        pipelines_dir=pipelines_dir,
        destination=destination or (beside.destination if beside else None),
        staging=beside.staging if beside is not None and destination is None else None,
        progress=NullCollector(),
    )
    if beside is not None and destination is None:
        # a file or a setting that goes by the pipeline's name is that of the pipeline beside
        setattr(made._destinations, "facts", beside._destinations.facts)  # noqa: B010 - mypy: it is a method
    return unwatched(made)
