"""Two states of one pipeline that grew apart become one: cursors do not go back, and nothing that either knows is lost.

That happens when a pipeline runs in two places at once, each with a working folder of its own: both read the same state
and each writes its next one. The one that is loaded later takes in the other's, so that the states at the destination
are one line, and the newest is all that anybody has to know.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, cast

from headrace.model.state import TPipelineState, state_hash

_CURSOR_KEYS = frozenset({"initial_value", "last_value", "unique_hashes"})
_FACTS = frozenset({"_state_version", "_state_engine_version", "_version_hash", "_local"})


def join_states(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> tuple[TPipelineState, list[str]]:
    """Join two states.

    Of two positions of an incremental cursor the one further on wins: seen from where the cursor began, or upwards
    where that does not tell. What only one of them has is kept. Of other values that differ, mine wins.

    Args:
        mine: The state of the load at hand.
        theirs: What another process has written meanwhile.

    Returns:
        The joined state, its version behind both, and a line for each value of theirs or mine that was let go.
    """
    told: list[str] = []
    content = _join({k: v for k, v in mine.items() if k not in _FACTS}, theirs, (), told)
    joined = {**{k: copy.deepcopy(v) for k, v in mine.items() if k in _FACTS}, **content}
    if mine.get("schema_names") and theirs.get("schema_names"):
        joined["schema_names"] = sorted({*mine["schema_names"], *theirs["schema_names"]})
    state = cast(TPipelineState, joined)
    state["_state_version"] = max(int(mine.get("_state_version", 0)), int(theirs.get("_state_version", 0))) + 1
    state["_version_hash"] = state_hash(state)
    return state, told


def _join(mine: Mapping[str, Any], theirs: Mapping[str, Any], path: tuple[str, ...], told: list[str]) -> dict[str, Any]:
    joined = copy.deepcopy(dict(mine))
    for key, other in theirs.items():
        if not path and key in _FACTS:
            continue
        own, here = joined.get(key), (*path, key)
        if key not in joined:
            joined[key] = copy.deepcopy(other)
        elif isinstance(own, dict) and isinstance(other, Mapping):
            is_cursor = own.keys() >= _CURSOR_KEYS and other.keys() >= _CURSOR_KEYS
            joined[key] = _further(own, other, here, told) if is_cursor else _join(own, other, here, told)
        elif own != other and here != ("schema_names",):
            told.append(f"{'.'.join(here)} is ours, {own!r}, not {other!r}")
    return joined


def _further(mine: dict[str, Any], theirs: Mapping[str, Any], path: tuple[str, ...], told: list[str]) -> dict[str, Any]:
    """The cursor that is further on; both sets of rows seen at the boundary where they are equal."""
    own, other = mine["last_value"], theirs["last_value"]
    if own == other:
        seen = dict.fromkeys([*(mine["unique_hashes"] or ()), *(theirs["unique_hashes"] or ())])
        return {**mine, "unique_hashes": list(seen)}
    if own is None or other is None:
        return dict(theirs) if own is None else mine
    try:
        behind = other > own if _goes_up(mine, theirs) else other < own
    except TypeError:
        behind = False  # values of two types: the cursor was changed, and ours is what runs now
    winner, loser = (theirs, own) if behind else (mine, other)
    told.append(f"cursor {'.'.join(path)} is {winner['last_value']!r}, not {loser!r}")
    return copy.deepcopy(dict(winner))


def _goes_up(*cursors: Mapping[str, Any]) -> bool:
    """Whether cursors have grown since they began."""
    for cursor in cursors:
        for start in (cursor.get("start_value"), cursor["initial_value"]):
            try:
                if start is not None and start != cursor["last_value"]:
                    return bool(cursor["last_value"] > start)
            except TypeError:
                continue
    return True
