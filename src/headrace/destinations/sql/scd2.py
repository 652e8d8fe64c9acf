"""Slowly changing dimensions, type 2: every version of a record stays, with the time it was valid."""

from __future__ import annotations

import datetime as dt
from typing import Any

from headrace.base.time import parse_iso
from headrace.destinations.sql import mergerun as steps
from headrace.destinations.sql.mergerun import MergeRun


def _hinted(m: MergeRun, hint: str) -> str:
    for name, column in m.chain.facts.get("columns", {}).items():
        if column.get(hint):
            return str(name)
    raise m.fail(f"table `{m.chain.root.name}` has no column with the `{hint}` hint, which the strategy `scd2` needs")


def _instant(value: Any) -> dt.datetime:
    """An instant from a hint: a datetime, a date, or ISO text; without an offset it is UTC."""
    if isinstance(value, dt.datetime):
        return value if value.tzinfo else value.replace(tzinfo=dt.timezone.utc)
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day, tzinfo=dt.timezone.utc)
    return parse_iso(str(value))


def scd2(m: MergeRun) -> None:
    """Retire active records that are staged no more, add staged versions that are not active.

    With a destination scope only records in it may be retired; without one and with a merge key, only those whose merge
    key is staged, so that a load may bring a part of the records. Nested rows are added with the version they belong to
    and never changed.
    """
    steps.filter_source(m)
    root, q, scope = m.chain.root, m.q, m.chain.destination_scope
    version, start, end = _hinted(m, "x-row-version"), _hinted(m, "x-valid-from"), _hinted(m, "x-valid-to")
    facts = m.chain.facts
    boundary = m.dialect.timestamp(
        _instant(facts["x-boundary-timestamp"]) if facts.get("x-boundary-timestamp") else m.boundary
    )
    marker = facts["columns"][end].get("x-active-record-timestamp")
    forever = m.dialect.timestamp(_instant(marker)) if marker is not None else "NULL"
    is_active = "IS NULL" if marker is None else f"= {forever}"
    retire = f"d.{q(end)} {is_active} AND NOT {m.staged(f's.{q(version)} = d.{q(version)}')}"
    if scope:
        retire += f" AND ({scope})"
    elif m.chain.merge_key:
        retire += f" AND {m.staged(m.same(m.chain.merge_key))}"
    retired = m.run(m.dialect.update(root.target, {end: boundary}, retire))

    still = f"SELECT 1 FROM {root.target} AS t WHERE t.{q(end)} {is_active} AND t.{q(version)} = d.{q(version)}"
    unchanged = m.delete(root.stage, f"EXISTS ({still})")
    m.run(m.dialect.update(root.stage, {start: boundary, end: forever}))
    _new_nested_only(m)
    m.tally.add(root.name, inserted=steps.insert_staged(m), updated=retired, unchanged=unchanged)


def _new_nested_only(m: MergeRun) -> None:
    """Leave only nested rows of versions that are being added, and of those only rows that are not there."""
    if m.chain.nested:
        steps.drop_staged_orphans(m)
    for table in m.chain.nested:
        if table.row_key:
            steps.drop_staged_known(m, table)
            steps.keep_one_per_key(m, table, [table.row_key], None)
