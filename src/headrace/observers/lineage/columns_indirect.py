"""What whole tables depend on: cursors, filters, keys, the resources that items were taken from."""

from __future__ import annotations

from headrace.observers.lineage.columns_keys import Sources, again
from headrace.observers.lineage.columns_model import ResourceFact, Source
from headrace.observers.lineage.columns_package import DataColumns
from headrace.observers.lineage.facts import Transformation

_WITH_MERGE_KEY = ("delete-insert", "cdc", "scd2")


def indirect_of(
    data: DataColumns, found: dict[str, Sources], resource: ResourceFact, appended: bool = False
) -> Sources:
    """What a root table and all tables nested in it depend on.

    Args:
        data: Of the root table.
        found: Sources of the root table's columns.
        resource: The resource that writes it.
        appended: Its rows are appended whatever its disposition says.
    """
    return joined([*_of_reading(resource), *(() if appended else _of_writing(data, found))])


def _of_reading(resource: ResourceFact) -> Sources:
    sources: Sources = []
    cursor = resource.cursor
    if cursor is not None:
        words = f"incremental, {cursor.function}" if cursor.function else "incremental"
        sources.append(Source(cursor.path, [_how("FILTER", words)]))
        if cursor.order:
            sources.append(Source(cursor.path, [_how("SORT", f"row order {cursor.order}")]))
    for step in resource.steps:
        if step.kind in ("filter", "limit"):
            sources.append(Source([], [_how("FILTER", step.name)]))
    if resource.parents:
        sources.append(Source([], [_how("JOIN", f"items of {resource.parents[0]}")], parent=True))
    return sources


def _of_writing(data: DataColumns, found: dict[str, Sources]) -> Sources:
    schema, root = data.package.schema, data.root
    if root not in schema.tables or schema.write_disposition(root) != "merge":
        return []
    table = schema.tables[root]
    sources: Sources = []

    def add(column: str, subtype: str, words: str) -> None:
        sources.extend(again(found.get(column, []), _how(subtype, words)))

    def first(hint: str) -> list[str]:
        return schema.hint_columns(root, hint)[:1]

    strategy = schema.merge_strategy(root)
    primary, scoped = schema.hint_columns(root, "primary_key"), bool(table.get("x-merge-destination-scope"))
    if strategy != "scd2":  # which knows records by their versions
        # a scope is emptied whatever the keys are
        for column in primary if strategy != "delete-insert" or not scoped else ():
            add(column, "JOIN", f"primary key of {strategy}")
        for column in primary if not table.get("x-stage-data-deduplicated") else ():
            add(column, "GROUP_BY", "one row a primary key")
        if primary and not table.get("x-stage-data-deduplicated") and (sort := first("dedup_sort")):
            add(sort[0], "SORT", f"dedup sort {table['columns'][sort[0]]['dedup_sort']}")
        for column in first("hard_delete"):
            add(column, "FILTER", "hard delete")
    for column in schema.hint_columns(root, "merge_key") if strategy in _WITH_MERGE_KEY and not scoped else ():
        add(column, "JOIN", f"merge key of {strategy}")
    return sources


def _how(subtype: str, words: str) -> Transformation:
    return Transformation("INDIRECT", subtype, words)


def joined(sources: Sources) -> Sources:
    """One source a field, with all its transformations."""
    seen: dict[tuple[str, bool, tuple[str | None, ...]], Source] = {}
    for source in sources:
        key = (source.dataset, source.parent, tuple(source.path))
        known = seen.get(key)
        if known is None:
            seen[key] = Source(source.path, list(source.transformations), source.dataset, source.parent)
        else:
            known.transformations += [t for t in source.transformations if t not in known.transformations]
    return list(seen.values())
