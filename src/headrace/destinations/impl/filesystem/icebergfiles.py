"""The files of a version of an Iceberg table: read and written by pyarrow, committed by pyiceberg as one snapshot."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.types as pt
from pyiceberg.conversions import from_bytes
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import (
    ArrowScan,
    PyArrowFileIO,
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
    schema_to_pyarrow,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.partitioning import PartitionFieldValue, PartitionKey
from pyiceberg.table import Table
from pyiceberg.table.locations import load_location_provider
from pyiceberg.typedef import Record

from headrace.columns.handover import has_nested_struct
from headrace.destinations.impl.filesystem.icebergspec import transformed
from headrace.destinations.impl.filesystem.lakefiles import FileFacts, NewFiles, Written
from headrace.destinations.impl.filesystem.lakerows import as_table
from headrace.destinations.impl.filesystem.laketable import CHANGES, KEY, to_text
from headrace.destinations.impl.filesystem.splitting import groups_of
from headrace.model.changes import RowChanges
from headrace.model.effects import Partition, TableVersion

BATCH = 32 * 1024
FIELD_ID = b"PARQUET:field_id"
_DAY = dt.date(1970, 1, 1)
_NAIVE = dt.datetime(1970, 1, 1)
_ZONED = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


def arrow_schema(table: Table) -> pa.Schema:
    """The schema of a table's rows, each field with its id."""
    return pa.schema([_plain(field) for field in schema_to_pyarrow(table.schema())])


def _plain(field: pa.Field) -> pa.Field:
    kind = field.type
    if pt.is_large_string(kind):
        kind = pa.string()
    elif pt.is_large_binary(kind):
        kind = pa.binary()
    own = {FIELD_ID: (field.metadata or {})[FIELD_ID]}
    return pa.field(field.name, kind, field.nullable, own)


class IcebergFile:
    """A new data file."""

    def __init__(self, io: Any, path: str, schema: pa.Schema, compression: str) -> None:
        self.path, self.schema, self._io = path, schema, io
        self.options: Mapping[str, Any] = {"compression": compression, "store_decimal_as_integer": True}

    def stream(self) -> Any:
        """A stream for the writer."""
        return self._io.new_output(self.path).create(overwrite=True)


class IcebergVersion:
    """One version of an Iceberg table.

    Args:
        table: Loaded.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self.schema = arrow_schema(table)
        self._ids = {field.name: field.field_id for field in table.schema().fields}
        # a file may lack a column that is its partition
        self._sources = {f.source_id for spec in table.specs().values() for f in spec.fields}
        self._types = {field.field_id: field.field_type for field in table.schema().fields}

    def files(self) -> Iterable[FileFacts]:
        """The data files, with the bounds that the manifests have."""
        for task in self._table.scan().plan_files():
            file, bounds, nulls = task.file, {}, {}
            for name, at in self._ids.items():
                kind = self.schema.field(name).type
                low, high = (file.lower_bounds or {}).get(at), (file.upper_bounds or {}).get(at)
                if low is not None and high is not None and (found := self._bounds(at, kind, low, high)):
                    bounds[name] = found
                if (count := (file.null_value_counts or {}).get(at)) is not None:
                    nulls[name] = count
            yield FileFacts(file.file_path, file.record_count, bounds, nulls, task)

    def _bounds(self, at: int, kind: pa.DataType, low: bytes, high: bytes) -> tuple[Any, Any] | None:
        if not (pt.is_integer(kind) or pt.is_string(kind) or pt.is_date(kind) or pt.is_timestamp(kind)):
            return None
        own: Any = self._types[at]
        return _value(kind, from_bytes(own, low)), _value(kind, from_bytes(own, high))

    def read(self, file: FileFacts, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """A file's rows; columns that it is too old to have are NULL, deleted rows are left out."""
        names = list(columns) if columns is not None else self.schema.names
        schema = pa.schema([self.schema.field(name) for name in names])
        fragment = None if file.native.delete_files else self._fragment(file.path)
        if fragment is not None and self._is_plain(fragment, schema):
            bare = pa.schema([field.remove_metadata() for field in schema])
            scanner = fragment.scanner(
                schema=bare, columns=names, batch_size=BATCH, batch_readahead=2, fragment_readahead=1
            )
            batches = scanner.to_batches()
        else:
            scan = ArrowScan(self._table.metadata, self._table.io, self._table.schema().select(*names), AlwaysTrue())
            batches = scan.to_record_batches([file.native])
        for batch in batches:
            yield as_table(batch, schema, self._table.name()[-1])

    def dataset(self) -> Any | None:
        """All files as one dataset; None where files have to be put right while they are read."""
        schema, fragments = pa.schema([field.remove_metadata() for field in self.schema]), []
        for file in self.files():
            fragment = None if file.native.delete_files else self._fragment(file.path)
            if fragment is None or not self._is_plain(fragment, self.schema):
                return None
            fragments.append(fragment)
        if not fragments or any(has_nested_struct(field.type) for field in schema):
            return None
        return ds.FileSystemDataset(fragments, schema, fragments[0].format, fragments[0].filesystem)

    def _fragment(self, location: str) -> Any:
        io = self._table.io
        if not isinstance(io, PyArrowFileIO):
            return None
        scheme, netloc, path = PyArrowFileIO.parse_location(location, io.properties)
        return ds.ParquetFileFormat().make_fragment(path, filesystem=io.fs_by_scheme(scheme, netloc))

    def _is_plain(self, fragment: Any, wanted: pa.Schema) -> bool:
        """Whether a file has the wanted fields under their names, ids and types; those it lacks must be new ones."""
        by_id = {(f.metadata or {}).get(FIELD_ID): f for f in fragment.physical_schema}
        if None in by_id:
            return False
        for field in wanted:
            own = by_id.get(field.metadata[FIELD_ID])
            if own is None and int(field.metadata[FIELD_ID]) not in self._sources:
                continue
            if own is None or own.name != field.name or own.type != field.type:
                return False
        return True

    # ---- writing --------------------------------------------------------------------------------------------------

    def new_files(self) -> NewFiles:
        """A writer of files."""
        metadata = self._table.metadata
        provider = load_location_provider(metadata.location, metadata.properties)
        codec = metadata.properties.get("write.parquet.compression-codec", "zstd")
        compression = "none" if codec == "uncompressed" else codec

        def open_file(partition: Any) -> IcebergFile:
            name = f"00000-0-{uuid.uuid4()}.parquet"
            key = None if partition is None else self._partition_key(partition)
            path = provider.new_data_location(data_file_name=name, partition_key=key)
            return IcebergFile(self._table.io, path, self.schema, compression)

        return NewFiles(open_file, None if metadata.spec().is_unpartitioned() else self._split)

    def _split(self, batch: pa.RecordBatch) -> Iterator[tuple[tuple[Any, ...], pa.RecordBatch]]:
        schema = self._table.schema()
        keys = []
        for field in self._table.spec().fields:
            source = schema.find_field(field.source_id)
            keys.append(transformed(batch.column(source.name), field.transform, source.field_type))
        for values, rows in groups_of(keys):
            yield values, batch.take(rows)

    def _partition_key(self, values: tuple[Any, ...]) -> PartitionKey:
        spec = self._table.spec()
        fields = [PartitionFieldValue(field, value) for field, value in zip(spec.fields, values, strict=True)]
        return PartitionKey(fields, spec, self._table.schema())

    def partitions_of(self, files: Iterable[FileFacts | Written]) -> Iterator[Partition]:
        """The partitions of files, in words of their columns' types."""
        specs, now = self._table.specs(), self._table.metadata.default_spec_id
        for file in files:
            if isinstance(file, FileFacts):
                entry = file.native.file
                spec, values = specs[entry.spec_id], tuple(entry.partition)
            else:
                spec, values = specs[now], file.partition or ()
            if not spec.is_unpartitioned():
                yield dict(zip((f.name for f in spec.fields), map(self._text, spec.fields, values), strict=True))

    def _text(self, field: Any, value: Any) -> str | None:
        if value is None:
            return None
        return str(field.transform.to_human_string(self._types[field.source_id], value))

    def commit(
        self, removed: Sequence[FileFacts], added: Sequence[Written], key: str, changes: RowChanges
    ) -> TableVersion:
        """Make the next snapshot."""
        properties = {KEY: key, CHANGES: to_text(changes)}
        with self._table.transaction() as transaction:
            update = transaction.update_snapshot(snapshot_properties=properties)
            with update.overwrite() if removed else update.fast_append() as snapshot:
                for facts in removed:
                    snapshot.delete_data_file(facts.native.file)
                for file in added:
                    snapshot.append_data_file(self._data_file(file))
        made = self._table.snapshot_by_id(snapshot.snapshot_id)
        return TableVersion(str(snapshot.snapshot_id), made.sequence_number or 0 if made is not None else 0)

    def _data_file(self, file: Written) -> DataFile:
        metadata, schema = self._table.metadata, self._table.schema()
        statistics = data_file_statistics_from_parquet_metadata(
            parquet_metadata=file.metadata,
            stats_columns=compute_statistics_plan(schema, metadata.properties),
            parquet_column_mapping=parquet_path_to_id_mapping(schema),
        )
        return DataFile.from_args(
            content=DataFileContent.DATA,
            file_path=file.path,
            file_format=FileFormat.PARQUET,
            partition=Record() if file.partition is None else self._partition_key(file.partition).partition,
            file_size_in_bytes=file.size,
            sort_order_id=None,
            spec_id=metadata.default_spec_id,
            equality_ids=None,
            key_metadata=None,
            **statistics.to_serialized_dict(),
        )


def _value(kind: pa.DataType, bound: Any) -> Any:
    """A bound as Python has it: Iceberg counts days and microseconds."""
    if pt.is_date(kind):
        return _DAY + dt.timedelta(days=bound)
    if pt.is_timestamp(kind):
        return (_NAIVE if kind.tz is None else _ZONED) + dt.timedelta(microseconds=bound)
    return bound
