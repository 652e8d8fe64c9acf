"""What a query in the destination reads: tables beside those that it fills."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from headrace.model.location import Location
from headrace.observers.lineage.facts import Input
from headrace.observers.lineage.naming.places import dataset, kind_of


def of_queries(place: Location, tables: Iterable[Sequence[str]], source_name: str | None = None) -> list[Input]:
    """The tables that queries name, as inputs.

    Args:
        place: The dataset that the queries fill, as `Destination.location` gives it.
        tables: Each as the query says it: its name, with schema and catalog before it where they are said.
        source_name: The destination's name.

    Returns:
        Each once; of databases where other schemas lie in other places (SQLite), only those of the dataset itself.
    """
    found: dict[object, Input] = {}
    for parts in tables:
        where = _at(place, list(parts[:-1]))
        if where is None:
            continue
        made = dataset(where, parts[-1])
        one = Input(**{name: getattr(made, name) for name in made.__struct_fields__})
        one.source_name = source_name
        found.setdefault(one.id, one)
    return list(found.values())


def _at(place: Location, above: list[str]) -> Location | None:
    """The place of a table with these names before its own."""
    schema = above[-1] if above else place.schema
    catalog = above[-2] if len(above) > 1 else place.database
    if kind_of(place.scheme) == "sqlite":
        own = place.path.rpartition("__")[2].removesuffix(".db")
        return place if schema in ("main", own, place.schema) else None
    if place.table_path:  # folders of files: a schema is the folder of a dataset
        base = place.path.removesuffix(f"/{place.schema}")
        return msgspec.structs.replace(place, path=f"{base}/{schema}", schema=schema)
    if place.path and catalog != place.database:  # a file that was attached: where it is, the query does not say
        return None
    return msgspec.structs.replace(place, schema=schema, database=catalog)
