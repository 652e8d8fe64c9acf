"""The graph of this machine for programs: `headrace.lineage.read_graph` and `headrace.lineage.tables`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from headrace.observers.lineage.graph.view import View

if TYPE_CHECKING:
    from headrace.extract.source import DltSource
    from headrace.observers.lineage.graph.local import LocalGraph


def read_graph(
    pipelines_dir: str | os.PathLike[str] | None = None, store: str | os.PathLike[str] | None = None
) -> View:
    """The graph of all that pipelines of this machine told, and that `headrace lineage serve` was sent.

    Args:
        pipelines_dir: The folder of working folders; that of the configuration by default.
        store: The graph's folder; ``.lineage`` in `pipelines_dir` by default.

    Returns:
        ``datasets``, ``jobs`` (by id), ``edges``, ``columns``.
    """
    graph = _open(pipelines_dir, store)
    try:
        graph.refresh()
        return graph.view()
    finally:
        graph.close()


def tables(
    pipeline: str | None = None,
    pipelines_dir: str | os.PathLike[str] | None = None,
    store: str | os.PathLike[str] | None = None,
) -> DltSource[Any]:
    """The same graph as tables ``_headrace_lineage_*``: a source for a pipeline of its own.

    Args:
        pipeline: Only what is up- and downstream of this pipeline.
        pipelines_dir: As of `read_graph`.
        store: As of `read_graph`.

    Raises:
        NotInGraph: The pipeline told no lineage.
    """
    from headrace.observers.lineage.graph.loading import source_of

    graph = _open(pipelines_dir, store)
    try:
        graph.refresh()
        return source_of(graph, pipeline)
    finally:
        graph.close()


def _open(pipelines_dir: str | os.PathLike[str] | None, store: str | os.PathLike[str] | None) -> LocalGraph:
    from headrace.config.lineage import lineage_settings
    from headrace.config.run_context import get_pipelines_dir
    from headrace.observers.lineage.graph.local import LocalGraph

    return LocalGraph(pipelines_dir or get_pipelines_dir(), store, lineage_settings().namespace_map)
