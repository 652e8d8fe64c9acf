"""Who owns a table: the first pattern of `lineage.dataset_owners` that its name meets, else `lineage.owners`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.config.lineage import LineageConfiguration

Owners = list[tuple[str, str]]
OWNER = "OWNER"


def owners_in(given: Any) -> Owners:
    """Owners with their kind: ``["team:data"]``, ``{"team:data": "MAINTAINER"}`` or a text with commas."""
    if isinstance(given, str) and given.lstrip()[:1] in ("[", "{"):
        given = json.loads(given)  # of an environment variable
    if isinstance(given, Mapping):
        return [(str(name), str(kind)) for name, kind in given.items()]
    found = given.split(",") if isinstance(given, str) else list(given or [])
    return [(name, OWNER) for name in (str(one).strip() for one in found) if name]


def owners_of_table(settings: LineageConfiguration, names: Sequence[str]) -> Owners:
    """The owners of a table.

    Args:
        settings: Of `lineage`.
        names: What it is called, in all ways: a pattern may mean any of them.
    """
    for pattern, given in (settings.dataset_owners or {}).items():
        if any(fnmatchcase(name, pattern) for name in names):
            return owners_in(given)
    return owners_in(settings.owners)
