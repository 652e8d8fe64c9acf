"""After a run, for who asked for it by `lineage.to_destination`: its lineage goes into its destination, as tables."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from headrace.config.lineage import LineageConfiguration
from headrace.errors.masking import without_secrets

if TYPE_CHECKING:
    from headrace.model.trace import PipelineTrace
    from headrace.observers.lineage.sink import Sink
    from headrace.pipeline.core import PipelineCore

logger = logging.getLogger("headrace")

_WRITE_SECONDS = 30.0  # until the events of the run are on disk; a fraction of a second but on a disk that hangs


def has_loaded(trace: PipelineTrace | None) -> bool:
    """Whether a run came to its load: then there is something to write."""
    return trace is not None and any(step.step == "load" for step in trace.steps)


def write_tables(p: PipelineCore, sink: Sink, settings: LineageConfiguration) -> bool:
    """Write the graph around a pipeline beside its data, as `headrace lineage load` does; whether that went well.

    What goes wrong is a warning: the run has succeeded, and the next one writes what this one could not.

    Args:
        p: The pipeline, at the end of a run.
        sink: Has the events of the run.
        settings: The section `lineage`.
    """
    try:
        _write(p, sink, settings)
    except Exception as error:
        logger.warning(
            "lineage of pipeline `%s` was not written into its destination: %s: %s. The run is not affected, and the "
            "next one tries again; so does `headrace lineage load %s`. `lineage.to_destination = false` ends it.",
            *(p.pipeline_name, type(error).__name__, without_secrets(str(error)), p.pipeline_name),
            exc_info=logger.isEnabledFor(logging.DEBUG),
        )
        return False
    return True


def _write(p: PipelineCore, sink: Sink, settings: LineageConfiguration) -> None:
    from headrace.observers.lineage.graph.loading import load_graph
    from headrace.observers.lineage.graph.local import LocalGraph

    if not sink.drain(_WRITE_SECONDS):
        raise TimeoutError(f"its events were not on disk within {_WRITE_SECONDS:.0f} s")
    graph = LocalGraph(p.pipelines_dir, None, settings.namespace_map)
    try:
        graph.refresh()
        load_graph(graph, p, None, None, p.pipelines_dir, newest=True)
    finally:
        graph.close()
