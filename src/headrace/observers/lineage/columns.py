"""Column lineage of a package: which column of which table holds which field of the input. Pure functions.

How it fits together (for `collect` and `events`):

1. While a resource is at hand (end of extract, the pipeline's thread): `columns_resource.describe(resource)`, plain
   data, some microseconds; keep it with the package.
2. On the worker: ``package = PackageSchema(document)`` once, then for each resource
   ``lineage = edges(extracted, package, described)``: table to `TableLineage`. ``extracted`` is the journal's fact,
   ``document`` the schema that the package was normalized with.
3. ``lineage = memory.merged(described.name, lineage, package)`` (`columns_memory.ColumnMemory`): columns that this load
   did not bring are filled in from earlier ones, so that a facet sent again is never smaller.
4. ``resolve(lineage[table], inputs, parents)`` gives `TableEdges` with `FieldRef`s for `facts.Output`.

Without a declared input the job is the origin: every column has an empty list. That is ``inputFields: []`` in the
columnLineage facet (legal: known to have no source dataset) and ``{"type": "JOB"}`` in the explicit facet, the same
statement as for generated columns.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace.model import tables as tb
from headrace.observers.lineage.columns_indirect import after_words, indirect_of, joined
from headrace.observers.lineage.columns_keys import Sources, engine_columns, rejected_columns
from headrace.observers.lineage.columns_kinds import also, by_code
from headrace.observers.lineage.columns_model import (
    Declared,
    ResourceFact,
    Source,
    TableEdges,
    TableLineage,
    json_path,
)
from headrace.observers.lineage.columns_package import DataColumns, PackageSchema, Ways
from headrace.observers.lineage.columns_paths import parse_path
from headrace.observers.lineage.facts import DatasetId, FieldRef, Transformation

if TYPE_CHECKING:
    from headrace.model.events import Extracted
    from headrace.model.jobs import SpoolFile

MOST_CANDIDATES = 16
"""Inputs that one value may have come from; beyond, nothing is said of it."""


def edges(
    fact: Extracted,
    schema: Mapping[str, Any] | PackageSchema,
    resource: ResourceFact,
    models: Mapping[str, str] | None = None,
    appended: Collection[str] = (),
) -> dict[str, TableLineage]:
    """The column lineage of what one resource wrote into a package.

    Args:
        fact: What extract sealed: spool files and the shapes of what is in them.
        schema: Of the package, after normalize. Give a `PackageSchema` for many resources of one package.
        resource: As `columns_resource.describe` took it.
        appended: Root tables of disposition ``merge`` to which rows were appended: not all destinations can merge.
        models: Text of SQL models by the path of their spool file; those left out have unknown columns.

    Returns:
        By table, nested ones included. Of a table that other resources write too, it is what this one's rows have;
        columns and nested tables that only others fill are left out.
    """
    package = schema if isinstance(schema, PackageSchema) else PackageSchema(schema)
    roots: dict[str, list[SpoolFile]] = {}
    for file in fact.files:
        if resource.name in (file.resource, *file.others):
            roots.setdefault(file.table, []).append(file)
    found: dict[str, TableLineage] = {}
    for root, files in roots.items():
        if root in package.columns and resource.unseen:
            found.update({table: _unseen(package, table) for table in package.chain(root)})
        elif root in package.columns:
            # of files that several resources have filled, nobody knows whose a column is
            known = [file for file in files if not file.others]
            foreign = _filled(package, root, fact) if any(_is_other(f, root, resource.name) for f in fact.files) else {}
            found.update(_root(package, root, known, foreign, resource, models or {}, root in appended))
    return found


def _unseen(package: PackageSchema, table: str) -> TableLineage:
    """All that may follow from data is unknown."""
    made = {tb.C_DLT_LOAD_ID, tb.C_DLT_LIST_IDX}
    names = package.columns[table]
    return TableLineage(columns={n: [] for n in names if n in made}, unknown=[n for n in names if n not in made])


def _is_other(file: SpoolFile, root: str, name: str) -> bool:
    return file.table == root and file.resource != name


def _filled(package: PackageSchema, root: str, fact: Extracted) -> dict[str, set[str]]:
    """Columns by table that rows of any resource have; found out once for all of them."""
    found = package.filled.get((fact.load_id, root))
    if found is None:
        data = DataColumns(package, root)
        data.add(file for file in fact.files if file.table == root and not file.others)
        found = package.filled[fact.load_id, root] = {table: set(columns) for table, columns in data.ways.items()}
    return found


def _root(
    package: PackageSchema,
    root: str,
    files: list[SpoolFile],
    filled: dict[str, set[str]],
    resource: ResourceFact,
    models: Mapping[str, str],
    appended: bool,
) -> dict[str, TableLineage]:
    data = DataColumns(package, root)
    data.add(files)
    after = after_words(resource, [s.name for s in resource.steps if s.kind == "map"])
    found: dict[str, dict[str, Sources]] = {table: {} for table in package.chain(root)}
    for table, columns in data.ways.items():
        own = found.setdefault(table, {})
        for name, ways in columns.items():
            own[name] = _sources(ways, after)
    queries = [models[f.path] for f in files if f.format == "model" and f.path in models]
    if any(f.kind == "arrow" for f in files):
        _queried(found[root], [q.text for q in resource.queries], package, after)
    more = _models(package, root, queries, found[root])
    more += _models(package, root, [q.text for q in resource.queries], {})
    declared = _declare(package, root, resource, found)
    engine_columns(data, found, declared.get(root, []), after)
    indirect = joined([*indirect_of(data, found[root], resource, declared.get(root, []), appended), *more])
    found.update(rejected_columns(data, after))
    through = "" if resource.keep_others else _after(resource.through, "by")
    return {
        table: TableLineage(
            columns={name: columns[name] for name in package.columns[table] if name in columns},
            indirect=indirect,
            # what others fill is no riddle
            unknown=[n for n in package.columns[table] if n not in columns and n not in filled.get(table, ())],
            through=through,
            declared=declared.get(table, []),
        )
        for table, columns in found.items()
        if table == root or table not in filled or table in data.ways
    }


def _sources(ways: Ways, after: str) -> Sources:
    sources = []
    for place, how in ways.items():
        path = list(place)
        # the name of a top-level field says it all
        where = json_path(path) if len(path) > 1 or None in path else ""
        sources.append(Source(path, [also(by_code(t, after), where) for t in how]))
    return sources


def _after(functions: Sequence[str], word: str) -> str:
    return f"{word} {', '.join(f'{name}()' for name in functions)}" if functions else ""


def _models(package: PackageSchema, root: str, texts: list[str], found: dict[str, Sources]) -> Sources:
    if not texts:
        return []
    from headrace.observers.lineage.columns_sql import model_lineage

    indirect: Sources = []
    for text in texts:
        lineage = model_lineage(text, package)
        for name, sources in lineage.columns.items():
            column = package.schema.naming.normalize_identifier(name)
            if column in package.columns[root]:
                found[column] = joined([*found.get(column, []), *sources])
        indirect += lineage.indirect
    return indirect


def _queried(found: dict[str, Sources], texts: list[str], package: PackageSchema, after: str) -> None:
    """Columns of rows that a relation gave are those that its query reads."""
    if not texts:
        return
    from headrace.observers.lineage.columns_sql import model_lineage

    columns: dict[str, Sources] = {}
    for text in texts:
        for name, sources in model_lineage(text, package).columns.items():
            columns[name] = joined([*columns.get(name, []), *sources])
    for name, sources in found.items():
        if sources and all(str(source.path[0]) in columns for source in sources):
            # none: the query makes it, as `count(*)`
            below = [s for source in sources for s in columns[str(source.path[0])]]
            found[name] = [
                Source(s.path, [by_code(t, after) for t in s.transformations], s.dataset) for s in joined(below)
            ]


def _declare(
    package: PackageSchema, root: str, resource: ResourceFact, found: dict[str, dict[str, Sources]]
) -> dict[str, list[str]]:
    """Let what the user said win over what was seen; gives these columns by table."""
    naming = package.schema.naming
    names: dict[str, list[str]] = {}
    for name, declared in resource.declared.items():
        table, dot, column = name.rpartition(".")
        table = naming.normalize_tables_path(table) if dot else root
        column = naming.normalize_path(column)
        if table in found and column in package.columns[table] and not column.startswith(tb.DLT_NAME_PREFIX):
            for own in (column, *_variants(package, table, column)):
                found[table][own] = _declared(declared)
                names.setdefault(table, []).append(own)
    return names


def _variants(package: PackageSchema, table: str, column: str) -> list[str]:
    """The columns that hold those values of a column which its type cannot take."""
    return [
        name
        for name, own in package.columns[table].items()
        if own.get("variant") and name == package.names.variant(column, own["data_type"])
    ]


def _declared(declared: Declared) -> Sources:
    how = Transformation("DIRECT", declared.subtype, declared.description, declared.masking)
    return [Source(parse_path(field), [how], dataset) for dataset, field in declared.fields]


# ---- datasets --------------------------------------------------------------------------------------------------------


def resolve(lineage: TableLineage, inputs: Sequence[DatasetId], parents: Sequence[DatasetId] = ()) -> TableEdges:
    """Name the datasets.

    A resource that takes items from others and has no input of its own holds what those read, through its function.
    Where there are several inputs and nobody said which, a value is one of theirs.

    Args:
        lineage: Of one table.
        inputs: The resource's own inputs; none when nobody declared any.
        parents: Inputs of the resources it takes items from.
    """
    edges = TableEdges(unknown=list(lineage.unknown))
    for name, sources in lineage.columns.items():
        refs: list[FieldRef] = []
        lost = False
        for source in sources:
            candidates, words = _candidates(source, inputs, parents, lineage.through)
            lost |= not candidates and bool(inputs or parents)
            refs += _refs(source, candidates, words)
        if lost and not refs:
            edges.unknown.append(name)
        else:
            edges.columns[name] = refs
    for source in lineage.indirect:
        if source.parent and not inputs:
            continue  # the parents' inputs are its inputs then
        # filters and parents concern whole inputs, whatever a function made of their items
        candidates, words = _candidates(source, inputs, parents, lineage.through if source.path else "")
        edges.indirect += _refs(source, candidates, words if source.path else "")
    return edges


def _candidates(
    source: Source, inputs: Sequence[DatasetId], parents: Sequence[DatasetId], through: str
) -> tuple[list[DatasetId], str]:
    """The inputs that a source may be of, and what to say of the way from there."""
    if source.dataset:
        named = [d for d in dict.fromkeys([*inputs, *parents]) if _is_named(d, source.dataset)]
        return named, f"of one of {len(named)} inputs" if len(named) > 1 else ""
    if source.parent:
        return list(dict.fromkeys(parents)), ""
    found = list(dict.fromkeys(inputs or parents))
    words = [] if inputs or not through else [through]
    if len(found) > 1:
        words.append(f"of one of {len(found)} inputs")
    return ([] if len(found) > MOST_CANDIDATES else found), "; ".join(words)


def _is_named(dataset: DatasetId, end: str) -> bool:
    """Whether a dataset is meant by its name or the end of it: ``orders``, ``shop.orders`` for ``db.shop.orders``."""
    # a table in a folder is named with slashes by its dataset, and with dots by a query
    name, end = (text.casefold().replace("/", ".") for text in (dataset.name, end))
    return name == end or (name.endswith(end) and (name[-len(end) - 1] in ".#:" or end[0] in ".#"))


def _refs(source: Source, datasets: Sequence[DatasetId], words: str) -> list[FieldRef]:
    how = [by_code(t, words) for t in source.transformations]
    return [FieldRef(dataset=dataset, field=source.field, transformations=how) for dataset in datasets]
