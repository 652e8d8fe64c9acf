"""Facets of datasets: of what is read, and of what is written."""

from __future__ import annotations

from typing import Any

from headrace.observers.lineage.facets.base import Facet, facet, own
from headrace.observers.lineage.facets.edges import column_lineage
from headrace.observers.lineage.facts import Dataset, Field, Input, Output

LIFECYCLE = ("CREATE", "OVERWRITE", "TRUNCATE", "ALTER", "DROP")
"""What is told first when several things happened to a table in one run.

A table that was dropped and made again is there: receivers (Marquez) hide what they are told last to be dropped, and
the drop has an event of its own.
"""

_SOURCE = "HEADRACE"


def input_dataset(dataset: Input, identity_only: bool = False) -> dict[str, Any]:
    """An entry of ``inputs``.

    Args:
        dataset: What was read.
        identity_only: It was not read yet: nothing that depends on the data.
    """
    found = _identity(dataset)
    facets = dataset_facets(dataset, schema=not identity_only)
    mine: dict[str, Facet] = {}
    statistics = {"rowCount": dataset.rows, "size": dataset.bytes, "fileCount": dataset.files}
    if not identity_only and any(value is not None for value in statistics.values()):
        mine["inputStatistics"] = facet("inputStatistics", **statistics)
    if dataset.subset is not None:
        mine["subset"] = facet("input.subset", inputCondition=dataset.subset)
    return found | _filled(facets=facets, inputFacets=mine)


def output_dataset(dataset: Output, written: bool = True, columns: bool = True) -> dict[str, Any]:
    """An entry of ``outputs``.

    Args:
        dataset: What is written.
        written: The destination has it; else only what is true beforehand is told.
        columns: Tell its column lineage too.
    """
    facets = dataset_facets(dataset, schema=True)
    if columns and (dataset.columns or dataset.indirect):
        facets["columnLineage"] = column_lineage(dataset)
    if dataset.schema_change:
        facets["headrace_schemaChange"] = own("headrace_schemaChange", dataset.schema_change)
    mine: dict[str, Facet] = {}
    if dataset.write:
        changes = {"rowChanges": dataset.changes} if dataset.changes else {}
        told = {"lifecycle": dataset.lifecycle} if written and dataset.lifecycle else {}
        mine["headrace_write"] = own("headrace_write", {**dataset.write, **told, **changes})
    if written:
        facets |= _of_the_write(dataset)
        statistics = {"rowCount": dataset.rows, "size": dataset.bytes, "fileCount": dataset.files}
        if any(value is not None for value in statistics.values()):
            mine["outputStatistics"] = facet("outputStatistics", **statistics)
        if dataset.subset is not None:
            mine["subset"] = facet("output.subset", outputCondition=dataset.subset)
    return _identity(dataset) | _filled(facets=facets, outputFacets=mine)


def _of_the_write(dataset: Output) -> dict[str, Facet]:
    found: dict[str, Facet] = {}
    if dataset.version:
        found["version"] = facet("version", **dataset.version)
    if (change := lifecycle(dataset.lifecycle)) is not None:
        found["lifecycleStateChange"] = facet("lifecycleStateChange", lifecycleStateChange=change)
    if dataset.assertions:
        found["dataQualityAssertions"] = facet("dataQualityAssertions", assertions=dataset.assertions)
    if dataset.metrics:
        found["dataQualityMetrics"] = facet("dataQualityMetrics", **{"columnMetrics": {}, **dataset.metrics})
    return found


def lifecycle(changes: list[str]) -> str | None:
    """The one change to be told; all of them are in ``headrace_write``."""
    return next((change for change in LIFECYCLE if change in changes), None)


def dataset_facets(dataset: Dataset, schema: bool = True) -> dict[str, Facet]:
    """What is true of a dataset between runs.

    Args:
        dataset: It.
        schema: Tell its fields, and what is said of them.
    """
    found: dict[str, Facet] = {}
    if dataset.source_name:
        found["dataSource"] = facet("dataSource", name=dataset.source_name, uri=dataset.source_uri)
    if dataset.type:
        found["datasetType"] = facet("datasetType", datasetType=dataset.type, subType=dataset.subtype)
    if dataset.hierarchy:
        levels = [{"type": kind, "name": name} for kind, name in dataset.hierarchy]
        found["hierarchy"] = facet("hierarchy", hierarchy=levels)
    if dataset.symlinks:
        links = [{"namespace": space, "name": name, "type": kind} for space, name, kind in dataset.symlinks]
        found["symlinks"] = facet("symlinks", identifiers=links)
    if dataset.catalog:
        found["catalog"] = facet("catalog", **dataset.catalog)
    if dataset.storage:
        found["storage"] = facet("storage", **dataset.storage)
    if dataset.description:
        found["documentation"] = facet("dataset.documentation", description=dataset.description)
    if dataset.owners:
        found["ownership"] = facet("dataset.ownership", owners=[{"name": n, "type": t} for n, t in dataset.owners])
    if isinstance(dataset, Input) and dataset.version:
        found["version"] = facet("version", **dataset.version)
    if schema and dataset.fields:
        found["schema"] = facet("schema", fields=_fields(dataset.fields))
    tags = _tags(dataset, schema)
    return found | ({"tags": facet("dataset.tags", tags=tags)} if tags else {})


def _fields(fields: list[Field]) -> list[dict[str, Any]]:
    return [_field(field, number) for number, field in enumerate(fields, 1)]


def _field(field: Field, number: int) -> dict[str, Any]:
    found: dict[str, Any] = {"name": field.name, "ordinal_position": number}
    if field.type:
        found["type"] = field.type
    if field.description:
        found["description"] = field.description
    if field.fields:
        found["fields"] = _fields(field.fields)
    return found


def _tags(dataset: Dataset, with_fields: bool) -> list[dict[str, str]]:
    found = [{"key": key, "value": value, "source": _SOURCE} for key, value in dataset.tags]
    if with_fields:
        found += [
            {"key": key, "value": value, "source": _SOURCE, "field": field.name}
            for field in dataset.fields
            for key, value in field.tags
        ]
    return found


def _identity(dataset: Dataset) -> dict[str, Any]:
    return {"namespace": dataset.id.namespace, "name": dataset.id.name}


def _filled(**maps: dict[str, Facet]) -> dict[str, Any]:
    return {name: value for name, value in maps.items() if value}
