"""State and schemas to and from the destination: how a pipeline goes on, on a machine that has never seen it."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from headrace.base import json
from headrace.base.strings import decompress_b64
from headrace.errors.destination import DestinationUndefinedEntity
from headrace.errors.pipeline import CannotRestorePipelineException
from headrace.load.migration import migrate
from headrace.model.migrate import altered_columns, applied_changes, join_updates, kinds_of_changes
from headrace.model.state import decompress_state, migrate_state
from headrace.model.state_converge import join_states
from headrace.pipeline.loading import keep_undo
from headrace.pipeline.reading import tell_changes
from headrace.pipeline.recovery import LAST_EXTRACTED_AT, LAST_EXTRACTED_HASH, LAST_LOADED_HASH
from headrace.pipeline.rollingback import follow_others
from headrace.pipeline.schemas import parse_schema
from headrace.pipeline.step import step, working
from headrace.pipeline.takeover import DltFolder, find_dlt_folder, name_pending, take_local_values, take_over

if TYPE_CHECKING:
    from headrace.load.destination import Client, StoredState
    from headrace.model.schema import Schema
    from headrace.pipeline.pipeline import Pipeline
    from headrace.typing import TTableSchema

logger = logging.getLogger("headrace")
# local: destination and dataset of the last sync
_LOADS_INTO = "_loads_into"


def sync_if_needed(p: Pipeline) -> None:
    """Sync once for each destination and dataset that this pipeline object meets; never in development mode."""
    if p.dev_mode or p._synced == _key(p):
        return
    if p._settings.pipeline.restore_from_destination:
        sync_destination(p)
    elif (found := find_dlt_folder(p)) is not None:
        _without_restoring(p, found)
    p._synced = _key(p)


def _without_restoring(p: Pipeline, found: DltFolder) -> None:
    """State is kept on this machine alone, by a setting, and dlt has kept it so far."""
    name_pending(p, found)
    if p.has_data:
        return
    with step(p, "sync"), _client(p) as client:
        take_over(p, found, client)
        p._save_props()


def _key(p: Pipeline) -> tuple[str, str]:
    return (p._need_destination("sync").destination_name, p.dataset_name or "")


def sync_destination(p: Pipeline) -> None:
    """See `Pipeline.sync_destination`."""
    with step(p, "sync"):
        found = find_dlt_folder(p)
        if found is not None:
            name_pending(p, found)
        with _client(p) as client:
            _sync(p, client, found)
        if keep_undo(p, p._settings.load()) > 0:
            follow_others(p)
        p._state.local[_LOADS_INTO] = list(_key(p))
        p._save_props()
        p._synced = _key(p)


def _client(p: Pipeline) -> AbstractContextManager[Client]:
    destination = p._need_destination("sync")
    schema = p._schemas.find(p.default_schema_name) or p._destinations.blank_schema()
    dataset = p._destinations.dataset_for(schema)
    return p._session.use(destination, dataset, schema, p._destinations.facts())


def _sync(p: Pipeline, client: Client, found: DltFolder | None) -> None:
    stored, is_new = _read_state(p, client), not p.has_data
    if is_new:
        _tell_unfinished(p, client)
    before = p._state.local.get(_LOADS_INTO)
    moved = before is not None and before != list(_key(p))
    if stored is None:
        if not (is_new and found is not None and take_over(p, found, client)):
            _nothing_there(p, client, moved)
        return
    if is_new and found is not None:
        take_local_values(p, found)
    remote = migrate_state(decompress_state(stored.state), p.pipeline_name)
    if remote.get("pipeline_name") != p.pipeline_name:
        raise CannotRestorePipelineException(
            p.pipeline_name,
            p.pipelines_dir,
            f"the destination holds the state of a pipeline called `{remote.get('pipeline_name')}`",
        )
    local = p._state.document
    # cursors into another dataset say nothing of this one, whatever their version
    newer = moved or remote["_state_version"] >= local["_state_version"]
    if newer and remote.get("_version_hash") != local.get("_version_hash"):
        _adopt(p, client, dict(remote), stored)
    else:
        _fetch_missing(p, client)


def _tell_unfinished(p: Pipeline, client: Client) -> None:
    """A folder without packages cannot finish what another one began; that rows stand without a load must be said."""
    unfinished = client.unfinished_loads() if client.has_dataset() else []
    if unfinished:
        logger.warning(
            "pipeline `%s`: dataset `%s` has rows of loads that were never completed: %s. They are at work elsewhere "
            "right now, or their working folders are lost with the packages in them. In the latter case their data is "
            "extracted again; delete the rows of these loads first (by `_dlt_load_id`), or they are there twice where "
            "they were appended",
            *(p.pipeline_name, p.dataset_name, ", ".join(unfinished)),
        )


def _read_state(p: Pipeline, client: Client) -> StoredState | None:
    try:
        return client.read_state(p.pipeline_name)
    except DestinationUndefinedEntity:
        return None


def _nothing_there(p: Pipeline, client: Client, moved: bool) -> None:
    """No state at the destination. If all of the dataset is gone, a pipeline that has loaded into it starts afresh.

    So does one that has loaded into another dataset until now, for its cursors are of that one.
    """
    if p.first_run or (not moved and _knows_schemas(p, client)):
        return
    pending = p._store.list("extracted", "normalized")
    logger.warning(
        "pipeline `%s`: %s, so it starts from the beginning: state and schemas of the working folder%s are dropped",
        p.pipeline_name,
        f"it has loaded nothing into `{p.dataset_name}` yet"
        if moved
        else f"its dataset `{p.dataset_name}` does not exist any more",
        f" and {len(pending)} pending packages" if pending else "",
    )
    place = p._state.local.get("initial_cwd")
    p._wipe_working_folder()
    if place is not None:
        # files of the destination are found from there: this run has them open already
        p._state.local["initial_cwd"] = place


def _knows_schemas(p: Pipeline, client: Client) -> bool:
    """Whether the dataset is there with its table of schemas: the state alone may be missing, by a setting."""
    if not client.has_dataset():
        return False
    table = (p._schemas.find(p.default_schema_name) or p._destinations.blank_schema()).version_table_name
    return client.describe([table]).get(table) is not None


def _adopt(p: Pipeline, client: Client, remote: dict[str, Any], stored: StoredState) -> None:
    """The destination knows more: its state and its schemas replace those of the working folder."""
    pending = p._store.list("extracted", "normalized")
    if pending:
        logger.warning(
            "pipeline `%s`: the state at the destination is newer than the one here; the pending packages %s were made "
            "before it and are still loaded",
            *(p.pipeline_name, ", ".join(pending)),
        )
    if p.dataset_name and remote.get("dataset_name") not in (None, p.dataset_name):
        logger.warning(
            "pipeline `%s`: the restored state names the dataset `%s`; `%s` is used, as asked for",
            *(p.pipeline_name, remote["dataset_name"], p.dataset_name),
        )
    schemas = {name: fetch_schema(client, name) for name in remote.get("schema_names") or []}
    # cursors of rows that wait here must not be read again
    p._state.replace(dict(join_states(p._state.document, remote)[0]) if pending else remote)
    p._schemas.remove_all()
    for name, schema in schemas.items():
        if schema is None:
            logger.warning("schema `%s` is named in the state but is not stored at the destination", name)
        else:
            p._schemas.put(schema)
    _check_default(p)
    local = p._state.local
    local["first_run"] = False
    local[LAST_EXTRACTED_HASH], local[LAST_EXTRACTED_AT] = remote.get("_version_hash"), stored.created_at
    local[LAST_LOADED_HASH] = remote.get("_version_hash")
    logger.info("pipeline `%s`: state and schemas were restored from the destination", p.pipeline_name)


def _check_default(p: Pipeline) -> None:
    name = p.default_schema_name
    if name is None or name in p._schemas:
        return
    others = list(p._schemas)
    chosen = others[0] if others else None
    logger.warning("the default schema `%s` could not be restored; it is now `%s`", name, chosen)
    p._state.document["default_schema_name"] = chosen


def _fetch_missing(p: Pipeline, client: Client) -> None:
    """Schemas that the state names and the folder lacks."""
    for name in p._state.document.get("schema_names") or []:
        if name not in p._schemas:
            schema = fetch_schema(client, name)
            p._schemas.put(schema if schema is not None else p._destinations.blank_schema(name))


def fetch_schema(client: Client, name: str) -> Schema | None:
    """The newest schema of a name that the destination has; None when it has none."""
    try:
        stored = client.read_schema(name)
    except DestinationUndefinedEntity:
        return None
    return parse_schema(schema_document(stored.schema)) if stored is not None else None


def schema_document(text: str) -> dict[str, Any]:
    """The document of a stored schema, which may be compressed."""
    try:
        document: dict[str, Any] = json.loads(decompress_b64(text))
    except ValueError:
        document = json.loads(text)
    return document


def sync_schema(p: Pipeline, schema_name: str | None) -> dict[str, TTableSchema]:
    """See `Pipeline.sync_schema`."""
    with working(p):
        destination = p._need_destination("sync_schema")
        schema = p._schemas[schema_name] if schema_name else p.default_schema
        p._schemas.save(schema)
        dataset = p._destinations.dataset_for(schema)
        with p._session.use(destination, dataset, schema, p._destinations.facts()) as client:
            client.create_dataset()
            wanted = {
                name: table
                for name, table in schema.tables.items()
                if name in schema.dlt_table_names() or schema.get_table_columns(name)
            }
            capabilities = destination.capabilities()
            comments = p._settings.load().comments
            changes = migrate(client, schema, wanted, {}, capabilities, comments=comments)
        tell_changes(p, schema.name, dataset, kinds_of_changes(changes))
        return join_updates([applied_changes(changes), altered_columns(changes)])
