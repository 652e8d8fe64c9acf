"""The client of every SQL destination that has transactions: tables, jobs and records over a session.

A destination adds three things: the dialect, the session, and `SqlJobClient.insert_file`, its fastest way to bring the
rows of a file into a table inside the open transaction.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from headrace.base import failpoints
from headrace.destinations.sql import ddl, merge
from headrace.destinations.sql.chain import (
    Chain,
    ChainTable,
    build_chain,
    chain_table,
    depth_of,
)
from headrace.destinations.sql.ledger import Ledger
from headrace.destinations.sql.records import Records
from headrace.destinations.sql.scd2 import scd2
from headrace.destinations.sql.session import SqlClient
from headrace.errors.destination import (
    DatabaseException,
    DatabaseUndefinedRelation,
    DestinationCapabilitiesException,
)
from headrace.load.destination import (
    AddColumns,
    AnyChange,
    Client,
    CreateTable,
    DropTable,
    LoadContext,
    StoredSchema,
    StoredState,
)
from headrace.model.jobs import AnyJob, Copy, Job, LoadFile, Merge, Replace, Truncate
from headrace.typing import TTableSchemaColumns

if TYPE_CHECKING:
    from typing_extensions import Self

    from headrace.model.schema import Schema

STRATEGIES: dict[str, Callable[[merge.MergeRun], None]] = {
    "delete-insert": merge.delete_insert,
    "upsert": merge.upsert,
    "insert-only": merge.insert_only,
    "scd2": scd2,
}


class SqlJobClient(Client):
    """A client that keeps its promise by a ledger row in each job's transaction.

    Args:
        session: The session; opened and closed with the client.
        schema: The schema whose naming convention and system tables apply.
        create_indexes: Enforce the ``unique`` hints of new tables.
    """

    def __init__(self, session: SqlClient, schema: Schema, *, create_indexes: bool = False) -> None:
        self.schema = schema
        self.create_indexes = create_indexes
        self._session = session
        self._dialect = session.dialect
        self._ledger = Ledger(session)
        self._records = Records(session, schema)

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

    def drop_dataset(self) -> None:
        """Drop the dataset with all its tables."""
        self._doing(f"dropping dataset `{self._session.dataset_name}`")
        self._session.drop_dataset()

    def describe(self, tables: Sequence[str]) -> dict[str, TTableSchemaColumns | None]:
        """Say which columns each table has; None for a table that does not exist. One query for all."""
        found = self._session.describe_tables(tables)
        return {
            table: {n: self._dialect.column_facts(n, kind, nullable) for n, kind, nullable in found[table]}
            if table in found
            else None
            for table in tables
        }

    def migrate(self, changes: Sequence[AnyChange]) -> None:
        """Apply changes in one transaction; the ledger is made along with the first ones."""
        if not changes:
            return
        names = ", ".join(f"`{name}`" for name in dict.fromkeys(change.table for change in changes))
        self._doing(f"changing tables {names} of dataset `{self._session.dataset_name}`")
        with self.exclusive_ddl(), self._session.begin_transaction():
            for change in changes:
                for statement in self._statements_of(change):
                    self._session.run(statement)
            self._ledger.create()

    def _statements_of(self, change: AnyChange) -> list[str]:
        table = self._session.make_qualified_table_name(change.table)
        if isinstance(change, CreateTable):
            columns = change.schema.get("columns", {})
            return [ddl.create_table(self._dialect, table, columns, unique=self.create_indexes)]
        if isinstance(change, AddColumns):
            return ddl.add_columns(self._dialect, table, change.columns)
        assert isinstance(change, DropTable)
        return [ddl.drop_table(table)]

    @abstractmethod
    def exclusive_ddl(self) -> contextlib.AbstractContextManager[object]:
        """Keep other threads of this process from changing tables inside ``with``."""

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

    def apply(self, job: AnyJob, context: LoadContext) -> int:
        """Run a job, once by its key; returns the rows it moved (0 when the key was known already)."""
        key = context.key(job)
        tables = ", ".join(f"`{name}`" for name in job.tables) or "no table"
        self._doing(f"{job.kind} of {tables} in dataset `{self._session.dataset_name}` (job {key})")
        try:
            rows = self._once(job, context, key)
        except DatabaseUndefinedRelation:
            # tables made by someone else, dlt for one, come without a ledger
            if self._ledger.exists():
                raise
            with self.exclusive_ddl():
                self._ledger.create()
            rows = self._once(job, context, key)
        failpoints.hit("job.committed")
        return rows

    def _once(self, job: AnyJob, context: LoadContext, key: str) -> int:
        try:
            with self._session.begin_transaction():
                self._ledger.enter(key, context.load_id)
                rows = self._work(job, context)
                failpoints.hit("job.before_commit")
            return rows
        except DatabaseUndefinedRelation:
            raise
        except DatabaseException:
            # whatever went wrong, the key tells whether the rows are in: this or another process may have committed
            if self._knows(key):
                return 0
            raise

    def _knows(self, key: str) -> bool:
        try:
            return self._ledger.knows(key)
        except DatabaseException:
            return False

    def _work(self, job: AnyJob, context: LoadContext) -> int:
        if isinstance(job, Copy):
            return self._copy(job.files, context)
        if isinstance(job, Truncate):
            self._empty(job.tables)
            return 0
        if isinstance(job, Replace):
            self._empty(job.tables)
            return self._copy(job.files, context)
        return self._merge(job, context)

    def _copy(self, files: Iterable[LoadFile], context: LoadContext) -> int:
        name = self._session.make_qualified_table_name
        return sum(self.insert_file(file, context, name(file.table), None) for file in files)

    def _empty(self, tables: Sequence[str]) -> None:
        # a nested table of the schema need not exist here: it is made when its first row comes
        present = self._session.describe_tables(tables)
        for table in reversed(list(tables)):
            if table in present:
                self._session.run(self._dialect.empty_table(self._session.make_qualified_table_name(table)))

    def _merge(self, job: Job, context: LoadContext) -> int:
        assert isinstance(job, Merge)
        strategy = STRATEGIES.get(job.strategy)
        if strategy is None:
            raise DestinationCapabilitiesException(
                f"Table `{job.tables[0]}` asks for the merge strategy `{job.strategy}`, which is not known here.",
                fix=f"use one of: {', '.join(STRATEGIES)}",
            )
        chain = self._chain(job, context)
        session = self._session
        for table in chain.tables:
            session.run(self._dialect.temp_like(table.stage.strip('"'), table.columns, table.target))
        by_name = {table.name: table for table in chain.tables}
        rows = 0
        for file in job.files:
            table = by_name[file.table]
            rows += self.insert_file(file, context, table.stage, table.columns)
        run = merge.MergeRun(
            chain=chain,
            dialect=self._dialect,
            run=session.run,
            dataset_name=session.dataset_name,
            schema_name=context.schema.name,
            boundary=dt.datetime.fromtimestamp(context.created_at, dt.timezone.utc),
            cleanup=[f"DROP TABLE {table.stage}" for table in chain.tables],
        )
        strategy(run)
        for statement in run.cleanup:
            session.run(statement)
        return rows

    def _chain(self, job: Job, context: LoadContext) -> Chain:
        """The job's tables that exist, as a chain."""
        schemas = {name: context.schema.tables[name] for name in job.tables}
        present = self._session.describe_tables(job.tables)
        with_rows = {file.table for file in job.files}
        tables: list[ChainTable] = []
        for name in job.tables:
            if name in present or name in with_rows or name == job.tables[0]:
                tables.append(
                    chain_table(
                        schemas[name],
                        target=self._session.make_qualified_table_name(name),
                        stage=self._dialect.quote(f"_hr_stage_{len(tables)}"),
                        present={column: nullable for column, _, nullable in present.get(name, [])},
                        depth=depth_of(schemas[name], schemas),
                    )
                )
        return build_chain(schemas[job.tables[0]], tables)

    # ---- records --------------------------------------------------------------------------------------------------

    def complete(self, context: LoadContext) -> None:
        """Make the load visible in ``_dlt_loads`` and forget its job keys; safe to repeat."""
        self._doing(f"completing load {context.load_id} in dataset `{self._session.dataset_name}`")
        has_ledger = self._ledger.exists()
        with self._session.begin_transaction():
            self._records.add_load(context.load_id, context.schema)
            if has_ledger:
                self._ledger.forget(context.load_id)

    def is_complete(self, load_id: str) -> bool:
        """Whether ``_dlt_loads`` has the load with status 0."""
        return self._records.has_load(load_id)

    def store_schema(self, schema: Schema) -> None:
        """Write the schema into ``_dlt_version`` unless its hash is there."""
        self._doing(f"storing schema `{schema.name}` in dataset `{self._session.dataset_name}`")
        self._records.add_schema(schema)

    def read_schema(self, schema_name: str | None = None, version_hash: str | None = None) -> StoredSchema | None:
        """The newest stored schema of a name, or the one with a hash; None when there is none."""
        return self._records.newest_schema(schema_name, version_hash)

    def read_state(self, pipeline_name: str) -> StoredState | None:
        """The newest pipeline state that belongs to a completed load; None when there is none."""
        return self._records.newest_state(pipeline_name)

    def drop_schema_history(self, schema_name: str) -> None:
        """Delete stored versions of a schema."""
        self._records.drop_schemas(schema_name)

    def _doing(self, what: str) -> None:
        self._session.doing = what
