"""What is kept while a load changes tables, so that the load can be undone.

All of it happens by SQL inside the transaction of the change: what was kept and what was done are there together or
not at all, and no row leaves the database.

- A table whose rows all go (``replace``) is copied as a whole.
- Of a merge the rows that its own statements delete or overwrite are kept, and so are those it writes.
- Appended rows are known by their load id, nested ones by their parents; rows that have no load id are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace.base.strings import digest128
from headrace.destinations.sql.chain import Chain, hinted
from headrace.destinations.sql.undobook import UndoBook
from headrace.model import tables as tb
from headrace.model.migrate import AddColumns, AlterColumn, AnyChange, CreateTable, DropTable, SetComments

if TYPE_CHECKING:
    from headrace.destinations.sql.records import Records
    from headrace.destinations.sql.session import SqlClient
    from headrace.load.destination import LoadContext
    from headrace.model.jobs import LoadFile
    from headrace.model.schema import Schema

Present = Sequence[tuple[str, str, bool]]


def shape_of(session: SqlClient, table: str, present: Present, unique: Sequence[str]) -> dict[str, Any]:
    """What is needed to make a table again: its columns as the database has them, its unique columns, its comments."""
    own, columns = session.describe_comments([table]).get(table, ("", {}))
    return {"columns": [list(column) for column in present], "unique": list(unique), "comments": [own, dict(columns)]}


def unique_columns(table: Mapping[str, Any] | None, enforced: bool) -> list[str]:
    """Columns of a table of the schema that the database holds unique."""
    columns = (table or {}).get("columns", {}) if enforced else {}
    return [name for name, column in columns.items() if column.get("unique") and column.get("data_type")]


class Saver:
    """Writes down what a load changes, in the transaction that is open.

    Args:
        session: The session.
        book: Where it is written.
        context: The load.
        unique: Whether ``unique`` hints are enforced.
    """

    def __init__(self, session: SqlClient, book: UndoBook, context: LoadContext, unique: bool) -> None:
        self.session, self.book, self.load_id = session, book, context.load_id
        schema = context.schema
        self._schema_tables, self._unique = schema.tables, unique
        self._system = {schema.loads_table_name, schema.version_table_name, schema.state_table_name}

    def copy_whole(self, table: str, present: Present, kind: str) -> int:
        """Copy a table with all its rows; returns how many."""
        target = self.session.make_qualified_table_name(table)
        place = _place(self.load_id, kind, table)
        self.session.run(f"CREATE TABLE {self.book.name(place)} AS SELECT * FROM {target}")
        rows = int(self.session.fetch(f"SELECT count(*) FROM {self.book.name(place)}")[0][0])
        shape = shape_of(self.session, table, present, unique_columns(self._schema_tables.get(table), self._unique))
        self.book.add(self.load_id, table, kind, {"shape": shape}, place=place, rows=rows)
        return rows

    def _same(self, name: str) -> str:
        """What is equal for names that the database does not tell apart."""
        return name if self.session.capabilities.has_case_sensitive_identifiers else name.casefold()

    def note_schema(self, records: Records, schema: Schema) -> None:
        """Store a schema, and write down that it is new."""
        if records.add_schema(schema):
            self.book.add(self.load_id, records.versions, "schema", {"version_hash": schema.version_hash})

    def note_history(self, records: Records, schema_name: str) -> None:
        """Keep the stored versions of a schema, which are about to be deleted."""
        table = self.session.make_qualified_table_name(records.versions)
        place = _place(self.load_id, "history", records.versions)
        self.session.run(
            f"CREATE TABLE {self.book.name(place)} AS SELECT * FROM {table} WHERE {records.of_schema(schema_name)}"
        )
        self.book.add(self.load_id, records.versions, "removed", place=place)

    def note_changes(self, changes: Sequence[AnyChange]) -> None:
        """Write down changes of tables before they are made."""
        names = list(dict.fromkeys(change.table for change in changes))
        present = self.session.describe_tables(names)
        for change in changes:
            if change.table in self._system and not isinstance(change, DropTable):
                continue  # system tables stay; their rows are told one by one
            self._note(change, present.get(change.table))
            if isinstance(change, DropTable):
                present.pop(change.table, None)

    def _note(self, change: AnyChange, present: Present | None) -> None:
        add, table = self.book.add, change.table
        if present is None:
            if isinstance(change, CreateTable):
                add(self.load_id, table, "created")
            return
        there = {self._same(name): (name, kind, nullable) for name, kind, nullable in present}
        unique = unique_columns(self._schema_tables.get(table), self._unique)
        if isinstance(change, AddColumns):
            new = [name for name in change.columns if self._same(name) not in there]
            add(self.load_id, table, "columns", {"columns": new, "unique": unique})
        elif isinstance(change, AlterColumn):
            name, kind, nullable = there[self._same(change.column["name"])]
            facts = {"column": name, "type": kind, "nullable": nullable, "unique": unique}
            add(self.load_id, table, "altered", facts)
        elif isinstance(change, SetComments):
            own, columns = self.session.describe_comments([table]).get(table, ("", {}))
            before = {name: columns.get(name, "") for name in change.columns}
            table_comment = None if change.description is None else own
            add(self.load_id, table, "comments", {"table_comment": table_comment, "columns": before})
        elif isinstance(change, DropTable):
            self.copy_whole(table, present, "dropped")


class Keeper(Saver):
    """Writes down what one job does to the rows of tables.

    Args:
        session: With an open transaction.
        book: Where it is written.
        context: The job's package.
        job_id: The job.
        unique: Whether ``unique`` hints are enforced.
    """

    def __init__(self, session: SqlClient, book: UndoBook, context: LoadContext, job_id: str, unique: bool) -> None:
        super().__init__(session, book, context, unique)
        self._context, self._job_id = context, job_id
        self._covered = set(book.covered(context.load_id))
        self._places: dict[tuple[str, str], tuple[str, int]] = {}
        self._by_load: dict[str, tuple[int, dict[str, Any]]] = {}
        self._targets: dict[str, tuple[str, list[str]]] = {}
        self._filled: dict[str, int] = {}

    # ---- whole tables and appended files --------------------------------------------------------------------------

    def whole(self, table: str, present: Present) -> int | None:
        """Copy a table whose rows are about to go; None when they are known already."""
        if table in self._covered:
            return None
        rows = self.copy_whole(table, present, "whole")
        self._covered.add(table)
        return rows

    def check(self, table: str, kept: int | None, changed: int) -> None:
        """Compare how many rows were kept with how many were changed; one that differs cannot be undone exactly."""
        if kept is not None and changed >= 0 and kept != changed:
            self.book.add(
                self.load_id,
                table,
                "spoiled",
                {
                    "why": f"{changed} rows of table `{table}` were changed, of which {kept} could be kept: another "
                    "writer changed the table at the same moment, or several rows of the load have one key"
                },
            )

    def fill(self, table: str, rows: int) -> None:
        """Note that rows came into a table that is known as a whole."""
        self._filled[table] = self._filled.get(table, 0) + rows

    def append(self, file: LoadFile, insert: Callable[[str], int]) -> int:
        """Append a file's rows to its table.

        Args:
            file: The file.
            insert: Appends them to a table, given as it stands in statements; returns how many.
        """
        target = self.session.make_qualified_table_name(file.table)
        if file.table in self._covered:
            rows = insert(target)
            self.fill(file.table, rows)
            return rows
        facts = self._load_facts(file)
        if facts is not None:
            rows = insert(target)
            self._by_load[file.table] = (self._by_load.get(file.table, (0, {}))[0] + rows, facts)
            return rows
        present = self.session.describe_tables([file.table])[file.table]
        place = self._open(file.table, target, f"added {file.id}")
        rows = insert(place)
        listed = self.session.dialect.columns(self._columns(file, present))
        self.session.run(f"INSERT INTO {target} ({listed}) SELECT {listed} FROM {place}")
        self._count(file.table, f"added {file.id}", rows)
        return rows

    def _load_facts(self, file: LoadFile) -> dict[str, Any] | None:
        """How the rows of a file are found again by their load id; None when they have none."""
        table, renames = self._schema_tables.get(file.table, {}), self._context.renames.get(file.table, {})
        columns = {renames.get(name, name) for name in file.columns}
        if not table.get("parent"):
            load_id = self._context.schema.naming.normalize_identifier(tb.C_DLT_LOAD_ID)
            return {"load_id": load_id} if load_id in columns else None
        parent = self._schema_tables.get(table["parent"], {})
        link, key = hinted(table, "parent_key"), hinted(parent, "row_key")
        if not link or not key or link[0] not in columns:
            return None
        return {"parent": table["parent"], "link": link[0], "key": key[0]}

    def _columns(self, file: LoadFile, present: Present) -> list[str]:
        renames = self._context.renames.get(file.table, {})
        if file.columns:
            return [renames.get(name, name) for name in file.columns]
        known = {self._same(name) for name in self._schema_tables.get(file.table, {}).get("columns", {})}
        return [name for name, _, _ in present if self._same(name) in known]

    # ---- merges ---------------------------------------------------------------------------------------------------

    def watch(self, chain: Chain) -> None:
        """Keep what is about to happen to the rows of a chain's tables, but for those known as a whole."""
        for table in chain.tables:
            if table.name in self._covered:
                self._filled[table.name] = -1
            else:
                self._targets[table.target] = (table.name, list(table.types))

    def deleted(self, target: str, where: str) -> Callable[[int], None]:
        """Keep the rows ``d`` of a table that are about to be deleted; call what is returned with how many were."""
        name, columns = self._targets.get(target, ("", []))
        if not name:
            return _ignore
        kept = self._keep(name, target, "removed", columns, self._d(columns), f"{target} AS d", where)
        return lambda rows: self.check(name, kept, rows)

    def updated(
        self, target: str, sets: Mapping[str, str], where: str, source: str | None = None
    ) -> Callable[[int], None]:
        """Keep the rows ``d`` of a table as they are and as they will be; ``source`` is joined to them as ``s``."""
        name, columns = self._targets.get(target, ("", []))
        if not name:
            return _ignore
        tables = f"{target} AS d" + (f", {source} AS s" if source else "")
        given = {self._same(column): value for column, value in sets.items()}
        quote = self.session.dialect.quote
        after = [given.get(self._same(column), f"d.{quote(column)}") for column in columns]
        kept = self._keep(name, target, "removed", columns, self._d(columns), tables, where)
        self._keep(name, target, "added", columns, after, tables, where)
        return lambda rows: self.check(name, kept, rows)

    def inserted(self, target: str, columns: Sequence[str], query: str) -> None:
        """Keep the rows that a query is about to put into a table."""
        name, _ = self._targets.get(target, ("", []))
        if name:
            place = self._open(name, target, "added")
            listed = self.session.dialect.columns(columns)
            self._count(name, "added", self.session.run(f"INSERT INTO {place} ({listed}) {query}"))

    def _d(self, columns: Sequence[str]) -> list[str]:
        return [f"d.{self.session.dialect.quote(column)}" for column in columns]

    def _keep(
        self, name: str, target: str, kind: str, columns: Sequence[str], values: Sequence[str], tables: str, where: str
    ) -> int:
        place = self._open(name, target, kind)
        listed = self.session.dialect.columns(columns)
        where = f" WHERE {where}" if where else ""
        rows = self.session.run(f"INSERT INTO {place} ({listed}) SELECT {', '.join(values)} FROM {tables}{where}")
        self._count(name, kind, rows)
        return rows

    # ---- places ---------------------------------------------------------------------------------------------------

    def _open(self, table: str, target: str, kind: str) -> str:
        place = _place(self.load_id, f"{self._job_id} {kind}", table)
        if (table, kind) not in self._places:
            self.session.run(f"CREATE TABLE {self.book.name(place)} AS SELECT * FROM {target} LIMIT 0")
            self._places[table, kind] = (place, 0)
        return self.book.name(place)

    def _count(self, table: str, kind: str, rows: int) -> None:
        place, so_far = self._places[table, kind]
        self._places[table, kind] = (place, so_far + rows)

    def close(self) -> None:
        """Write down what the job did, before its transaction ends."""
        for (table, kind), (place, rows) in self._places.items():
            if rows:
                self.book.add(self.load_id, table, kind.partition(" ")[0], place=place, rows=rows)
            else:
                self.session.run(f"DROP TABLE {self.book.name(place)}")
        for table, (rows, facts) in self._by_load.items():
            if rows:
                self.book.add(self.load_id, table, "load", rows=rows, facts=facts)
        for table, rows in self._filled.items():
            if rows:
                self.book.add(self.load_id, table, "filled", rows=rows)


def _ignore(rows: int) -> None:
    """Nothing is kept of the table."""


def _place(load_id: str, what: str, table: str) -> str:
    """A name of a length that is allowed wherever the table's is."""
    return f"u_{digest128(f'{load_id} {what} {table}')}"
