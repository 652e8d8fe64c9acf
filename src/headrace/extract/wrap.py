"""Data of any kind, as sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from headrace.columns.arrow import is_arrow_like
from headrace.errors.extract import (
    InvalidResourceDataTypeBasic,
    InvalidResourceDataTypeIsNone,
    UnknownSourceReference,
)
from headrace.extract.factory import SourceFactory
from headrace.extract.reference import SourceReference
from headrace.extract.resource import DltResource
from headrace.extract.source import DltSource
from headrace.model.schema import Schema


def wrap_data(
    data: Any,
    *,
    default_schema_name: str = "default",
    section: str = "",
    table_name: Any = None,
    parent_table_name: Any = None,
    write_disposition: Any = None,
    columns: Any = None,
    primary_key: Any = None,
    merge_key: Any = None,
    schema: Schema | None = None,
    table_format: Any = None,
    schema_contract: Any = None,
    file_format: Any = None,
) -> list[DltSource[Any]]:
    """Make sources of what is given to `run`.

    Args:
        data: A source, a resource, or a list of these; any other iterable, generator, function, frame or file import;
            the reference of a source as text. Of a list, the first element decides.
        default_schema_name: Name of the schema that data without a source goes to.
        section: Configuration section of resources without one.
        table_name: This and the following are hints for all resources; see `DltResource.apply_hints`.
        parent_table_name: The table this one is nested in.
        write_disposition: How rows get into the table.
        columns: Columns, or a pydantic model.
        primary_key: Column or columns.
        merge_key: Column or columns.
        schema: The schema to use, instead of those of sources and of the default one.
        table_format: Format of the tables.
        schema_contract: Put on the schemas and on all resources.
        file_format: Format of loader files.

    Returns:
        Sources in the order of their names. Resources of the same name are in sources of their own.

    Raises:
        ResourceNameMissing: The data has no name.
        InvalidResourceDataType: It cannot be made into items.
    """
    hints = {
        "table_name": table_name,
        "parent_table_name": parent_table_name,
        "write_disposition": write_disposition,
        "columns": columns,
        "primary_key": primary_key,
        "merge_key": merge_key,
        "table_format": table_format,
        "schema_contract": schema_contract,
        "file_format": file_format,
    }
    given = {k: v for k, v in hints.items() if v is not None}
    sources, resources = _sort_out(data, table_name)
    if schema is not None:
        for source in sources:
            source.schema = schema
    made = [*sources, *_sources_of(resources, schema, default_schema_name, section)]
    for source in made:
        if schema_contract is not None:
            source.schema_contract = schema_contract
        if given:
            for resource in source.resources.values():
                resource.apply_hints(**given)
    return sorted(made, key=lambda source: source.name)


def _sort_out(data: Any, table_name: Any) -> tuple[list[DltSource[Any]], list[DltResource[Any]]]:
    sources: list[DltSource[Any]] = []
    resources: list[DltResource[Any]] = []
    for item in _parts(data):
        made = _made(item, table_name)
        if isinstance(made, DltSource):
            sources.append(made)
        else:
            name = table_name if isinstance(table_name, str) else None
            resources.append(DltResource.from_data(made, name))
    return sources, resources


def _parts(data: Any) -> Sequence[Any]:
    """The elements of a list of sources and resources; anything else is one part."""
    if data is None:
        raise InvalidResourceDataTypeIsNone(None, data, type(data))
    if isinstance(data, (list, tuple)) and data and isinstance(data[0], (DltSource, DltResource, SourceFactory)):
        return data
    return [data]


def _made(item: Any, table_name: Any) -> Any:
    if isinstance(item, SourceFactory):
        return item()
    if isinstance(item, str):
        try:
            return SourceReference.from_reference(item)
        except UnknownSourceReference as error:
            if table_name is None:
                raise
            # who names a table means data, not a source
            raise InvalidResourceDataTypeBasic(table_name, item, type(item)) from error
    if _is_relation(item):
        return item.iter_arrow(chunk_size=50_000)
    return item


def _is_relation(item: Any) -> bool:
    # known by what it does: this room knows nothing of datasets
    return hasattr(item, "iter_arrow") and hasattr(item, "sqlglot_expression") and not is_arrow_like(item)


def _sources_of(
    resources: Iterable[DltResource[Any]], schema: Schema | None, schema_name: str, section: str
) -> list[DltSource[Any]]:
    """Put resources without a source into as few sources as their names allow."""
    groups: list[dict[str, DltResource[Any]]] = []
    for resource in resources:
        free = next((g for g in groups if resource.name not in g), None)
        if free is None:
            free = {}
            groups.append(free)
        free[resource.name] = resource
    found: list[DltSource[Any]] = []
    for group in groups:
        first = next(iter(group.values()))
        own = schema if schema is not None else Schema(schema_name)
        source: DltSource[Any] = DltSource(own, first.section or section, list(group.values()))
        source.shares_section = False
        found.append(source)
    return found
