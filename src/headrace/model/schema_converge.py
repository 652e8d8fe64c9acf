"""Two schemas of one name that grew apart become one again: nothing that either knows is lost.

Processes that load into one dataset learn columns at the same time, each on its own. The stored schema is what they
agree on: whoever comes later takes in what is stored and puts its own on top, so that the history of stored versions is
one line. The stored order of columns stays, for it counts in the hash: both would else store their version for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from headrace.model.capabilities import Capabilities
from headrace.model.schema_document import copy_document, push_hash
from headrace.model.tables import has_seen_data, is_complete_column
from headrace.model.widening import TYPE_PROPS, holds
from headrace.typing import TColumnSchema, TTableSchema, TTableSchemaColumns

if TYPE_CHECKING:
    from headrace.model.schema import Schema

Conflicts = dict[str, dict[str, TColumnSchema]]
"""By table and column: the column as it was here, where the stored one has a type that cannot hold its values."""

KEY_HINTS = frozenset(
    {"primary_key", "merge_key", "row_key", "parent_key", "root_key", "hard_delete", "dedup_sort", "unique"}
)


def is_sibling(schema: Schema, stored_hash: str | None) -> bool:
    """Whether a stored version is neither the schema's own nor one that the schema grew out of."""
    if stored_hash is None or stored_hash == schema.stored_version_hash:
        return False
    return stored_hash not in schema._previous_hashes


def take_in(schema: Schema, other: Schema, capabilities: Capabilities) -> Conflicts:
    """Put what another schema of the same name knows into this one, changing it; its version comes behind both.

    Hints of this schema win: they are what the running code declares. Of two types the one that holds the values of the
    other wins, and the other schema's where neither does: its column is at the destination.

    Args:
        schema: The schema at hand.
        other: The stored one; it is not changed.
        capabilities: Of the destination: they say what a type without precision holds.

    Returns:
        Columns whose values the agreed type cannot hold.
    """
    own_hash, own_version = schema.version_hash, schema.version
    conflicts: Conflicts = {}
    for name, table in other.tables.items():
        mine = schema._tables.get(name)
        if mine is None:
            schema._tables[name] = copy_document(table)
            continue
        found = _take_columns(mine, table, capabilities)
        if found:
            conflicts[name] = found
        if has_seen_data(table):
            cast("dict[str, Any]", mine).setdefault("x-normalizer", {})["seen-data"] = True
    _follow(schema, other, own_hash, own_version)
    return conflicts


def _take_columns(mine: TTableSchema, theirs: TTableSchema, capabilities: Capabilities) -> dict[str, TColumnSchema]:
    own: TTableSchemaColumns = mine.setdefault("columns", {})
    conflicts: dict[str, TColumnSchema] = {}
    agreed: TTableSchemaColumns = {}
    for name, column in theirs.get("columns", {}).items():
        known = own.get(name)
        agreed[name] = _agree(known, column, capabilities) if known is not None else copy_document(column)
        if known is not None and _clash(known, column, capabilities):
            conflicts[name] = known
    agreed.update({name: column for name, column in own.items() if name not in agreed})
    # in place: the load holds on to the table
    own.clear()
    own.update(agreed)
    return conflicts


def _clash(mine: Mapping[str, Any], theirs: Mapping[str, Any], capabilities: Capabilities) -> bool:
    if not (is_complete_column(mine) and is_complete_column(theirs)):
        return False
    return not holds(theirs, mine, capabilities) and not holds(mine, theirs, capabilities)


def _agree(mine: TColumnSchema, theirs: TColumnSchema, capabilities: Capabilities) -> TColumnSchema:
    """The column with the hints of mine, and the type of mine only if that is the wider one."""
    if not is_complete_column(theirs):
        return mine
    if is_complete_column(mine) and not holds(theirs, mine, capabilities) and holds(mine, theirs, capabilities):
        return mine
    hints = {key: value for key, value in mine.items() if key not in TYPE_PROPS and value is not None}
    kept = {key: value for key, value in theirs.items() if key in TYPE_PROPS or not is_complete_column(mine)}
    return cast(TColumnSchema, {**kept, **hints})


def _follow(schema: Schema, other: Schema, own_hash: str, own_version: int) -> None:
    """Give the joined content a version: that of the other if nothing was added to it, else one behind both."""
    content = schema.version_hash
    if content == other.stored_version_hash:
        schema._stored_version, schema._stored_version_hash = other.stored_version, content
        schema._previous_hashes = list(other._previous_hashes)
        return
    previous = list(schema._previous_hashes)
    for gone in (*reversed(other._previous_hashes), own_hash, other.stored_version_hash):
        if gone is not None and gone != content:
            previous = push_hash(previous, gone)
    behind = other.stored_version if content == own_hash else max(own_version, other.stored_version)
    schema._stored_version = max(own_version, behind + 1)
    schema._stored_version_hash, schema._previous_hashes = content, previous
