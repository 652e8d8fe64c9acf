"""Delta and Iceberg tables of a dataset: from jobs to calls of `tableformats`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from headrace.destinations.impl.filesystem.tableformats import (
    ChainTable,
    FormatTable,
    RowSource,
    TableFormat,
    TablePlace,
    table_format,
)
from headrace.errors.destination import DestinationInvalidFileFormat
from headrace.load.destination import Applied
from headrace.typing import TTableSchema

if TYPE_CHECKING:
    import pyarrow as pa

    from headrace.destinations.impl.filesystem.configuration import FilesystemConfiguration
    from headrace.destinations.impl.filesystem.files import TableFiles
    from headrace.destinations.impl.filesystem.store import Store
    from headrace.load.destination import LoadContext
    from headrace.model.capabilities import Capabilities
    from headrace.model.jobs import Copy, LoadFile, Merge, Replace, Truncate
    from headrace.model.schema import Schema

PLAIN = ("native", "hive", "parquet")
_HINTS = ("write_disposition", "table_format", "x-merge-strategy", "x-replace-strategy")


class OpenTables:
    """The tables of a schema that are kept in a table format.

    Args:
        settings: The destination's.
        capabilities: The destination's.
        store: Where.
        files: Tells the folders of tables.
        schema: The tables.
    """

    def __init__(
        self,
        settings: FilesystemConfiguration,
        capabilities: Capabilities,
        store: Store,
        files: TableFiles,
        schema: Schema,
    ) -> None:
        self._settings, self._capabilities = settings, capabilities
        self._store, self._files, self._schema = store, files, schema
        self._formats: dict[str, TableFormat] = {}

    def format_of(self, table: str) -> str | None:
        """The table format of a table; None for plain files. Nested tables have that of their root."""
        if table not in self._schema.tables or self._schema.is_dlt_table(table):
            return None
        own = self._schema.tables[table].get("table_format")
        found = own or self._schema.get_root_table(table).get("table_format")
        return None if found in PLAIN else found

    def _format(self, table: str) -> TableFormat:
        name = self.format_of(table) or ""
        if name not in self._formats:
            self._formats[name] = table_format(name, table)
        return self._formats[name]

    def place(self, table: str) -> TablePlace:
        """Where a table is."""
        store, folder = self._store, self._files.folder(table)
        dataset = store.aside.rpartition("/")[0]
        is_local = store.protocol == "file"
        return TablePlace(
            url=folder if is_local else store.url_of(folder),
            protocol=store.protocol,
            dataset_name=dataset.rpartition("/")[2],
            dataset_url=dataset if is_local else store.url_of(dataset),
            table_name=table,
            credentials=self._settings.credentials,
            storage_options=self._settings.deltalake_storage_options or {},
            settings=self._settings,
            capabilities=self._capabilities,
        )

    def schema_of(self, table: str) -> TTableSchema:
        """A table's schema with the hints it has from its root."""
        found: dict[str, Any] = dict(self._schema.tables[table])
        root: Mapping[str, Any] = self._schema.get_root_table(table)
        for hint in _HINTS:
            if hint not in found and hint in root:
                found[hint] = root[hint]
        return cast(TTableSchema, found)

    def table(self, name: str) -> FormatTable:
        """A table by its name."""
        return self._format(name).open(self.place(name), self.schema_of(name))

    # ---- jobs -----------------------------------------------------------------------------------------------------

    def write(self, name: str, job: Copy | Replace, context: LoadContext) -> Applied:
        """The part of an append or a replacement that concerns one table."""
        from headrace.model.jobs import Replace

        rows, key = row_source(name, job.files, context), _key(context, job.id, name)
        if isinstance(job, Replace):
            return self.table(name).replace(rows, key)
        return self.table(name).append(rows, key) if rows is not None else Applied()

    def truncate(self, name: str, job: Truncate, context: LoadContext) -> Applied:
        """Empty one table of a job."""
        return self.table(name).replace(None, _key(context, job.id, name))

    def empty(self, name: str) -> None:
        """Delete all rows of a table, outside of a load."""
        from headrace.base.ids import new_file_id

        self.table(name).replace(None, f"empty.{new_file_id()}")

    def merge(self, job: Merge, context: LoadContext) -> Applied:
        """Merge into a chain."""
        chain = [
            ChainTable(table=self.table(name), schema=self.schema_of(name), rows=row_source(name, job.files, context))
            for name in job.tables
        ]
        return self._format(job.tables[0]).merge(chain, job.strategy, context.key(job))


def _key(context: LoadContext, job_id: str, table: str) -> str:
    return f"{context.load_id}.{job_id}.{table}"


def row_source(table: str, files: Sequence[LoadFile], context: LoadContext) -> RowSource | None:
    """The rows of a table in the files of a job; None when there are none."""
    own = [file for file in files if file.table == table]
    if not own:
        return None
    renames = context.renames.get(table, {})
    schema = _unified([_schema_of(context.path / file.path, file, renames) for file in own])

    def read() -> pa.RecordBatchReader:
        import pyarrow as pa

        batches = (b for file in own for b in _batches(context.path / file.path, file, renames, schema))
        return pa.RecordBatchReader.from_batches(schema, batches)

    return RowSource(read=read, schema=schema, rows=sum(file.rows for file in own))


def _unified(schemas: Sequence[pa.Schema]) -> pa.Schema:
    import pyarrow as pa

    return pa.unify_schemas(schemas, promote_options="permissive")


def _schema_of(path: Path, file: LoadFile, renames: Mapping[str, str]) -> pa.Schema:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if file.format == "parquet":
        found = pq.read_schema(path)
    elif file.format == "arrow":
        with pa.OSFile(str(path)) as opened, pa.ipc.open_stream(opened) as stream:
            found = stream.schema
    else:
        raise DestinationInvalidFileFormat("filesystem", file.format, file.path, "a table format takes parquet")
    return pa.schema([field.with_name(renames.get(field.name, field.name)) for field in found])


def _batches(path: Path, file: LoadFile, renames: Mapping[str, str], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def shaped(batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = {
            renames.get(name, name): array for name, array in zip(batch.schema.names, batch.columns, strict=True)
        }
        arrays = [
            columns[field.name].cast(field.type) if field.name in columns else pa.nulls(batch.num_rows, field.type)
            for field in schema
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    if file.format == "parquet":
        with pq.ParquetFile(path) as opened:
            yield from map(shaped, opened.iter_batches())
    else:
        with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as stream:
            yield from map(shaped, stream)
