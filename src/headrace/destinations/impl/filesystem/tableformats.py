"""What a table format (Delta, Iceberg) must offer to the filesystem destination.

The client finds the format of a table by its hint ``table_format`` (nested tables have that of their root), opens the
table at the place where its files would lie, and hands it streams of rows. A format keeps the promise of
`Client.apply` itself: every writing call has a *key*, and a key that the table has seen changes nothing. Where several
tables make a chain, each has its own commit: after a crash the call comes again with the same key, and the tables that
are done already are left alone.

Calls may come from several threads for one table; a lost race against another writer is tried again inside, or raised
as `DestinationTransientException`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from headrace.base.lazy import need
from headrace.errors.destination import TableFormatNotSupported
from headrace.load.destination import Applied
from headrace.typing import TTableSchema, TTableSchemaColumns

if TYPE_CHECKING:
    import pyarrow as pa

    from headrace.model.capabilities import Capabilities

FORMATS: dict[str, str] = {
    "delta": "headrace.destinations.impl.filesystem.delta:DeltaFormat",
    "iceberg": "headrace.destinations.impl.filesystem.iceberg:IcebergFormat",
}
"""Where the class of each format is; it is loaded when a table wants it, and made without arguments."""


class TablePlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a table is and how to get there.

    Attributes:
        url: The table's folder, without a slash at the end: ``s3://bucket/path/dataset/table``, ``az://…``; an absolute
            path (no ``file://``) for the local disk.
        protocol: ``file``, ``s3``, ``gs``, ``az``, ``abfss``, ``sftp``, ``memory``, …
        dataset_name: The dataset: Iceberg's namespace.
        dataset_url: The dataset's folder, as `url`.
        table_name: The table's name.
        credentials: The resolved credentials (`to_object_store_rs_credentials`, `to_pyiceberg_fileio_config`); None for
            the local disk.
        storage_options: ``kwargs``/``client_kwargs`` are for fsspec; this is what the user gave for the format's own
            library (``deltalake_storage_options``).
        settings: The destination's configuration, resolved: ``deltalake_*``, ``iceberg_*``.
        capabilities: Of the destination, for `columns.coerce.arrow_type`.
    """

    url: str
    protocol: str
    dataset_name: str
    dataset_url: str
    table_name: str
    credentials: Any
    storage_options: Mapping[str, Any]
    settings: Any
    capabilities: Capabilities


class RowSource(msgspec.Struct, frozen=True, kw_only=True):
    """Rows on their way into a table, to be read as a stream, as often as needed.

    Attributes:
        read: Opens the rows from the start, as record batches of one schema. Columns have the Arrow types of
            `columns.coerce.arrow_type` (JSON is text); the reader may lack columns of the table, which are null then.
            No batch is a slice, so that it may be handed to any library.
        schema: The stream's schema.
        rows: How many rows there are.
    """

    read: Callable[[], pa.RecordBatchReader]
    schema: pa.Schema
    rows: int


class ChainTable(msgspec.Struct, frozen=True, kw_only=True):
    """One table of a chain that is merged.

    Attributes:
        table: The open table; it exists.
        schema: Its schema with the hints it has from its root. A nested table has ``parent``; its root's key column has
            the hint ``root_key``, its parent's ``parent_key``, its own ``row_key``.
        rows: The rows; None when the load has none for it (rows of retired parents have to go nevertheless).
    """

    table: FormatTable
    schema: TTableSchema
    rows: RowSource | None


class FormatTable(Protocol):
    """One table, whether it exists or not."""

    def describe(self) -> TTableSchemaColumns | None:
        """Its columns; None when there is no table. JSON may be described as text.

        ``nullable`` is told where the table enforces it, and so is the precision of decimals and timestamps.
        """

    def create(self, table: TTableSchema) -> None:
        """Make the table with its columns and partitions, empty, unless it is there (another process may be faster)."""

    def evolve(self, columns: TTableSchemaColumns) -> None:
        """Add columns that are not there, and widen those that can be (``AlterColumn``); safe to repeat."""

    def append(self, rows: RowSource, key: str) -> Applied:
        """Add rows in one commit, once by the key."""

    def replace(self, rows: RowSource | None, key: str) -> Applied:
        """Put rows in the place of all rows in one commit, once by the key; None empties the table."""

    def drop(self) -> None:
        """Delete the table, files and catalog entry; quiet when there is none."""

    def read(self, columns: Sequence[str] | None = None) -> pa.RecordBatchReader:
        """All rows, or some columns of them, as a stream."""

    def native(self) -> Any:
        """The library's own object (``DeltaTable``, ``pyiceberg.table.Table``), for people."""

    def arrow_dataset(self) -> Any | None:
        """A `pyarrow.dataset.Dataset` of the current version, which DuckDB reads as a stream, as often as it likes and
        only the columns it needs; None where only `read` gives the rows right.
        """

    def duckdb_scan(self) -> str | None:
        """What to select from in DuckDB, e.g. ``read_parquet([...])`` over the files of the current version if no rows
        of them are deleted; None where DuckDB is to read the stream of `read`.
        """


class TableFormat(Protocol):
    """A table format.

    Attributes:
        name: ``delta``, ``iceberg``.
        merge_strategies: Those that `merge` has.
    """

    name: str
    merge_strategies: tuple[str, ...]

    def open(self, place: TablePlace, table: TTableSchema) -> FormatTable:
        """The table at a place. Touches nothing; the library may be loaded here.

        Args:
            place: Where.
            table: Its schema with the hints it has from its root; ``partition`` hints of columns, and hints of adapters
                (``x-…``), are in it.

        Raises:
            MissingDependencyException: The library is not installed.
            TableFormatNotSupported: The format cannot be written at such a place.
        """

    def merge(self, chain: Sequence[ChainTable], strategy: str, key: str) -> Applied:
        """Merge rows into a chain of tables, root first in ``chain``, once by the key.

        Each table is committed by itself, nested tables before the root: what the root was is needed to know which
        nested rows have to go. The changes are told by table name.
        """


def table_format(name: str, table_name: str) -> TableFormat:
    """The format of a name.

    Raises:
        TableFormatNotSupported: There is none.
    """
    where = FORMATS.get(name)
    if where is None:
        raise TableFormatNotSupported(name, table_name, f"known formats: {', '.join(FORMATS)}")
    module, _, attribute = where.partition(":")
    made: TableFormat = getattr(need(module, f"{name} tables"), attribute)()
    return made
