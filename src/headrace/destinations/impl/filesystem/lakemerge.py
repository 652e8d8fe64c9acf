"""Merging a load into a chain of lake tables: the strategies, in terms of staged keys and rows to drop and add.

Each table gets one commit, nested tables before the root: what the root was is needed to know which nested rows go. A
commit that finds another writer's version in its place is not made; the merge then begins anew from that version, and
tables that have the job's key already are left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any, cast

import pyarrow as pa

from headrace.destinations.impl.filesystem.lakefiles import Committed, Rewrite, change_version
from headrace.destinations.impl.filesystem.lakerows import rows_as_table
from headrace.destinations.impl.filesystem.lakestage import ROW, Hit, Stage, quote
from headrace.destinations.impl.filesystem.laketable import LakeTable, again_while_moved
from headrace.destinations.impl.filesystem.tableformats import ChainTable
from headrace.destinations.sql.chain import Chain, build_chain, chain_table, depth_of
from headrace.errors.destination import DestinationCapabilitiesException, MergeDispositionException
from headrace.load.destination import Applied, joined
from headrace.model.changes import RowChanges

logger = logging.getLogger("headrace")


class _Table:
    """A table of the chain at work: what is there, what is staged, what goes."""

    def __init__(self, given: ChainTable, at: int, schemas: dict[str, Any]) -> None:
        self.lake, self.rows = cast(LakeTable, given.table), given.rows
        self.name: str = given.schema["name"]
        self.version = self.lake.version()
        present = [(field.name, str(field.type), field.nullable) for field in self.version.schema]
        self.facts = chain_table(
            given.schema, target="", stage="", present=present, depth=depth_of(given.schema, schemas)
        )
        self.stage, self.gone, self.known = f"_hr_stage_{at}", f"_hr_gone_{at}", f"_hr_known_{at}"
        self.rewrite = Rewrite()
        self.unchanged = 0

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The load's rows in the table's types."""
        return rows_as_table(self.rows, self.version.schema, self.name) if self.rows is not None else iter(())


class MergeJob:
    """One merge at work.

    Args:
        stage: Where the keys of the load are.
        chain: The tables, root first.
        strategy: For errors.
    """

    def __init__(self, stage: Stage, chain: Sequence[ChainTable], strategy: str) -> None:
        self.stage, self.strategy = stage, strategy
        schemas = {given.schema["name"]: given.schema for given in chain}
        self.tables = [_Table(given, at, schemas) for at, given in enumerate(chain)]
        self.root, self.nested = self.tables[0], self.tables[1:]
        self.chain: Chain = build_chain(chain[0].schema, [table.facts for table in self.tables])
        if self.chain.source_filter or self.chain.destination_scope:
            raise self.fail("lake tables know no SQL: `source_filter` and `destination_scope` cannot be used")
        for table in self.tables:
            columns = self._control(table)
            stage.load(table.stage, table.batches(), columns, table.version.schema)
            stage.run(f"CREATE TABLE {table.known} ({ROW} BIGINT)")

    def _control(self, table: _Table) -> list[str]:
        """The columns that say what is to be done with a row."""
        facts, chain = table.facts, self.chain
        wanted: list[str | None] = [facts.row_key, facts.root_key, facts.parent_key]
        if table is self.root:
            sort = chain.dedup_sort[0] if chain.dedup_sort else None
            wanted += [*chain.primary_key, *chain.merge_key, chain.hard_delete, sort]
        present = set(table.version.schema.names)
        return list(dict.fromkeys(name for name in wanted if name and name in present))

    def fail(self, reason: str) -> MergeDispositionException:
        """The error of a chain that lacks something."""
        place = self.root.lake.place
        return MergeDispositionException(place.dataset_name, "temporary tables", [t.name for t in self.tables], reason)

    def need_primary_key(self) -> None:
        """Refuse a chain without one."""
        if not self.chain.primary_key:
            raise self.fail(f"the strategy `{self.strategy}` needs a `primary_key`, and the resource has none")

    # ---- staged rows ----------------------------------------------------------------------------------------------

    def staged(self, table: _Table) -> int:
        """How many rows are staged for a table."""
        return self.stage.count(f"SELECT count(*) FROM {table.stage}")

    def keep_one(self, table: _Table, key: Sequence[str], sort: tuple[str, str] | None) -> int:
        """Leave one staged row of each key: the first in the sort order, then the first that came."""
        order = f"{quote(sort[0])} {sort[1].upper()} NULLS LAST, {ROW}" if sort else ROW
        columns = ", ".join(map(quote, key))
        return self.stage.run(
            f"DELETE FROM {table.stage} WHERE {ROW} IN (SELECT {ROW} FROM (SELECT {ROW}, row_number() OVER "
            f"(PARTITION BY {columns} ORDER BY {order}) AS _hr_rank FROM {table.stage}) WHERE _hr_rank > 1)"
        )

    def keep_winners(self) -> int:
        """Leave one staged root row of each primary key; returns how many went."""
        if not self.chain.primary_key or self.chain.deduplicated:
            return 0
        return self.keep_one(self.root, self.chain.primary_key, self.chain.dedup_sort)

    def drop_deletions(self) -> int:
        """Leave out staged root rows that are marks of deletion; returns how many went."""
        mark = self.chain.hard_delete
        if not mark:
            return 0
        condition = f"{quote(mark)} IS TRUE" if self.chain.hard_delete_is_flag else f"{quote(mark)} IS NOT NULL"
        return self.stage.run(f"DELETE FROM {self.root.stage} WHERE {condition}")

    def drop_orphans(self) -> None:
        """Leave out staged nested rows whose root row is staged no more."""
        by_name = {table.name: table for table in self.tables}
        for table in self.nested:
            above, link = self.root, table.facts.key_of_root
            parent = by_name.get(table.facts.parent or "")
            if link is None and parent is not None:
                above, link = parent, table.facts.parent_key
            if link is None or above.facts.row_key is None:
                raise self._no_way_up(table)
            self.stage.run(
                f"DELETE FROM {table.stage} AS d WHERE NOT EXISTS (SELECT 1 FROM {above.stage} AS s "
                f"WHERE s.{quote(above.facts.row_key)} = d.{quote(link)})"
            )

    def settle(self, dropped: int) -> None:
        """Leave what shall be in the tables: no marks of deletion, no orphans, no nested row twice."""
        if self.drop_deletions() or dropped:
            self.drop_orphans()
        for table in self.nested:
            if table.facts.row_key:
                self.keep_one(table, [table.facts.row_key], None)

    # ---- rows that are there --------------------------------------------------------------------------------------

    def find_gone(self, hits: Sequence[Hit], by_row_key: bool) -> None:
        """Find the root rows that are hit and all below them, from the top down.

        Args:
            hits: The conditions on root rows.
            by_row_key: Whether nested rows go as well whose row key is staged.
        """
        collect = self.root.facts.row_key if self.nested else None
        if self.nested and collect is None:
            raise self.fail(f"table `{self.root.name}` has no column with the `row_key` hint, which names its rows")
        self.root.rewrite = self.stage.find(self.root.version, hits, collect, self.root.gone)
        for table in self.nested:
            conditions = self._below(table)
            key = table.facts.row_key
            if by_row_key and key:
                conditions.append(Hit([key], table.stage, [key], table.known))
            table.rewrite = self.stage.find(table.version, conditions, key, table.gone)

    def _below(self, table: _Table) -> list[Hit]:
        """The conditions by which a nested row hangs below a row that goes: its root key, or where that may be missing
        (the table had rows before its first merge) its parent's key.
        """
        found = []
        root_key, parent_key = table.facts.root_key, table.facts.parent_key
        parent = next((above for above in self.tables if above.name == table.facts.parent), None)
        if root_key and self.root.facts.row_key:
            found.append(Hit([root_key], self.root.gone, [self.root.facts.row_key]))
        if (not root_key or table.facts.gaps) and parent_key and parent is not None and parent.facts.row_key:
            found.append(Hit([parent_key], parent.gone, [parent.facts.row_key]))
        if not found:
            raise self._no_way_up(table)
        return found

    def _no_way_up(self, table: _Table) -> MergeDispositionException:
        return self.fail(
            f"nested table `{table.name}` has no column with the `root_key` or `parent_key` hint, which leads to its "
            "root row; set `root_key=True` on the source"
        )

    # ---- commits --------------------------------------------------------------------------------------------------

    def changes(self, table: _Table) -> RowChanges:
        """What the merge does to a table."""
        known = f"SELECT count(DISTINCT {ROW}) FROM {table.known} SEMI JOIN {table.stage} USING ({ROW})"
        updated = min(self.stage.count(known), table.rewrite.rows)
        return RowChanges(
            inserted=self.staged(table) - updated,
            updated=updated,
            deleted=table.rewrite.rows - updated,
            unchanged=table.unchanged,
        )

    def commit(self, table: _Table, key: str, changes: RowChanges) -> Committed:
        """Drop and add a table's rows."""
        # the root's lock is held already
        with table.lake.commits() if table is not self.root else nullcontext():
            return change_version(table.version, table.rewrite, self._chosen(table), key, changes)

    def _chosen(self, table: _Table) -> Iterator[pa.RecordBatch]:
        staged = self.staged(table)
        if table.rows is None or not staged:
            return
        mask = None
        if staged < table.rows.rows:
            mask = self.stage.places(f"SELECT {ROW} FROM {table.stage}", table.rows.rows)
        at = 0
        for batch in table.batches():
            part = None if mask is None else mask[at : at + batch.num_rows]
            at += batch.num_rows
            if part is None or part.all():
                yield batch
            elif part.any():
                yield batch.filter(pa.array(part))


# ---- strategies ------------------------------------------------------------------------------------------------------


def delete_insert(job: MergeJob) -> None:
    """Delete the root rows whose primary or merge key is staged, with all below them, and add the staged rows."""
    chain, root = job.chain, job.root
    if not (chain.primary_key or chain.merge_key):
        logger.warning(
            "table `%s` is merged without a key, so its rows are appended; give the resource a `primary_key` or "
            "`merge_key`, or the write disposition `append`",
            root.name,
        )
        if job.drop_deletions():
            job.drop_orphans()
        return
    hits = []
    if chain.merge_key:
        columns = ", ".join(map(quote, chain.merge_key))
        job.stage.run(f"CREATE TABLE _hr_ranges AS SELECT DISTINCT {columns} FROM {root.stage}")
        hits.append(Hit(chain.merge_key, "_hr_ranges", chain.merge_key))
    dropped = job.keep_winners()
    if chain.primary_key:
        hits.append(Hit(chain.primary_key, root.stage, chain.primary_key, root.known))
    job.find_gone(hits, by_row_key=False)
    job.settle(dropped)


def upsert(job: MergeJob) -> None:
    """Put the staged root rows in the place of those with their primary key; nested rows become those of the load."""
    job.need_primary_key()
    dropped = job.keep_winners()
    key = job.chain.primary_key
    job.find_gone([Hit(key, job.root.stage, key, job.root.known)], by_row_key=True)
    job.settle(dropped)


def insert_only(job: MergeJob) -> None:
    """Add root rows whose primary key is not there, with all below them; leave the others alone."""
    job.need_primary_key()
    root, key = job.root, job.chain.primary_key
    job.stage.find(root.version, [Hit(key, root.stage, key, root.known, drops=False)])
    known = f"DELETE FROM {{0}} WHERE {ROW} IN (SELECT {ROW} FROM {{1}})"
    root.unchanged = job.stage.run(known.format(root.stage, root.known))
    losers = job.keep_winners()
    job.settle(root.unchanged + losers)
    for table in job.nested:
        if table.facts.row_key:
            own = [table.facts.row_key]
            job.stage.find(table.version, [Hit(own, table.stage, own, table.known, drops=False)])
            table.unchanged = job.stage.run(known.format(table.stage, table.known))


STRATEGIES: dict[str, Callable[[MergeJob], None]] = {
    "upsert": upsert,
    "delete-insert": delete_insert,
    "insert-only": insert_only,
}


def merge(chain: Sequence[ChainTable], strategy: str, key: str) -> Applied:
    """Merge rows into a chain of lake tables, once by the key; see `TableFormat.merge`."""
    how = STRATEGIES.get(strategy)
    if how is None:
        raise DestinationCapabilitiesException(
            f"Table `{chain[0].schema['name']}` asks for the merge strategy `{strategy}`: lake tables have it not.",
            fix=f"use one of: {', '.join(STRATEGIES)}",
        )
    root = cast(LakeTable, chain[0].table)
    with root.commits():
        return again_while_moved(root.place, lambda: _merge(chain, strategy, how, key))


def _merge(chain: Sequence[ChainTable], strategy: str, how: Callable[[MergeJob], None], key: str) -> Applied:
    done: dict[str, Applied] = {}
    for given in chain:
        known = cast(LakeTable, given.table).applied_by(key)
        if known is not None:
            done[given.schema["name"]] = known
    if chain[0].schema["name"] in done:
        return joined(done.values())  # the root is the last one to be committed
    with Stage() as stage:
        job = MergeJob(stage, chain, strategy)
        how(job)
        for table in reversed(job.tables):
            if table.name not in done:
                changes = job.changes(table)
                made = job.commit(table, key, changes)
                done[table.name] = table.lake.applied(job.staged(table), changes, *made)
    return joined(done[table.name] for table in job.tables)
