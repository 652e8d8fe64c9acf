"""Normalize a package: schema first, from shapes alone and in one order; then the rows, file by file, in threads."""

from __future__ import annotations

import contextvars
import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from headrace.base.ids import new_file_id
from headrace.errors.destination import DestinationIncompatibleLoaderFileFormatException
from headrace.errors.normalize import NormalizeJobFailed
from headrace.errors.schema import DataValidationError, UnboundColumnException
from headrace.model import tables as tb
from headrace.model.capabilities import Capabilities
from headrace.model.clashes import CLASH_FIX, find_clashes
from headrace.model.events import AnyEvent, ColumnsDecided, Extracted, Progress, SchemaEvolved
from headrace.model.evolve import ChainTarget, evolve
from headrace.model.jobs import LoadFile, SpoolFile, shared_tables
from headrace.model.judging import Ask, ColumnJudge
from headrace.model.rawnames import RawNames
from headrace.model.rejected import (
    RejectedCount,
    add_counts,
    announce,
    keeps_rejected,
    put_rejected_table,
    rejected_table_name,
)
from headrace.model.schema import Schema
from headrace.model.shape import ChainShape, join_shapes
from headrace.normalize.groups import grouped
from headrace.normalize.growth import tell_growth
from headrace.normalize.locate import tell_where
from headrace.normalize.settings import NormalizeSettings
from headrace.normalize.worker import FileRows, Made, Task, normalize_files
from headrace.normalize.writers import WRITERS
from headrace.package.package import Package
from headrace.typing import TTableSchema

logger = logging.getLogger("headrace")
DEFAULT_FILE_BYTES = 64 * 1024 * 1024


class NormalizeResult(NamedTuple):
    """What normalize made of a package.

    Attributes:
        schema_update: New tables and columns, as partial tables.
        row_counts: Rows by table.
        rejected: What contracts let go here.
        null_only: Table to paths that never had a value.
    """

    schema: Schema
    schema_update: dict[str, Any]
    row_counts: dict[str, int]
    files: list[LoadFile]
    rejected: list[RejectedCount]
    null_only: dict[str, list[str]]


def normalize(
    package: Package,
    schema: Schema,
    capabilities: Capabilities,
    *,
    settings: NormalizeSettings,
    publish: Callable[[AnyEvent], None],
    ask: Ask | None = None,
    watched: bool = True,
) -> NormalizeResult:
    """Turn an extracted package into a normalized one, and seal it.

    Args:
        package: Must be in phase ``extracted``.
        schema: Is brought up to the package's data, in place.
        capabilities: Of the destination.
        settings: What the user set.
        publish: Gets progress and schema events.
        ask: Asks gates about new columns.
        watched: Whether anybody is told: else there is no event for each table and column.

    Raises:
        GateFailed: A gate could not decide on a column.
        NormalizeJobFailed: A file could not be normalized; its cause is chained.
    """
    fact = package.fact(Extracted)
    if fact is None:
        raise ValueError(f"package {package.load_id} was not extracted")
    _clear(package)
    before = {t: _complete(v) for t, v in schema.tables.items()}
    shapes = _shapes(fact.files)
    chains, null_only = _judged(package, schema, fact, shapes, ask)
    _add_arrow_ids(schema, fact.files, settings)
    for clash in find_clashes(schema, chains):
        logger.warning("Schema `%s`: %s. %s", schema.name, clash, CLASH_FIX)
    shared = shared_tables(fact.files)
    tasks = grouped(_tasks(package, fact, chains, schema, capabilities, settings, shared), _threads(settings))
    made = _run(tasks, _threads(settings), publish)
    results = _take_in(schema, tasks, made)
    files = [f for m in made for f in m.files] + _given_files(fact.files, shared)
    rows, rejected = _totals(results, fact.files)
    _check_bound(schema, rows)
    update = _update(before, schema)
    schema.bump_version()
    _warn_null_only(schema, null_only)
    package.seal_normalized(files, schema.to_dict(), update, rows, rejected)
    announce(rejected, package.load_id, "normalize", publish)
    if update:
        publish(SchemaEvolved(load_id=package.load_id, schema_name=schema.name, update=update))
    if watched and (update or fact.declared):
        old = {name: columns.difference(fact.declared.get(name, ())) for name, columns in before.items()}
        tell_growth(package.load_id, schema, old, fact.files, shapes, publish)
    return NormalizeResult(schema, update, rows, files, rejected, null_only)


def _take_in(schema: Schema, groups: list[list[Task]], made: list[Made]) -> list[FileRows]:
    """Put what the files turned out to need into the schema: variants, and tables of rejected rows.

    Returns:
        What became of the rows of each file.
    """
    for one in made:
        for table, columns in one.variants.items():
            schema.update_table(tb.partial_of(schema.tables[table], columns), normalize_identifiers=False)
    results = []
    for task, result in zip((task for group in groups for task in group), (r for m in made for r in m.of), strict=True):
        results.append(result)
        if task.rejected in result.rows:
            put_rejected_table(schema, task.file.table, task.file.resource)
    return results


def _clear(package: Package) -> None:
    """Remove what a normalize that died has left."""
    package.files_dir.mkdir(exist_ok=True)
    for path in package.files_dir.iterdir():
        path.unlink()


_Discovered = tuple[dict[str, ChainTarget], dict[str, list[str]]]


def _judged(
    package: Package, schema: Schema, fact: Extracted, shapes: dict[str, ChainShape], ask: Ask | None
) -> _Discovered:
    """Discover, while the gates decide on new columns, or the journal where they have decided already."""

    def declared(table: str) -> list[str]:
        return fact.declared.get(table, [])

    known = next((f for f in package.journal.all(ColumnsDecided) if f.step == "normalize"), None)
    if known is not None:
        judge = ColumnJudge(package.load_id, schema, None, known.decisions, declared)
        return _discover(package, schema, fact.files, shapes, judge)
    if ask is None:
        return _discover(package, schema, fact.files, shapes, None)
    judge = ColumnJudge(package.load_id, schema, ask, (), declared)
    found = _discover(package, schema, fact.files, shapes, judge)
    if judge.asked:
        asked = ColumnsDecided(load_id=package.load_id, step="normalize", decisions=judge.decisions)
        package.record(asked, sync=bool(judge.decisions))
    return found


def _shapes(files: list[SpoolFile]) -> dict[str, ChainShape]:
    """What extract saw, by root table."""
    shapes: dict[str, list[ChainShape]] = {}
    for file in files:
        if file.kind == "rows":
            shapes.setdefault(file.table, []).append(ChainShape.from_dict(file.shape))
    return {table: join_shapes(found) for table, found in shapes.items()}


def _discover(
    package: Package,
    schema: Schema,
    files: list[SpoolFile],
    shapes: dict[str, ChainShape],
    judge: ColumnJudge | None,
) -> _Discovered:
    names = RawNames(schema)
    given = {file.table for file in files if file.kind not in ("rows", "empty")}
    for file in files:
        if file.kind != "rows" and file.table in schema.tables:
            if judge is not None and file.table not in given and file.table not in shapes:
                judge.declared(file.table)
            schema.tables[file.table].setdefault("x-normalizer", {})["seen-data"] = True
    chains: dict[str, ChainTarget] = {}
    null_only: dict[str, list[str]] = {}
    for table, shape in shapes.items():
        try:
            chain = chains[table] = evolve(schema, table, shape, names, judge)
        except DataValidationError as error:
            own = [f for f in files if f.kind == "rows" and f.table == table]
            tell_where(error, package.path, own, schema)
            raise NormalizeJobFailed(package.load_id, own[0].path, str(error)) from error
        for raw in shape.tables:
            target = chain.of(raw.path, raw.above)
            typed = {tuple(c.path) for c in raw.columns}
            known = schema.tables.get(target.name, {}).get("columns", {})
            paths = [names.column(p) for p in raw.nulls if tuple(p) not in typed]
            lost = [p for p in paths if p not in known and not any(n.startswith(f"{p}__") for n in known)]
            if lost:
                null_only.setdefault(target.name, []).extend(lost)
    return chains, null_only


def _add_arrow_ids(schema: Schema, files: Iterable[SpoolFile], settings: NormalizeSettings) -> None:
    """Give tables of Arrow data the key columns that the user asked for."""
    asked = {tb.C_DLT_LOAD_ID: settings.arrow_load_id, tb.C_DLT_ID: settings.arrow_row_id}
    made = {tb.C_DLT_LOAD_ID: tb.dlt_load_id_column, tb.C_DLT_ID: tb.dlt_id_column}
    for name in dict.fromkeys(file.table for file in files if file.kind == "arrow") if any(asked.values()) else ():
        table = schema.tables[name]
        lacking = {n: made[n]() for n, want in asked.items() if want and n not in table["columns"]}
        if lacking:
            schema.update_table(tb.partial_of(table, lacking), normalize_identifiers=False)


def _tasks(
    package: Package,
    fact: Extracted,
    chains: dict[str, ChainTarget],
    schema: Schema,
    capabilities: Capabilities,
    settings: NormalizeSettings,
    shared: Collection[str],
) -> Iterator[Task]:
    max_bytes = settings.file_max_bytes or capabilities.recommended_file_size or DEFAULT_FILE_BYTES
    for number, file in enumerate(fact.files):
        if file.kind in ("rows", "arrow"):
            yield Task(
                package.path,
                package.load_id,
                fact.id_seed,
                number,
                file,
                chains[file.table] if file.kind == "rows" else None,
                schema,
                capabilities,
                settings,
                file_format(schema.tables.get(file.table, {}), capabilities, settings),
                max_bytes,
                _rejected_table(file, schema, settings),
                file.resource if file.table in shared else "",
            )


def _rejected_table(file: SpoolFile, schema: Schema, settings: NormalizeSettings) -> str:
    keep = file.kind == "rows" and keeps_rejected(schema, file.table, settings.keep_rejected)
    return rejected_table_name(schema, file.table) if keep else ""


def file_format(table: TTableSchema, capabilities: Capabilities, settings: NormalizeSettings) -> str:
    """The format of a table's loader files: by the resource, else the run, else the destination.

    Raises:
        DestinationIncompatibleLoaderFileFormatException: The run asks for a format the destination cannot load.
    """
    own = capabilities.for_format(table.get("table_format"))
    if own is not capabilities:
        return own.preferred_loader_file_format
    supported = capabilities.supported_loader_file_formats
    preferred = capabilities.preferred_loader_file_format
    hinted = table.get("file_format")
    if hinted in supported and hinted in WRITERS:
        return str(hinted)
    wanted = settings.loader_file_format
    if wanted is None or hinted == "preferred":
        return preferred
    if wanted not in supported:
        raise DestinationIncompatibleLoaderFileFormatException(
            capabilities.sqlglot_dialect or "the destination", None, wanted, list(supported)
        )
    if wanted not in WRITERS:
        logger.info("loader file format %s: rows travel as %s instead, which loads the same", wanted, preferred)
        return preferred
    return wanted


def _threads(settings: NormalizeSettings) -> int:
    return settings.workers or min(4, os.cpu_count() or 1)


def _run(groups: list[list[Task]], threads: int, publish: Callable[[AnyEvent], None]) -> list[Made]:
    count = min(len(groups), threads)
    total = sum(map(len, groups))
    results: list[Made] = []
    if count <= 1:
        done: Iterator[Made] = map(normalize_files, groups)
        pool = None
    else:
        pool = ThreadPoolExecutor(count, thread_name_prefix="normalize")
        # what is current here (the run, its package) is current for the files
        scopes = [contextvars.copy_context() for _ in groups]
        done = pool.map(lambda scope, group: scope.run(normalize_files, group), scopes, groups)
    try:
        for made in done:
            results.append(made)
            publish(Progress(step="normalize", name="Files", inc=len(made.of), total=total))
            publish(Progress(step="normalize", name="Rows", inc=sum(sum(one.rows.values()) for one in made.of)))
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)
    return results


def _given_files(files: list[SpoolFile], shared: Collection[str]) -> list[LoadFile]:
    """Files that the user imported: loaded as they are."""
    return [
        LoadFile(
            id=new_file_id(),
            table=f.table,
            path=f.path,
            format=f.format,
            rows=f.rows,
            size=f.size,
            resource=f.resource if f.table in shared else "",
        )
        for f in files
        if f.kind == "file"
    ]


def _totals(results: list[FileRows], files: list[SpoolFile]) -> tuple[dict[str, int], list[RejectedCount]]:
    rows: dict[str, int] = {}
    for result in results:
        for table, count in result.rows.items():
            rows[table] = rows.get(table, 0) + count
    for file in files:
        if file.kind == "empty":
            rows.setdefault(file.table, 0)
        elif file.kind == "file":
            rows[file.table] = rows.get(file.table, 0) + file.rows
    return rows, add_counts(one for result in results for one in result.rejected)


def _complete(table: TTableSchema) -> set[str]:
    if not tb.has_seen_data(table):
        return set()
    return {name for name, column in table.get("columns", {}).items() if tb.is_complete_column(column)}


def _update(before: dict[str, set[str]], schema: Schema) -> dict[str, Any]:
    """New tables and columns since ``before``, as partial tables."""
    update: dict[str, Any] = {}
    for name, table in schema.tables.items():
        if not tb.has_seen_data(table):
            continue
        old = before.get(name, set())
        new = {n: dict(c) for n, c in table["columns"].items() if n not in old and tb.is_complete_column(c)}
        if new:
            update[name] = {**{k: v for k, v in table.items() if k != "columns"}, "columns": new}
    return update


def _check_bound(schema: Schema, rows: dict[str, int]) -> None:
    """Refuse rows of tables whose declared keys and other required columns never came: their type is unknown."""
    for name, count in rows.items():
        columns = schema.tables[name].get("columns", {}) if count and name in schema.tables else {}
        missing = [c for c in columns.values() if c.get("nullable") is False and not tb.is_complete_column(c)]
        if missing:
            raise UnboundColumnException(schema.name, name, missing)


def _warn_null_only(schema: Schema, null_only: dict[str, list[str]]) -> None:
    for table, columns in null_only.items():
        logger.warning(
            "Table `%s` of schema `%s`: no column was made for %s, where only None was seen. "
            "Declare a type to have it: columns={%r: {'data_type': 'text'}}",
            table,
            schema.name,
            ", ".join(f"`{c}`" for c in columns),
            columns[0],
        )
