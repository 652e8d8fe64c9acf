"""Undoing a load: rows, columns, tables and records become what they were before it, in the transaction that is open.

Rows are taken out and put back as multisets, compared by all their columns, so that no key is needed. What was kept is
first reduced to what the load changed in the end: a row that it wrote and then deleted is on neither side. Each number
of rows is compared with what the load has written down; where they differ somebody else has changed the table since,
and nothing is undone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace.base.strings import digest128
from headrace.destinations.sql import ddl
from headrace.destinations.sql.undobook import CURSORS, Entry, UndoBook
from headrace.errors.rollback import RollbackImpossible
from headrace.model.undo import UndoLoad, UndoReport

if TYPE_CHECKING:
    from headrace.destinations.sql.ledger import Ledger
    from headrace.destinations.sql.records import Records
    from headrace.destinations.sql.session import SqlClient

GONE, BACK = "_hr_gone_rows", "_hr_back_rows"
_Before = Mapping[str, tuple[str, bool]]
_TABLE = ("created", "dropped", "columns", "altered", "comments")


class Undoing:
    """Undoes loads of a dataset.

    Args:
        session: With an open transaction, in which nobody else changes the tables.
        book: What was kept.
        records: The system tables.
        ledger: The keys of jobs; None when there is none.
    """

    def __init__(self, session: SqlClient, book: UndoBook, records: Records, ledger: Ledger | None) -> None:
        self._session, self._dialect, self._book = session, session.dialect, book
        self._records, self._ledger = records, ledger
        self.report = UndoReport()
        self._load_id = ""
        self._changed: set[str] = set()  # tables whose rows were changed in this transaction

    def undo(self, load: UndoLoad, others: Sequence[UndoLoad]) -> None:
        """Undo a load.

        Args:
            load: The load; those of its pipeline that came later are undone already.
            others: The other loads of the book that are not undone.

        Raises:
            RollbackImpossible: Others have changed the same tables since, or something was not kept.
        """
        self._load_id = load.load_id
        entries = [entry for entry in self._book.entries(load.load_id) if entry.kind != CURSORS]
        self._refuse(load, entries, others)
        for entry in entries:
            if entry.kind == "schema":
                self._forget_schema(load, entry.facts["version_hash"])
        by_table: dict[str, list[Entry]] = {}
        for entry in entries:
            by_table.setdefault(entry.table, []).append(entry)
        # nested rows are found by their parents, which must still be there
        self._remove_by_load({t: [e for e in found if e.kind == "load"] for t, found in by_table.items()})
        for table, found in by_table.items():
            self._restore_rows(table, found)
        self._restore_tables([entry for entry in entries if entry.kind in _TABLE])
        self._records.remove_load(load.load_id)
        if load.before is not None and self._records.states not in by_table:
            # its cursors went with the state of another package of the same extract
            self._records.set_source(load.pipeline_name, load.schema_name, load.before["source"])
        if self._ledger is not None:
            self._ledger.forget(load.load_id)
        self._book.note_undone(load.load_id)
        self.report.load_ids.append(load.load_id)

    def _impossible(self, why: str, *, in_the_way: Sequence[str] = (), fix: str | None = None) -> RollbackImpossible:
        again = 'load the table anew, for example with `refresh="drop_data"`, or repair it by SQL'
        return RollbackImpossible(self._load_id, why, in_the_way=in_the_way, fix=fix or again)

    # ---- may it be done -------------------------------------------------------------------------------------------

    def _refuse(self, load: UndoLoad, entries: Sequence[Entry], others: Sequence[UndoLoad]) -> None:
        for entry in entries:
            if entry.kind == "spoiled":
                raise self._impossible(entry.facts["why"])
        system = self._records.table_names()
        touched = {entry.table for entry in entries if entry.table not in system}
        found = {
            other.load_id: f"{other.load_id} of pipeline `{other.pipeline_name}`"
            for other in others
            if touched & set(other.tables) and (other.ended is None or other.ended > load.began)
        }
        found.update(
            {i: f"{i} of schema `{name}`" for i, name in self._strange(load, touched).items() if i not in found}
        )
        if found:
            raise self._impossible(
                f"other writers have loaded into {_named(touched)} after it began: {', '.join(found.values())}",
                in_the_way=list(found),
                fix="undo those loads first, with their own pipelines, newest first; what cannot be undone any more "
                "has to be put right by SQL",
            )

    def _strange(self, load: UndoLoad, tables: Collection[str]) -> dict[str, str]:
        """Loads with rows in tables that came later and that the book does not know, with their schemas."""
        column = self._records.load_id_column
        strange: dict[str, str] = {}
        for table, present in self._session.describe_tables(list(tables)).items():
            if column in [name for name, _, _ in present]:
                strange.update(
                    self._records.later_loads(
                        self._session.make_qualified_table_name(table), load.load_id, load.began_at
                    )
                )
        return strange

    def _forget_schema(self, load: UndoLoad, version_hash: str) -> None:
        newest = self._records.newest_hash(load.schema_name)
        if newest not in (None, version_hash):
            raise self._impossible(
                f"another writer has stored a later version of schema `{load.schema_name}`",
                fix="undo the load that stored it first",
            )
        self._records.remove_schema(version_hash)
        self.report.schema_versions.append(version_hash)

    # ---- rows -----------------------------------------------------------------------------------------------------

    def _remove_by_load(self, by_table: Mapping[str, list[Entry]]) -> None:
        """Delete appended rows of tables: the lowest first."""
        facts = {table: entries[0].facts for table, entries in by_table.items() if entries}

        def depth(table: str) -> int:
            parent = facts[table].get("parent")
            return 1 + depth(parent) if parent in facts else 0

        for table in sorted(facts, key=depth, reverse=True):
            wanted = sum(entry.rows for entry in by_table[table])
            name = self._session.make_qualified_table_name(table)
            self._changed.add(table)
            removed = self._session.run(self._dialect.delete(name, self._of_load(table, "d", facts)))
            self._expect(table, wanted, removed, "appended")
            self.report.of(table).removed += removed

    def _of_load(self, table: str, alias: str, facts: Mapping[str, Mapping[str, Any]]) -> str:
        """A predicate: a row was appended by the load, or hangs below one that was."""
        quote, own = self._dialect.quote, facts.get(table)
        if own is None:
            return "1 = 0"  # the parent got no rows
        if "load_id" in own:
            return f"{alias}.{quote(own['load_id'])} = {self._dialect.text(self._load_id)}"
        parent, above = own["parent"], f"{alias}p"
        found = f"SELECT {above}.{quote(own['key'])} FROM {self._session.make_qualified_table_name(parent)} AS {above}"
        return f"{alias}.{quote(own['link'])} IN ({found} WHERE {self._of_load(parent, above, facts)})"

    def _expect(self, table: str, wanted: int, found: int, what: str) -> None:
        if found != wanted:
            raise self._impossible(
                f"table `{table}` has {found} of the {wanted} rows that the load has {what}; somebody else has changed "
                "or deleted the others since, or they cannot be told from other rows"
            )

    def _restore_rows(self, table: str, entries: Sequence[Entry]) -> None:
        kinds = {entry.kind for entry in entries}
        filled = [entry.rows for entry in entries if entry.kind == "filled"]
        if "created" in kinds:
            name = self._session.make_qualified_table_name(table)
            self._empty(table, name, filled)
            return
        whole = next((entry for entry in entries if entry.kind == "whole"), None)
        if whole is not None:
            new = {column for e in entries if e.kind == "columns" for column in e.facts["columns"]}
            self._put_back_whole(table, whole, filled, new)
            return
        added = [entry.place for entry in entries if entry.kind == "added"]
        removed = [entry.place for entry in entries if entry.kind == "removed"]
        if added or removed:
            self._exchange(table, added, removed)

    def _empty(self, table: str, name: str, filled: Sequence[int]) -> None:
        self._changed.add(table)
        removed = self._session.run(self._dialect.empty_table(name))
        if not any(rows < 0 for rows in filled):
            self._expect(table, sum(filled), removed, "put into it")
        self.report.of(table).removed += max(0, removed)

    def _put_back_whole(self, table: str, entry: Entry, filled: Sequence[int], added: Collection[str]) -> None:
        name, shape = self._session.make_qualified_table_name(table), entry.facts["shape"]
        present = self._session.describe_tables([table]).get(table, [])
        self._empty(table, name, filled)
        # columns that the load has added since are dropped later
        if [list(column) for column in present if column[0] not in added] == shape["columns"]:
            listed = self._dialect.columns(column for column, _, _ in shape["columns"])
            back = self._session.run(
                f"INSERT INTO {name} ({listed}) SELECT {listed} FROM {self._book.name(entry.place)}"
            )
        else:
            back = self._rebuild(table, shape, self._book.name(entry.place))
        self._expect(table, entry.rows, back, "replaced")
        self.report.of(table).restored += back

    def _exchange(self, table: str, added: Sequence[str], removed: Sequence[str]) -> None:
        """Take out the rows that were added and put back those that were removed."""
        session, dialect = self._session, self._dialect
        name, present = session.make_qualified_table_name(table), session.describe_tables([table])[table]
        listed = dialect.columns(column for column, _, _ in present)
        self._changed.add(table)
        new, old = self._together(added, listed), self._together(removed, listed)
        if added:
            wanted = self._make(GONE, f"{new} EXCEPT ALL {old}" if removed else new)
            count = session.run(self._delete_each(name, present, dialect.temp_name(GONE))) if wanted else 0
            self._expect(table, wanted, count, "written into it")
            self.report.of(table).removed += count
        if removed:
            self._make(BACK, f"{old} EXCEPT ALL {new}" if added else old)
            back = session.run(f"INSERT INTO {name} ({listed}) SELECT {listed} FROM {dialect.temp_name(BACK)}")
            self.report.of(table).restored += back
        for place, made in ((GONE, added), (BACK, removed)):
            if made:
                session.run(dialect.drop_temp(dialect.temp_name(place)))

    def _together(self, places: Sequence[str], listed: str) -> str:
        parts = [f"SELECT {listed} FROM {self._book.name(place)}" for place in places]
        return f"({' UNION ALL '.join(parts)})"

    def _make(self, temp: str, query: str) -> int:
        place = self._dialect.temp_name(temp)
        self._session.run(self._dialect.temp_as(place, query))
        return int(self._session.fetch(f"SELECT count(*) FROM {place}")[0][0])

    def _delete_each(self, name: str, present: Sequence[tuple[str, str, bool]], place: str) -> str:
        """Delete one row of the table for each row of the place that equals it in all columns."""
        quote, address = self._dialect.quote, self._dialect.row_address
        columns = [column for column, _, _ in present]
        same = " AND ".join(
            self._dialect.equal(f"d.{quote(column)}", f"w.{quote(column)}", nullable) for column, _, nullable in present
        )
        wanted = f"SELECT {self._dialect.columns(columns)}, count(*) AS _hr_count FROM {place} GROUP BY " + (
            self._dialect.columns(columns)
        )
        ranked = (
            f"SELECT d.{address} AS _hr_address, w._hr_count, row_number() OVER "
            f"(PARTITION BY {self._dialect.columns(columns, 'd')}) AS _hr_rank "
            f"FROM {name} AS d JOIN ({wanted}) AS w ON {same}"
        )
        chosen = f"SELECT _hr_address FROM ({ranked}) AS ranked WHERE _hr_rank <= _hr_count"
        return f"DELETE FROM {name} WHERE {address} IN ({chosen})"

    # ---- tables ---------------------------------------------------------------------------------------------------

    def _restore_tables(self, entries: Sequence[Entry]) -> None:
        """Let tables be what they were: newest change first, and each table's columns at once."""
        columns: dict[str, list[Entry]] = {}
        for entry in reversed(entries):
            name, report = self._session.make_qualified_table_name(entry.table), self.report.of(entry.table)
            if entry.kind == "created":
                columns.pop(entry.table, None)
                self._session.run(ddl.drop_table(name))
                report.dropped = True
            elif entry.kind == "dropped":
                report.dropped = False
                report.restored += self._rebuild(entry.table, entry.facts["shape"], self._book.name(entry.place))
            elif entry.kind == "comments":
                self._comment(name, entry.facts["table_comment"], entry.facts["columns"])
            else:
                columns.setdefault(entry.table, []).append(entry)
        for table, found in columns.items():
            self._reshape(table, found)

    def _reshape(self, table: str, entries: Sequence[Entry]) -> None:
        """Drop columns that were added, and give others the type and nullability that they had.

        Args:
            table: The table.
            entries: Newest first, so that of two about one column the older has the last word.
        """
        gone = [column for entry in entries if entry.kind == "columns" for column in entry.facts["columns"]]
        facts = [entry.facts for entry in entries if entry.kind == "altered"]
        before = {e["column"]: (e["type"], bool(e["nullable"])) for e in facts if e["column"] not in gone}
        report = self.report.of(table)
        report.columns_dropped += gone
        report.columns_restored += [column for column in before if column not in report.columns_restored]
        in_place = self._dialect.alters_after_changes or (not before and table not in self._changed)
        (self._reshape_in_place if in_place else self._reshape_anew)(table, gone, before, entries)

    def _reshape_in_place(self, table: str, gone: Sequence[str], before: _Before, entries: Sequence[Entry]) -> None:
        session, name = self._session, self._session.make_qualified_table_name(table)
        there = {column for column, _, _ in session.describe_tables([table])[table]}
        for column in gone:
            if column in there:  # not where the table was made anew
                session.run(f"ALTER TABLE {name} DROP COLUMN {self._dialect.quote(column)}")
        now = {column: (kind, nullable) for column, kind, nullable in session.describe_tables([table])[table]}
        for column, old in before.items():
            for statement in self._dialect.restore_column(name, column, now[column], old):
                session.run(statement)

    def _reshape_anew(self, table: str, gone: Sequence[str], before: _Before, entries: Sequence[Entry]) -> None:
        session, name, quote = self._session, self._session.make_qualified_table_name(table), self._dialect.quote
        present = [column for column in session.describe_tables([table])[table] if column[0] not in gone]
        values = ", ".join(
            f"{self._dialect.narrowed(quote(c), kind, before[c][0]) if c in before else quote(c)} AS {quote(c)}"
            for c, kind, _ in present
        )
        copy = self._book.name(f"u_{digest128(f'{self._load_id} shape {table}')}")
        session.run(f"CREATE TABLE {copy} AS SELECT {values} FROM {name}")
        own, comments = session.describe_comments([table]).get(table, ("", {}))
        self._rebuild(
            table,
            {
                "columns": [[c, *before.get(c, (kind, nullable))] for c, kind, nullable in present],
                "unique": [column for column in entries[0].facts["unique"] if column not in gone],
                "comments": [own, {column: text for column, text in comments.items() if column not in gone}],
            },
            copy,
        )
        session.run(f"DROP TABLE {copy}")

    def _rebuild(self, table: str, shape: Mapping[str, Any], source: str) -> int:
        """Make a table anew with the rows of another one; returns how many."""
        name, quote = self._session.make_qualified_table_name(table), self._dialect.quote
        unique = {column.casefold() for column in shape["unique"]}
        clauses = [
            f"{quote(column)} {kind}{'' if nullable else ' NOT NULL'}{' UNIQUE' if column.casefold() in unique else ''}"
            for column, kind, nullable in shape["columns"]
        ]
        self._changed.add(table)
        self._session.run(ddl.drop_table(name))
        self._session.run(f"CREATE TABLE {name} ({', '.join(clauses)})")
        listed = self._dialect.columns(column for column, _, _ in shape["columns"])
        rows = self._session.run(f"INSERT INTO {name} ({listed}) SELECT {listed} FROM {source}")
        own, columns = shape["comments"]
        self._comment(name, own or None, columns)
        return rows

    def _comment(self, name: str, own: str | None, columns: Mapping[str, str]) -> None:
        described: Any = {c: {"name": c, "data_type": "text", "description": text} for c, text in columns.items()}
        for statement in ddl.comments(self._dialect, name, own, described):
            self._session.run(statement)


def _named(tables: Collection[str]) -> str:
    return ", ".join(f"`{table}`" for table in sorted(tables))
