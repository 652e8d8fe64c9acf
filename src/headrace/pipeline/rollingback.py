"""Undoing loads: the destination first, in one transaction; state, schemas and packages of the folder follow it.

The destination is the truth. What is about to be undone is noted in the state before, and the note goes with the state
that follows; a process that dies in between leaves the rest to whoever holds the working folder next.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from headrace.base import failpoints
from headrace.base.time import now
from headrace.errors.destination import DestinationUndefinedEntity
from headrace.errors.package import LoadPackageNotFound
from headrace.errors.pipeline import PipelineHasPendingDataException
from headrace.errors.rollback import RollbackImpossible, RollbackNotSupported, RollbackRefused
from headrace.model.events import RolledBack
from headrace.model.rollback import RollbackInfo, UndoableLoad, add_report, cursor_moves
from headrace.model.state import decompress_state, migrate_state
from headrace.model.undo import UndoLoad, UndoReport
from headrace.pipeline.recovery import LAST_EXTRACTED_AT, LAST_EXTRACTED_HASH, LAST_LOADED_HASH
from headrace.pipeline.step import working

if TYPE_CHECKING:
    from headrace.load.destination import Client, StoredState
    from headrace.model.schema import Schema
    from headrace.pipeline.pipeline import Pipeline

logger = logging.getLogger("headrace")
# local: loads that are being undone; the place of the last undoing that this folder has followed
UNDOING, SEEN = "_undoing", "_undone_seen"
_SETTING = "set `load.keep_undo` to the number of loads that shall stay undoable, before they are loaded"


class _Found(NamedTuple):
    """A load of the pipeline, and the dataset and schema by which it is reached."""

    load: UndoLoad
    dataset_name: str
    schema: Schema


def rollback(p: Pipeline, load_id: str | None, cascade: bool) -> RollbackInfo:
    """See `Pipeline.rollback`."""
    from headrace.pipeline.sync import sync_if_needed

    _check_destination(p)
    with working(p):
        sync_if_needed(p)
        _check_pending(p)
        chosen = _choose(p, load_id, cascade)
        before, total = p._state.copy(), UndoReport()
        p._state.local[UNDOING] = [found.load.load_id for found in chosen]
        p._state.save()
        failpoints.hit("rollback.noted")
        try:
            for found in chosen if len({f.dataset_name for f in chosen}) > 1 else [chosen]:
                add_report(total, _undo(p, found if isinstance(found, list) else [found]))
        finally:
            # also after an error: of several datasets the first may be done
            settle(p)
        info = RollbackInfo(
            p.pipeline_name,
            chosen[0].dataset_name,
            total.load_ids,
            dict(sorted(total.tables.items())),
            total.schema_versions,
            cursor_moves(before, p._state.document),
            now(),
        )
        logger.warning("%s", info.asstr())
        return info


def loads_to_undo(p: Pipeline, load_id: str | None, cascade: bool) -> list[UndoableLoad]:
    """The loads that `rollback` would undo, newest first; raises what it would raise."""
    from headrace.pipeline.sync import sync_if_needed

    _check_destination(p)
    with working(p):
        sync_if_needed(p)
        _check_pending(p)
        return [_undoable(found) for found in _choose(p, load_id, cascade)]


def list_undoable_loads(p: Pipeline) -> list[UndoableLoad]:
    """See `Pipeline.list_undoable_loads`."""
    from headrace.pipeline.sync import sync_if_needed

    with working(p):
        if not p.has_data:
            # a look changes nothing: only a folder that knows nothing yet is filled
            sync_if_needed(p)
        return [_undoable(found) for found in reversed(_own_loads(p))]


def _check_destination(p: Pipeline) -> None:
    destination = p._need_destination("rollback")
    if not destination.capabilities().supports_undo:
        raise RollbackNotSupported(destination.destination_name)


def _check_pending(p: Pipeline) -> None:
    if p.has_pending_data:
        raise PipelineHasPendingDataException(p.pipeline_name, p.pipelines_dir)


def _undoable(found: _Found) -> UndoableLoad:
    load = found.load
    return UndoableLoad(
        *(load.load_id, load.schema_name, found.dataset_name, load.began_at, load.is_complete),
        *(load.tables, load.why_not),
    )


# ---- which loads ---------------------------------------------------------------------------------------------------


def _datasets(p: Pipeline) -> Iterator[tuple[str, Schema]]:
    """The datasets of the pipeline, each with one of its schemas."""
    schemas = [p._schemas[name] for name in p._schemas] or [p._destinations.blank_schema()]
    seen: set[str] = set()
    for schema in schemas:
        dataset = p._destinations.dataset_for(schema)
        if dataset not in seen:
            seen.add(dataset)
            yield dataset, schema


@contextmanager
def _client(p: Pipeline, dataset_name: str, schema: Schema) -> Iterator[Client]:
    destination = p._need_destination("rollback")
    with p._session.use(destination, dataset_name, schema, p._destinations.facts()) as client:
        yield client


def _all_loads(p: Pipeline) -> list[_Found]:
    found: list[_Found] = []
    for dataset, schema in _datasets(p):
        with _client(p, dataset, schema) as client:
            found += [_Found(load, dataset, schema) for load in client.undo_loads()]
    return found


def _own_loads(p: Pipeline, loads: Sequence[_Found] | None = None) -> list[_Found]:
    """Loads of the pipeline that are not undone, oldest first."""
    own = [f for f in (_all_loads(p) if loads is None else loads) if f.load.pipeline_name == p.pipeline_name]
    return sorted((f for f in own if f.load.undone is None), key=lambda f: f.load.load_id)


def _choose(p: Pipeline, load_id: str | None, cascade: bool) -> list[_Found]:
    """The loads to undo, newest first."""
    every = _all_loads(p)
    own = _own_loads(p, every)
    if load_id is None and own:
        load_id = own[-1].load.load_id
    wanted = next((f for f in own if f.load.load_id == load_id), None)
    if wanted is None:
        raise _unknown(p, load_id or "", own, every)
    later = [f for f in own if f.load.load_id > wanted.load.load_id]
    known = {f.load.load_id for f in every}
    lost = [i for i in p._store.list("loaded") if i > wanted.load.load_id and i not in known]
    if lost:
        why = f"nothing was kept of later loads of the pipeline: {', '.join(lost)}"
        raise RollbackRefused(
            p.pipeline_name, wanted.load.load_id, lost, why, f"nothing can be undone here; {_SETTING}"
        )
    if later and not cascade:
        ids = [f.load.load_id for f in reversed(later)]
        why = f"later loads of the pipeline build on it: {', '.join(ids)}"
        fix = "undo those first, newest first; or give `cascade=True` to undo them with it"
        raise RollbackRefused(p.pipeline_name, wanted.load.load_id, ids, why, fix)
    return [*reversed(later), wanted]


def _unknown(p: Pipeline, load_id: str, own: Sequence[_Found], every: Sequence[_Found]) -> RollbackImpossible:
    there = next((f.load for f in every if f.load.load_id == load_id), None)
    if there is not None and there.undone is not None:
        return RollbackImpossible(load_id, "it was undone already", fix="nothing; the dataset is as before the load")
    if there is not None:
        name = there.pipeline_name
        return RollbackImpossible(
            load_id, f"it is a load of pipeline `{name}`", fix=f'attach to that one: `headrace.attach("{name}")`'
        )
    can = ", ".join(f.load.load_id for f in reversed(own))
    why = f"nothing is kept of it at the destination, where pipeline `{p.pipeline_name}` has loaded to"
    if not load_id:
        why = f"pipeline `{p.pipeline_name}` has no load there that could be undone"
    return RollbackImpossible(load_id, why, fix=f"these can be undone: {can}" if can else _SETTING)


def _undo(p: Pipeline, found: Sequence[_Found]) -> UndoReport:
    _, dataset, schema = found[0]
    with _client(p, dataset, schema) as client:
        return client.roll_back([f.load.load_id for f in found])


# ---- the folder follows --------------------------------------------------------------------------------------------


def settle(p: Pipeline) -> None:
    """Let the folder follow what was undone of the loads that are noted; called whenever the folder is taken."""
    noted = p._state.local.get(UNDOING)
    if noted is None:
        return
    undone = [f for f in _all_loads(p) if f.load.load_id in noted and f.load.undone is not None]
    if undone:
        _follow(p, sorted(undone, key=lambda f: f.load.load_id, reverse=True))
    p._state.local.pop(UNDOING, None)
    p._state.save()
    failpoints.hit("rollback.settled")


def follow_others(p: Pipeline) -> None:
    """Follow loads of this pipeline that were undone from another working folder."""
    own = [f for f in _all_loads(p) if f.load.pipeline_name == p.pipeline_name and f.load.undone is not None]
    seen = p._state.local.get(SEEN, 0)
    news = [f for f in own if (f.load.undone or 0) > seen]
    if not news:
        return
    if p.has_data:
        from headrace.pipeline.parking import park_package

        ids = ", ".join(f.load.load_id for f in news)
        logger.warning("pipeline `%s`: loads %s were undone elsewhere; state and schemas go back", p.pipeline_name, ids)
        for load_id in reversed(p._store.list("extracted", "normalized")):
            package = p._store.get(load_id)
            if package.phase in ("extracted", "normalized"):
                park_package(p, package, f"loads on which it may build were undone: {ids}")
        _follow(p, sorted(news, key=lambda f: f.load.load_id, reverse=True))
    p._state.local[SEEN] = max(f.load.undone or 0 for f in news)
    p._state.save()


def _follow(p: Pipeline, undone: Sequence[_Found]) -> None:
    """Bring packages, schemas and state to what the destination has now; safe to repeat."""
    befores = [_file_package(p, found.load) for found in undone]
    failpoints.hit("rollback.filed")
    for name in dict.fromkeys(found.load.schema_name for found in undone):
        _schema_back(p, name, next(f for f in undone if f.load.schema_name == name))
    _state_back(p, undone, befores)
    seen = max(found.load.undone or 0 for found in undone)
    p._state.local[SEEN] = max(seen, p._state.local.get(SEEN, 0))


def _file_package(p: Pipeline, load: UndoLoad) -> dict[str, Any] | None:
    """Note in the package that it was undone; returns ``{"source": …}`` of before it, if that was changed."""
    try:
        package = p._store.get(load.load_id)
    except LoadPackageNotFound:
        p._publish(RolledBack(load_id=load.load_id, reason="it was undone", tables=load.tables))
        return load.before
    document = package.load_state()
    if package.fact(RolledBack) is None:
        package.record(RolledBack(load_id=load.load_id, reason="it was undone", tables=load.tables), sync=True)
    p._store.refile(package)
    p._fresh.pop(load.load_id, None)
    return load.before or (document or {}).get("before")


def _schema_back(p: Pipeline, name: str, found: _Found) -> None:
    from headrace.pipeline.sync import fetch_schema

    with _client(p, found.dataset_name, found.schema) as client:
        stored = fetch_schema(client, name) if client.has_dataset() else None
    if stored is not None:
        p._schemas.put(stored)
    else:
        p._schemas.remove(name)


def _state_back(p: Pipeline, undone: Sequence[_Found], befores: Sequence[dict[str, Any] | None]) -> None:
    """Cursors go back, to what the destination has or, where it has no state, to what was before the loads.

    With a dataset for each schema none of them has the state of all sources.
    """
    state, local = p._state, p._state.local
    stored = {found.dataset_name: _stored_state(p, found) for found in reversed(undone)}
    if len({dataset for dataset, _ in _datasets(p)} | {*stored}) == 1 and (only := next(iter(stored.values()))):
        remote: dict[str, Any] = dict(migrate_state(decompress_state(only.state), p.pipeline_name))
        state.replace(remote)
        local[LAST_EXTRACTED_HASH] = local[LAST_LOADED_HASH] = remote.get("_version_hash")
        local[LAST_EXTRACTED_AT] = only.created_at
        return
    sources = state.document.setdefault("sources", {})
    for found, before in zip(undone, befores, strict=True):
        name = found.load.schema_name
        if before is None:
            continue
        if before["source"] is None:
            sources.pop(name, None)
        else:
            sources[name] = before["source"]
    for mark in (LAST_EXTRACTED_HASH, LAST_EXTRACTED_AT, LAST_LOADED_HASH):
        local.pop(mark, None)
    names = [name for name in state.document.get("schema_names") or [] if name in p._schemas]
    state.document["schema_names"] = names
    if state.document.get("default_schema_name") not in names:
        state.document["default_schema_name"] = names[0] if names else None
    local["first_run"] = not names
    state.bump()


def _stored_state(p: Pipeline, found: _Found) -> StoredState | None:
    if not p._settings.pipeline.restore_from_destination:
        return None
    with _client(p, found.dataset_name, found.schema) as client:
        try:
            return client.read_state(p.pipeline_name)
        except DestinationUndefinedEntity:
            return None
