"""What whole tables depend on: cursors, filters, keys, the resources that items were taken from."""

from __future__ import annotations

from collections.abc import Collection

from headrace.observers.lineage.columns_keys import Sources, again
from headrace.observers.lineage.columns_kinds import by_code
from headrace.observers.lineage.columns_model import ResourceFact, Source
from headrace.observers.lineage.columns_package import DataColumns
from headrace.observers.lineage.facts import Transformation

_WITH_MERGE_KEY = ("delete-insert", "cdc", "scd2")


def indirect_of(
    data: DataColumns,
    found: dict[str, Sources],
    resource: ResourceFact,
    declared: Collection[str] = (),
    appended: bool = False,
) -> Sources:
    """What a root table and all tables nested in it depend on.

    Args:
        data: Of the root table.
        found: Sources of the root table's columns.
        resource: The resource that writes it.
        declared: Columns that the user has said the sources of.
        appended: Its rows are appended whatever its disposition says.
    """
    reading = _of_reading(data, found, resource, declared)
    return joined([*reading, *(() if appended else _of_writing(data, found, resource, declared))])


def _of_reading(
    data: DataColumns, found: dict[str, Sources], resource: ResourceFact, declared: Collection[str]
) -> Sources:
    sources: Sources = []
    cursor = resource.cursor
    if cursor is not None:
        hows = [_how("FILTER", f"incremental, {cursor.function}" if cursor.function else "incremental")]
        if cursor.order:
            hows.append(_how("SORT", f"row order {cursor.order}"))
        keys = [key for key in cursor.path if key is not None]
        column = data.package.names.column(tuple(keys)) if len(keys) == len(cursor.path) else ""
        if cursor.after and column in declared:
            sources += [one for how in hows for one in again(found[column], how)]
        else:
            words = after_words(resource, cursor.after)
            sources += [Source(cursor.path, [by_code(how, words)]) for how in hows]
    for step in resource.steps:
        if step.kind in ("filter", "limit"):
            sources.append(Source([], [_how("FILTER", step.name)]))
    if resource.parents:
        sources.append(Source([], [_how("JOIN", f"items of {resource.parents[0]}")], parent=True))
    return sources


def after_words(resource: ResourceFact, functions: list[str]) -> str:
    """What to say of values that went through functions of the user; nothing where they leave values alone."""
    return "" if resource.keep_others or not functions else f"after {', '.join(f'{name}()' for name in functions)}"


def _of_writing(
    data: DataColumns, found: dict[str, Sources], resource: ResourceFact, declared: Collection[str]
) -> Sources:
    schema, root = data.package.schema, data.root
    if root not in schema.tables or schema.write_disposition(root) != "merge":
        return []
    table = schema.tables[root]
    sources: Sources = []

    after = after_words(resource, [step.name for step in resource.steps if step.kind == "map"])

    def add(column: str, subtype: str, words: str) -> None:
        how = by_code(_how(subtype, words), "" if column in declared else after)
        sources.extend(again(found.get(column, []), how))

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
