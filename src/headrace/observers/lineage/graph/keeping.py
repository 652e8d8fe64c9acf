"""Puts events into the graph before they are deleted: on the thread that writes events, when no run goes on."""

from __future__ import annotations

from pathlib import Path

from headrace.observers.lineage.graph.local import FOLDER
from headrace.observers.lineage.graph.store import GraphStore
from headrace.observers.lineage.store import Position

AT_ONCE = 4 * 2**20
"""Bytes of events that are taken at a time: to read the graph for each small file would take longer than they do."""
SECONDS = 5.0
"""How long another process is waited for."""


def remember(folder: Path, until: Position) -> None:
    """Put what a pipeline told into the graph of this machine, as `LocalGraph.refresh` does, at least up to a place.

    Any number of processes may do so at once: each event is taken once.

    Args:
        folder: The folder of its events, in its working folder.
        until: What is before it will be deleted.

    Raises:
        OSError: The graph cannot be opened.
        sqlite3.Error: It cannot be written: another process holds it for long, the disk is full.
    """
    store = GraphStore(folder.parent.parent / FOLDER, SECONDS)
    try:
        store.add_folder(folder, until, AT_ONCE)
    finally:
        store.close()
