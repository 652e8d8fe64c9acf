"""The graph of this machine: what its pipelines kept, and what a server was sent, in one."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from headrace.observers.lineage.graph.fold import Graph
from headrace.observers.lineage.graph.store import GraphStore
from headrace.observers.lineage.graph.view import View, view
from headrace.observers.lineage.store import EventStore

FOLDER = ".lineage"
"""Name of the graph's folder, beside the working folders of pipelines."""
RECEIVED = "received"
KEPT_BYTES = 256 * 2**20
"""Events that were received are kept up to this size; the graph of older ones stays."""


class LocalGraph:
    """The graph in a folder, and where its events come from.

    Args:
        pipelines_dir: The folder of all working folders; None looks at none.
        folder: The graph's folder; ``.lineage`` in `pipelines_dir` by default. Where it cannot be written the graph is
            made anew in memory.
        namespaces: See `view`.
    """

    def __init__(
        self,
        pipelines_dir: str | os.PathLike[str] | None,
        folder: str | os.PathLike[str] | None = None,
        namespaces: Mapping[str, str] | None = None,
    ) -> None:
        own = Path(folder) if folder is not None else Path(pipelines_dir or ".") / FOLDER
        self.pipelines_dir, self.namespaces = pipelines_dir, namespaces
        self.received = EventStore(own / RECEIVED)
        # a folder of pipelines that is not there is none of ours to make
        missing = folder is None and pipelines_dir is not None and not Path(pipelines_dir).is_dir()
        try:
            self.store = GraphStore(None if missing else own)
        except OSError:
            self.store = GraphStore(None)

    def refresh(self) -> int:
        """Take what is new; gives a number that goes up with each change."""
        if self.received.events.is_dir() and self.store.add_folder(self.received.folder):
            self.received.trim(KEPT_BYTES, None)
        if self.pipelines_dir is not None:
            self.store.add_stored(self.pipelines_dir)
        return self.store.changes

    def view(self, graph: Graph | None = None) -> View:
        """The graph as it is now; `graph` when that was read already."""
        return view(graph or self.store.graph(), self.namespaces)

    def changed_at(self) -> str:
        """Now."""
        return dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    def close(self) -> None:
        """Give files back."""
        self.store.close()
        self.received.close()


def of_files(paths: Iterable[str | os.PathLike[str]], namespaces: Mapping[str, str] | None = None) -> View:
    """The graph of files of events, one a line (or one document, or a list of them).

    Raises:
        OSError: A file cannot be read.
        ValueError: A file holds no events.
    """
    graph = Graph()
    for path in paths:
        taken = sum(graph.add(event) for event in _events(Path(path).read_bytes()))
        if not taken:
            raise ValueError(f"{path} holds no OpenLineage events, one a line")
    return view(graph, namespaces)


def _events(data: bytes) -> list[dict[str, Any]]:
    try:
        whole = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return [one for line in data.splitlines() if (one := _event(line)) is not None]
    return whole if isinstance(whole, list) else [whole]


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    return found if isinstance(found, dict) else None
