"""One merge job at work: its tables, its SQL, its count of changed rows, and the steps that strategies share.

Rows lie in temporary tables (`ChainTable.stage`) with the columns of their target. A strategy first brings those to
what shall be there, then moves them over. Keys are compared one group at a time, each with a predicate of equalities
only: an OR between groups would leave the database no better plan than comparing every row with every row.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headrace.base.time import parse_iso
from headrace.destinations.sql.chain import Chain, ChainTable
from headrace.destinations.sql.dialect import SqlDialect
from headrace.errors.destination import MergeDispositionException
from headrace.model.changes import RowChanges

if TYPE_CHECKING:
    from headrace.destinations.sql.undo import Keeper

GONE_KEYS = "_hr_gone"
LOSERS = "_hr_losers"
RANGES = "_hr_ranges"


def instant_of(value: Any) -> dt.datetime:
    """An instant from a hint: a datetime, a date, or ISO text; without an offset it is UTC."""
    if isinstance(value, dt.datetime):
        return value if value.tzinfo else value.replace(tzinfo=dt.timezone.utc)
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day, tzinfo=dt.timezone.utc)
    return parse_iso(str(value))


class Tally:
    """Counts what happens to the rows of tables."""

    def __init__(self) -> None:
        self.changes: dict[str, RowChanges] = {}

    def add(self, table: str, **numbers: int | None) -> None:
        """Add numbers of a table's `RowChanges`; None, or less than nothing as drivers say, is unknown."""
        known = {name: None if rows is None or rows < 0 else rows for name, rows in numbers.items()}
        self.changes[table] = self.changes.get(table, RowChanges()) + RowChanges(**known)


@dataclass(frozen=True)
class MergeRun:
    """One merge job at work.

    Attributes:
        chain: The tables.
        dialect: The database's SQL.
        run: Executes a statement inside the job's transaction; returns the rows it touched, -1 when unknown.
        fetch: Executes a query there; returns its rows.
        dataset_name: For errors.
        schema_name: For errors.
        strategy: For errors.
        boundary: The instant that separates retired from new records (scd2).
        cleanup: Statements to run before the commit.
        loads: The table of loads, ready for a statement, and its columns with the load id and the instant; None when
            there is none.
        tally: Where the changes are counted.
        keeper: Keeps rows before they are changed, so that the load can be undone; None when nothing is to be kept.
    """

    chain: Chain
    dialect: SqlDialect
    run: Callable[[str], int]
    fetch: Callable[[str], list[tuple[Any, ...]]]
    dataset_name: str
    schema_name: str
    strategy: str
    boundary: dt.datetime
    cleanup: list[str]
    loads: tuple[str, str, str] | None = None
    tally: Tally = field(default_factory=Tally)
    keeper: Keeper | None = None

    def q(self, name: str) -> str:
        """Quote a name."""
        return self.dialect.quote(name)

    def same(self, columns: Sequence[str], left: str = "d", right: str = "s") -> str:
        """A predicate: rows of two aliases agree in all columns."""
        equal, nullable = self.dialect.equal, self.chain.nullable
        return " AND ".join(equal(f"{right}.{self.q(c)}", f"{left}.{self.q(c)}", c in nullable) for c in columns)

    def same_record(self, columns: Sequence[str], left: str = "d", right: str = "s") -> str:
        """A predicate: a root row of the table and a staged one agree in all columns, and the former is no history."""
        return self.same(columns, left, right) + self.live(left)

    def live(self, alias: str) -> str:
        """`` AND …``: a root row is not a retired version from the time when the table was merged with ``scd2``."""
        end = next((n for n, c in self.chain.facts.get("columns", {}).items() if c.get("x-valid-to")), None)
        if end is None or end not in self.chain.root.columns:
            return ""
        marker = self.chain.facts["columns"][end].get("x-active-record-timestamp")
        column = f"{alias}.{self.q(end)}"
        return (
            f" AND {column} IS NULL"
            if marker is None
            else (f" AND ({column} IS NULL OR {column} = {self.dialect.timestamp(instant_of(marker))})")
        )

    def delete(self, table: str, where: str) -> int:
        """Delete the rows ``d`` of a table; returns how many."""
        if self.keeper is None:
            return self.run(self.dialect.delete(table, where))
        check = self.keeper.deleted(table, where)
        rows = self.run(self.dialect.delete(table, where))
        check(rows)
        return rows

    def update(self, table: str, sets: Mapping[str, str], where: str = "", source: str | None = None) -> int:
        """Set columns of the rows ``d`` of a table, joined with the rows ``s`` of a source; returns how many."""
        statement = (
            self.dialect.update(table, sets, where)
            if source is None
            else self.dialect.update_from(table, source, sets, where)
        )
        if self.keeper is None:
            return self.run(statement)
        check = self.keeper.updated(table, sets, where, source)
        rows = self.run(statement)
        check(rows)
        return rows

    def insert(self, table: str, columns: Sequence[str], query: str) -> int:
        """Append the rows of a query to a table; returns how many."""
        if self.keeper is not None:
            self.keeper.inserted(table, columns, query)
        return self.run(f"INSERT INTO {table} ({self.dialect.columns(columns)}) {query}")

    def staged(self, condition: str, source: str | None = None) -> str:
        """A predicate: the root's stage, or another table, has a row ``s`` for which the condition holds."""
        return f"EXISTS (SELECT 1 FROM {source or self.chain.root.stage} AS s WHERE {condition})"

    def fail(self, reason: str) -> MergeDispositionException:
        """The error of a chain that lacks something."""
        names = [table.name for table in self.chain.tables]
        return MergeDispositionException(self.dataset_name, "temporary tables", names, reason)


# ---- keys --------------------------------------------------------------------------------------------------------


def row_key(m: MergeRun, table: ChainTable) -> str:
    """The column that names a table's rows.

    Raises:
        MergeDispositionException: There is none.
    """
    if table.row_key is None:
        raise m.fail(f"table `{table.name}` has no column with the `row_key` hint, which names its rows")
    return table.row_key


def key_of_root(m: MergeRun, table: ChainTable) -> str:
    """The column that leads from a nested row to its root row.

    Raises:
        MergeDispositionException: There is none.
    """
    if table.key_of_root is None:
        raise m.fail(
            f"nested table `{table.name}` has no column with the `root_key` hint, which leads to its root row; "
            "set `root_key=True` on the source, or give the resource the merge disposition from its first load on"
        )
    return table.key_of_root


def need_keys(m: MergeRun) -> None:
    """Refuse a chain whose nested rows cannot be found from their root rows, whether there are such rows or not.

    Raises:
        MergeDispositionException: A key column is missing.
    """
    if m.chain.nested:
        row_key(m, m.chain.root)
    for table in m.chain.nested:
        below_gone(m, table)


def is_deletion(m: MergeRun, alias: str) -> str:
    """A predicate: a staged root row is a deletion. Only where there is a `hard_delete` column."""
    assert m.chain.hard_delete is not None
    column = f"{alias}.{m.q(m.chain.hard_delete)}"
    return m.dialect.is_true(column) if m.chain.hard_delete_is_flag else f"{column} IS NOT NULL"


# ---- staged rows -------------------------------------------------------------------------------------------------


def filter_source(m: MergeRun) -> None:
    """Leave out staged root rows that the `source_filter` does not let through, with all below them."""
    condition = m.chain.source_filter
    # NULL lets nothing through either
    if condition and m.delete(m.chain.root.stage, f"CASE WHEN {condition} THEN 0 ELSE 1 END = 1"):
        drop_staged_orphans(m)


def keep_one_per_key(m: MergeRun, table: ChainTable, key: Sequence[str], sort: tuple[str, str] | None) -> int:
    """Delete all but one staged row of each key: the first in the sort order, then the first that came."""
    address = m.dialect.row_address
    order = f"{m.dialect.order(m.q(sort[0]), sort[1])}, {address}" if sort else address
    losers = (
        f"SELECT _hr_address FROM (SELECT {address} AS _hr_address, "
        f"row_number() OVER (PARTITION BY {m.dialect.columns(key)} ORDER BY {order}) AS _hr_rank "
        f"FROM {table.stage}) AS ranked WHERE _hr_rank > 1"
    )
    if m.dialect.reopens_temp:
        return m.run(f"DELETE FROM {table.stage} WHERE {address} IN ({losers})")
    place = m.dialect.temp_name(LOSERS)
    m.run(m.dialect.temp_as(place, losers))
    dropped = m.run(f"DELETE FROM {table.stage} WHERE {address} IN (SELECT _hr_address FROM {place})")
    m.run(m.dialect.drop_temp(place))
    return dropped


def keep_winners(m: MergeRun) -> int:
    """Leave one staged root row for each primary key; returns how many went, not 0 when unknown."""
    if not m.chain.primary_key or m.chain.deduplicated:
        return 0
    return keep_one_per_key(m, m.chain.root, m.chain.primary_key, m.chain.dedup_sort)


def drop_staged_deletions(m: MergeRun) -> int:
    """Leave out staged root rows that are deletions; returns how many went, not 0 when unknown."""
    return m.delete(m.chain.root.stage, is_deletion(m, "d")) if m.chain.hard_delete else 0


def drop_staged_orphans(m: MergeRun) -> None:
    """Leave out staged nested rows whose root row is staged no more: by their root key, else by their parents."""
    by_name = {table.name: table for table in m.chain.tables}
    for table in m.chain.nested:
        above, link = by_name.get(table.parent or ""), table.parent_key
        if table.key_of_root or above is None or above.row_key is None or link is None:
            above, link = m.chain.root, key_of_root(m, table)
        key = above.row_key or m.chain.version or row_key(m, above)
        m.delete(table.stage, f"NOT {m.staged(f's.{m.q(key)} = d.{m.q(link)}', above.stage)}")


def settle(m: MergeRun, dropped: int) -> None:
    """Leave in the stages what shall be in the tables: no deletions, no orphans, no nested row twice.

    Args:
        m: The job.
        dropped: Root rows that went from the stage before; their nested rows are still there.
    """
    if drop_staged_deletions(m) or dropped:
        drop_staged_orphans(m)
    for table in m.chain.nested:
        if table.row_key:
            keep_one_per_key(m, table, [table.row_key], None)


def drop_staged_known(m: MergeRun, table: ChainTable) -> None:
    """Leave out staged rows of a nested table whose row key the table has."""
    key = m.q(row_key(m, table))
    m.delete(table.stage, m.dialect.has_row(table.target, "t", f"t.{key} = d.{key}", table.stage, "d"))


def insert_staged(m: MergeRun) -> int:
    """Append all staged rows; counts those of nested tables, and returns how many root rows there were."""
    rows = 0
    for table in m.chain.tables:
        added = m.insert(table.target, table.columns, f"SELECT {m.dialect.columns(table.columns)} FROM {table.stage}")
        if table is m.chain.root:
            rows = added
        else:
            m.tally.add(table.name, inserted=added)
    return rows


# ---- rows that are there -----------------------------------------------------------------------------------------


def fill_root_keys(m: MergeRun) -> None:
    """Give nested rows that are older than the first merge the root keys they lack, by way of their parents."""
    by_name = {table.name: table for table in m.chain.tables}
    for table in m.chain.nested:
        parent = by_name.get(table.parent or "")
        if not (table.gaps and table.root_key and table.parent_key and parent and parent.row_key):
            continue
        root, above = m.q(table.root_key), m.q(table.parent_key)
        if table.depth == 1:
            m.update(table.target, {table.root_key: f"d.{above}"}, f"d.{root} IS NULL")
        elif parent.key_of_root:
            sets = {table.root_key: f"s.{m.q(parent.key_of_root)}"}
            where = f"d.{root} IS NULL AND s.{m.q(parent.row_key)} = d.{above}"
            m.update(table.target, sets, where, parent.target)


def remember_ranges(m: MergeRun) -> str | None:
    """Keep the merge keys that are staged, while they all are; returns where, None without a merge key."""
    if not m.chain.merge_key or m.chain.destination_scope:
        return None
    place = m.dialect.temp_name(RANGES)
    columns, root = m.chain.merge_key, m.chain.root
    made = m.dialect.temp_as(place, f"SELECT DISTINCT {m.dialect.columns(columns)} FROM {root.stage}")
    for statement in m.dialect.keyed_temp(made, place, [root.typed(columns)]):
        m.run(statement)
    m.cleanup.append(m.dialect.drop_temp(place))
    return place


def remember_gone(m: MergeRun, conditions: Sequence[str]) -> bool:
    """Collect the row keys of root rows ``d`` that meet one of the conditions, for the nested tables' sake.

    Returns:
        False when there are none.
    """
    root, place = m.chain.root, m.dialect.temp_name(GONE_KEYS)
    key = m.q(row_key(m, root))
    fill_root_keys(m)
    found = [f"SELECT d.{key} AS row_key FROM {root.target} AS d WHERE {condition}" for condition in conditions]
    together, rest = (" UNION ".join(found), []) if m.dialect.reopens_temp else (found[0], found[1:])
    made = m.dialect.temp_as(place, together)
    rows = 0
    for statement in m.dialect.keyed_temp(made, place, [{"row_key": root.typed([row_key(m, root)])[row_key(m, root)]}]):
        rows = m.run(statement) or rows
    for query in rest:
        rows = m.run(f"INSERT INTO {place} {query}") or rows
    m.cleanup.append(m.dialect.drop_temp(place))
    return rows != 0


def below_gone(m: MergeRun, table: ChainTable, alias: str = "d") -> str:
    """A predicate: a nested row hangs below a root row that is remembered as gone.

    By its root key; where that is missing, because the table had its rows before the first merge, by its parents.

    Raises:
        MergeDispositionException: Neither leads to the root row.
    """
    parent = next((above for above in m.chain.nested if above.name == table.parent), None)
    filled = table.depth == 1 or not table.gaps or (parent is not None and parent.key_of_root is not None)
    if parent is not None and parent.row_key and table.parent_key and not (table.key_of_root and filled):
        link = f"p{table.depth}.{m.q(parent.row_key)} = {alias}.{m.q(table.parent_key)}"
        above = below_gone(m, parent, f"p{table.depth}")
        return f"EXISTS (SELECT 1 FROM {parent.target} AS p{table.depth} WHERE {link} AND {above})"
    place, key = m.dialect.temp_name(GONE_KEYS), m.q(key_of_root(m, table))
    return f"EXISTS (SELECT 1 FROM {place} AS g{table.depth} WHERE g{table.depth}.row_key = {alias}.{key})"


def delete_gone(m: MergeRun, table: ChainTable, but: str = "") -> int:
    """Delete the nested rows below root rows that are remembered as gone; ``but`` narrows it. Lowest tables first."""
    return m.delete(table.target, f"{below_gone(m, table)}{but}")


def count_known(m: MergeRun, scope: str = "") -> tuple[int, int]:
    """How many staged root rows have their primary key in the table: all, and those that are no deletions."""
    kept = f"count(CASE WHEN {is_deletion(m, 's')} THEN NULL ELSE 1 END)" if m.chain.hard_delete else "count(*)"
    within = f" AND {scope}" if scope else ""
    root, same = m.chain.root, m.same_record(m.chain.primary_key)
    there = m.dialect.has_row(root.target, "d", f"{same}{within}", root.stage, "s")
    rows = m.fetch(f"SELECT count(*), {kept} FROM {root.stage} AS s WHERE {there}")
    return int(rows[0][0]), int(rows[0][1])


def put(m: MergeRun, table: ChainTable, key: Sequence[str], compared: Sequence[str] | None = None) -> None:
    """Update the rows whose key is there, insert the others, and count.

    Args:
        m: The job.
        table: The table.
        key: Its key.
        compared: Columns of which one must differ for a row to be updated; None updates all.
    """
    same, columns = (m.same_record if table is m.chain.root else m.same)(key), table.columns
    sets = {column: f"s.{m.q(column)}" for column in columns if column not in key}
    where = same
    if compared is not None:
        differs = [m.dialect.differs(f"s.{m.q(c)}", f"d.{m.q(c)}") for c in compared]
        where = f"{same} AND ({' OR '.join(differs)})" if differs else f"{same} AND 1 = 0"
    updated = m.update(table.target, sets, where, table.stage) if sets else 0
    absent = f"NOT {m.dialect.has_row(table.target, 'd', same, table.stage, 's')}"
    inserted = m.insert(
        table.target, columns, f"SELECT {m.dialect.columns(columns, 's')} FROM {table.stage} AS s WHERE {absent}"
    )
    unchanged: int | None = None if updated else 0
    if compared is not None:
        staged = int(m.fetch(f"SELECT count(*) FROM {table.stage}")[0][0])
        unchanged = staged - updated - inserted if updated >= 0 and inserted >= 0 else None
    m.tally.add(table.name, inserted=inserted, updated=updated, unchanged=unchanged)
