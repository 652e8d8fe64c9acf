"""Taking over from dlt: what its working folder knows and the destination does not. The folder is only read.

State and schemas come from the destination as a rule. Where dlt kept them on the machine alone
(``restore_from_destination=false``), they are read from its working folder, if the dataset was loaded from there.
Packages that wait in it are dlt's to load: they are named, for nobody else will.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from headrace.base import json, typed_json
from headrace.errors.destination import DestinationUndefinedEntity
from headrace.errors.pipeline import CannotRestorePipelineException
from headrace.model.state import migrate_state
from headrace.pipeline.schemas import parse_schema

if TYPE_CHECKING:
    from headrace.load.destination import Client
    from headrace.model.schema import Schema
    from headrace.pipeline.pipeline import Pipeline

logger = logging.getLogger("headrace")
# relative to the working folder; packages in them by load id
_PENDING = ("normalize/extracted", "load/normalized")
_ENGINE_KEYS = frozenset(
    {"first_run", "initial_cwd", "last_run_context", "_dev_mode", "_last_extracted_at", "_last_extracted_hash"}
)


class DltFolder(NamedTuple):
    """A working folder of dlt.

    Attributes:
        path: The folder.
        state: Its state document, of the present layout.
        pending: Folders of packages that dlt has extracted and not loaded, relative to ``path``.
    """

    path: Path
    state: dict[str, Any]
    pending: list[str]

    def schemas(self) -> list[Schema]:
        """The schemas that the state names and the folder has."""
        found = []
        for name in self.state.get("schema_names") or []:
            try:
                text = (self.path / "schemas" / f"{name}.schema.json").read_bytes()
            except FileNotFoundError:
                continue
            found.append(parse_schema(json.loads(text)))
        return found


def find_dlt_folder(p: Pipeline) -> DltFolder | None:
    """The folder that dlt used for this pipeline, destination and dataset; None when there is none."""
    for path in _candidates(p):
        try:
            document: Any = typed_json.loads((path / "state.json").read_bytes())
        except (OSError, ValueError):
            continue
        state = dict(migrate_state(document, p.pipeline_name))
        if _concerns(p, state):
            pending = [f"{stage}/{load_id}" for stage in _PENDING for load_id in sorted(_names(path / stage))]
            return DltFolder(path, state, pending)
    return None


def _candidates(p: Pipeline) -> list[Path]:
    """The same folder when `pipelines_dir` was given, or is shared by `DLT_DATA_DIR`; else dlt's own."""
    from headrace.config.run_context import get_pipelines_dir
    from headrace.config.run_context import global_dir as default_dir

    candidates = [Path(p.working_dir)]
    if p.pipelines_dir == get_pipelines_dir():
        data_dir = os.environ.get("DLT_DATA_DIR") or default_dir("dlt")
        candidates.append(Path(data_dir) / "pipelines" / p.pipeline_name)
    return candidates


def _concerns(p: Pipeline, state: dict[str, Any]) -> bool:
    destination = p.destination
    if destination is None or state.get("_local", {}).get("first_run", True):
        return False
    kind = str(state.get("destination_type") or "").rpartition(".")[2]
    name = state.get("destination_name") or kind
    ours = (destination.destination_type.rpartition(".")[2], destination.destination_name, p.dataset_name)
    return (kind, name, state.get("dataset_name")) == ours


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are all that is needed
    except OSError:
        return []


def name_pending(p: Pipeline, found: DltFolder) -> None:
    """Say that dlt has packages to load; they stay where they are."""
    if not found.pending:
        return
    logger.warning(
        "pipeline `%s`: dlt has extracted %d packages that are NOT LOADED, and headrace does not load them: %s in %s. "
        "Cursors go on from what is loaded, so what an incremental resource gave is extracted again, and doubled in "
        'tables without a key should dlt load it later. To load it first, run `dlt.attach("%s").run()` with dlt; '
        "to give it up, delete these folders.",
        *(p.pipeline_name, len(found.pending), ", ".join(found.pending), found.path, p.pipeline_name),
    )


def take_over(p: Pipeline, found: DltFolder, client: Client) -> bool:
    """Take state and schemas from the folder, if it is what loaded the dataset and nothing was loaded from here yet.

    Returns:
        Whether they were taken.

    Raises:
        CannotRestorePipelineException: The folder's state is ahead of the dataset, for packages in it wait.
    """
    schemas = found.schemas()
    if not schemas or not all(_is_stored(client, schema) for schema in schemas):
        return False
    if found.pending:
        raise CannotRestorePipelineException(
            p.pipeline_name,
            str(found.path.parent),
            f"its state is kept by dlt in {found.path} alone, and knows of rows that are not loaded: packages "
            f"{', '.join(found.pending)}",
            fix=f'load them with dlt: `dlt.attach("{p.pipeline_name}").run()`; or delete its `state.json`',
        )
    p._state.replace(found.state)
    for schema in schemas:
        p._schemas.put(schema)
    p._state.local["first_run"] = False
    take_local_values(p, found)
    logger.info("pipeline `%s`: state and schemas were taken over from dlt's folder %s", p.pipeline_name, found.path)
    return True


def take_local_values(p: Pipeline, found: DltFolder) -> None:
    """Take what users kept by `set_local_state_val`."""
    local = found.state.get("_local", {})
    p._state.local.update({key: value for key, value in local.items() if key not in _ENGINE_KEYS})


def _is_stored(client: Client, schema: Schema) -> bool:
    try:
        return client.read_schema(schema.name, schema.stored_version_hash) is not None
    except DestinationUndefinedEntity:
        return False
