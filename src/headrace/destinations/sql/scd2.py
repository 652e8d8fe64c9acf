"""Slowly changing dimensions, type 2: every version of a record stays, with the time it was valid."""

from __future__ import annotations

from headrace.destinations.sql import mergerun as steps
from headrace.destinations.sql.mergerun import MergeRun, instant_of


def _hinted(m: MergeRun, hint: str) -> str:
    for name, column in m.chain.facts.get("columns", {}).items():
        if column.get(hint):
            return str(name)
    raise m.fail(f"table `{m.chain.root.name}` has no column with the `{hint}` hint, which the strategy `scd2` needs")


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
        instant_of(facts["x-boundary-timestamp"]) if facts.get("x-boundary-timestamp") else m.boundary
    )
    marker = facts["columns"][end].get("x-active-record-timestamp")
    forever = m.dialect.timestamp(instant_of(marker)) if marker is not None else "NULL"
    _adopt(m, start, end, forever)
    is_active = "IS NULL" if marker is None else f"= {forever}"
    retire = f"d.{q(end)} {is_active} AND NOT {m.staged(f's.{q(version)} = d.{q(version)}')}"
    if scope:
        retire += f" AND {scope}"
    elif m.chain.merge_key:
        ranges = None if m.dialect.reopens_temp else steps.remember_ranges(m)
        retire += f" AND {m.staged(m.same(m.chain.merge_key), ranges)}"
    retired = m.update(root.target, {end: boundary}, retire)

    still = f"t.{q(end)} {is_active} AND t.{q(version)} = d.{q(version)}"
    unchanged = m.delete(root.stage, m.dialect.has_row(root.target, "t", still, root.stage, "d"))
    m.run(m.dialect.update(root.stage, {start: boundary, end: forever}))
    _new_nested_only(m)
    m.tally.add(root.name, inserted=steps.insert_staged(m), updated=retired, unchanged=unchanged)


def _adopt(m: MergeRun, start: str, end: str, forever: str) -> None:
    """Make active versions of rows that came under another disposition: valid from their load on.

    What is in them is not known by a hash, so the first load that does not find their version retires them.
    """
    root, unknown = m.chain.root, f"d.{m.q(start)} IS NULL AND d.{m.q(end)} IS NULL"
    if not m.fetch(m.dialect.first_rows(f"SELECT 1 FROM {root.target} AS d WHERE {unknown}", 1)):
        return
    load_id = m.chain.load_id
    if m.loads is not None and load_id in root.columns:
        loads, name, instant = m.loads
        where = f"{unknown} AND s.{m.q(name)} = d.{m.q(load_id)}"
        m.update(root.target, {start: f"s.{m.q(instant)}", end: forever}, where, loads)
    if forever != "NULL":
        m.update(root.target, {end: forever}, unknown)


def _new_nested_only(m: MergeRun) -> None:
    """Leave only nested rows of versions that are being added, and of those only rows that are not there."""
    if m.chain.nested:
        steps.drop_staged_orphans(m)
    for table in m.chain.nested:
        if table.row_key:
            steps.drop_staged_known(m, table)
            steps.keep_one_per_key(m, table, [table.row_key], None)
