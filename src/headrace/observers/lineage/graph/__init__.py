"""The graph of lineage: what OpenLineage events of any producer say, joined; in memory, in a file, on a page."""

from headrace.observers.lineage.graph.fold import Graph
from headrace.observers.lineage.graph.view import View, view
from headrace.observers.lineage.graph.walk import find, part

__all__ = ["Graph", "View", "find", "part", "view"]
