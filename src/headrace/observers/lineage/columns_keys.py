"""Columns that the engine makes: row ids, positions, validity. What follows from data says from which."""

from __future__ import annotations

from collections.abc import Collection

from headrace.model import tables as tb
from headrace.model.rejected import REJECTED_OF
from headrace.model.rowkeys import RowKeys, decide_row_keys
from headrace.observers.lineage.columns_kinds import by_code
from headrace.observers.lineage.columns_model import Source
from headrace.observers.lineage.columns_package import DataColumns
from headrace.observers.lineage.facts import Transformation

Sources = list[Source]

_OF_KEY = Transformation("DIRECT", "TRANSFORMATION", "hash of the primary key", masking=True)
_OF_ROW = Transformation("DIRECT", "TRANSFORMATION", "hash of the row", masking=True)
_OF_PARENT = Transformation("DIRECT", "TRANSFORMATION", "hash of the parent's id and the position", masking=True)
_VALID = Transformation("INDIRECT", "CONDITIONAL", "scd2: a version ends when these change")
_REJECTED = Transformation("DIRECT", "TRANSFORMATION", "rejected items")


def engine_columns(
    data: DataColumns, found: dict[str, dict[str, Sources]], declared: Collection[str] = (), after: str = ""
) -> None:
    """Add the columns that the engine makes in the tables of a root table.

    Args:
        data: Of the root table.
        found: Sources of the data columns by table; extended.
        declared: Columns of the root table that the user has said the sources of.
        after: What to say of values that went through functions of the user.
    """
    row = _whole_row(data, found.get(data.root, {}), declared, after)
    package = data.package
    ids: dict[str, Sources] = {}
    for table in package.chain(data.root):
        parent = package.schema.tables[table].get("parent")
        keys = decide_row_keys(package.schema, table, parent, data.root)
        own = found.setdefault(table, {})
        ids[table] = (
            row if _is_hash_of_row(keys, own) else _row_id(keys, own, ids.get(parent or "", []), declared, after)
        )
        _fill(data, table, keys, found[table], ids, parent or "")


def _is_hash_of_row(keys: RowKeys, found: dict[str, Sources]) -> bool:
    return keys.row_id == "row_hash" and tb.C_DLT_ID not in found


def _whole_row(data: DataColumns, found: dict[str, Sources], declared: Collection[str], after: str) -> Sources:
    """All fields of an item, as it came to be hashed."""
    sources: Sources = []
    for place in data.fields:
        column = data.package.names.column(tuple(str(key) for key in place))
        if column in declared:
            sources += again(found.get(column, []), _OF_ROW)
        else:
            sources.append(Source(list(place), [by_code(_OF_ROW, after)]))
    return sources


def _row_id(keys: RowKeys, found: dict[str, Sources], above: Sources, declared: Collection[str], after: str) -> Sources:
    given = found.get(tb.C_DLT_ID)
    if given is not None:
        return given
    if keys.row_id == "key_hash":
        return [
            source
            for key in keys.key_columns
            for source in again(found.get(key, []), by_code(_OF_KEY, "" if key in declared else after))
        ]
    return again(above, _OF_PARENT) if keys.nested and keys.deterministic else []


def _fill(
    data: DataColumns, table: str, keys: RowKeys, found: dict[str, Sources], ids: dict[str, Sources], parent: str
) -> None:
    made = {tb.C_DLT_ID: ids[table]}
    if keys.nested:
        made[tb.C_DLT_PARENT_ID], made[tb.C_DLT_ROOT_ID] = ids.get(parent, []), ids.get(data.root, [])
    for name, column in data.package.columns.get(table, {}).items():
        if column.get("x-valid-from") or column.get("x-valid-to"):
            found[name] = again(_version(data, table, found, ids[table]), _VALID)
        elif name in made:
            found.setdefault(name, made[name])
        elif name.lower().startswith(tb.DLT_NAME_PREFIX):
            found.setdefault(name, [])


def _version(data: DataColumns, table: str, found: dict[str, Sources], row_id: Sources) -> Sources:
    """What the versions of a record are told apart by."""
    own = [n for n in data.package.schema.hint_columns(table, "x-row-version") if n != tb.C_DLT_ID]
    return [s for n in own for s in found.get(n, ())] if own else row_id


def rejected_columns(data: DataColumns, after: str = "") -> dict[str, dict[str, Sources]]:
    """The table that keeps the rejected items of the root table: the item is the whole of what came."""
    for name, columns in data.package.columns.items():
        if data.package.schema.tables[name].get(REJECTED_OF) == data.root:
            item = [Source(list(place), [by_code(_REJECTED, after)]) for place in data.fields]
            first = next(iter(columns), "")
            return {name: {n: item if n == first else [] for n in columns}}
    return {}


def again(sources: Sources, how: Transformation) -> Sources:
    """The same fields, used in another way; each once."""
    seen: dict[tuple[str, tuple[str | None, ...]], Source] = {}
    for source in sources:
        key = (source.dataset, tuple(source.path))
        seen.setdefault(key, Source(source.path, [how], source.dataset, source.parent))
    return list(seen.values())
