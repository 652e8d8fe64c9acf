"""Merge strategies: how staged rows of a table chain come into its tables. History is in `scd2`."""

from __future__ import annotations

import logging

from headrace.destinations.sql import mergerun as steps
from headrace.destinations.sql.chain import ChainTable
from headrace.destinations.sql.mergerun import MergeRun
from headrace.errors.schema import SchemaCorruptedException

logger = logging.getLogger("headrace")


def append_staged(m: MergeRun) -> None:
    """Without any key there is nothing to merge by: append."""
    if steps.drop_staged_deletions(m):
        steps.drop_staged_orphans(m)
    m.tally.add(m.chain.root.name, inserted=steps.insert_staged(m))


def delete_insert(m: MergeRun) -> None:
    """Delete the root rows whose primary or merge key is staged, with all below them, and insert the staged rows.

    With a destination scope the rows in it are deleted instead, whatever their keys.
    """
    steps.filter_source(m)
    chain, root, scope = m.chain, m.chain.root, m.chain.destination_scope
    if not (chain.primary_key or chain.merge_key or scope):
        logger.warning(
            "table `%s` is merged without a key, so its rows are appended; give the resource a `primary_key` or "
            "`merge_key`, or the write disposition `append`",
            root.name,
        )
        append_staged(m)
        return
    steps.need_keys(m)
    ranges = steps.remember_ranges(m)
    dropped = steps.keep_winners(m)
    known, updated = steps.count_known(m, scope) if chain.primary_key else (0, 0)
    hit = [scope] if scope else []
    if ranges:
        hit.append(m.staged(m.same_record(chain.merge_key), ranges))
    if known and not scope:
        hit.append(m.staged(m.same_record(chain.primary_key)))
    deleted = _delete_hit(m, hit)
    steps.settle(m, dropped)
    inserted = steps.insert_staged(m)
    updated = min(updated, deleted) if deleted >= 0 else updated
    m.tally.add(
        root.name,
        inserted=None if inserted < 0 else inserted - updated,
        updated=updated,
        deleted=None if deleted < 0 else deleted - updated,
        unchanged=None if updated else 0,
    )


def _delete_hit(m: MergeRun, conditions: list[str]) -> int:
    """Delete the root rows that meet a condition, with all below them; returns how many root rows, -1 when unknown."""
    if not conditions:
        return 0
    if m.chain.nested and steps.remember_gone(m, conditions):
        for table in reversed(m.chain.nested):
            m.tally.add(table.name, deleted=steps.delete_gone(m, table))
    counts = [m.delete(m.chain.root.target, condition) for condition in conditions]
    return -1 if min(counts) < 0 else sum(counts)


def _warn_of_mixed(m: MergeRun, dropped: int) -> None:
    # row ids are made of the key here: nested rows of two rows with one key have the same parent
    if dropped > 0 and m.chain.nested:
        logger.warning(
            "table `%s`: %d row(s) of the load share their primary key with an earlier one and were left out; their "
            "nested rows cannot be told apart from those of the row that stays. Make keys unique within a load",
            m.chain.root.name,
            dropped,
        )


def _need_primary_key(m: MergeRun, *, ranges: bool = False) -> None:
    if not m.chain.primary_key:
        raise SchemaCorruptedException(
            m.schema_name,
            f"table `{m.chain.root.name}` has no primary key, which the merge strategy `{m.strategy}` needs; "
            "give the resource a `primary_key`",
        )
    if m.chain.merge_key and not ranges:
        logger.warning("table `%s`: the strategy `%s` does not use its merge key", m.chain.root.name, m.strategy)


def upsert(m: MergeRun) -> None:
    """Update root rows whose primary key is staged, insert the others; nested rows become those of the staged roots."""
    _need_primary_key(m)
    steps.filter_source(m)
    _put_all(m, None)


def cdc(m: MergeRun) -> None:
    """Like `upsert`, and delete the root rows that are staged no more: the table becomes a mirror of the load.

    Only rows in the destination scope are deleted; without one, those whose merge key is staged; without that, all.
    """
    _need_primary_key(m, ranges=True)
    steps.filter_source(m)
    ranges = steps.remember_ranges(m)
    within = m.chain.destination_scope
    if ranges:
        within = m.staged(m.same(m.chain.merge_key), ranges)
    absent = f"NOT {m.staged(m.same(m.chain.primary_key))}{m.live('d')}"
    _put_all(m, f"{within} AND {absent}" if within else absent)


def _put_all(m: MergeRun, absent: str | None) -> None:
    """Put the staged rows over those that are there.

    Args:
        m: The job.
        absent: A condition for root rows ``d`` that are deleted because they are staged no more.
    """
    chain, root = m.chain, m.chain.root
    steps.need_keys(m)
    dropped = steps.keep_winners(m)
    _warn_of_mixed(m, dropped)
    staged = m.staged(m.same_record(chain.primary_key))
    gone = bool(chain.nested) and steps.remember_gone(m, [c for c in (staged, absent) if c])
    if chain.hard_delete:
        marked = m.staged(f"{m.same_record(chain.primary_key)} AND {steps.is_deletion(m, 's')}")
        m.tally.add(root.name, deleted=m.delete(root.target, marked))
    if absent:
        m.tally.add(root.name, deleted=m.delete(root.target, absent))
    steps.settle(m, dropped)
    for table in reversed(chain.nested) if gone else ():
        row_key = m.q(steps.row_key(m, table))
        stays = m.staged(f"s.{row_key} = d.{row_key}", table.stage)
        m.tally.add(table.name, deleted=steps.delete_gone(m, table, f" AND NOT {stays}"))
    steps.put(m, root, chain.primary_key, _compared(m, root))
    for table in chain.nested:
        steps.put(m, table, [steps.row_key(m, table)], _compared(m, table))


def _compared(m: MergeRun, table: ChainTable) -> list[str] | None:
    """The columns that tell whether a row has changed; None when rows are written without looking."""
    if not m.chain.skip_unchanged:
        return None
    if table is not m.chain.root:
        return [c for c in table.columns if c != table.row_key]
    # with a version as well the row id: nested rows hang on it
    version, row_id = m.chain.version, m.chain.row_id
    if version and version != row_id:
        return [c for c in table.columns if c in (version, row_id)]
    return [c for c in table.columns if c not in m.chain.primary_key and c != m.chain.load_id]


def insert_only(m: MergeRun) -> None:
    """Insert root rows whose primary key is not there, with all below them; leave the others alone."""
    _need_primary_key(m)
    chain, root = m.chain, m.chain.root
    known = m.same_record(chain.primary_key, "t", "d")
    dropped = m.delete(root.stage, m.dialect.has_row(root.target, "t", known, root.stage, "d"))
    losers = steps.keep_winners(m)
    _warn_of_mixed(m, losers)
    steps.settle(m, abs(dropped) + abs(losers))
    for table in chain.nested:
        steps.drop_staged_known(m, table)
    m.tally.add(root.name, inserted=steps.insert_staged(m), unchanged=dropped)
