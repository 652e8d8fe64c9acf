"""Schemas and partitions of new Iceberg tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from pyiceberg.partitioning import PARTITION_FIELD_ID_START, PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import (
    BucketTransform,
    DayTransform,
    HourTransform,
    IdentityTransform,
    MonthTransform,
    TruncateTransform,
    YearTransform,
)
from pyiceberg.types import NestedField

from headrace.base.lazy import need
from headrace.destinations.impl.filesystem.iceberg import iceberg_type
from headrace.destinations.impl.filesystem.tableformats import TablePlace
from headrace.errors.destination import TableFormatNotSupported
from headrace.typing import TTableSchema

_PLAIN: dict[str, Any] = {
    "identity": IdentityTransform,
    "year": YearTransform,
    "month": MonthTransform,
    "day": DayTransform,
    "hour": HourTransform,
}
_COUNTED: dict[str, Any] = {"bucket": BucketTransform, "truncate": TruncateTransform}


def iceberg_schema(columns: Mapping[str, Any], place: TablePlace) -> Schema:
    """The schema of a new table."""
    fields = [
        NestedField(at, name, iceberg_type(column, place), required=column.get("nullable", True) is False)
        for at, (name, column) in enumerate(columns.items(), 1)
    ]
    return Schema(*fields)


def partition_spec(table: TTableSchema, schema: Schema, hints: Sequence[Mapping[str, Any]] | None) -> PartitionSpec:
    """The partitions of a new table: those of the adapter, else the columns with the hint ``partition``.

    Raises:
        TableFormatNotSupported: A hint names no column, or no transform that there is.
    """
    columns = table.get("columns", {})
    named = [{"transform": "identity", "source_column": name} for name, c in columns.items() if c.get("partition")]
    fields = []
    for at, hint in enumerate(hints or named):
        column, transform = str(hint["source_column"]), str(hint.get("transform", "identity"))
        ids = {field.name: field.field_id for field in schema.fields}
        if column not in ids or (transform not in _PLAIN and transform not in _COUNTED):
            raise TableFormatNotSupported(
                "iceberg", table["name"], f"it cannot be partitioned by `{transform}` of the column `{column}`"
            )
        count = hint.get("param_value")
        made = _PLAIN[transform]() if transform in _PLAIN else _COUNTED[transform](int(count or 1))
        name = hint.get("partition_field") or _name(column, transform, count)
        fields.append(PartitionField(ids[column], PARTITION_FIELD_ID_START + at, made, name))
    return PartitionSpec(*fields)


def transformed(values: pa.Array, transform: Any, kind: Any) -> pa.Array:
    """The partition of each value (Iceberg specification, partition transforms), as pyiceberg takes it.

    Args:
        values: Of a column.
        transform: Of pyiceberg.
        kind: The column's type in pyiceberg.
    """
    name = str(transform)
    if name == "identity":
        return values
    if name in ("year", "month"):
        years = pc.subtract(pc.year(values), 1970)
        if name == "year":
            return years.cast(pa.int32())
        return pc.add(pc.multiply(years, 12), pc.subtract(pc.month(values), 1)).cast(pa.int32())
    if name == "day":
        return values.cast(pa.date32(), safe=False).cast(pa.int32())
    if name == "hour":
        micros = values.cast(pa.timestamp("us", values.type.tz)).view(pa.int64())
        hours = pc.floor(pc.divide(micros.cast(pa.float64(), safe=False), 3_600_000_000.0))
        return hours.cast(pa.int32())
    if isinstance(transform, TruncateTransform) and pt.is_string(values.type):
        return pc.utf8_slice_codeunits(values, 0, transform.width)
    need("pyiceberg_core", f"partitions by `{name}`")
    made = transform.pyarrow_transform(kind)(values)
    return made.combine_chunks() if isinstance(made, pa.ChunkedArray) else made


def _name(column: str, transform: str, count: Any) -> str:
    if transform == "identity":
        return column
    short = {"truncate": "trunc"}.get(transform, transform)
    return f"{column}_{short}" + (f"_{count}" if transform in _COUNTED else "")
