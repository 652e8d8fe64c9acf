"""The work of one job inside its transaction, and the count of the rows it changed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from headrace.base.strings import digest128
from headrace.destinations.sql import ddl, merge
from headrace.destinations.sql.chain import Chain, ChainTable, build_chain, chain_table, depth_of, keys_of
from headrace.destinations.sql.mergerun import MergeRun, Tally
from headrace.destinations.sql.scd2 import scd2
from headrace.errors.destination import DatabaseTerminalException, DestinationCapabilitiesException
from headrace.model import tables as tb
from headrace.model.changes import RowChanges
from headrace.model.jobs import AnyJob, Copy, Job, LoadFile, Merge, Replace, Truncate

if TYPE_CHECKING:
    from headrace.destinations.sql.session import SqlClient
    from headrace.destinations.sql.undo import Keeper
    from headrace.load.destination import LoadContext

STRATEGIES: dict[str, Callable[[MergeRun], None]] = {
    "delete-insert": merge.delete_insert,
    "upsert": merge.upsert,
    "cdc": merge.cdc,
    "insert-only": merge.insert_only,
    "scd2": scd2,
}

SWAP = "staging-optimized"

InsertFile = Callable[[LoadFile, "LoadContext", str, "Sequence[str] | None"], int]


def expected_changes(job: AnyJob) -> dict[str, RowChanges]:
    """What a job will do, as far as its files tell: a copy appends their rows. Nothing is known of other jobs."""
    if not isinstance(job, Copy):
        return {}
    found: dict[str, int] = {}
    for file in job.files:
        found[file.table] = found.get(file.table, 0) + file.rows
    return {table: RowChanges(inserted=rows) for table, rows in found.items()}


class Work:
    """One job at work.

    Args:
        session: With an open transaction.
        context: The job's package.
        insert_file: Appends a file's rows to a table; returns how many.
        unique: Enforce the ``unique`` hints of tables that are made anew.

    Attributes:
        rows: Rows moved from files.
        tally: What was done to the tables so far.
        keeper: Keeps rows before they are changed, so that the load can be undone; None when nothing is to be kept.
    """

    keeper: Keeper | None = None

    def __init__(
        self, session: SqlClient, context: LoadContext, insert_file: InsertFile, *, unique: bool = False
    ) -> None:
        self._session, self._context, self._insert_file, self._unique = session, context, insert_file, unique
        self.rows = 0
        self.tally = Tally()

    def do(self, job: AnyJob) -> None:
        """Run the job."""
        self._do(job)
        if self.keeper is not None:
            self.keeper.close()

    def _do(self, job: AnyJob) -> None:
        if isinstance(job, Merge):
            self._merge(job)
            return
        if isinstance(job, Replace) and job.strategy == SWAP:
            self._swap(job)
            return
        if not isinstance(job, Copy):
            self._empty(job.tables, job)
        if not isinstance(job, Truncate):
            self._copy(job.files)

    def _copy(self, files: Iterable[LoadFile]) -> None:
        name = self._session.make_qualified_table_name
        for file in files:
            if self.keeper is None:
                rows = self._insert_file(file, self._context, name(file.table), None)
            else:
                rows = self.keeper.append(file, partial(self._insert_to, file))
            self.rows += rows
            self.tally.add(file.table, inserted=rows)

    def _insert_to(self, file: LoadFile, target: str) -> int:
        return self._insert_file(file, self._context, target, None)

    def _empty(self, tables: Sequence[str], job: Job) -> None:
        # a nested table of the schema need not exist here: it is made when its first row comes
        session, dialect = self._session, self._session.dialect
        present = session.describe_tables(tables)
        for table in reversed(list(tables)):
            if table not in present:
                continue
            name = session.make_qualified_table_name(table)
            statement = dialect.truncate_table(name) if isinstance(job, Truncate) else dialect.empty_table(name)
            kept = self.keeper.whole(table, present[table]) if self.keeper is not None else None
            rows = self._count(name) if statement.startswith("TRUNCATE") else None
            deleted = session.run(statement)
            self.tally.add(table, deleted=deleted if rows is None else rows)
            if self.keeper is not None:
                self.keeper.check(table, kept, deleted if rows is None else rows)

    def _count(self, name: str) -> int:
        return int(self._session.fetch(f"SELECT count(*) FROM {name}")[0][0])

    def _swap(self, job: Replace) -> None:
        """Fill new tables and put them in the place of the old ones, which are dropped."""
        session, schema = self._session, self._context.schema
        name, dialect = session.make_qualified_table_name, session.dialect
        present = session.describe_tables(job.tables)
        filled = {file.table for file in job.files}
        for table in [t for t in job.tables if t in present or t in filled]:
            new = f"_hr_new_{digest128(table)}"  # of a length that is allowed wherever the table's is
            facts = schema.tables[table]
            columns = {n: c for n, c in facts.get("columns", {}).items() if ddl.is_complete(c)}
            session.run(ddl.drop_table(name(new)))
            session.run(ddl.create_table(dialect, name(new), columns, unique=self._unique and not dialect.adds_unique))
            for file in (f for f in job.files if f.table == table):
                rows = self._insert_file(file, self._context, name(new), None)
                self.rows += rows
                self.tally.add(table, inserted=rows)
                if self.keeper is not None:
                    self.keeper.fill(table, rows)
            if self._unique and dialect.adds_unique:
                for column in (n for n, c in columns.items() if c.get("unique")):
                    session.run(f"ALTER TABLE {name(new)} ADD UNIQUE ({dialect.quote(column)})")
            if table in present:
                kept = self.keeper.whole(table, present[table]) if self.keeper is not None else None
                deleted = self._count(name(table))
                self.tally.add(table, deleted=deleted)
                if self.keeper is not None:
                    self.keeper.check(table, kept, deleted)
            for statement in dialect.swap_table(name(table), name(new), table):
                session.run(statement)
            for statement in ddl.comments(dialect, name(table), facts.get("description") or None, columns):
                session.run(statement)

    def _merge(self, job: Merge) -> None:
        strategy = STRATEGIES.get(job.strategy)
        if strategy is None:
            raise DestinationCapabilitiesException(
                f"Table `{job.tables[0]}` asks for the merge strategy `{job.strategy}`, which is not known here.",
                fix=f"use one of: {', '.join(STRATEGIES)}",
            )
        session = self._session
        chain = self._chain(job)
        for table in chain.tables:
            made = session.dialect.temp_like(table.stage, table.columns, table.target)
            for statement in session.dialect.keyed_temp(made, table.stage, keys_of(chain, table)):
                session.run(statement)
        by_name = {table.name: table for table in chain.tables}
        for file in job.files:
            table = by_name[file.table]
            self.rows += self._insert_file(file, self._context, table.stage, table.columns)
        if self.keeper is not None:
            self.keeper.watch(chain)
        run = self._merge_run(job, chain)
        try:
            strategy(run)
        except DatabaseTerminalException as error:
            if chain.source_filter or chain.destination_scope:
                error.fix = f"check the SQL of `source_filter` and `destination_scope` of table `{job.tables[0]}`"
            raise
        for statement in run.cleanup:
            session.run(statement)

    def _merge_run(self, job: Merge, chain: Chain) -> MergeRun:
        session, context = self._session, self._context
        return MergeRun(
            chain=chain,
            dialect=session.dialect,
            run=session.run,
            fetch=session.fetch,
            dataset_name=session.dataset_name,
            schema_name=context.schema.name,
            strategy=job.strategy,
            boundary=dt.datetime.fromtimestamp(context.created_at, dt.timezone.utc),
            cleanup=[session.dialect.drop_temp(table.stage) for table in chain.tables],
            loads=(
                session.make_qualified_table_name(context.schema.loads_table_name),
                context.schema.naming.normalize_identifier(tb.C_DLT_LOADS_TABLE_LOAD_ID),
                context.schema.naming.normalize_identifier("inserted_at"),
            ),
            tally=self.tally,
            keeper=self.keeper,
        )

    def _chain(self, job: Job) -> Chain:
        """The job's tables that exist, as a chain."""
        session, schema = self._session, self._context.schema
        schemas = {name: schema.tables[name] for name in job.tables}
        present = session.describe_tables(job.tables)
        with_rows = {file.table for file in job.files}
        tables: list[ChainTable] = []
        for name in job.tables:
            if name in present or name in with_rows or name == job.tables[0]:
                tables.append(
                    chain_table(
                        schemas[name],
                        target=session.make_qualified_table_name(name),
                        stage=session.dialect.temp_name(f"_hr_stage_{len(tables)}"),
                        present=present.get(name, []),
                        depth=depth_of(schemas[name], schemas),
                    )
                )
        named = schema.naming.normalize_identifier
        return build_chain(schemas[job.tables[0]], tables, load_id=named(tb.C_DLT_LOAD_ID), row_id=named(tb.C_DLT_ID))
