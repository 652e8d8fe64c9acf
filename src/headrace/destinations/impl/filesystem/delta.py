"""Delta tables: each job is one commit, which remembers the job's key as an application transaction.

Rows are appended by deltalake itself, as a stream. Merges write anew the files in which a row has to go
(`lakefiles`), and commit what goes and what comes at once through deltalake, which keeps the log.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.fs
import pyarrow.types as pt

from headrace.base import failpoints
from headrace.base.lazy import need
from headrace.columns.coerce import arrow_type
from headrace.columns.handover import has_nested_struct
from headrace.destinations.impl.filesystem import lakemerge
from headrace.destinations.impl.filesystem.deltaerrors import translated
from headrace.destinations.impl.filesystem.deltafiles import (
    DeltaVersion,
    PartitionsSeen,
    delta_version,
    holds,
    scan_of,
)
from headrace.destinations.impl.filesystem.lakefiles import Moved
from headrace.destinations.impl.filesystem.lakerows import Remembered, rows_as_table
from headrace.destinations.impl.filesystem.laketable import (
    CHANGES,
    KEY,
    LakeTable,
    again_while_moved,
    from_text,
    to_text,
    wanted_columns,
)
from headrace.destinations.impl.filesystem.tableformats import ChainTable, RowSource, TablePlace
from headrace.errors.destination import (
    DestinationSchemaWillNotUpdate,
    DestinationUndefinedEntity,
    TableFormatNotSupported,
)
from headrace.load.destination import Applied
from headrace.model.changes import RowChanges
from headrace.typing import TTableSchema, TTableSchemaColumns

# how long a table remembers the keys of jobs; without it the log would keep them for ever
RETENTION = {"delta.setTransactionRetentionDuration": "interval 30 days"}
_READABLE = {"timestampNtz", "vacuumProtocolCheck", "v2Checkpoint", "appendOnly"}
_WRITABLE = _READABLE | {"invariants", "checkConstraints", "changeDataFeed", "domainMetadata", "clustering"}
# of these the switch counts: newer protocols name them as features whether they are used or not
_SWITCHES = ("delta.appendOnly", "delta.enableChangeDataFeed", "delta.columnMapping.mode", "delta.enableRowTracking")
_SCHEMES = {"file", "s3", "s3a", "gs", "gcs", "az", "azure", "abfs", "abfss", "adl"}


class DeltaFormat:
    """Tables of Delta Lake."""

    name = "delta"
    merge_strategies: tuple[str, ...] = tuple(lakemerge.STRATEGIES)

    def open(self, place: TablePlace, table: TTableSchema) -> DeltaTable:
        """The table at a place."""
        need("deltalake", "Delta tables", "deltalake")
        if place.protocol not in _SCHEMES:
            raise TableFormatNotSupported(self.name, place.table_name, f"Delta tables cannot be on `{place.protocol}`")
        return DeltaTable(place, table)

    def merge(self, chain: Sequence[ChainTable], strategy: str, key: str) -> Applied:
        """Merge rows into a chain of tables."""
        with translated(cast(LakeTable, chain[0].table).place):
            for part in chain:
                cast(DeltaTable, part.table).check_mergeable()
            return lakemerge.merge(chain, strategy, key)


def commit_properties(key: str, metadata: dict[str, str], tries: int | None = 0) -> Any:
    """Properties of a commit that remembers a key; without tries it is only made if the version read is the newest."""
    deltalake = need("deltalake", "Delta tables", "deltalake")
    keys = [deltalake.Transaction(key, 1)]
    return deltalake.CommitProperties(custom_metadata=metadata, max_commit_retries=tries, app_transactions=keys)


@contextmanager
def moved_if_conflict() -> Iterator[None]:
    """Tell `Moved` when another writer was faster."""
    from deltalake.exceptions import CommitFailedError, DeltaError

    try:
        yield
    except CommitFailedError as error:
        raise Moved from error
    except DeltaError as error:
        if re.search(
            r"version .* already exists|transaction conflict|conflicting|max_commit_retries", str(error), re.I
        ):
            raise Moved from error
        raise


def delta_type(column: Mapping[str, Any], place: TablePlace) -> pa.DataType:
    """The Arrow type of a column in a Delta table; times of day and more than 38 digits are text there.

    Args:
        column: Of the schema.
        place: For the capabilities.
    """
    kind = arrow_type(cast(Any, column), place.capabilities)
    if pt.is_time(kind) or pt.is_decimal256(kind):
        return pa.string()
    if pt.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    bits = column.get("precision") if column["data_type"] == "bigint" else None
    if bits is not None and bits <= 32:
        return pa.int8() if bits <= 8 else pa.int16() if bits <= 16 else pa.int32()
    return kind


class DeltaTable(LakeTable):
    """A Delta table at a place, whether it exists or not."""

    def storage_options(self) -> dict[str, str]:
        """For deltalake: what follows from the credentials, and over it what the user gave."""
        credentials = self.place.credentials
        convert = getattr(credentials, "to_object_store_rs_credentials", None)
        found = dict(convert()) if convert is not None else {}
        return {k: str(v) for k, v in {**found, **self.place.storage_options}.items() if v is not None}

    def _uri(self) -> str:
        return Path(self.place.url).as_uri() if self.place.protocol == "file" else self.place.url

    def _load(self) -> Any:
        """The newest version.

        Raises:
            DestinationUndefinedEntity: There is no table.
        """
        deltalake = need("deltalake", "Delta tables", "deltalake")
        with translated(self.place):
            return deltalake.DeltaTable(self._uri(), storage_options=self.storage_options())

    def _find(self) -> Any:
        if self.place.protocol == "file" and not Path(self.place.url, "_delta_log").is_dir():
            return None
        try:
            return self._load()
        except DestinationUndefinedEntity:
            return None

    native = _load

    def arrow_schema(self) -> pa.Schema | None:
        """Of its rows; None when there is no table."""
        table = self._find()
        return None if table is None else pa.schema(table.schema().to_arrow())

    def version(self) -> DeltaVersion:
        """The newest version."""
        from deltalake.fs import DeltaStorageHandler

        table = self._load()
        self._check(table, _READABLE, "reader_features")
        options = self.storage_options() or None
        handler = DeltaStorageHandler.from_table(table._table, options)
        return DeltaVersion(table, pyarrow.fs.PyFileSystem(handler))

    def _check(self, table: Any, known: set[str], kind: str) -> None:
        unknown = set(getattr(table.protocol(), kind) or ()) - known
        if unknown:
            raise TableFormatNotSupported(
                "delta", self.place.table_name, f"the table uses {', '.join(sorted(unknown))}, which is not known here"
            )

    def check_mergeable(self) -> None:
        """Refuse tables whose features a merge would not keep: appends and replacements leave those to deltalake.

        Raises:
            TableFormatNotSupported: There is one; the text names it.
        """
        table = self._load()
        self._check(table, _WRITABLE, "writer_features")
        configuration = table.metadata().configuration
        kept = [n for n in configuration if n.startswith("delta.constraints.")]
        kept += [n for n in _SWITCHES if str(configuration.get(n)).lower() not in ("none", "false")]
        if kept:
            raise TableFormatNotSupported(
                "delta", self.place.table_name, f"a merge does not keep the table's {', '.join(kept)}"
            )

    def applied_by(self, key: str) -> Applied | None:
        """What the job of a key did; None when the table does not know the key."""
        table = self._load()
        if table.transaction_version(key) is None:
            return None
        for entry in table.history(50):
            if entry.get(KEY) == key:
                made = entry.get("version")
                version = delta_version(made) if isinstance(made, int) else None
                return self.applied(0, from_text(entry.get(CHANGES)), version)
        return self.applied(0, RowChanges(None, None, None, None), None)

    # ---- columns --------------------------------------------------------------------------------------------------

    def _fields(self, columns: TTableSchemaColumns) -> list[pa.Field]:
        return [
            pa.field(name, delta_type(column, self.place), bool(column.get("nullable", True)))
            for name, column in wanted_columns(columns).items()
        ]

    def create(self, table: TTableSchema) -> None:
        """Make the table, empty, unless it is there."""
        deltalake = need("deltalake", "Delta tables", "deltalake")
        columns = table.get("columns", {})
        with translated(self.place):
            deltalake.DeltaTable.create(
                self._uri(),
                schema=deltalake.Schema.from_arrow(pa.schema(self._fields(columns))),
                mode="ignore",
                partition_by=[name for name, column in wanted_columns(columns).items() if column.get("partition")],
                configuration={**RETENTION, **(getattr(self.place.settings, "deltalake_configuration", None) or {})},
                storage_options=self.storage_options(),
            )

    def evolve(self, columns: TTableSchemaColumns) -> None:
        """Add columns that are not there, and let columns be NULL that the schema wants so; types do not change.

        Raises:
            DestinationSchemaWillNotUpdate: A column would have to be wider; deltalake cannot do that.
        """
        with self.commits():
            again_while_moved(self.place, lambda: self._evolve(columns))

    def _evolve(self, columns: TTableSchemaColumns) -> None:
        deltalake = need("deltalake", "Delta tables", "deltalake")
        table = self._load()
        present = pa.schema(table.schema().to_arrow())
        fields = self._fields(columns)
        there = {name: present.field(name) for name in present.names}
        narrow = [f.name for f in fields if f.name in there and not holds(there[f.name].type, f.type)]
        if narrow:
            raise DestinationSchemaWillNotUpdate(
                self.place.table_name, narrow, "the type of a column of a Delta table cannot be changed in place"
            )
        new = [f.with_nullable(True) for f in fields if f.name not in there]
        with translated(self.place), moved_if_conflict():
            if new:
                self._allow(table, new)
                table.alter.add_columns(list(deltalake.Schema.from_arrow(pa.schema(new)).fields))
            for field in fields:
                if field.nullable and field.name in there and not there[field.name].nullable:
                    table.alter.drop_column_not_null(field.name)

    def _allow(self, table: Any, new: list[pa.Field]) -> None:
        """Instants without a zone are a feature that older tables have not."""
        deltalake = need("deltalake", "Delta tables", "deltalake")
        naive = any(pt.is_timestamp(f.type) and f.type.tz is None for f in new)
        if naive and "timestampNtz" not in (table.protocol().writer_features or ()):
            feature = deltalake.TableFeatures.TimestampWithoutTimezone
            table.alter.add_feature(feature, allow_protocol_versions_increase=True)

    # ---- rows -----------------------------------------------------------------------------------------------------

    def append(self, rows: RowSource, key: str) -> Applied:
        """Add rows in one commit, once by the key."""
        changes = RowChanges(inserted=rows.rows)
        return self._once(key, lambda: self._write(rows, key, changes, "append"))

    def replace(self, rows: RowSource | None, key: str) -> Applied:
        """Put rows in the place of all rows in one commit, once by the key."""
        return self._once(key, lambda: self._replace(rows, key))

    def _once(self, key: str, act: Any) -> Applied:
        def attempt() -> Applied:
            known = self.applied_by(key)
            if known is not None:
                return known
            done: Applied = act()
            return done

        with self.commits(), translated(self.place):
            return again_while_moved(self.place, attempt)

    def _replace(self, rows: RowSource | None, key: str) -> Applied:
        actions = pa.table(self._load().get_add_actions(flatten=True))
        had = actions.column("num_records").to_pylist() if actions.num_rows else []
        changes = RowChanges(
            inserted=rows.rows if rows is not None else 0, deleted=None if None in had else sum(map(int, had))
        )
        if rows is not None:
            return self._write(rows, key, changes, "overwrite")
        table = self._load()
        properties = commit_properties(key, {KEY: key, CHANGES: to_text(changes)})
        failpoints.hit("job.before_commit")
        with moved_if_conflict():
            partitions = list(table.metadata().partition_columns) or None
            table.create_write_transaction(
                [], "overwrite", table.schema(), partition_by=partitions, commit_properties=properties
            )
        return self.applied(0, changes, delta_version(table.version() + 1))

    def _write(self, rows: RowSource, key: str, changes: RowChanges, mode: str) -> Applied:
        deltalake = need("deltalake", "Delta tables", "deltalake")
        table = self._load()
        schema = pa.schema(table.schema().to_arrow())
        failpoints.hit("job.before_commit")
        seen = PartitionsSeen(table.metadata().partition_columns, rows_as_table(rows, schema, self.place.table_name))
        stream = Remembered(seen)
        # what is only added does not mind what others do meanwhile; a second writer with the same key is refused
        tries = None if mode == "append" else 0
        try:
            with moved_if_conflict():
                deltalake.write_deltalake(
                    table,
                    pa.RecordBatchReader.from_batches(schema, stream),
                    mode=mode,
                    commit_properties=commit_properties(key, {KEY: key, CHANGES: to_text(changes)}, tries),
                )
        except Exception as error:  # noqa: BLE001 - the stream's own error comes back as a text of the library
            raise stream.error or error from None
        return self.applied(changes.inserted or 0, changes, delta_version(table.version()), seen.found)

    def drop(self) -> None:
        """Delete the table's folder; quiet when there is none."""
        if self.place.protocol == "file":
            shutil.rmtree(self.place.url, ignore_errors=True)
            return
        if (table := self._find()) is None:
            return
        from deltalake.fs import DeltaStorageHandler

        filesystem = pyarrow.fs.PyFileSystem(DeltaStorageHandler.from_table(table._table, self.storage_options()))
        selector = pyarrow.fs.FileSelector("", recursive=True)
        files = [f.path for f in filesystem.get_file_info(selector) if f.type == pyarrow.fs.FileType.File]
        # the log goes last and from its end: until then there is a table
        for path in sorted(files, key=lambda p: ("_delta_log" in p, p), reverse=False):
            with suppress(FileNotFoundError):
                filesystem.delete_file(path)

    def arrow_dataset(self) -> Any | None:
        """A dataset of the newest version; None where DuckDB would misread it."""
        found = self.version().dataset()
        return None if any(has_nested_struct(field.type) for field in found.schema) else found

    def duckdb_scan(self) -> str | None:
        """The files of the newest version, when they are on this disk and all columns are in them."""
        if self.place.protocol != "file":
            return None
        table = self._load()
        features = set(table.protocol().reader_features or ())
        files = [
            str(Path(self.place.url, unquote(path)))
            for path in pa.table(table.get_add_actions()).column("path").to_pylist()
        ]
        if table.metadata().partition_columns or features - {"timestampNtz"} or not files:
            return None
        return scan_of(files, pa.schema(table.schema().to_arrow()))
