"""What became of load packages that went while nobody watched: loaded or dropped by a process without the tracker.

dlt moves a package into the folder ``loaded`` when it is done with it, and deletes it when it is dropped; wiping the
working folder takes both away. What the destination holds stands in its table `_dlt_loads`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from headrace.errors.masking import without_secrets
from headrace.observers.lineage.dlt_steps import LoadedPackage, chain

logger = logging.getLogger("headrace")

# in this order: dlt puts a package into the second before it takes it out of the first; what a killed normalize has
# left in `load/new` alone waits for nothing
_PENDING = ("normalize/extracted", "load/normalized")
_LOADED = "load/loaded"
_NOTHING_YET = ("DatabaseUndefinedRelation", "FileNotFoundError")
"""What dlt and file systems raise where nothing was ever loaded."""

Known = Literal["told", "loaded", "dropped", "unknown"]

DROPPED = "The load package is gone: it was dropped before it was loaded."
UNWATCHED = (
    "The package was loaded by a process that lineage was not attached to, and its folder is gone: what was written is "
    "not known."
)
NOBODY_KNOWS = "The load package is gone from the working folder, and whether it was loaded cannot be found out: {}."


@dataclass
class Fate:
    """What became of a package.

    Attributes:
        known: ``told`` by dlt's own record; ``loaded``, for the destination says so; ``dropped``; ``unknown``.
        record: How it was loaded or given up, where dlt's folder still has it.
        why: Why nothing is known.
    """

    load_id: str
    known: Known
    record: LoadedPackage | None = None
    why: str = ""


def gone(load_ids: Iterable[str], working_dir: str) -> list[str]:
    """Packages that wait no more."""
    folder = Path(working_dir)
    return [one for one in load_ids if not any((folder / place / one).is_dir() for place in _PENDING)]


def has_record(load_id: str, working_dir: str) -> bool:
    """Whether dlt's folder of finished packages has it."""
    return (Path(working_dir) / _LOADED / load_id).is_dir()


def surely_dropped(load_id: str, working_dir: str) -> bool:
    """Whether it was deleted before it was loaded: an older one is still there, so nobody has wiped the folder."""
    for place in (_LOADED, *_PENDING):
        try:
            names = [path.name for path in (Path(working_dir) / place).iterdir()]
        except OSError:
            continue
        if any(_number(name) < _number(load_id) for name in names):
            return True
    return False


def _number(load_id: str) -> float:
    try:
        return float(load_id)
    except ValueError:
        return float("inf")


def goal_of(pipeline: Any) -> str:
    """Destination and dataset of a pipeline; empty while it has none."""
    destination, dataset = getattr(pipeline, "destination", None), getattr(pipeline, "dataset_name", None)
    if destination is None or not dataset:
        return ""
    return f"{destination.destination_type}/{destination.destination_name}/{dataset}"


def ask(pipeline: Any, load_id: str, schema: str, goal: str) -> Fate:
    """Ask the destination, which a load of the pipeline has just been in: one small query.

    Args:
        pipeline: dlt's.
        load_id: The package.
        schema: Name of its schema.
        goal: Where it was to go when it was extracted.
    """
    if goal and goal != goal_of(pipeline):
        return Fate(load_id, "unknown", why="the pipeline has another destination or dataset now")
    try:
        if _is_there(pipeline, load_id, schema):
            return Fate(load_id, "loaded")
    except Exception as error:  # what cannot be asked is not known, and no reason for a run to fail
        if not any(type(one).__name__ in _NOTHING_YET for one in chain(error)):
            logger.debug("lineage: `_dlt_loads` cannot be read", exc_info=True)
            return Fate(load_id, "unknown", why=without_secrets(f"{type(error).__name__}: {error}"))
    if not goal:
        return Fate(load_id, "unknown", why="where it was to go was not known when it was extracted")
    return Fate(load_id, "dropped")


def _is_there(pipeline: Any, load_id: str, schema: str) -> bool:
    known = schema in list(pipeline.schemas)
    if not known and not getattr(pipeline.config, "use_single_dataset", True):
        raise LookupError(f"the pipeline has no schema `{schema}` any more, and so its dataset is not known")
    with pipeline.destination_client(schema if known else None) as client:
        table = client.schema.loads_table_name
        if hasattr(client, "fs_client"):
            files = client.fs_client.ls(client.get_table_dir(table), detail=False)
            return any(str(name).endswith(f"__{load_id}.jsonl") for name in files)
        sql = client.sql_client
        query = f"SELECT load_id FROM {sql.make_qualified_table_name(table)} WHERE load_id = %s"
        return bool(sql.execute_sql(query, load_id))
