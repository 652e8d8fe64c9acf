"""The files of a version of a Delta table: read by pyarrow, written by pyarrow, committed by deltalake."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs
import pyarrow.types as pt

from headrace.destinations.impl.filesystem.lakefiles import FileFacts, NewFiles, Written
from headrace.destinations.impl.filesystem.laketable import CHANGES, KEY, to_text
from headrace.destinations.impl.filesystem.splitting import split_by_values
from headrace.model.changes import RowChanges
from headrace.model.effects import MOST_PARTITIONS, Partition, TableVersion, distinct

BATCH = 32 * 1024
_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_MILLISECOND = dt.timedelta(milliseconds=1)
_TEXT = 64  # characters of a bound
_EXACT = 15  # digits of a decimal that a JSON number keeps


class DeltaFile:
    """A new data file."""

    def __init__(self, filesystem: pyarrow.fs.FileSystem, path: str, schema: pa.Schema) -> None:
        self.path, self.schema, self._filesystem = path, schema, filesystem
        self.options: Mapping[str, Any] = {"compression": "snappy"}

    def stream(self) -> Any:
        """A stream for the writer."""
        return self._filesystem.open_output_stream(self.path)


class DeltaVersion:
    """One version of a Delta table.

    Args:
        table: A `deltalake.DeltaTable`, loaded.
        filesystem: With its root at the table.
    """

    def __init__(self, table: Any, filesystem: pyarrow.fs.FileSystem) -> None:
        self._table, self._filesystem = table, filesystem
        self.schema = pa.schema(table.schema().to_arrow())
        self.partitions: list[str] = list(table.metadata().partition_columns)

    def files(self) -> Iterable[FileFacts]:
        """The data files, with the bounds that the log has."""
        actions = pa.table(self._table.get_add_actions(flatten=True))
        exact = [f for f in self.schema if _has_exact_bounds(f.type)]
        for batch in actions.to_batches(1000):
            for row in batch.to_pylist():
                bounds = {f.name: b for f in exact if (b := _bounds(row, f)) is not None}
                nulls = {f.name: n for f in exact if (n := row.get(f"null_count.{f.name}")) is not None}
                yield FileFacts(row["path"], int(row.get("num_records") or -1), bounds, nulls, row)

    def read(self, file: FileFacts, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """A file's rows; columns that it is too old to have are NULL."""
        names = list(columns) if columns is not None else self.schema.names
        fields = [self.schema.field(name) for name in names]
        inside = pa.schema([f for f in self.schema if f.name not in self.partitions])
        format_ = ds.ParquetFileFormat()
        fragment = format_.make_fragment(unquote(file.path), filesystem=self._filesystem)
        wanted = [name for name in names if name not in self.partitions]
        scanner = fragment.scanner(
            schema=inside, columns=wanted, batch_size=BATCH, batch_readahead=2, fragment_readahead=1
        )
        for batch in scanner.to_batches():
            arrays = [
                self._partition_value(file, field, batch.num_rows)
                if field.name in self.partitions
                else batch.column(wanted.index(field.name))
                for field in fields
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))

    def dataset(self) -> ds.Dataset:
        """All files as one dataset."""
        return self._table.to_pyarrow_dataset(filesystem=self._filesystem)

    def _partition_value(self, file: FileFacts, field: pa.Field, rows: int) -> pa.Array:
        value = pa.scalar(file.native[f"partition.{field.name}"])
        return pa.repeat(value.cast(field.type), rows) if value.is_valid else pa.nulls(rows, field.type)

    def new_files(self) -> NewFiles:
        """A writer of files."""
        inside = pa.schema([f for f in self.schema if f.name not in self.partitions])

        def open_file(partition: Any) -> DeltaFile:
            return DeltaFile(self._filesystem, self._new_path(partition), inside)

        if not self.partitions:
            return NewFiles(open_file)
        return NewFiles(open_file, lambda batch: split_by_values(batch, self.partitions))

    def _new_path(self, partition: tuple[Any, ...] | None) -> str:
        name = f"part-00000-{uuid.uuid4()}-c000.snappy.parquet"
        texts = [_partition_text(value) for value in partition or ()]
        # what would have to be escaped stays out of the path: the log has the values
        if not all(text is not None and _PLAIN.fullmatch(text) for text in texts):
            return name
        return "/".join([*(f"{c}={t}" for c, t in zip(self.partitions, texts, strict=False)), name])

    def partitions_of(self, files: Iterable[FileFacts | Written]) -> Iterator[Partition]:
        """The partitions of files."""
        for file in files if self.partitions else ():
            if isinstance(file, FileFacts):
                yield self._values_of(file)
            else:
                yield partition_texts(self.partitions, file.partition)

    def commit(
        self, removed: Sequence[FileFacts], added: Sequence[Written], key: str, changes: RowChanges
    ) -> TableVersion:
        """Make the next version."""
        from deltalake.transaction import AddAction, RemoveAction

        from headrace.destinations.impl.filesystem.delta import commit_properties, moved_if_conflict

        now = int(time.time() * 1000)
        actions: list[Any] = [
            RemoveAction(unquote(file.path), True, now, file.native["size_bytes"], self._values_of(file))
            for file in removed
        ]
        for file in added:
            values = partition_texts(self.partitions, file.partition or ())
            actions.append(
                AddAction(file.path, file.size, values, now, True, json.dumps(statistics(file, self.schema)))
            )
        properties = commit_properties(key, {KEY: key, CHANGES: to_text(changes)})
        with moved_if_conflict():
            self._table.create_write_transaction(
                actions,
                "append",
                self._table.schema(),
                partition_by=self.partitions or None,
                commit_properties=properties,
            )
        # without another try it is the one that follows what was read, or none
        return delta_version(self._table.version() + 1)

    def _values_of(self, file: FileFacts) -> dict[str, str | None]:
        return {name: _partition_text(file.native[f"partition.{name}"]) for name in self.partitions}


def delta_version(number: int) -> TableVersion:
    """A version by its number."""
    return TableVersion(str(number), number)


def partition_texts(names: Sequence[str], values: Sequence[Any]) -> Partition:
    """A partition as the log has it."""
    return dict(zip(names, map(_partition_text, values), strict=True))


class PartitionsSeen:
    """Which partitions the rows of a stream belong to, noted as they pass.

    Args:
        names: The table's partition columns.
        batches: The stream.
    """

    def __init__(self, names: Sequence[str], batches: Iterable[pa.RecordBatch]) -> None:
        self._names, self._batches = list(names), batches
        self.found: list[Partition] | None = []

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            if self._names and self.found is not None:
                try:
                    self._note(pa.Table.from_batches([batch.select(self._names)]))
                except Exception:  # noqa: BLE001 - a value that Python has not (the year 10000) harms no load
                    self.found = None
            yield batch

    def _note(self, rows: pa.Table) -> None:
        groups = rows.group_by(self._names, use_threads=False).aggregate([])
        if groups.num_rows > MOST_PARTITIONS:
            self.found = None
            return
        columns = [groups.column(name).to_pylist() for name in self._names]
        here = [partition_texts(self._names, values) for values in zip(*columns, strict=True)]
        self.found = distinct([*(self.found or ()), *here])


def _has_exact_bounds(kind: pa.DataType) -> bool:
    """Whether bounds in the log can be trusted: they are JSON."""
    if pt.is_decimal(kind):
        return bool(kind.precision <= _EXACT)
    return bool(pt.is_integer(kind) or pt.is_string(kind) or pt.is_date(kind) or pt.is_timestamp(kind))


def _bounds(row: Mapping[str, Any], field: pa.Field) -> tuple[Any, Any] | None:
    if f"partition.{field.name}" in row:
        value = row[f"partition.{field.name}"]
        return None if value is None else (value, value)
    low, high = row.get(f"min.{field.name}"), row.get(f"max.{field.name}")
    if low is None or high is None:
        return None
    # the log may keep instants by the millisecond, cut off
    return (low, high + _MILLISECOND) if isinstance(high, dt.datetime) else (low, high)


def _partition_text(value: Any) -> str | None:
    """A partition's value as the log has it (Delta protocol, partition value serialization)."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dt.datetime):
        if value.tzinfo is not None:
            return value.astimezone(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return str(value)


def statistics(file: Written, schema: pa.Schema) -> dict[str, Any]:
    """What the log says of a file: rows, and each column's bounds and NULLs (Delta protocol, per-file statistics)."""
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    metadata = file.metadata
    for at in range(metadata.num_columns):
        name = metadata.schema.column(at).path
        if "." in name or name not in schema.names:
            continue
        found = [metadata.row_group(g).column(at).statistics for g in range(metadata.num_row_groups)]
        if not all(s is not None and s.has_null_count for s in found):
            continue
        nulls[name] = sum(s.null_count for s in found)
        valued = [s for s in found if s.has_min_max]
        if valued and all(s.has_min_max or s.num_values == 0 for s in found):
            bounds = _as_json(min(s.min for s in valued), max(s.max for s in valued))
            if bounds is not None:
                low[name], high[name] = bounds
    return {"numRecords": file.rows, "minValues": low, "maxValues": high, "nullCount": nulls}


def _as_json(low: Any, high: Any) -> tuple[Any, Any] | None:
    """Bounds for the log; None for types whose bounds it does not keep exactly."""
    if isinstance(low, (bool, bytes, float)):
        return None
    if isinstance(low, int):
        return low, high
    if isinstance(low, decimal.Decimal):
        exact = len(low.as_tuple().digits) <= _EXACT and len(high.as_tuple().digits) <= _EXACT
        return (float(low), float(high)) if exact else None
    if isinstance(low, str):
        return (low[:_TEXT], high) if len(high) <= _TEXT else None
    if isinstance(low, dt.datetime):
        return _instant(low, down=True), _instant(high, down=False)
    if isinstance(low, dt.date):
        return low.isoformat(), high.isoformat()
    return None


def _instant(value: dt.datetime, down: bool) -> str:
    """By the millisecond, away from the values between the bounds."""
    rest = value.microsecond % 1000
    if rest:
        value -= dt.timedelta(microseconds=rest)
        if not down:
            value += _MILLISECOND
    text = value.replace(tzinfo=None).isoformat(timespec="milliseconds")
    return f"{text}Z" if value.tzinfo is not None else text


def scan_of(files: Sequence[str], schema: pa.Schema) -> str | None:
    """A read of parquet files in DuckDB's SQL; None when not every column of the schema is in every file."""
    import pyarrow.parquet as pq

    wanted = set(schema.names)
    if not all(Path(file).exists() and wanted <= set(pq.read_schema(file).names) for file in files):
        return None
    listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    columns = ", ".join('"' + name.replace('"', '""') + '"' for name in schema.names)
    return f"(SELECT {columns} FROM read_parquet([{listed}], union_by_name = true, hive_partitioning = false))"


def holds(there: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether a column's type takes the values of another one."""
    if there == wanted or pt.is_string(there) or pt.is_large_string(there):
        return True
    if pt.is_integer(there) and pt.is_integer(wanted):
        return bool(there.bit_width >= wanted.bit_width)
    if pt.is_decimal(there) and pt.is_decimal(wanted):
        places = there.precision - there.scale >= wanted.precision - wanted.scale
        return bool(places and there.scale >= wanted.scale)
    return bool(there.id == wanted.id)
