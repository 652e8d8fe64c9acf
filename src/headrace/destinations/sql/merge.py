"""Merge strategies: how staged rows of a table chain come into its tables.

Each function takes a `MergeRun`: the chain, the dialect, and a ``run`` that executes a statement inside the job's
transaction and returns the rows it touched. Rows lie in temporary tables (`ChainTable.stage`) with the columns of their
target; a strategy first brings those to what shall be there, then moves them over.

Keys are compared one group at a time, each with a predicate of equalities only: an OR between groups would leave the
database no better plan than comparing every row with every row.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headrace.destinations.sql.chain import Chain, ChainTable
from headrace.destinations.sql.dialect import SqlDialect
from headrace.errors.destination import MergeDispositionException
from headrace.errors.schema import SchemaCorruptedException

logger = logging.getLogger("headrace")

GONE_KEYS = "_hr_gone"


@dataclass(frozen=True)
class MergeRun:
    """One merge job at work.

    Attributes:
        chain: The tables.
        dialect: The database's SQL.
        run: Executes a statement; returns the rows it touched, -1 when unknown.
        dataset_name: For errors.
        schema_name: For errors.
        boundary: The instant that separates retired from new records (scd2).
        cleanup: Statements to run before the commit.
    """

    chain: Chain
    dialect: SqlDialect
    run: Callable[[str], int]
    dataset_name: str
    schema_name: str
    boundary: dt.datetime
    cleanup: list[str]

    def q(self, name: str) -> str:
        """Quote a name."""
        return self.dialect.quote(name)

    def same(self, columns: Sequence[str], left: str = "d", right: str = "s") -> str:
        """A predicate: rows of two aliases agree in all columns."""
        safe, nullable = self.dialect.null_safe_equal, self.chain.nullable
        return " AND ".join(f"{right}.{self.q(c)} {safe if c in nullable else '='} {left}.{self.q(c)}" for c in columns)

    def fail(self, reason: str) -> MergeDispositionException:
        """The error of a chain that lacks something."""
        names = [table.name for table in self.chain.tables]
        return MergeDispositionException(self.dataset_name, "temporary tables", names, reason)


# ---- steps that strategies share ---------------------------------------------------------------------------------


def _is_deletion(m: MergeRun, alias: str = "") -> str:
    assert m.chain.hard_delete is not None
    column = (f"{alias}." if alias else "") + m.q(m.chain.hard_delete)
    return f"{column} IS TRUE" if m.chain.hard_delete_is_flag else f"{column} IS NOT NULL"


def keep_one_per_key(m: MergeRun, table: ChainTable, key: Sequence[str], sort: tuple[str, str] | None) -> int:
    """Delete all but one staged row of each key: the first in the sort order, then the first that came."""
    address = m.dialect.row_address
    order = f"{m.q(sort[0])} {sort[1].upper()} NULLS LAST, {address}" if sort else address
    return m.run(
        f"DELETE FROM {table.stage} WHERE {address} IN (SELECT _hr_address FROM (SELECT {address} AS _hr_address, "
        f"row_number() OVER (PARTITION BY {m.dialect.columns(key)} ORDER BY {order}) AS _hr_rank "
        f"FROM {table.stage}) AS ranked WHERE _hr_rank > 1)"
    )


def _drop_staged_deletions(m: MergeRun) -> int:
    return m.run(f"DELETE FROM {m.chain.root.stage} WHERE {_is_deletion(m)}") if m.chain.hard_delete else 0


def _drop_staged_orphans(m: MergeRun) -> None:
    """Delete staged nested rows whose root row is not staged any more."""
    root = m.chain.root
    for table in m.chain.nested:
        m.run(
            f"DELETE FROM {table.stage} AS n WHERE NOT EXISTS (SELECT 1 FROM {root.stage} AS r "
            f"WHERE r.{m.q(_row_key(m, root))} = n.{m.q(_key_of_root(m, table))})"
        )


def _row_key(m: MergeRun, table: ChainTable) -> str:
    if table.row_key is None:
        raise m.fail(f"table `{table.name}` has no column with the `row_key` hint, which names its rows")
    return table.row_key


def _key_of_root(m: MergeRun, table: ChainTable) -> str:
    if table.key_of_root is None:
        raise m.fail(
            f"nested table `{table.name}` has no column with the `root_key` hint, which leads to its root row; "
            "set `root_key=True` on the source, or give the resource the merge disposition from its first load on"
        )
    return table.key_of_root


def _keep_winners(m: MergeRun) -> int:
    """Leave one staged root row for each primary key; returns how many went, not 0 when unknown."""
    if not m.chain.primary_key or m.chain.deduplicated:
        return 0
    return keep_one_per_key(m, m.chain.root, m.chain.primary_key, m.chain.dedup_sort)


def _settle(m: MergeRun, dropped: int) -> None:
    """Leave in the stages what shall be in the tables: no deletions, no orphans, no nested row twice.

    Args:
        m: The job.
        dropped: Root rows that went from the stage before; their nested rows are still there.
    """
    if _drop_staged_deletions(m) or dropped:
        _drop_staged_orphans(m)
    for table in m.chain.nested:
        if table.row_key:
            keep_one_per_key(m, table, [table.row_key], None)


def insert_staged(m: MergeRun) -> None:
    """Append all staged rows."""
    for table in m.chain.tables:
        columns = m.dialect.columns(table.columns)
        m.run(f"INSERT INTO {table.target} ({columns}) SELECT {columns} FROM {table.stage}")


def fill_root_keys(m: MergeRun) -> None:
    """Give nested rows that are older than the first merge the root keys they lack, by way of their parents."""
    by_name = {table.name: table for table in m.chain.tables}
    for table in m.chain.nested:
        parent = by_name.get(table.parent or "")
        if not (table.gaps and table.root_key and table.parent_key and parent and parent.row_key):
            continue
        root, above = m.q(table.root_key), m.q(table.parent_key)
        update = f"UPDATE {table.target} AS d SET {root} ="
        if table.depth == 1:
            m.run(f"{update} {above} WHERE {root} IS NULL")
        elif parent.root_key:
            m.run(
                f"{update} p.{m.q(parent.root_key)} FROM {parent.target} AS p "
                f"WHERE d.{root} IS NULL AND p.{m.q(parent.row_key)} = d.{above}"
            )


def _remember_gone(m: MergeRun, keys: Sequence[Sequence[str]]) -> None:
    """Collect the row keys of the root rows that staged rows hit, for the nested tables' sake."""
    root = m.chain.root
    row_key = m.q(_row_key(m, root))
    found = [
        f"SELECT d.{row_key} AS row_key FROM {root.target} AS d "
        f"WHERE EXISTS (SELECT 1 FROM {root.stage} AS s WHERE {m.same(key)})"
        for key in keys
    ]
    fill_root_keys(m)
    m.run(m.dialect.temp_as(GONE_KEYS, " UNION ".join(found)))
    m.cleanup.append(f"DROP TABLE {m.q(GONE_KEYS)}")


def _gone(m: MergeRun, table: ChainTable) -> str:
    gone, column = m.q(GONE_KEYS), m.q(_key_of_root(m, table))
    return f"EXISTS (SELECT 1 FROM {gone} AS g WHERE g.row_key = d.{column})"


# ---- strategies --------------------------------------------------------------------------------------------------


def append_staged(m: MergeRun) -> None:
    """Without any key there is nothing to merge by: append."""
    if _drop_staged_deletions(m):
        _drop_staged_orphans(m)
    insert_staged(m)


def delete_insert(m: MergeRun) -> None:
    """Delete the root rows whose primary or merge key is staged, with all below them, and insert the staged rows."""
    keys = [key for key in (m.chain.primary_key, m.chain.merge_key) if key]
    root = m.chain.root
    if not keys:
        logger.warning(
            "table `%s` is merged without a key, so its rows are appended; give the resource a `primary_key` or "
            "`merge_key`, or the write disposition `append`",
            root.name,
        )
        append_staged(m)
        return
    if m.chain.nested:
        _remember_gone(m, keys)
        for table in m.chain.nested:
            m.run(f"DELETE FROM {table.target} AS d WHERE {_gone(m, table)}")
    for key in keys:
        staged = f"SELECT 1 FROM {root.stage} AS s WHERE {m.same(key)}"
        m.run(f"DELETE FROM {root.target} AS d WHERE EXISTS ({staged})")
    _settle(m, _keep_winners(m))
    insert_staged(m)


def _warn_of_mixed(m: MergeRun, dropped: int) -> None:
    # row ids are made of the key here: nested rows of two rows with one key have the same parent
    if dropped > 0 and m.chain.nested:
        logger.warning(
            "table `%s`: %d row(s) of the load share their primary key with an earlier one and were left out; their "
            "nested rows cannot be told apart from those of the row that stays. Make keys unique within a load",
            m.chain.root.name,
            dropped,
        )


def _need_primary_key(m: MergeRun, strategy: str) -> None:
    if not m.chain.primary_key:
        raise SchemaCorruptedException(
            m.schema_name,
            f"table `{m.chain.root.name}` has no primary key, which the merge strategy `{strategy}` needs; "
            "give the resource a `primary_key`",
        )
    if m.chain.merge_key:
        logger.warning("table `%s`: the strategy `%s` does not use its merge key", m.chain.root.name, strategy)


def _put(m: MergeRun, table: ChainTable, key: Sequence[str]) -> None:
    """Update the rows whose key is there, insert the others."""
    columns = table.columns
    sets = ", ".join(f"{m.q(c)} = s.{m.q(c)}" for c in columns)
    m.run(
        f"MERGE INTO {table.target} AS d USING {table.stage} AS s ON {m.same(key)} "
        f"WHEN MATCHED THEN UPDATE SET {sets} "
        f"WHEN NOT MATCHED THEN INSERT ({m.dialect.columns(columns)}) VALUES ({m.dialect.columns(columns, 's')})"
    )


def upsert(m: MergeRun) -> None:
    """Update root rows whose primary key is staged, insert the others; nested rows become those of the staged roots."""
    _need_primary_key(m, "upsert")
    chain, root = m.chain, m.chain.root
    if chain.nested:
        _remember_gone(m, [chain.primary_key])
    dropped = _keep_winners(m)
    _warn_of_mixed(m, dropped)
    if chain.hard_delete:
        deleted = f"SELECT 1 FROM {root.stage} AS s WHERE {m.same(chain.primary_key)} AND {_is_deletion(m, 's')}"
        m.run(f"DELETE FROM {root.target} AS d WHERE EXISTS ({deleted})")
    _settle(m, dropped)
    for table in chain.nested:
        row_key = m.q(_row_key(m, table))
        staged = f"SELECT 1 FROM {table.stage} AS s WHERE s.{row_key} = d.{row_key}"
        m.run(f"DELETE FROM {table.target} AS d WHERE {_gone(m, table)} AND NOT EXISTS ({staged})")
    _put(m, root, chain.primary_key)
    for table in chain.nested:
        _put(m, table, [_row_key(m, table)])


def insert_only(m: MergeRun) -> None:
    """Insert root rows whose primary key is not there, with all below them; leave the others alone."""
    _need_primary_key(m, "insert-only")
    chain, root = m.chain, m.chain.root
    known = f"SELECT 1 FROM {root.target} AS d WHERE {m.same(chain.primary_key)}"
    dropped = m.run(f"DELETE FROM {root.stage} AS s WHERE EXISTS ({known})")
    losers = _keep_winners(m)
    _warn_of_mixed(m, losers)
    _settle(m, abs(dropped) + abs(losers))
    for table in chain.nested:
        row_key = m.q(_row_key(m, table))
        there = f"SELECT 1 FROM {table.target} AS d WHERE d.{row_key} = s.{row_key}"
        m.run(f"DELETE FROM {table.stage} AS s WHERE EXISTS ({there})")
    insert_staged(m)
