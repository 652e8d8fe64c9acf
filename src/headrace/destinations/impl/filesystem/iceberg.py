"""Iceberg tables: each job is one snapshot, which has the job's key among its properties.

pyiceberg keeps the metadata. Rows are written by pyarrow as a stream, and merges write anew only the files in which a
row has to go (`lakefiles`): pyiceberg's own upsert makes a snapshot a batch and reads what it changes into memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, cast

import pyarrow as pa
import pyarrow.types as pt

from headrace.base import failpoints
from headrace.base.lazy import need
from headrace.columns.coerce import arrow_type
from headrace.destinations.impl.filesystem import lakemerge
from headrace.destinations.impl.filesystem.deltafiles import holds, scan_of
from headrace.destinations.impl.filesystem.lakefiles import LakeVersion, Moved, partitions_told
from headrace.destinations.impl.filesystem.lakerows import rows_as_table
from headrace.destinations.impl.filesystem.laketable import KEY, LakeTable, again_while_moved, from_text, wanted_columns
from headrace.destinations.impl.filesystem.tableformats import ChainTable, RowSource, TablePlace
from headrace.errors.destination import (
    DestinationSchemaWillNotUpdate,
    DestinationTerminalException,
    DestinationTransientException,
    DestinationUndefinedEntity,
    TableFormatNotSupported,
)
from headrace.load.destination import Applied
from headrace.model.changes import RowChanges
from headrace.model.effects import TableVersion
from headrace.typing import TTableSchema, TTableSchemaColumns

_SCHEMES = {"file", "s3", "s3a", "gs", "gcs", "abfs", "abfss"}
PARTITION_HINT = "x-iceberg-partition"
PROPERTIES_HINT = "x-iceberg-table-properties"


class IcebergFormat:
    """Tables of Apache Iceberg."""

    name = "iceberg"
    merge_strategies: tuple[str, ...] = tuple(lakemerge.STRATEGIES)

    def open(self, place: TablePlace, table: TTableSchema) -> IcebergTable:
        """The table at a place."""
        need("pyiceberg", "Iceberg tables", "pyiceberg")
        if place.protocol not in _SCHEMES:
            raise TableFormatNotSupported(
                self.name, place.table_name, f"Iceberg tables cannot be on `{place.protocol}`"
            )
        return IcebergTable(place, table)

    def merge(self, chain: Sequence[ChainTable], strategy: str, key: str) -> Applied:
        """Merge rows into a chain of tables."""
        with translated(cast(LakeTable, chain[0].table).place):
            return lakemerge.merge(chain, strategy, key)


@contextmanager
def translated(place: TablePlace) -> Iterator[None]:
    """pyiceberg's errors as ours."""
    from pyiceberg import exceptions as iceberg

    doing = f"Iceberg table `{place.table_name}` of dataset `{place.dataset_name}`"
    try:
        yield
    except (iceberg.NoSuchTableError, iceberg.NoSuchNamespaceError) as error:
        raise DestinationUndefinedEntity(f"{doing} does not exist.", why=str(error)) from error
    except (
        iceberg.ValidationError,
        iceberg.ForbiddenError,
        iceberg.UnauthorizedError,
        iceberg.BadRequestError,
    ) as error:
        raise DestinationTerminalException(f"{doing} cannot be written.", why=str(error)) from error
    except (
        iceberg.CommitFailedException,
        iceberg.CommitStateUnknownException,
        iceberg.ServerError,
        iceberg.ServiceUnavailableError,
        iceberg.RESTError,
        OSError,
    ) as error:
        raise DestinationTransientException(f"{doing} could not be reached.", why=str(error)) from error


def iceberg_type(column: Mapping[str, Any], place: TablePlace) -> Any:
    """The type of a column in an Iceberg table, which has no more than 38 digits: beyond that it is text."""
    from pyiceberg import types as t

    kind = arrow_type(cast(Any, column), place.capabilities)
    if pt.is_decimal128(kind):
        return t.DecimalType(kind.precision, kind.scale)
    if pt.is_timestamp(kind):
        return t.TimestampType() if kind.tz is None else t.TimestamptzType()
    if column["data_type"] == "bigint":
        return t.IntegerType() if (column.get("precision") or 64) <= 32 else t.LongType()
    simple = {"double": t.DoubleType, "bool": t.BooleanType, "binary": t.BinaryType, "date": t.DateType}
    return {**simple, "time": t.TimeType}.get(column["data_type"], t.StringType)()


class IcebergTable(LakeTable):
    """An Iceberg table at a place, whether it exists or not."""

    @property
    def _identifier(self) -> tuple[str, str]:
        return self.place.dataset_name, self.place.table_name

    def _catalog(self) -> Any:
        from headrace.destinations.impl.filesystem.icebergcatalog import OneTry, open_catalog

        return OneTry(open_catalog(self.place))

    def _load(self) -> Any:
        """The newest version.

        Raises:
            DestinationUndefinedEntity: There is no table.
        """
        catalog = self._catalog()
        with translated(self.place):
            table = catalog.load_table(self._identifier)
        table.catalog = catalog
        return table

    native = _load

    def _find(self) -> Any:
        try:
            return self._load()
        except DestinationUndefinedEntity:
            return None

    def arrow_schema(self) -> pa.Schema | None:
        """Of its rows; None when there is no table."""
        from headrace.destinations.impl.filesystem.icebergfiles import arrow_schema

        table = self._find()
        return None if table is None else arrow_schema(table)

    def version(self) -> LakeVersion:
        """The newest version."""
        from headrace.destinations.impl.filesystem.icebergfiles import IcebergVersion

        return IcebergVersion(self._load())

    def applied_by(self, key: str) -> Applied | None:
        """What the job of a key did; None when the table does not know the key."""
        from headrace.destinations.impl.filesystem.laketable import CHANGES

        for snapshot in reversed(self._load().metadata.snapshots):
            summary = snapshot.summary
            if summary is not None and summary.additional_properties.get(KEY) == key:
                version = TableVersion(str(snapshot.snapshot_id), snapshot.sequence_number or 0)
                return self.applied(0, from_text(summary.additional_properties.get(CHANGES)), version)
        return None

    # ---- columns --------------------------------------------------------------------------------------------------

    def create(self, table: TTableSchema) -> None:
        """Make the table, empty, unless it is there."""
        from pyiceberg.exceptions import NamespaceAlreadyExistsError, TableAlreadyExistsError

        from headrace.destinations.impl.filesystem.icebergcatalog import FolderCatalog, location_of, open_catalog
        from headrace.destinations.impl.filesystem.icebergspec import iceberg_schema, partition_spec

        if self._find() is not None:
            return
        catalog, settings = open_catalog(self.place), self.place.settings
        facts = cast("dict[str, Any]", table)
        schema = iceberg_schema(wanted_columns(table.get("columns", {})), self.place)
        properties = {
            **(getattr(settings, "iceberg_table_properties", None) or {}),
            **(facts.get(PROPERTIES_HINT) or {}),
        }
        with translated(self.place):
            if not isinstance(catalog, FolderCatalog):
                with suppress(NamespaceAlreadyExistsError):
                    own = getattr(settings, "iceberg_namespace_properties", None)
                    catalog.create_namespace(self.place.dataset_name, own or {})
            # or another process makes it
            with suppress(Moved, TableAlreadyExistsError):
                catalog.create_table(
                    self._identifier,
                    schema,
                    location_of(self.place),
                    partition_spec=partition_spec(table, schema, facts.get(PARTITION_HINT)),
                    properties=properties,
                )

    def evolve(self, columns: TTableSchemaColumns) -> None:
        """Add columns that are not there, widen those that can be, and let those be NULL that the schema wants so.

        Raises:
            DestinationSchemaWillNotUpdate: A column cannot be widened to its type.
        """
        with self.commits(), translated(self.place):
            again_while_moved(self.place, lambda: self._evolve(columns))

    def _evolve(self, columns: TTableSchemaColumns) -> None:
        from pyiceberg.io.pyarrow import schema_to_pyarrow
        from pyiceberg.schema import Schema, promote
        from pyiceberg.types import NestedField

        table = self._load()
        there = {field.name: field for field in table.schema().fields}
        with table.update_schema() as update:
            for name, column in wanted_columns(columns).items():
                kind = iceberg_type(column, self.place)
                if name not in there:
                    update.add_column(name, kind)
                    continue
                old = there[name]
                pair = Schema(NestedField(1, "old", old.field_type), NestedField(2, "new", kind))
                if not holds(*schema_to_pyarrow(pair, include_field_ids=False).types):
                    try:
                        promote(old.field_type, kind)
                    except Exception as error:
                        raise DestinationSchemaWillNotUpdate(
                            self.place.table_name, [name], f"Iceberg does not widen {old.field_type} to {kind}"
                        ) from error
                    update.update_column(name, field_type=kind)
                if old.required and column.get("nullable", True):
                    update.make_column_optional(name)

    # ---- rows -----------------------------------------------------------------------------------------------------

    def append(self, rows: RowSource, key: str) -> Applied:
        """Add rows in one snapshot, once by the key."""
        return self._put(rows, key, instead=False)

    def replace(self, rows: RowSource | None, key: str) -> Applied:
        """Put rows in the place of all rows in one snapshot, once by the key."""
        return self._put(rows, key, instead=True)

    def _put(self, rows: RowSource | None, key: str, instead: bool) -> Applied:
        with translated(self.place):
            known = self.applied_by(key)
            if known is not None:
                return known
            version = self.version()
            files = version.new_files()
            try:
                if rows is not None:
                    for batch in rows_as_table(rows, version.schema, self.place.table_name):
                        files.write(batch)
                written = files.close()
            except BaseException:
                files.abort()
                raise
            with self.commits():
                return again_while_moved(self.place, lambda: self._commit(written, key, instead, version.schema))

    def _commit(self, written: Sequence[Any], key: str, instead: bool, schema: pa.Schema) -> Applied:
        known = self.applied_by(key)
        if known is not None:
            return known
        version = self.version()
        if not version.schema.equals(schema):
            raise DestinationTransientException(f"Table `{self.place.table_name}` got other columns meanwhile.")
        removed = list(version.files()) if instead else []
        gone = sum(file.rows for file in removed)
        inserted = sum(file.rows for file in written)
        changes, made = RowChanges(inserted=inserted, deleted=gone), None
        if written or removed:
            failpoints.hit("job.before_commit")
            made = version.commit(removed, written, key, changes)
        return self.applied(inserted, changes, made, partitions_told(version, written))

    def drop(self) -> None:
        """Delete the table, its files and its entry in the catalog; quiet when there is none."""
        from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

        catalog = self._catalog()
        with translated(self.place):
            with suppress(NoSuchTableError, NoSuchNamespaceError):
                if getattr(self.place.settings, "iceberg_use_catalog_purge", False):
                    catalog.purge_table(self._identifier)
                else:
                    catalog.drop_table(self._identifier)
            from headrace.destinations.impl.filesystem.icebergcatalog import FolderCatalog

            FolderCatalog(self.place).drop_table(self._identifier)

    def arrow_dataset(self) -> Any | None:
        """A dataset of the newest version; None where files have to be put right while they are read."""
        from headrace.destinations.impl.filesystem.icebergfiles import IcebergVersion

        return IcebergVersion(self._load()).dataset()

    def duckdb_scan(self) -> str | None:
        """The files of the newest version, if they are on this disk with all columns and no row of them is deleted."""
        if self.place.protocol != "file":
            return None
        version = self.version()
        files = list(version.files())
        if not files or any(file.native.delete_files for file in files):
            return None
        return scan_of([file.path.removeprefix("file://") for file in files], version.schema)
