"""Slowly changing dimensions, type 2: every version of a record stays, with the time it was valid."""

from __future__ import annotations

import datetime as dt
from typing import Any

from headrace.base.time import parse_iso
from headrace.destinations.sql.merge import MergeRun, insert_staged, keep_one_per_key


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

    With a merge key only records whose merge key is staged may be retired, so that a load may bring a part of the
    records. Nested rows are added with the version they belong to and never changed.
    """
    root, q = m.chain.root, m.q
    version, start, end = _hinted(m, "x-row-version"), _hinted(m, "x-valid-from"), _hinted(m, "x-valid-to")
    facts = m.chain.facts
    boundary = m.dialect.timestamp(
        _instant(facts["x-boundary-timestamp"]) if facts.get("x-boundary-timestamp") else m.boundary
    )
    marker = facts["columns"][end].get("x-active-record-timestamp")
    forever = m.dialect.timestamp(_instant(marker)) if marker is not None else "NULL"
    active = f"d.{q(end)} IS NULL" if marker is None else f"d.{q(end)} = {forever}"
    same_version = f"s.{q(version)} = d.{q(version)}"

    retire = f"{active} AND NOT EXISTS (SELECT 1 FROM {root.stage} AS s WHERE {same_version})"
    if m.chain.merge_key:
        retire += f" AND EXISTS (SELECT 1 FROM {root.stage} AS s WHERE {m.same(m.chain.merge_key)})"
    m.run(f"UPDATE {root.target} AS d SET {q(end)} = {boundary} WHERE {retire}")

    still = f"SELECT 1 FROM {root.target} AS d WHERE {active} AND {same_version}"
    m.run(f"DELETE FROM {root.stage} AS s WHERE EXISTS ({still})")
    m.run(f"UPDATE {root.stage} SET {q(start)} = {boundary}, {q(end)} = {forever}")
    _new_nested_only(m)
    insert_staged(m)


def _new_nested_only(m: MergeRun) -> None:
    """Leave only nested rows of versions that are being added, and of those only rows that are not there."""
    root = m.chain.root
    address = root.row_key or _hinted(m, "x-row-version")
    for table in m.chain.nested:
        if table.key_of_root:
            m.run(
                f"DELETE FROM {table.stage} AS n WHERE NOT EXISTS (SELECT 1 FROM {root.stage} AS r "
                f"WHERE r.{m.q(address)} = n.{m.q(table.key_of_root)})"
            )
        if table.row_key:
            row_key = m.q(table.row_key)
            there = f"SELECT 1 FROM {table.target} AS d WHERE d.{row_key} = s.{row_key}"
            m.run(f"DELETE FROM {table.stage} AS s WHERE EXISTS ({there})")
            keep_one_per_key(m, table, [table.row_key], None)
