"""What contracts let go: how it is counted and told, and the table that keeps it where the user wants that."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from headrace.errors.schema import RejectedTableNameTaken
from headrace.model.wording import count
from headrace.typing import TTableSchema

if TYPE_CHECKING:
    from headrace.model.schema import Schema

logger = logging.getLogger("headrace")

KEEP_HINT = "x-keep-rejected"
"""Hint of a root table: keep what its contract lets go (true), or do not (false), whatever the configuration says."""

REJECTED_OF = "x-rejected-of"
"""Mark of a table of rejected rows: the root table whose items it keeps."""

WITH_PARENT = "parent:discard_row"
"""Rule of nested rows that went with the row they belong to."""

SENSITIVE_HINTS = ("x-sensitive", "x-pii", "x-annotation-pii")

_COLUMNS: tuple[tuple[str, str], ...] = (
    ("item", "json"),
    ("path", "text"),
    ("table_name", "text"),
    ("column_name", "text"),
    ("rule", "text"),
    ("resource", "text"),
    ("position", "bigint"),
    ("item_loaded", "bool"),
    ("replayed", "bool"),
)


class RejectedCount(msgspec.Struct, frozen=True):
    """How many rows or values of a table one rule let go.

    Attributes:
        table: The table, nested or not.
        rule: Entity and mode, for example ``columns:discard_row``; ``parent:discard_row`` for nested rows that went
            with their parent.
        column: The column that broke the rule; empty where the whole table is not welcome.
        resource: Where the items came from.
        count: Rows under ``discard_row`` and ``tables``, else values.
    """

    table: str
    rule: str
    column: str = ""
    resource: str = ""
    count: int = 0


Reasons = Counter[tuple[str, str, str]]
"""(table, column, rule) to how many."""


class RejectedItem(NamedTuple):
    """One record of a table of rejected rows.

    Attributes:
        item: The root item, as JSON text or as it was given.
        path: JSON path of the offending value in it; ``$`` for the whole.
        table_name: The table whose contract was broken.
        column_name: The column; empty where the whole table is not welcome.
        rule: As in `RejectedCount`.
        resource: Where the item came from.
        position: Number of the item among those of its table, from 0.
        item_loaded: Whether the item is in its table without what was let go.
    """

    item: Any
    path: str
    table_name: str
    column_name: str
    rule: str
    resource: str
    position: int
    item_loaded: bool


def as_counts(reasons: Mapping[tuple[str, str, str], int], resource: str = "") -> list[RejectedCount]:
    """A counter as a list, without what is zero."""
    return [RejectedCount(t, rule, column, resource, n) for (t, column, rule), n in reasons.items() if n]


def add_counts(many: Iterable[RejectedCount]) -> list[RejectedCount]:
    """Sum counts that differ in nothing but the number."""
    total: Counter[tuple[str, str, str, str]] = Counter()
    for one in many:
        total[one.table, one.rule, one.column, one.resource] += one.count
    return [RejectedCount(*key, n) for key, n in total.items() if n]


def by_table(many: Iterable[RejectedCount | Mapping[str, Any]]) -> dict[str, int]:
    """Rows and values let go, by table."""
    total: dict[str, int] = {}
    for one in many:
        table, n = (one["table"], one["count"]) if isinstance(one, Mapping) else (one.table, one.count)
        total[table] = total.get(table, 0) + n
    return total


def announce(rejected: Iterable[RejectedCount], load_id: str, step: str, publish: Callable[[Any], None]) -> None:
    """Publish an event for each reason, and log one warning for each table and rule."""
    from headrace.model.events import CastFailed, Rejected

    lines: dict[tuple[str, str], list[RejectedCount]] = {}
    for one in rejected:
        publish(
            Rejected(
                load_id=load_id,
                step=step,
                table=one.table,
                column=one.column,
                rule=one.rule,
                count=one.count,
                resource=one.resource,
            )
        )
        entity, _, outcome = one.rule.partition(":")
        if entity == "data_type":
            where: Any = {"load_id": load_id, "table": one.table, "column": one.column, "resource": one.resource}
            publish(CastFailed(**where, outcome=outcome, count=one.count))
        lines.setdefault((one.table, one.rule), []).append(one)
    for (table, rule), found in lines.items():
        columns = ", ".join(f"`{c}`" for c in dict.fromkeys(one.column for one in found) if c)
        what = "value" if rule.endswith("discard_value") and not rule.startswith("tables") else "row"
        by_gate = rule.startswith("gate:")
        logger.warning(
            "Package %s, table `%s`: %s (%s) let go %s%s. They are counted in `rejected_counts`%s.",
            *(load_id, table, "a gate" if by_gate else "the schema contract", rule),
            *(count(sum(one.count for one in found), what), f" for {columns}" if columns else ""),
            "" if by_gate else ", and kept in a table where `normalize.keep_rejected` is set",
        )


# ---- the table -------------------------------------------------------------------------------------------------------


def keeps_rejected(schema: Schema, root: str, default: bool) -> bool:
    """Whether items of a root table that break its contract are kept: by the table's hint, else by the configuration.

    Args:
        schema: The schema.
        root: The root table's name, normalized.
        default: Of the configuration.
    """
    table = cast("dict[str, Any]", schema.tables.get(root) or {})
    if REJECTED_OF in table or schema.is_dlt_table(root):
        return False
    wanted = table.get(KEEP_HINT)
    return default if wanted is None else bool(wanted)


def rejected_table_name(schema: Schema, root: str) -> str:
    """The name of the table that keeps rejected items of a root table.

    It is ``<table>__rejected``, or ``<table>__rejected_items`` where the data have a table of that name.

    Raises:
        RejectedTableNameTaken: The data have both.
    """
    tables = cast("dict[str, dict[str, Any]]", schema.tables)
    for suffix in ("rejected", "rejected_items"):
        name = schema.naming.shorten_fragments(root, suffix)
        if name not in tables or tables[name].get(REJECTED_OF) == root:
            return name
    raise RejectedTableNameTaken(schema.name, root, name)


def put_rejected_table(schema: Schema, root: str, resource: str) -> str:
    """Put the table of rejected items of a root table into the schema, if it is not there; gives its name.

    Its rows are merged by their ids, so that a replay can take them away in the package that loads their items.

    Raises:
        RejectedTableNameTaken: The data have tables of its names.
    """
    name = rejected_table_name(schema, root)
    if name in schema.tables:
        return name
    columns: dict[str, Any] = {}
    for raw, data_type in _COLUMNS:
        column = schema.naming.normalize_identifier(raw)
        columns[column] = {"name": column, "data_type": data_type, "nullable": True}
        if raw == "replayed":
            columns[column]["hard_delete"] = True
    columns["_dlt_load_id"] = {"name": "_dlt_load_id", "data_type": "text", "nullable": False}
    columns["_dlt_id"] = {
        "name": "_dlt_id",
        "data_type": "text",
        "nullable": False,
        "primary_key": True,
        "unique": True,
        "row_key": True,
    }
    owner = (schema.tables.get(root) or {}).get("resource") or resource
    table = {"name": name, "columns": columns, "write_disposition": "merge", "resource": owner, REJECTED_OF: root}
    if name != schema.naming.shorten_fragments(root, "rejected"):
        logger.warning(
            "the data have a table `%s__rejected`: rejected items of `%s` are kept in `%s`", root, root, name
        )
    schema.update_table(cast(TTableSchema, table), normalize_identifiers=False)
    schema.tables[name].setdefault("x-normalizer", {})["seen-data"] = True
    return name


def records(schema: Schema, items: Iterable[RejectedItem]) -> list[dict[str, Any]]:
    """Rejected items as rows of their table."""
    names = [schema.naming.normalize_identifier(field) for field in RejectedItem._fields]
    return [dict(zip(names, item, strict=True)) for item in items]


# ---- sensitive columns -----------------------------------------------------------------------------------------------


def is_sensitive(column: Mapping[str, Any] | None) -> bool:
    """Whether a column's values must stay out of texts for people."""
    return column is not None and any(column.get(hint) for hint in SENSITIVE_HINTS)


def sensitive_columns(schema: Schema, table: str) -> set[str]:
    """Names of a table's columns whose values must stay out of texts for people."""
    columns = (schema.tables.get(table) or {}).get("columns", {})
    return {name for name, column in columns.items() if is_sensitive(column)}
