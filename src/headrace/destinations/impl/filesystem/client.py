"""The client of folders: jobs become files with names made from the job's key, written whole and overwritten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

from headrace.base import failpoints
from headrace.destinations.impl.filesystem.api import FilesystemApi
from headrace.destinations.impl.filesystem.errors import translated
from headrace.destinations.impl.filesystem.files import TableFiles
from headrace.destinations.impl.filesystem.opentables import OpenTables
from headrace.destinations.impl.filesystem.records import Records
from headrace.destinations.impl.filesystem.store import TEMPORARY, Store, open_store
from headrace.errors.destination import DestinationCapabilitiesException, TableFormatCannotChange
from headrace.load.converge import parse_stored
from headrace.load.destination import (
    AddColumns,
    AlterColumn,
    AnyChange,
    Applied,
    CreateTable,
    DropTable,
    LoadContext,
    StoredSchema,
    StoredState,
    joined,
)
from headrace.model.changes import RowChanges
from headrace.model.jobs import AnyJob, Copy, LoadFile, Merge, Replace, Truncate
from headrace.model.tables import has_seen_data, is_complete_column
from headrace.typing import TTableSchemaColumns

if TYPE_CHECKING:
    from typing_extensions import Self

    from headrace.destinations.impl.filesystem.configuration import FilesystemConfiguration
    from headrace.destinations.impl.filesystem.layout import Layout
    from headrace.model.capabilities import Capabilities
    from headrace.model.schema import Schema


class FilesystemClient(FilesystemApi):
    """A session with a dataset's folder. The store is opened when it is first needed.

    Args:
        settings: The destination's, resolved.
        capabilities: The destination's.
        schema: The tables.
        dataset_name: The dataset: a folder below the root.
        layout: How files are called.
        root: The absolute path of the root, for local files.
    """

    def __init__(
        self,
        settings: FilesystemConfiguration,
        capabilities: Capabilities,
        schema: Schema,
        dataset_name: str,
        layout: Layout,
        root: str,
    ) -> None:
        self.config, self.capabilities, self.schema = settings, capabilities, schema
        self.dataset_name, self.layout, self._root = dataset_name, layout, root
        self._session: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            self._session.close_connection()

    @cached_property
    def store(self) -> Store:
        """The files."""
        with self._translated("opening the store"):
            opened = open_store(self.config, self._root)
        opened.aside = f"{opened.path(self.dataset_name)}/{TEMPORARY}"
        return opened

    @cached_property
    def records(self) -> Records:
        """Loads, schemas and states."""
        return Records(self.store, self.store.path(self.dataset_name), self.schema)

    @property
    def files(self) -> TableFiles:
        """The tables' files."""
        return TableFiles(self.store, self.store.path(self.dataset_name), self.layout, self.schema)

    @property
    def open_tables(self) -> OpenTables:
        """Delta and Iceberg tables."""
        return OpenTables(self.config, self.capabilities, self.store, self.files, self.schema)

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        with translated(doing, f"dataset `{self.dataset_name}` in {self.config.display_url()}"):
            yield

    # ---- dataset and tables ---------------------------------------------------------------------------------------

    def has_dataset(self) -> bool:
        """Whether the dataset was begun."""
        with self._translated("looking for the dataset"):
            return self.store.exists(self.records.init_path)

    def create_dataset(self) -> None:
        """Make the dataset if it is missing."""
        with self._translated("making the dataset"):
            self.records.begin()

    def drop_dataset(self) -> None:
        """Drop the dataset with all its tables."""
        with self._translated("dropping the dataset"):
            for table in list(self.schema.tables):
                if self.open_tables.format_of(table):
                    self.open_tables.table(table).drop()
            self.store.delete_tree(self.dataset_path)

    def describe(self, tables: Sequence[str]) -> dict[str, TTableSchemaColumns | None]:
        """Which columns each table has: those of the newest stored schema; Delta and Iceberg tables are asked."""
        with self._translated("reading the stored schema"):
            before = self._stored()
            known = before.tables if before is not None else {}
            found: dict[str, TTableSchemaColumns | None] = {}
            for name in tables:
                opened = self._in_other_format(name, before) or self.open_tables
                if opened.format_of(name):
                    found[name] = opened.table(name).describe()
                    continue
                table = known.get(name)
                is_there = table is not None and (self.is_dlt_table(name) or has_seen_data(table))
                columns = table.get("columns", {}) if table is not None and is_there else {}
                found[name] = {n: c for n, c in columns.items() if is_complete_column(c)} or None
            return found

    def _stored(self) -> Schema | None:
        stored = self.records.newest_schema(self.schema.name, None)
        return parse_stored(stored.schema) if stored is not None else None

    def _in_other_format(self, name: str, before: Schema | None) -> OpenTables | None:
        """Where the table is if it has rows in another table format than the schema says."""
        if before is None or name not in before.tables or not has_seen_data(before.tables[name]):
            return None
        old = OpenTables(self.config, self.capabilities, self.store, self.files, before)
        have = old.format_of(name)
        if have == self.open_tables.format_of(name):
            return None
        return old if (old.table(name).describe() is not None if have else self.files.of(name)) else None

    def _refuse_other_format(self, name: str, before: Schema | None) -> None:
        """Rows of the old table format would be out of sight, or its log be read as rows."""
        if old := self._in_other_format(name, before):
            raise TableFormatCannotChange(name, old.format_of(name), self.open_tables.format_of(name))

    def migrate(self, changes: Sequence[AnyChange]) -> None:
        """Apply changes: files need none, but for the folder of a new table.

        Raises:
            TableFormatCannotChange: A table has rows in another table format than the schema says.
        """
        self.create_dataset()
        before = self._stored()
        for change in changes:
            with self._translated(f"changing table `{change.table}`"):
                if isinstance(change, DropTable) and (old := self._in_other_format(change.table, before)):
                    if old.format_of(change.table):
                        old.table(change.table).drop()
                    self.files.drop(change.table)
                    continue
                self._refuse_other_format(change.table, before)
                if self.open_tables.format_of(change.table):
                    self._migrate_open(change)
                elif isinstance(change, CreateTable):
                    self.store.make_folder(self.files.folder(change.table))
                elif isinstance(change, DropTable):
                    self.files.drop(change.table)

    def _migrate_open(self, change: AnyChange) -> None:
        table = self.open_tables.table(change.table)
        if isinstance(change, CreateTable):
            table.create(self.prepare_load_table(change.table))
        elif isinstance(change, AddColumns):
            table.evolve(change.columns)
        elif isinstance(change, AlterColumn):
            table.evolve({change.column["name"]: change.column})  # type: ignore[dict-item]
        elif isinstance(change, DropTable):
            table.drop()
            self.files.drop(change.table)

    def empty_tables(self, tables: Sequence[str]) -> None:
        """Delete all rows of tables."""
        for name in tables:
            with self._translated(f"emptying table `{name}`"):
                if self.open_tables.format_of(name):
                    self.open_tables.empty(name)
                else:
                    self.files.empty([name])
        self._tell(dict.fromkeys(tables, "TRUNCATE"))

    # ---- jobs -----------------------------------------------------------------------------------------------------

    def apply(self, job: AnyJob, context: LoadContext) -> Applied:
        """Run a job; running it again writes the same files under the same names."""
        tables = ", ".join(f"`{name}`" for name in job.tables) or "no table"
        with self._translated(f"the {job.kind} of {tables} (job {context.key(job)})"):
            if isinstance(job, Merge):
                applied = self.open_tables.merge(job, context)
            elif isinstance(job, Truncate):
                applied = self._truncate(job, context)
            elif isinstance(job, (Copy, Replace)):
                applied = self._write(job, context)
            else:
                raise DestinationCapabilitiesException(f"The filesystem destination has no {job.kind} jobs.")
        failpoints.hit("job.committed")
        return applied

    def _write(self, job: Copy | Replace, context: LoadContext) -> Applied:
        """New files first, then away with the old ones: a reader may see both for a moment, but never neither."""
        opened = [name for name in job.tables if self.open_tables.format_of(name)]
        plain = [f for f in job.files if f.table not in opened and f.table != self.schema.state_table_name]
        uploads = self.files.plan(_with_files(job, plain), context, self.records.versions()[0] > 1)
        self.files.put(uploads, context.load_id)
        failpoints.hit("files.written")
        if isinstance(job, Replace):
            gone = [name for name in reversed(job.tables) if name not in opened]
            self.files.empty(gone, keep=[upload.target for upload in uploads])
        failpoints.hit("job.before_commit")
        changes = {
            name: RowChanges(_rows(job.files, name), 0, None if isinstance(job, Replace) else 0, 0)
            for name in job.tables
            if name not in opened
        }
        own = Applied(
            rows=sum(file.rows for file in job.files if file.table not in opened),
            changes=changes,
            partitions=self.files.partitions(uploads),
        )
        return joined([own, *(self.open_tables.write(name, job, context) for name in opened)])

    def _truncate(self, job: Truncate, context: LoadContext) -> Applied:
        opened = [name for name in job.tables if self.open_tables.format_of(name)]
        self.files.empty([name for name in job.tables if name not in opened])
        changes = {name: RowChanges(0, 0, None, 0) for name in job.tables if name not in opened}
        return joined([Applied(changes=changes), *(self.open_tables.truncate(n, job, context) for n in opened)])

    # ---- records --------------------------------------------------------------------------------------------------

    def complete(self, context: LoadContext) -> dict[str, Any] | None:
        """Write the state, then the load: with that the load is visible. Safe to repeat."""
        joined = None
        with self._translated(f"completing load {context.load_id}"):
            self.records.begin()
            if context.state is not None:
                joined = self.records.add_state(context.state, context.load_id, context.schema)
            failpoints.hit("complete.state_written")
            self.records.add_load(context.load_id, context.schema)
            self.store.tidy(self.files.temporary(context.load_id))
            if context.state is not None and self.config.max_state_files > 0:
                self.records.prune_states(context.state.pipeline_name, self.config.max_state_files)
        return joined

    def is_complete(self, load_id: str) -> bool:
        """Whether ``_dlt_loads`` has the load."""
        with self._translated("looking for a load"):
            return self.records.has_load(load_id)

    def store_schema(self, schema: Schema) -> None:
        """Write the schema into ``_dlt_version`` unless its hash is there."""
        with self._translated(f"storing schema `{schema.name}`"):
            before = self._stored()
            for name in schema.data_table_names() if schema.name == self.schema.name else ():
                self._refuse_other_format(name, before)
            self.records.begin()
            self.records.add_schema(schema)

    def read_schema(self, schema_name: str | None = None, version_hash: str | None = None) -> StoredSchema | None:
        """The newest stored schema of a name, or the one with a hash; None when there is none."""
        with self._translated("reading a stored schema"):
            return self.records.newest_schema(schema_name, version_hash)

    def newest_schema_hash(self, schema_name: str) -> str | None:
        """The hash of the newest stored schema of a name; None when there is none."""
        with self._translated("looking for stored schemas"):
            return self.records.newest_hash(schema_name)

    def read_state(self, pipeline_name: str) -> StoredState | None:
        """The newest pipeline state that belongs to a completed load; None when there is none."""
        with self._translated("reading the stored state"):
            return self.records.newest_state(pipeline_name)

    def prune_states(self, pipeline_name: str, keep: int) -> None:
        """Delete old states of a pipeline."""
        with self._translated("deleting old states"):
            self.records.prune_states(pipeline_name, keep)

    def drop_schema_history(self, schema_name: str) -> None:
        """Delete stored versions of a schema."""
        with self._translated("deleting stored schemas"):
            self.records.drop_schemas(schema_name)


def _with_files(job: Any, files: list[LoadFile]) -> Any:
    import msgspec

    return msgspec.structs.replace(job, files=files)


def _rows(files: Sequence[LoadFile], table: str) -> int:
    return sum(file.rows for file in files if file.table == table)
