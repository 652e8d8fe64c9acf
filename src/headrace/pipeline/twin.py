"""A twin of a pipeline: the same pipeline in memory and on disk, whose steps leave the real one as it is.

State, schemas and packages of the twin are copies in a folder of their own. To the destination it only talks through
clients that write nothing. Observers hear nothing of it, but for the progress display.
"""

from __future__ import annotations

import contextlib
import copy
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.base import files as fs
from headrace.config.current import pipeline_name_scope
from headrace.pipeline import current
from headrace.pipeline.session import Session
from headrace.pipeline.state import StateFile
from headrace.pipeline.tracing import Tracer
from headrace.pipeline.watching import set_collector, watch_plan

if TYPE_CHECKING:
    from headrace.load.destination import Destination, PipelineFacts
    from headrace.load.rehearsal import RehearsalClient
    from headrace.model.schema import Schema
    from headrace.pipeline.pipeline import Pipeline

_PENDING = ("extracted", "normalized")


class RehearsalSession(Session):
    """Clients that write nothing, one for each dataset: connected while they are used, with a memory that stays."""

    def __init__(self) -> None:
        super().__init__()
        self._clients: dict[tuple[Any, ...], RehearsalClient] = {}
        self._in_use: set[tuple[Any, ...]] = set()

    @contextmanager
    def use(
        self, destination: Destination, dataset_name: str, schema: Schema, facts: PipelineFacts
    ) -> Iterator[RehearsalClient]:
        """The client of a dataset, entered; arguments as of `Session.use`."""
        from headrace.load.rehearsal import RehearsalClient

        key = (destination, dataset_name, schema.naming.name(), schema.naming.max_length)
        client = self._clients.setdefault(key, RehearsalClient())
        if key in self._in_use:
            client.schema = schema
            yield client
            return
        self._in_use.add(key)
        try:
            with client.over(destination.open(dataset_name, schema, facts)):
                yield client
        finally:
            self._in_use.discard(key)


@contextmanager
def twin_of(p: Pipeline, folder: Path) -> Iterator[Pipeline]:
    """A twin inside ``with``; the working folder must be held.

    Args:
        p: The pipeline.
        folder: For what the twin writes; stays. Packages in it are the twin's.
    """
    made = _copy(p, folder)
    try:
        with current.running(made), pipeline_name_scope(p.pipeline_name):
            yield made
    finally:
        for load_id in made._store.list():
            made._store.get(load_id).journal.close()
        made.bus.close()


def _copy(p: Pipeline, folder: Path) -> Pipeline:
    from headrace.bus.bus import Bus
    from headrace.bus.observer import Run

    made = copy.copy(p)
    made._folder = p._folder.beside(folder)
    made._folder.behind = max(p._store.list(), default="")
    made.bus = Bus(Run(pipeline=made))
    made.bus.gates = p.bus.gates  # they decide which columns there will be
    made._session, made._tracer = RehearsalSession(), Tracer(made._folder.runs, p.pipeline_name)
    made._store_made, made._synced = None, None
    made._orders, made._fresh, made._promised = {}, {}, {}
    made._destinations = copy.copy(p._destinations)
    made._destinations._pipeline = made
    made._state = StateFile(made._folder.state_file)
    made._state.document = p._state.copy()
    made._state.save()
    fs.remove_tree(made._folder.schemas)
    external = p._schemas.external.to_read()
    made._schemas = p._schemas.beside(made._folder.schemas, external, made._destinations.prepare_schema)
    if p.collector is not None:
        set_collector(made, p.collector)
    made._tracer.begin()
    watch_plan(p, made)
    return made


def copy_pending(p: Pipeline, twin: Pipeline) -> list[str]:
    """Give the twin copies of the packages that wait; returns their load ids."""
    waiting = p._store.list(*_PENDING)
    for load_id in waiting:
        target = twin._folder.packages / load_id
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(p._folder.packages / load_id, target, copy_function=_link)
    return waiting


def drop_copies(twin: Pipeline, load_ids: list[str]) -> None:
    """Delete the copies of packages."""
    for load_id in load_ids:
        if (twin._folder.packages / load_id).is_dir():
            twin._store.drop(load_id)


def _link(source: str, target: str) -> str:
    """Files of packages are never changed, but for the journal."""
    if Path(source).name != "journal":
        with contextlib.suppress(OSError):
            os.link(source, target)
            return target
    return str(shutil.copy2(source, target))
