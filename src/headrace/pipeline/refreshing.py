"""Refresh: forget state, drop or empty tables. Decided at extract, carried by the package, done before the load."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from headrace.errors.base import ValueErrorWithKnownValues
from headrace.model.events import JobDone, SchemaMigrated
from headrace.model.jobs import Truncate
from headrace.model.migrate import DropTable
from headrace.model.tables import has_seen_data

if TYPE_CHECKING:
    from headrace.load.destination import Client
    from headrace.model.packages import LoadPackageInfo
    from headrace.model.schema import Schema
    from headrace.model.undo import UndoPlan
    from headrace.package.package import Package
    from headrace.pipeline.core import PipelineCore
    from headrace.pipeline.pipeline import Pipeline

logger = logging.getLogger("headrace")
MODES = ("drop_sources", "drop_resources", "drop_data")


def check_mode(mode: str | None) -> None:
    """Refuse a mode that does not exist.

    Raises:
        ValueErrorWithKnownValues: It does not.
    """
    if mode is not None and mode not in MODES:
        raise ValueErrorWithKnownValues("refresh", mode, MODES)


def prepare_refresh(
    mode: str,
    schema: Schema,
    source_name: str,
    resources: Iterable[str],
    state: dict[str, Any],
    imported: bool = False,
) -> dict[str, Any] | None:
    """Forget state and tables of a source in memory; say what the load has to do.

    Args:
        mode: One of `MODES`.
        schema: The pipeline's schema of the source; it loses the tables.
        source_name: Key of the source's state.
        resources: The resources being extracted, with those they take data from.
        state: The pipeline's state document; it loses what the mode says.
        imported: The schema has an import file. Such files come without the marks that tell which tables hold data.

    Returns:
        The order for the load; None when there is nothing to do.
    """
    chosen = set(resources)
    _forget_state(mode, source_name, chosen, state)
    tables = _tables(schema, None if mode == "drop_sources" else chosen)
    seen = [name for name in tables if has_seen_data(schema.tables[name])]
    if mode == "drop_data":
        return {"mode": mode, "truncated_tables": seen} if seen else None
    held = tables if imported else seen
    if tables:
        schema.drop_tables(tables)
    if not held:
        return None
    return {"mode": mode, "dropped_tables": held, "erase_history": True}


def join_orders(first: dict[str, Any] | None, second: dict[str, Any]) -> dict[str, Any]:
    """What two sources of one package want of the load."""
    joined = {**(first or {}), **second}
    for key in ("dropped_tables", "truncated_tables"):
        names = [*((first or {}).get(key) or []), *(second.get(key) or [])]
        joined[key] = list(dict.fromkeys(names))
    return joined


def order_of(p: PipelineCore, package: Package) -> dict[str, Any] | None:
    """What a package wants of its load; read from disk for packages of another process."""
    if package.load_id not in p._orders:
        document = package.load_state()
        p._orders[package.load_id] = document.get("refresh") if document else None
    return p._orders[package.load_id]


def package_info(p: PipelineCore, package: Package) -> LoadPackageInfo:
    """A package with what its refresh drops."""
    info, order = package.info(), order_of(p, package)
    if not order:
        return info
    dropped, truncated = order.get("dropped_tables") or [], order.get("truncated_tables") or []
    return info._replace(refresh=order.get("mode"), dropped_tables=dropped, truncated_tables=truncated)


def _forget_state(mode: str, source_name: str, chosen: set[str], state: dict[str, Any]) -> None:
    sources = state.get("sources", {})
    if mode == "drop_sources":
        sources.pop(source_name, None)
        return
    kept = sources.get(source_name, {}).get("resources", {})
    for resource in chosen:
        kept.pop(resource, None)


def _tables(schema: Schema, resources: set[str] | None) -> list[str]:
    """Data tables of some resources, or of all; nested ones before those they are nested in."""
    roots = [
        name
        for name in schema.data_table_names(include_incomplete=True)
        if not schema.tables[name].get("parent")
        and (resources is None or (schema.tables[name].get("resource") or name) in resources)
    ]
    chains = [[table["name"] for table in schema.get_nested_tables(root)] for root in roots]
    return [name for chain in chains for name in reversed(chain)]


def apply_refresh(p: Pipeline, package: Package, client: Client, schema: Schema, undo: UndoPlan | None = None) -> None:
    """Drop or empty tables before the package is loaded; done once, however often the load is begun.

    Tables are dropped again only while nothing of the package can be in them: the fact that it is done is synced before
    any job runs.
    """
    dropped, emptied = refresh_tables(p, package, client, schema, undo)
    if dropped or emptied:
        package.record(SchemaMigrated(load_id=package.load_id), sync=True)
        logger.info("pipeline `%s`: refresh dropped %s and emptied %s", p.pipeline_name, dropped, emptied)


def refresh_tables(
    p: PipelineCore, package: Package, client: Client, schema: Schema, undo: UndoPlan | None = None
) -> tuple[list[str], list[str]]:
    """Drop or empty the tables that a package wants dropped or emptied, unless that is done.

    Returns:
        What was wanted: tables to drop, tables to empty.
    """
    refresh = order_of(p, package)
    begun = package.fact(SchemaMigrated) is not None or package.fact(JobDone) is not None
    if not refresh or begun:
        return [], []
    if not client.has_dataset() or client.is_complete(package.load_id):
        return [], []
    from headrace.load.destination import LoadContext

    context = LoadContext(load_id=package.load_id, path=package.path, schema=schema, undo=undo)
    client.begin_undo(context)
    dropped, truncated = refresh.get("dropped_tables", []), refresh.get("truncated_tables", [])
    present = client.describe([*dropped, *truncated])
    client.migrate([DropTable(table=name) for name in dropped if present.get(name) is not None])
    emptied = [name for name in truncated if present.get(name) is not None]
    if emptied:
        client.apply(Truncate(id="refresh", tables=emptied), context)
    if refresh.get("erase_history"):
        _erase_history(client, schema)
    return dropped, truncated


def _erase_history(client: Client, schema: Schema) -> None:
    try:
        client.drop_schema_history(schema.name)
    except NotImplementedError as error:
        logger.warning("%s", error)
