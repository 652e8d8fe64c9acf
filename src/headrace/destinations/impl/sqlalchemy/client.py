"""The client of databases behind SQLAlchemy: what the SQL family leaves open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

from headrace.destinations.impl.sqlalchemy.bulk import Insert
from headrace.destinations.impl.sqlalchemy.dialects.base import SqlalchemyDialect
from headrace.destinations.impl.sqlalchemy.files import batches_of
from headrace.destinations.impl.sqlalchemy.session import SqlalchemyClient
from headrace.destinations.sql import ddl
from headrace.destinations.sql.client import SqlJobClient
from headrace.destinations.sql.ledger import LEDGER_TABLE
from headrace.destinations.sql.models import insert_model
from headrace.errors.destination import DestinationInvalidFileFormat
from headrace.formats.sqlmodel import FORMAT
from headrace.load.destination import (
    AddColumns,
    AlterColumn,
    AnyChange,
    CreateTable,
    DropTable,
    LoadContext,
    SetComments,
)
from headrace.load.foresight import Present
from headrace.model.jobs import LoadFile
from headrace.model.schema import Schema
from headrace.typing import TColumnSchema, TTableSchemaColumns

_TABLES = "\0tables"


class SqlalchemyJobClient(SqlJobClient):
    """Loads packages into a database behind SQLAlchemy.

    Args:
        session: The session.
        schema: Whose naming convention and system tables apply.
        create_indexes: Enforce ``unique`` hints.
        create_primary_keys: Give new tables a primary key.
    """

    _session: SqlalchemyClient
    _dialect: SqlalchemyDialect

    def __init__(
        self,
        session: SqlalchemyClient,
        schema: Schema,
        *,
        create_indexes: bool = False,
        create_primary_keys: bool = False,
    ) -> None:
        super().__init__(session, schema, create_indexes=create_indexes)
        self.create_primary_keys = create_primary_keys

    # ---- tables ---------------------------------------------------------------------------------------------------

    def type_of(self, column: TColumnSchema) -> str:
        """The database's type for a column, as far as it makes a difference there."""
        return self._dialect.storage_class(column)

    def migrate(self, changes: Sequence[AnyChange]) -> None:
        """Apply changes. Where the database commits each by itself, a repetition finds what is there and goes on."""
        if not changes:
            return
        names = ", ".join(f"`{name}`" for name in dict.fromkeys(change.table for change in changes))
        self._doing(f"changing tables {names} of dataset `{self._session.dataset_name}`")
        with self.exclusive(), self._session.begin_transaction():
            present = self._session.describe_tables([change.table for change in changes])
            for change in changes:
                for statement in self._needed(change, present):
                    self._session.run(statement)
            self._ledger.mend()

    def foresee_changes(self, changes: Sequence[AnyChange], present: Present) -> list[str]:
        """Statements of `migrate`, in order."""
        there = {table: [(name, "", True) for name in columns] for table, columns in present.items() if columns}
        ledger = there.get(LEDGER_TABLE)
        mending = self._ledger.mending(None if ledger is None else [name for name, _, _ in ledger])
        return [*(s for change in changes for s in self._needed(change, there)), *mending]

    def _needed(self, change: AnyChange, present: dict[str, list[tuple[str, str, bool]]]) -> list[str]:
        """Statements for what of a change is still to be done."""
        there = present.get(change.table)
        table = self._session.make_qualified_table_name(change.table)
        dialect = self._dialect
        if isinstance(change, CreateTable) and there is None:
            return self._create(table, change.schema)
        if isinstance(change, (CreateTable, AddColumns)):
            columns = change.schema.get("columns", {}) if isinstance(change, CreateTable) else change.columns
            known = {name.casefold() for name, _, _ in there or ()}
            missing = [c for n, c in columns.items() if n.casefold() not in known and ddl.is_complete(c)]
            added = [dialect.add_column(table, self._told(column)) for column in missing]
            told = ddl.comments(dialect, table, None, {c["name"]: c for c in missing}) if self.with_comments else []
            return [*added, *told]
        if isinstance(change, AlterColumn):
            wanted, was = cast("TColumnSchema", change.column), cast("TColumnSchema", change.present)
            flags = {"new_type": change.new_type, "drop_not_null": change.drop_not_null}
            return ddl.alter_column(dialect, table, wanted, was, **flags)
        if isinstance(change, SetComments):
            return self._comments(change, table)
        assert isinstance(change, DropTable)
        return [f"DROP TABLE {table}"] if there is not None else []

    def _create(self, table: str, schema: Mapping[str, Any]) -> list[str]:
        columns = {name: self._told(column) for name, column in schema.get("columns", {}).items()}
        told = (schema.get("description") or None) if self.with_comments else None
        made = self._dialect.create_table(
            table, columns, unique=self.create_indexes, primary=self.create_primary_keys, comment=told
        )
        inline = bool(self._dialect.table_options("x").count("x"))
        return [made, *([] if inline or not self.with_comments else ddl.comments(self._dialect, table, told, columns))]

    def _told(self, column: TColumnSchema) -> TColumnSchema:
        """The column without its description where comments are not wanted."""
        return column if self.with_comments else cast("Any", {k: v for k, v in column.items() if k != "description"})

    def _comments(self, change: SetComments, table: str) -> list[str]:
        own = [] if change.description is None else self._dialect.comment_on_table(table, change.description)
        again = getattr(self._session, "recommented", None)
        if again is not None:
            return [*own, *(s for n, text in change.columns.items() if (s := again(change.table, n, text)))]
        named: Any = {n: {"name": n, "data_type": "text", "description": d} for n, d in change.columns.items()}
        return [*own, *ddl.comments(self._dialect, table, None, named)]

    def exclusive(self) -> AbstractContextManager[object]:
        """Keep other writers of the dataset from changing tables and stored schemas inside ``with``; may be nested."""
        return self._session.lock([_TABLES])

    def exclusive_tables(self, tables: Sequence[str]) -> AbstractContextManager[object]:
        """Let no other merge or replace into these tables inside ``with``."""
        return self._locked(tables)

    @contextmanager
    def _locked(self, tables: Sequence[str]) -> Iterator[None]:
        if not tables:
            yield
            return
        with self._session.lock(list(tables)):
            yield

    # ---- rows -----------------------------------------------------------------------------------------------------

    def insert_file(self, file: LoadFile, context: LoadContext, target: str, columns: Sequence[str] | None) -> int:
        """Append a file's rows to a table inside the open transaction, columns matched by name."""
        path = context.path / file.path
        if file.format == FORMAT:
            return insert_model(self._session, path.read_text(), file.table, context, target)
        renames = context.renames.get(file.table, {})
        known = context.schema.tables.get(file.table, {}).get("columns", {})
        with batches_of(file, path, self._session.backend) as (schema, batches):
            names = [renames.get(name, name) for name in schema.names]
            work = Insert(
                target=target,
                columns=self._columns(file, names, columns, known),
                schema=schema,
                batches=batches,
                rows=file.rows,
                folder=context.path,
                table=file.table,
            )
            return int(self._dialect.bulk().insert(self._session, work))

    def _columns(
        self, file: LoadFile, names: Sequence[str], columns: Sequence[str] | None, known: TTableSchemaColumns
    ) -> list[TColumnSchema]:
        """The file's columns as the schema has them; each must be one of the table's."""
        spelled = {name.casefold(): name for name in known}
        there = {name.casefold() for name in (columns if columns is not None else known)}
        strange = [name for name in names if name.casefold() not in there]
        if strange:
            raise DestinationInvalidFileFormat(
                self._session.backend,
                file.format,
                file.path,
                f"table `{file.table}` has no column {', '.join(strange)}",
            )
        found = (known.get(name) or known.get(spelled.get(name.casefold(), ""), {}) for name in names)
        return [
            cast("Any", {"data_type": "text", **column, "name": name})
            for name, column in zip(names, found, strict=True)
        ]
