"""The state document of a pipeline: versioned by its hash, carried to the destination with the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from typing_extensions import NotRequired, TypedDict

from headrace.base import typed_json
from headrace.base.strings import compressed_b64, decompress_b64, digest256
from headrace.base.time import now
from headrace.errors.schema import PipelineStateEngineNoUpgradePathException

ENGINE_VERSION = 4
# dictionaries with more keys count as one entry: they are somebody's data, and not structure
_NESTED_AT_MOST = 100
_UNHASHED = frozenset({"_local", "_state_version", "_state_engine_version", "_version_hash"})


class TPipelineState(TypedDict):
    """The document; ``_local`` stays on this machine."""

    _state_version: int
    _state_engine_version: int
    _version_hash: NotRequired[str]
    pipeline_name: NotRequired[str]
    dataset_name: NotRequired[str | None]
    default_schema_name: NotRequired[str | None]
    schema_names: NotRequired[list[str]]
    destination_type: NotRequired[str | None]
    destination_name: NotRequired[str | None]
    staging_type: NotRequired[str | None]
    staging_name: NotRequired[str | None]
    sources: NotRequired[dict[str, dict[str, Any]]]
    _local: NotRequired[dict[str, Any]]


def default_state() -> TPipelineState:
    """The state of a pipeline that never ran."""
    return {"_state_version": 0, "_state_engine_version": ENGINE_VERSION, "_local": {"first_run": True}}


def state_hash(state: TPipelineState) -> str:
    """The hash of what the state says, apart from versions and what concerns this machine only."""
    content = {k: v for k, v in state.items() if k not in _UNHASHED}
    return digest256(typed_json.dumpb(content, sort_keys=True))


def bump_state_version(state: TPipelineState) -> tuple[int, str, str | None]:
    """Bring version and hash of a state up to its content, changing it.

    The first hash does not raise the version; every later different one does.

    Returns:
        The version, the hash, and the hash before.
    """
    new, previous = state_hash(state), state.get("_version_hash")
    if previous and previous != new:
        state["_state_version"] += 1
    state["_version_hash"] = new
    return state["_state_version"], new, previous


def compress_state(state: TPipelineState) -> str:
    """The state without ``_local`` as text for a column of a table."""
    shared = {k: v for k, v in state.items() if k != "_local"}
    return compressed_b64(typed_json.dumpb(shared))


def decompress_state(text: str) -> dict[str, Any]:
    """Undo `compress_state`; the result may be of an older layout (see `migrate_state`).

    Raises:
        ValueError: The text is something else.
    """
    return cast("dict[str, Any]", typed_json.loads(decompress_b64(text)))


def state_row(state: TPipelineState, load_id: str | None = None) -> dict[str, Any]:
    """The row of ``_dlt_pipeline_state`` that keeps the state.

    Args:
        state: The state, whose version is up to date.
        load_id: Goes into the row when given.
    """
    row = {
        "version": state["_state_version"],
        "engine_version": state["_state_engine_version"],
        "pipeline_name": state.get("pipeline_name"),
        "state": compress_state(state),
        "created_at": now(),
        "version_hash": state.get("_version_hash"),
    }
    if load_id is not None:
        row["_dlt_load_id"] = load_id
    return row


def largest_entries(state: Mapping[str, Any], count: int = 3) -> list[tuple[str, int, int]]:
    """The entries that make a state large, for the error about it.

    Args:
        state: The document.
        count: How many to give.

    Returns:
        Path with dots, bytes as JSON, number of items (1 for single values); the largest first.
    """
    found: list[tuple[str, int, int]] = []
    todo: list[tuple[str, Any]] = [(key, value) for key, value in state.items() if key != "_local"]
    while todo:
        path, value = todo.pop()
        if isinstance(value, dict) and len(value) <= _NESTED_AT_MOST:
            todo += [(f"{path}.{key}", inner) for key, inner in value.items()]
        else:
            items = len(value) if isinstance(value, (dict, list, tuple, set)) else 1
            found.append((path, len(typed_json.dumpb(value)), items))
    return sorted(found, key=lambda entry: -entry[1])[:count]


def migrate_state(state: dict[str, Any], pipeline_name: str | None = None) -> TPipelineState:
    """Bring a state to the present layout, changing it.

    Args:
        state: A state of any layout from 1 on.
        pipeline_name: For the error.

    Raises:
        PipelineStateEngineNoUpgradePathException: The layout is newer than this program, or none at all.
    """
    started = engine = int(state.get("_state_engine_version", 0))
    if engine == 1:
        state["_local"] = {}
        state["_version_hash"], engine = state_hash(cast(TPipelineState, state)), 2
    elif engine == 2:
        state["_version_hash"] = state_hash(cast(TPipelineState, state))
    if engine == 2:
        engine = 3
    if engine == 3:
        for role in ("destination", "staging"):
            if state.get(role):
                state[f"{role}_type"], state[f"{role}_name"] = state.pop(role), None
            else:
                state.pop(role, None)
        engine = ENGINE_VERSION
    if engine != ENGINE_VERSION:
        name = pipeline_name or str(state.get("pipeline_name"))
        raise PipelineStateEngineNoUpgradePathException(name, started, engine, ENGINE_VERSION)
    state["_state_engine_version"] = engine
    return cast(TPipelineState, state)
