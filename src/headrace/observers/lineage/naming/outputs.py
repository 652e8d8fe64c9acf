"""What a destination holds: tables at its location."""

from __future__ import annotations

from typing import Any

import msgspec

from headrace.model.location import Location
from headrace.observers.lineage.facts import Output
from headrace.observers.lineage.naming import stores
from headrace.observers.lineage.naming.places import dataset, file_format, files

_NATIVE = ("native", "hive", "parquet")
_LAKES = ("delta", "iceberg", "hudi")


def output(
    place: Location,
    table: str,
    *,
    source_name: str | None = None,
    table_format: str | None = None,
    schema_name: str = "",
    parent: str | None = None,
) -> Output:
    """The dataset of a table of a destination.

    Args:
        place: As `Destination.location` gives it for the dataset.
        table: The table's name, as it is in the schema: that is how the destination spells it.
        source_name: The destination's name.
        table_format: Of the table, or of the table at its root: ``delta``, ``iceberg``; None for others.
        schema_name: The schema, where folders are named after it.
        parent: The table it is nested in.

    Returns:
        Identity, hierarchy, symlinks, source, catalog, storage and type; the rest is left to the caller.
    """
    fmt = table_format if table_format not in _NATIVE else None
    if "{schema_name}" in place.table_path:
        place = msgspec.structs.replace(place, table_path=place.table_path.replace("{schema_name}", schema_name))
    found = dataset(place, table)
    parts: dict[str, Any] = {name: getattr(found, name) for name in found.__struct_fields__}
    made = Output(**parts, table=table, parent=parent)
    made.source_name = source_name
    if fmt in _LAKES:
        _as_lake(made, place, table, str(fmt))
    return made


def _as_lake(made: Output, place: Location, table: str, fmt: str) -> None:
    """Tables of Delta and Iceberg: known by where they are; their name in a catalog is another name."""
    made.type = "TABLE"
    if not place.private:
        made.storage = {"storageLayer": fmt, "fileFormat": "parquet"}
        made.subtype = fmt.upper()
    catalog = place.catalogs.get(fmt)
    if not catalog:
        return
    name = stores.dotted(place.schema, table)
    made.catalog = {
        "framework": fmt,
        "type": catalog.get("type") or "custom",
        "name": catalog.get("name") or "default",
        "source": "headrace",
        **{key: catalog[part] for key, part in _URIS if catalog.get(part)},
    }
    if link := _in_catalog(catalog, place.schema, table):
        made.symlinks = [*made.symlinks, (*link, "TABLE")]
    elif catalog.get("warehouse"):
        warehouse = files(catalog["warehouse"])
        made.symlinks = [*made.symlinks, (warehouse.namespace, f"{warehouse.name}/{name}", "TABLE")]


_URIS = (("metadataUri", "uri"), ("warehouseUri", "warehouse"))


def _in_catalog(catalog: dict[str, str], schema: str, table: str) -> tuple[str, str] | None:
    """Namespace and name of a table in its catalog, as OpenLineage's Spark code has them."""
    uri, name = catalog.get("uri", ""), stores.dotted(schema, table)
    if catalog.get("type") == "glue" and catalog.get("region") and catalog.get("account"):
        glue = stores.glue(catalog["region"], catalog["account"], schema, table)
        return glue.namespace, glue.name
    if uri.startswith("thrift://"):
        return "hive://" + uri.removeprefix("thrift://").rstrip("/"), name
    return (uri.rstrip("/"), name) if uri else None


__all__ = ["file_format", "output"]
