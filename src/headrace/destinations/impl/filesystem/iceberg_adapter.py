"""Partitions and properties of Iceberg tables, as hints of a resource."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from headrace.extract.decorators import resource
from headrace.extract.resource import DltResource
from headrace.extract.source import DltSource

PARTITION_HINT = "x-iceberg-partition"
TABLE_PROPERTIES_HINT = "x-iceberg-table-properties"


class PartitionSpec(msgspec.Struct, frozen=True):
    """A partition: a transform of a column.

    Attributes:
        source_column: The column.
        transform: ``identity``, ``year``, ``month``, ``day``, ``hour``, ``bucket``, ``truncate``.
        param_value: Of ``bucket`` the number of buckets, of ``truncate`` the width.
        partition_field: The partition's name; made of column and transform when it is left out.
    """

    source_column: str
    transform: str = "identity"
    param_value: int | None = None
    partition_field: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The hint."""
        found = {
            "transform": self.transform,
            "source_column": self.source_column,
            "partition_field": self.partition_field,
            "param_value": self.param_value,
        }
        return {name: value for name, value in found.items() if value is not None}


class iceberg_partition:
    """Partitions for `iceberg_adapter`."""

    @staticmethod
    def identity(column_name: str) -> PartitionSpec:
        """By value."""
        return PartitionSpec(column_name)

    @staticmethod
    def year(column_name: str, partition_field_name: str | None = None) -> PartitionSpec:
        """By year of a date or timestamp."""
        return PartitionSpec(column_name, "year", None, partition_field_name)

    @staticmethod
    def month(column_name: str, partition_field_name: str | None = None) -> PartitionSpec:
        """By month of a date or timestamp."""
        return PartitionSpec(column_name, "month", None, partition_field_name)

    @staticmethod
    def day(column_name: str, partition_field_name: str | None = None) -> PartitionSpec:
        """By day of a date or timestamp."""
        return PartitionSpec(column_name, "day", None, partition_field_name)

    @staticmethod
    def hour(column_name: str, partition_field_name: str | None = None) -> PartitionSpec:
        """By hour of a timestamp."""
        return PartitionSpec(column_name, "hour", None, partition_field_name)

    @staticmethod
    def bucket(num_buckets: int, column_name: str, partition_field_name: str | None = None) -> PartitionSpec:
        """By hash, into so many buckets."""
        return PartitionSpec(column_name, "bucket", num_buckets, partition_field_name)

    @staticmethod
    def truncate(width: int, column_name: str, partition_field_name: str | None = None) -> PartitionSpec:
        """By the first characters of a text, or by ranges of a number."""
        return PartitionSpec(column_name, "truncate", width, partition_field_name)


def iceberg_adapter(
    data: Any,
    partition: str | PartitionSpec | Sequence[str | PartitionSpec] | None = None,
    table_properties: Mapping[str, str] | None = None,
) -> DltResource[Any]:
    """Give a resource the partitions and properties that its Iceberg table gets when it is made.

    Args:
        data: A resource, a source with one resource, or data.
        partition: Columns, or partitions of `iceberg_partition`.
        table_properties: Properties of the table.

    Returns:
        The resource.

    Raises:
        ValueError: Neither partitions nor properties are given, or the source has several resources.
    """
    if not partition and not table_properties:
        raise ValueError("iceberg_adapter needs `partition` or `table_properties`")
    found = _resource_of(data)
    hints: dict[str, Any] = {}
    if partition:
        given = [partition] if isinstance(partition, (str, PartitionSpec)) else partition
        hints[PARTITION_HINT] = [(PartitionSpec(p) if isinstance(p, str) else p).to_dict() for p in given]
    if table_properties:
        hints[TABLE_PROPERTIES_HINT] = dict(table_properties)
    return found.apply_hints(additional_table_hints=hints)


def _resource_of(data: Any) -> DltResource[Any]:
    if isinstance(data, DltResource):
        return data
    if isinstance(data, DltSource):
        selected = list(data.selected_resources.values())
        if len(selected) != 1:
            raise ValueError(f"iceberg_adapter takes one resource, the source `{data.name}` has {len(selected)}")
        return selected[0]
    made: DltResource[Any] = resource(data, name="content")
    return made
