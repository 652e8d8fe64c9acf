"""PostgreSQL's client: what the SQL family leaves open, which is locks and bringing files into tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from headrace.destinations.impl.postgres import copying, files, indexes
from headrace.destinations.impl.postgres.dialect import PostgresDialect
from headrace.destinations.impl.postgres.nul import NulCharacters
from headrace.destinations.impl.postgres.session import PostgresSqlClient
from headrace.destinations.sql.client import SqlJobClient
from headrace.destinations.sql.models import insert_model
from headrace.errors.destination import DestinationInvalidFileFormat
from headrace.formats.sqlmodel import FORMAT
from headrace.load.destination import AnyChange, CreateTable, LoadContext
from headrace.load.staging import StagedFile
from headrace.model.jobs import LoadFile
from headrace.model.schema import Schema

_SENT = "_hr_sent"
_SMALL = 1000


class PostgresClient(SqlJobClient):
    """Loads packages into a PostgreSQL database.

    Args:
        session: The session.
        schema: The schema whose naming convention and system tables apply.
        create_indexes: Make unique indexes for ``unique`` hints.
        csv_format: How csv files are written.
        remove_nul: Take the character NUL out of texts, which PostgreSQL would refuse.
    """

    _session: PostgresSqlClient
    _dialect: PostgresDialect

    def __init__(
        self,
        session: PostgresSqlClient,
        schema: Schema,
        *,
        create_indexes: bool = True,
        csv_format: Mapping[str, Any] | None = None,
        remove_nul: bool = True,
    ) -> None:
        super().__init__(session, schema, create_indexes=create_indexes)
        self._csv_format, self._remove_nul = dict(csv_format or {}), remove_nul

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Let no other process change tables of the dataset inside ``with``, which is one transaction."""
        with self._session.locked(["tables and schemas"]), self._session.begin_transaction():
            yield

    def exclusive_tables(self, tables: Sequence[str]) -> AbstractContextManager[object]:
        """Let no other process's merge or replace into these tables, in the transaction that begins inside ``with``."""
        return self._session.locked([f"table {name}" for name in tables])

    # ---- indexes --------------------------------------------------------------------------------------------------

    def _statements_of(self, change: AnyChange) -> list[str]:
        if isinstance(change, CreateTable) and self.create_indexes:
            late = _late(change)
            columns = {
                n: {**c, "unique": n not in late and c.get("unique")} for n, c in change.schema["columns"].items()
            }
            made = super()._statements_of(CreateTable(table=change.table, schema={**change.schema, "columns": columns}))
            return [indexes.promise(self._dialect, made[0], name) for name in late[:1]] + made[len(late[:1]) :]
        return super()._statements_of(change)

    def foresee_complete(self, changes: Sequence[AnyChange]) -> list[str]:
        """Statements that make the indexes of new tables."""
        made = sorted((c for c in changes if isinstance(c, CreateTable) and self.create_indexes), key=lambda c: c.table)
        return [indexes.keeping(self._session, c.table, name) for c in made for name in _late(c)[:1]]

    def complete(self, context: LoadContext) -> dict[str, Any] | None:
        """Make indexes that new tables are still to get, and make the load visible."""
        while self._make_index():
            pass
        return super().complete(context)

    def _make_index(self) -> bool:
        """Make one index that was promised; False when there is none."""
        with self.exclusive():
            found = indexes.promised(self._session)
            if found is None:
                return False
            table, column = found
            self._doing(f"making the unique index on `{column}` of table `{table}`")
            indexes.keep(self._session, table, column)
            return True

    # ---- rows -----------------------------------------------------------------------------------------------------

    def insert_file(self, file: LoadFile, context: LoadContext, target: str, columns: Sequence[str] | None) -> int:
        """Append a file's rows to a table inside the open transaction, columns matched by name."""
        if file.format == FORMAT:
            text = (context.path / file.path).read_text()
            return insert_model(self._session, text, file.table, context, target)
        return self._insert_rows(file, context, target, columns)

    def load_staged(self, staged: StagedFile, context: LoadContext, target: str, columns: Sequence[str] | None) -> int:
        """Append the rows of a file in the staging place: they stream from there into COPY."""
        if staged.local_path is not None:
            return super().load_staged(staged, context, target, columns)
        return self._insert_rows(staged.file, context, target, columns, staged.open)

    def _insert_rows(
        self,
        file: LoadFile,
        context: LoadContext,
        target: str,
        columns: Sequence[str] | None,
        remote: files.Opener | None = None,
    ) -> int:
        path = context.path / file.path
        renames = context.renames.get(file.table, {})
        known = context.schema.tables.get(file.table, {}).get("columns", {})
        back = {new: old for old, new in renames.items()}
        wanted = file.columns or [back.get(name, name) for name in known]
        typed = {name: str(known.get(renames.get(name, name), {}).get("data_type", "text")) for name in wanted}
        with files.batches_of(file, path, typed, self._csv_format, remote) as (schema, batches):
            table = self._session.column_kinds(target)
            if columns is not None:
                self._check(file, [renames.get(name, name) for name in schema.names], columns)
            plan = copying.plan(schema, renames, table, target)
            nul = NulCharacters(self._remove_nul, file.table)
            rows = self._send(target, plan, copying.encoded(batches, plan, nul))
            nul.tell()
        if columns is not None and rows > _SMALL:
            self._session.run(f"ANALYZE {target}")  # the planner knows nothing of a temporary table by itself
        return rows

    def _send(self, target: str, plan: Sequence[copying.Column], pieces: Iterator[memoryview]) -> int:
        listed = self._dialect.columns([column.target for column in plan])
        with self._session.translated(self._session.doing) as connection, connection.cursor() as cursor:
            if not any(column.cast for column in plan):
                return copying.copy_rows(cursor, target, listed, pieces)
            # PostgreSQL's binary format knows no casts: such columns travel as text into a table on the way
            sent = self._dialect.temp_name(_SENT)
            empty = f"SELECT {copying.sent_list(self._dialect, plan)} FROM {target} LIMIT 0"
            self._session.run(self._dialect.temp_as(sent, empty))
            copying.copy_rows(cursor, sent, listed, pieces)
            casts = copying.cast_list(self._dialect, plan)
            rows = self._session.run(f"INSERT INTO {target} ({listed}) SELECT {casts} FROM {sent}")
            self._session.run(self._dialect.drop_temp(sent))
            return rows

    def _check(self, file: LoadFile, found: Sequence[str], columns: Sequence[str]) -> None:
        strange = [name for name in found if name not in columns]
        if strange:
            raise DestinationInvalidFileFormat(
                "PostgreSQL", file.format, file.path, f"table `{file.table}` has no column {', '.join(strange)}"
            )


def _late(change: CreateTable) -> list[str]:
    """Columns of a new table that get their index at the end."""
    return [n for n, c in change.schema["columns"].items() if c.get("row_key") and c.get("unique")]
