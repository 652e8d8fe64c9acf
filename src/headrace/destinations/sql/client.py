"""The client of every SQL destination that has transactions: tables, jobs and records over a session.

A destination adds three things: the dialect, the session, and `SqlJobClient.insert_file`, its fastest way to bring the
rows of a file into a table inside the open transaction.
"""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import msgspec

from headrace.base import failpoints
from headrace.destinations.sql import ddl
from headrace.destinations.sql.jobs import Work, expected_changes
from headrace.destinations.sql.ledger import LEDGER_TABLE, Ledger
from headrace.destinations.sql.records import Records
from headrace.destinations.sql.session import SqlClient
from headrace.destinations.sql.undoclient import UndoingClient
from headrace.errors.base import HeadraceException
from headrace.errors.destination import (
    DatabaseException,
    DatabaseTerminalException,
    DatabaseUndefinedRelation,
    DestinationInvalidFileFormat,
)
from headrace.load.destination import (
    AddColumns,
    AlterColumn,
    AnyChange,
    Applied,
    Client,
    CreateTable,
    DropTable,
    LoadContext,
    SetComments,
    StoredSchema,
    StoredState,
    TableComments,
)
from headrace.load.foresight import Present
from headrace.load.staging import StagedFile, staged_file
from headrace.model.changes import RowChanges
from headrace.model.jobs import AnyJob, Copy, LoadFile, Merge
from headrace.typing import TColumnSchema, TTableSchemaColumns

if TYPE_CHECKING:
    from typing_extensions import Self

    from headrace.model.schema import Schema


class SqlJobClient(UndoingClient, Client):
    """A client that keeps its promise by a ledger row in each job's transaction.

    Args:
        session: The session; opened and closed with the client.
        schema: The schema whose naming convention and system tables apply.
        create_indexes: Enforce the ``unique`` hints of new tables.
    """

    speaks_statements = True
    own_tables = (LEDGER_TABLE,)

    def __init__(self, session: SqlClient, schema: Schema, *, create_indexes: bool = False) -> None:
        self.schema = schema
        self.create_indexes = create_indexes
        self.capabilities = session.capabilities
        self._session = session
        self._dialect = session.dialect
        self._ledger = Ledger(session)
        self._records = Records(session, schema)
        self._queries: dict[str, list[str]] = {}

    @property
    def sql_client(self) -> SqlClient:
        """The session, for people and for the dataset."""
        return self._session

    def __enter__(self) -> Self:
        self._session.open_connection()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close_connection()

    # ---- dataset and tables ---------------------------------------------------------------------------------------

    def has_dataset(self) -> bool:
        """Whether the dataset exists."""
        return self._session.has_dataset()

    def create_dataset(self) -> None:
        """Make the dataset if it is missing."""
        self._doing(f"making dataset `{self._session.dataset_name}`")
        self._session.create_dataset()

    def empty_tables(self, tables: Sequence[str]) -> None:
        """Delete all rows of tables that exist."""
        self._doing(f"emptying tables of dataset `{self._session.dataset_name}`")
        self._session.truncate_tables(*tables)
        self._tell(dict.fromkeys(tables, "TRUNCATE"))

    def drop_dataset(self) -> None:
        """Drop the dataset with all its tables."""
        self._doing(f"dropping dataset `{self._session.dataset_name}`")
        self._session.drop_dataset()
        self._drop_book()

    # ---- what would be done ---------------------------------------------------------------------------------------

    def is_there(self) -> bool:
        """Whether there is a database; False where connecting would make its file."""
        return self._session.is_there()

    def foresee_dataset(self, there: bool) -> list[str]:
        """Statements of `create_dataset`."""
        return self._session.dataset_statements(there)

    def foresee_changes(self, changes: Sequence[AnyChange], present: Present) -> list[str]:
        """Statements of `migrate`, in order."""
        return [*(s for change in changes for s in self._statements_of(change)), self._ledger.making]

    def foresee_job(self, job: AnyJob, context: LoadContext, present: Present) -> list[str]:
        """Statements of a job that make, empty or drop tables. Those of a merge hang on the rows that it meets."""
        if isinstance(job, (Copy, Merge)):
            return []
        from headrace.destinations.sql.rehearsal import rehearsed

        return rehearsed(self._session, job, context, present, self.create_indexes)

    # ---- dataset and tables ---------------------------------------------------------------------------------------

    def describe(self, tables: Sequence[str]) -> dict[str, TTableSchemaColumns | None]:
        """Say which columns each table has; None for a table that does not exist. One query for all."""
        found = self._session.describe_tables(tables)
        return {
            table: {n: self._dialect.column_facts(n, kind, nullable) for n, kind, nullable in found[table]}
            if table in found
            else None
            for table in tables
        }

    def type_of(self, column: TColumnSchema) -> str:
        """The database's type for a column."""
        return self._dialect.column_type(column)

    def has_default(self, table: str, column: str) -> bool:
        """Whether rows may leave out a NOT NULL column."""
        return self._session.has_default(table, column)

    def describe_comments(self, tables: Sequence[str]) -> dict[str, TableComments]:
        """The comments of tables that exist and of their columns."""
        return {name: TableComments(*found) for name, found in self._session.describe_comments(tables).items()}

    def migrate(self, changes: Sequence[AnyChange]) -> None:
        """Apply changes in one transaction; the ledger is made along with the first ones."""
        if not changes:
            return
        names = ", ".join(f"`{name}`" for name in dict.fromkeys(change.table for change in changes))
        self._doing(f"changing tables {names} of dataset `{self._session.dataset_name}`")
        with self.exclusive(), self._session.begin_transaction():
            self._keep_changes(changes)
            for change in changes:
                for statement in self._statements_of(change):
                    self._session.run(statement)
                    failpoints.hit("ddl")
            self._ledger.create()
            failpoints.hit("ddl.before_commit")

    def _statements_of(self, change: AnyChange) -> list[str]:
        table = self._session.make_qualified_table_name(change.table)
        dialect = self._dialect
        if isinstance(change, CreateTable):
            columns, told = change.schema.get("columns", {}), change.schema.get("description") or None
            made = ddl.create_table(dialect, table, columns, unique=self.create_indexes)
            return [made, *(ddl.comments(dialect, table, told, columns) if self.with_comments else [])]
        if isinstance(change, AddColumns):
            columns = change.columns if dialect.adds_if_missing else self._missing(change)
            added = ddl.add_columns(dialect, table, columns)
            return [*added, *(ddl.comments(dialect, table, None, columns) if self.with_comments else [])]
        if isinstance(change, AlterColumn):
            wanted, present = cast("TColumnSchema", change.column), cast("TColumnSchema", change.present)
            flags = {"new_type": change.new_type, "drop_not_null": change.drop_not_null}
            return ddl.alter_column(dialect, table, wanted, present, **flags)
        if isinstance(change, SetComments):
            named: Any = {
                name: {"name": name, "data_type": "text", "description": d} for name, d in change.columns.items()
            }
            return ddl.comments(dialect, table, change.description, named)
        assert isinstance(change, DropTable)
        return [ddl.drop_table(table)]

    def _missing(self, change: AddColumns) -> dict[str, TColumnSchema]:
        """The columns of a change that the table does not have yet."""
        present = {name.casefold() for name, _, _ in self._session.describe_tables([change.table])[change.table]}
        return {name: column for name, column in change.columns.items() if name.casefold() not in present}

    @abstractmethod
    def exclusive(self) -> contextlib.AbstractContextManager[object]:
        """Keep other writers of the dataset from changing tables and stored schemas inside ``with``; may be nested."""

    @abstractmethod
    def exclusive_tables(self, tables: Sequence[str]) -> contextlib.AbstractContextManager[object]:
        """Let no other job that looks at rows before it writes (a merge, a replace) into these tables inside ``with``.

        It is entered before the job's transaction begins, so that the transaction sees what the one before it wrote.
        """

    # ---- jobs -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def insert_file(self, file: LoadFile, context: LoadContext, target: str, columns: Sequence[str] | None) -> int:
        """Append a file's rows to a table inside the open transaction, columns matched by name.

        Args:
            file: The file.
            context: Its package.
            target: The table, ready for a statement.
            columns: The columns the table takes; None lets the database judge.

        Returns:
            The rows it appended.
        """

    def load_staged(self, staged: StagedFile, context: LoadContext, target: str, columns: Sequence[str] | None) -> int:
        """Append the rows of a file in the staging place to a table inside the open transaction.

        Databases that read from buckets themselves tell theirs to, by ``staged.url``, ``staged.format`` and
        ``staged.credentials``. Here the file comes to this machine for that moment and goes the way of any loader file.

        Args:
            staged: The file.
            context: Its package.
            target: The table, ready for a statement.
            columns: The columns the table takes; None lets the database judge.

        Returns:
            The rows it appended.
        """
        with staged.fetched() as path:
            file = msgspec.structs.replace(staged.file, path=str(path), remote="")
            return self.insert_file(file, context, target, columns)

    def _insert(self, file: LoadFile, context: LoadContext, target: str, columns: Sequence[str] | None) -> int:
        before = len(self._session.queries)
        try:
            if file.remote:
                return self.load_staged(staged_file(file, context), context, target, columns)
            return self.insert_file(file, context, target, columns)
        except ValueError as error:
            if isinstance(error, HeadraceException):
                raise
            # so Arrow says that a file is none
            made = DestinationInvalidFileFormat(self._dialect.name, file.format, file.path, str(error))
            raise made from error
        finally:
            if own := self._session.queries[before:]:
                del self._session.queries[before:]
                self._queries.setdefault(file.table, []).extend(own)

    def apply(self, job: AnyJob, context: LoadContext) -> Applied:
        """Run a job, once by its key; tells what it did (no rows when the key was known already)."""
        key = context.key(job)
        tables = ", ".join(f"`{name}`" for name in job.tables) or "no table"
        self._doing(f"{job.kind} of {tables} in dataset `{self._session.dataset_name}` (job {key})")
        self._session.queries, self._queries = [], {}
        try:
            applied = self._once(job, context, key)
        except (DatabaseUndefinedRelation, DatabaseTerminalException):
            # tables made by someone else, dlt for one, come without a ledger, or with one of an earlier version
            with self.exclusive():
                if not self._ledger.mend():
                    raise
            applied = self._once(job, context, key)
        failpoints.hit("job.committed")
        return applied

    def _once(self, job: AnyJob, context: LoadContext, key: str) -> Applied:
        work = Work(self._session, context, self._insert, unique=self.create_indexes)
        expected = expected_changes(job)
        try:
            with self._alone(job), self._session.begin_transaction():
                self._ledger.enter(key, context.load_id, expected)
                work.keeper = self._keeper(job, context)
                work.do(job)
                if work.tally.changes != expected:
                    self._ledger.correct(key, work.tally.changes)
                failpoints.hit("job.before_commit")
            if self._session.queries:
                self._queries[""] = self._session.queries
            return Applied(rows=work.rows, changes=work.tally.changes, queries=self._queries)
        except DatabaseUndefinedRelation:
            raise
        except DatabaseException:
            # whatever went wrong, the key tells whether the rows are in: this or another process may have committed
            known = self._known(key)
            if known is None:
                raise
            return Applied(changes=known)

    def _alone(self, job: AnyJob) -> contextlib.AbstractContextManager[object]:
        """Only appended rows do not mind what others do to the table at the same time."""
        return contextlib.nullcontext() if isinstance(job, Copy) else self.exclusive_tables(job.tables)

    def _known(self, key: str) -> dict[str, RowChanges] | None:
        try:
            return self._ledger.changes_of(key)
        except DatabaseException:
            return None

    # ---- records --------------------------------------------------------------------------------------------------

    def complete(self, context: LoadContext) -> dict[str, Any] | None:
        """Make the load visible in ``_dlt_loads`` and forget its job keys; safe to repeat."""
        self._doing(f"completing load {context.load_id} in dataset `{self._session.dataset_name}`")
        has_ledger = self._ledger.exists()
        states = [self.schema.state_table_name] if context.state is not None else []
        with self.exclusive_tables(states), self._session.begin_transaction():
            joined = self._records.join_state(context.state, context.load_id) if context.state is not None else None
            self._records.add_load(context.load_id, context.schema)
            if has_ledger:
                self._ledger.forget(context.load_id)
            self._end_undo(context)
            failpoints.hit("complete.before_commit")
        return joined

    def is_complete(self, load_id: str) -> bool:
        """Whether ``_dlt_loads`` has the load with status 0."""
        return self._records.has_load(load_id)

    def store_schema(self, schema: Schema) -> None:
        """Write the schema into ``_dlt_version`` unless its hash is there."""
        self._doing(f"storing schema `{schema.name}` in dataset `{self._session.dataset_name}`")
        if self._saver is None:
            self._records.add_schema(schema)
        else:
            with self._session.begin_transaction():
                self._saver.note_schema(self._records, schema)
        failpoints.hit("schema.stored")

    def read_schema(self, schema_name: str | None = None, version_hash: str | None = None) -> StoredSchema | None:
        """The newest stored schema of a name, or the one with a hash; None when there is none."""
        return self._records.newest_schema(schema_name, version_hash)

    def newest_schema_hash(self, schema_name: str) -> str | None:
        """The hash of the newest stored schema of a name; None when there is none."""
        return self._records.newest_hash(schema_name)

    def read_state(self, pipeline_name: str) -> StoredState | None:
        """The newest pipeline state that belongs to a completed load; None when there is none."""
        return self._records.newest_state(pipeline_name)

    def prune_states(self, pipeline_name: str, keep: int) -> None:
        """Delete rows of state of a pipeline, but for the newest ones that belong to completed loads."""
        self._doing(f"deleting old states of `{pipeline_name}` in dataset `{self._session.dataset_name}`")
        self._records.prune_states(pipeline_name, keep)

    def unfinished_loads(self) -> list[str]:
        """Loads with rows in the dataset that were never completed: at work now, or broken off."""
        return self._records.unfinished_loads(self._ledger.table)

    def drop_schema_history(self, schema_name: str) -> None:
        """Delete stored versions of a schema."""
        if self._saver is None:
            self._records.drop_schemas(schema_name)
        else:
            with self._session.begin_transaction():
                self._saver.note_history(self._records, schema_name)
                self._records.drop_schemas(schema_name)

    def _doing(self, what: str) -> None:
        self._session.doing = what
