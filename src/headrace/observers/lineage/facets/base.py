"""What all facets have: who made them, and by which version of which schema."""

from __future__ import annotations

import datetime as dt
from typing import Any

from headrace.base.version import VERSION

Facet = dict[str, Any]

PRODUCER = f"https://github.com/headrace/headrace/tree/v{VERSION}/src/headrace/observers/lineage"
SPEC = "https://openlineage.io/spec"
EVENTS = f"{SPEC}/2-0-2/OpenLineage.json#/$defs"
OWN_SPEC = "https://headrace.dev/spec/facets/1-0-0"
"""Where the schemas of our own facets are; the files themselves are in ``docs/lineage/spec``."""

# by our name: version, file, definition
VERSIONS: dict[str, tuple[str, str, str]] = {
    "parent": ("1-2-0", "ParentRunFacet", ""),
    "processing_engine": ("1-1-1", "ProcessingEngineRunFacet", ""),
    "nominalTime": ("1-0-1", "NominalTimeRunFacet", ""),
    "executionParameters": ("1-0-0", "ExecutionParametersRunFacet", ""),
    "run.tags": ("1-0-0", "TagsRunFacet", ""),
    "environmentVariables": ("1-0-0", "EnvironmentVariablesRunFacet", ""),
    "errorMessage": ("1-0-1", "ErrorMessageRunFacet", ""),
    "extractionError": ("1-1-2", "ExtractionErrorRunFacet", ""),
    "externalQuery": ("1-0-2", "ExternalQueryRunFacet", ""),
    "jobDependencies": ("1-0-1", "JobDependenciesRunFacet", ""),
    "test": ("1-0-1", "TestRunFacet", ""),
    "jobType": ("2-0-4", "JobTypeJobFacet", ""),
    "job.documentation": ("1-1-0", "DocumentationJobFacet", ""),
    "job.ownership": ("1-0-1", "OwnershipJobFacet", ""),
    "sourceCodeLocation": ("1-1-0", "SourceCodeLocationJobFacet", ""),
    "sourceCode": ("1-0-1", "SourceCodeJobFacet", ""),
    "sql": ("1-1-0", "SQLJobFacet", ""),
    "job.tags": ("1-0-0", "TagsJobFacet", ""),
    "job.lineage": ("1-0-0", "LineageFacet", "LineageJobFacet"),
    "schema": ("1-2-0", "SchemaDatasetFacet", ""),
    "columnLineage": ("1-2-0", "ColumnLineageDatasetFacet", ""),
    "dataset.lineage": ("1-0-0", "LineageFacet", "LineageDatasetFacet"),
    "dataSource": ("1-0-1", "DatasourceDatasetFacet", ""),
    "version": ("1-0-1", "DatasetVersionDatasetFacet", ""),
    "lifecycleStateChange": ("1-0-1", "LifecycleStateChangeDatasetFacet", ""),
    "datasetType": ("1-0-1", "DatasetTypeDatasetFacet", ""),
    "hierarchy": ("1-0-0", "HierarchyDatasetFacet", ""),
    "symlinks": ("1-0-1", "SymlinksDatasetFacet", ""),
    "catalog": ("1-1-0", "CatalogDatasetFacet", ""),
    "storage": ("1-0-1", "StorageDatasetFacet", ""),
    "dataset.documentation": ("1-1-0", "DocumentationDatasetFacet", ""),
    "dataset.ownership": ("1-0-1", "OwnershipDatasetFacet", ""),
    "dataset.tags": ("1-0-0", "TagsDatasetFacet", ""),
    "dataQualityMetrics": ("1-0-0", "DataQualityMetricsDatasetFacet", ""),
    "dataQualityAssertions": ("1-1-0", "DataQualityAssertionsDatasetFacet", ""),
    "inputStatistics": ("1-0-0", "InputStatisticsInputDatasetFacet", ""),
    "input.subset": ("1-0-0", "BaseSubsetDatasetFacet", "InputSubsetInputDatasetFacet"),
    "outputStatistics": ("1-0-2", "OutputStatisticsOutputDatasetFacet", ""),
    "output.subset": ("1-0-0", "BaseSubsetDatasetFacet", "OutputSubsetOutputDatasetFacet"),
}
OWN: dict[str, str] = {
    "headrace_loadPackage": "HeadraceLoadPackageRunFacet",
    "headrace_steps": "HeadraceStepsRunFacet",
    "headrace_schemaChange": "HeadraceSchemaChangeDatasetFacet",
    "headrace_write": "HeadraceWriteOutputDatasetFacet",
}


def facet(name: str, /, **fields: Any) -> Facet:
    """A facet of the specification; fields that are None are left out.

    Args:
        name: Key of `VERSIONS`.
        **fields: As the schema has them.
    """
    version, file, definition = VERSIONS[name]
    url = f"{SPEC}/facets/{version}/{file}.json#/$defs/{definition or file}"
    return {"_producer": PRODUCER, "_schemaURL": url, **without_none(fields)}


def own(name: str, fields: dict[str, Any]) -> Facet:
    """A facet of ours; ``name`` is its key, such as ``headrace_write``."""
    url = f"{OWN_SPEC}/{OWN[name]}.json#/$defs/{OWN[name]}"
    return {"_producer": PRODUCER, "_schemaURL": url, **without_none(fields)}


def deleted(name: str) -> Facet:
    """What takes a facet of a job or dataset away."""
    return facet(name, _deleted=True)


def without_none(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that have a value."""
    return {key: value for key, value in fields.items() if value is not None}


def instant(value: dt.datetime) -> str:
    """An instant as RFC 3339, in UTC, to the microsecond."""
    return value.astimezone(dt.timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
