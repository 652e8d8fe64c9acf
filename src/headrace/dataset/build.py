"""Relations' methods as changes of sqlglot trees: each takes a query and gives a new one. Loaded when first needed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from headrace.dataset.catalog import Catalog
from headrace.dataset.sqltypes import literal
from headrace.errors import ValueErrorWithKnownValues
from headrace.errors.dataset import DatasetException, LineageFailedException, RelationUnknownColumnException

TJoinType = Literal["inner", "left", "right", "full"]
_JOIN_KINDS = ("inner", "left", "right", "full")
_OPERATORS: dict[str, Any] = {
    "eq": exp.EQ,
    "ne": exp.NEQ,
    "gt": exp.GT,
    "lt": exp.LT,
    "gte": exp.GTE,
    "lte": exp.LTE,
}
_SIGNS = {
    "=": "eq",
    "==": "eq",
    "!=": "ne",
    "<>": "ne",
    ">": "gt",
    "<": "lt",
    ">=": "gte",
    "<=": "lte",
    "not in": "not_in",
}
LOAD_ID = "_dlt_load_id"


class Link(NamedTuple):
    """How two tables belong together: pairs of column names, left and right."""

    left: str
    right: str
    columns: tuple[tuple[str, str], ...]


def column(name: str, table: str | None = None) -> exp.Column:
    """A column by its exact name."""
    return exp.column(
        exp.to_identifier(name, quoted=True), table=exp.to_identifier(table, quoted=True) if table else None
    )


def source_name(query: Any) -> str:
    """What the query reads from first, as a name for the query itself."""
    while isinstance(query, exp.SetOperation):
        query = query.left
    # the argument's name differs between versions of sqlglot
    clause = query.args.get("from_") or query.args.get("from")
    return (clause.this.alias_or_name if clause is not None else "") or "relation"


def nested(query: Any) -> exp.Select:
    """``SELECT * FROM (query)``."""
    name = exp.to_identifier(source_name(query), quoted=True)
    return exp.select("*").from_(query.copy().subquery(name, copy=False))


def is_star(query: Any) -> bool:
    """Whether the query gives all columns of what it reads."""
    return _is_plain(query) and len(query.expressions) == 1 and type(query.expressions[0]) is exp.Star


def _is_plain(query: Any) -> bool:
    """Whether the query passes rows on one by one, so that a condition may be put into it."""
    return (
        isinstance(query, exp.Select)
        and not any(query.args.get(part) for part in ("group", "having", "distinct", "qualify"))
        and not any(item.find(exp.AggFunc, exp.Window) for item in query.expressions)
    )


def select(query: Any, columns: Sequence[str]) -> exp.Select:
    """Keep some columns."""
    base: exp.Select = query.copy() if is_star(query) or _only_columns(query) else nested(query)
    return base.select(*(column(name) for name in columns), append=False, copy=False)


def _only_columns(query: Any) -> bool:
    return _is_plain(query) and all(type(item) is exp.Column and not item.is_star for item in query.expressions)


def where(query: Any, condition: Any) -> exp.Select:
    """Keep the rows that meet a condition, besides the conditions before."""
    # a column that was given a new name is only known by it from outside
    as_it_is = is_star(query) or _only_columns(query)
    base: exp.Select = query.copy() if as_it_is else nested(query)
    return base.where(condition, copy=False)


def condition(text: Any, dialect: str | None) -> Any:
    """A condition from SQL text; a tree is taken as it is.

    Raises:
        LineageFailedException: The text is not a condition.
    """
    try:
        return exp.condition(text, dialect=dialect, copy=True)
    except (SqlglotError, ValueError, TypeError, AttributeError) as error:
        raise LineageFailedException(
            f"This is not a condition in the SQL of `{dialect or 'sqlglot'}`: {text}",
            fix='write `where("amount > 3")` or `where("amount", "gt", 3)`',
        ) from error


def is_null(tree: Any, negated: bool = False) -> Any:
    """Whether a column is NULL, or is not."""
    test = exp.Is(this=tree, expression=exp.null())
    return exp.Not(this=test) if negated else test


def all_of(tests: Sequence[Any]) -> Any:
    """Conditions joined by AND."""
    return exp.and_(*tests)


def any_of(tests: Sequence[Any]) -> Any:
    """Conditions joined by OR."""
    return exp.or_(*tests)


def compare(name: str | exp.Column, operator: str, value: Any, facts: Mapping[str, Any]) -> Any:
    """A comparison of a column with a value.

    Args:
        name: The column's spelling, or its tree.
        operator: ``eq``, ``ne``, ``gt``, ``lt``, ``gte``, ``lte``, ``in``, ``not_in``, or the sign for it.
        value: A plain value; for ``in`` several.
        facts: The column, for the type that the value is cast to.

    Raises:
        ValueErrorWithKnownValues: The operator is unknown.
        TypeError: The value cannot be written in SQL.
    """
    word = _SIGNS.get(operator.lower(), operator.lower())
    left = column(name) if isinstance(name, str) else name
    if word in ("in", "not_in"):
        values = [value] if isinstance(value, (str, bytes)) or not isinstance(value, Collection) else list(value)
        if not values:
            return exp.Boolean(this=word == "not_in")
        found = exp.In(this=left, expressions=[literal(one, facts) for one in values])
        return exp.Not(this=found) if word == "not_in" else found
    if word not in _OPERATORS:
        raise ValueErrorWithKnownValues("operator", operator, [*_OPERATORS, "in", "not_in"])
    if value is None and word in ("eq", "ne"):
        # `= NULL` is never true
        return is_null(left, negated=word == "ne")
    return _OPERATORS[word](this=left, expression=literal(value, facts))


def order_by(query: Any, name: str, direction: str) -> Any:
    """Order by one more column.

    Raises:
        ValueErrorWithKnownValues: The direction is neither ``asc`` nor ``desc``.
    """
    if direction not in ("asc", "desc"):
        raise ValueErrorWithKnownValues("direction", direction, ["asc", "desc"])
    base = query.copy() if isinstance(query, exp.Select) else nested(query)
    return base.order_by(exp.Ordered(this=column(name), desc=direction == "desc"), copy=False)


def limit(query: Any, rows: int) -> Any:
    """Keep the first rows; of two limits the smaller one counts."""
    if rows < 0:
        raise ValueError(f"a limit is a number of rows from 0, not {rows}")
    base = query.copy() if isinstance(query, exp.Select) else nested(query)
    before = base.args.get("limit")
    if before is not None and isinstance(before.expression, exp.Literal) and before.expression.is_int:
        rows = min(rows, int(before.expression.this))
    return base.limit(rows, copy=False)


def aggregate(query: Any, name: str, function: Literal["max", "min"]) -> exp.Select:
    """The largest or smallest value of a column."""
    alone = _is_plain(query) and not any(query.args.get(part) for part in ("limit", "offset", "order"))
    base: exp.Select = query.copy() if alone and (is_star(query) or _only_columns(query)) else nested(query)
    kind = exp.Max if function == "max" else exp.Min
    return base.select(exp.alias_(kind(this=column(name)), name, quoted=True), append=False, copy=False)


def extreme(query: Any, tree: Any, function: Literal["max", "min"]) -> exp.Select:
    """The largest or smallest value of a column that the query's tables have, selected or not."""
    kind = exp.Max if function == "max" else exp.Min
    base: exp.Select = query.copy()
    if not _is_plain(query) or any(query.args.get(part) for part in ("limit", "offset")):
        base, tree = nested(query), column(tree.name)
    base.set("order", None)
    return base.select(exp.alias_(kind(this=tree), tree.name, quoted=True), append=False, copy=False)


# ---- joins -----------------------------------------------------------------------------------------------------------


def links(catalog: Catalog) -> list[Link]:
    """All ways in which tables belong together: nested tables to their parents, and references that users declared."""
    found: list[Link] = []
    for table in catalog.table_names:
        schema = catalog.schema_of(table)
        loads = schema.loads_table_name
        if LOAD_ID in catalog.columns(table) and catalog.find_table(loads) == loads:
            found.append(Link(table, loads, ((LOAD_ID, schema.naming.normalize_identifier("load_id")),)))
        parent = catalog.table_schema(table).get("parent")
        if parent and catalog.find_table(parent) == parent:
            keys = zip(schema.hint_columns(table, "parent_key"), schema.hint_columns(parent, "row_key"), strict=False)
            found.append(Link(table, parent, tuple(keys)))
        for reference in catalog.table_schema(table).get("references", ()):
            target = catalog.find_table(reference["referenced_table"])
            if target is not None:
                pairs = zip(reference["columns"], reference["referenced_columns"], strict=True)
                found.append(Link(table, target, tuple(pairs)))
    return [link for link in found if link.columns]


def way(catalog: Catalog, start: str, end: str) -> list[Link]:
    """The shortest chain of links between two tables, each link read from left to right.

    Raises:
        DatasetException: The tables do not belong together.
    """
    both = [one for link in links(catalog) for one in (link, _turned(link))]
    # tables do not belong together for being loaded by the same pipeline
    ends = {schema.loads_table_name for schema in catalog.schemas} - {start}
    ways: dict[str, list[Link]] = {start: []}
    todo = [start]
    while todo:
        here = todo.pop(0)
        if here in ends:
            continue
        for link in both:
            if link.left == here and link.right not in ways:
                ways[link.right] = [*ways[here], link]
                todo.append(link.right)
    if end not in ways or start == end:
        raise _NoWay(start, end)
    return ways[end]


class _NoWay(DatasetException, ValueError):
    def __init__(self, start: str, end: str) -> None:
        super().__init__(
            f"Tables `{start}` and `{end}` do not say how they belong together.",
            why="neither is nested in the other, and no reference leads from one to the other",
            fix=f'say it: `join({end!r}, on="{start}.<column> = {end}.<column>")`, or declare `references`',
        )


def need_columns(steps: Sequence[Link], columns: Sequence[str]) -> None:
    """Check that the first link can be followed from a relation with these columns.

    Raises:
        RelationUnknownColumnException: The columns that the link goes by were not selected.
    """
    for name, _ in steps[0].columns:
        if name not in columns:
            raise RelationUnknownColumnException(name, columns)


def _turned(link: Link) -> Link:
    return Link(link.right, link.left, tuple((b, a) for a, b in link.columns))


def on_link(link: Link, left: str, right: str) -> Any:
    """The condition of a link between two named tables."""
    return exp.and_(*(exp.EQ(this=column(a, left), expression=column(b, right)) for a, b in link.columns))


class Right(NamedTuple):
    """What is joined: its tree (a table or a subquery), the name it gets, and its columns."""

    tree: Any
    name: str
    columns: Sequence[str]


def join(
    query: Any, left: Sequence[str], right: Right, between: Sequence[tuple[Any, Any]], on: Any, kind: str
) -> exp.Select:
    """Join: the left columns keep their names, the right ones are called ``<name>__<column>``.

    Args:
        query: The left side.
        left: Its columns.
        right: The right side.
        between: Tables on the way, with their conditions; none of their columns is given.
        on: The condition of the right side.
        kind: ``inner``, ``left``, ``right`` or ``full``.
    """
    if kind not in _JOIN_KINDS:
        raise ValueErrorWithKnownValues("kind", kind, _JOIN_KINDS)
    base: exp.Select = query.copy() if is_star(query) and _bare(query) else nested(query)
    name = source_name(base)
    side = kind.upper() if kind != "inner" else "INNER"
    for table, step in between:
        base = base.join(table, on=step, join_type=side, copy=False)
    base = base.join(right.tree, on=on, join_type=side, copy=False)
    kept = [exp.alias_(column(one, name), one, quoted=True) for one in left]
    added = [exp.alias_(column(one, right.name), f"{right.name}__{one}", quoted=True) for one in right.columns]
    return base.select(*kept, *added, append=False, copy=False)


def _bare(query: Any) -> bool:
    return not any(query.args.get(part) for part in ("where", "limit", "offset", "order", "joins", "with", "with_"))


def with_load_id(query: Any, catalog: Catalog, table: str, columns: Sequence[str]) -> exp.Select:
    """The rows of a nested table with the load id of their root row.

    Raises:
        DatasetException: The root has no load ids (Arrow data without them).
    """
    root = catalog.root_of(table)
    if root == table or LOAD_ID not in catalog.columns(root):
        raise DatasetException(
            f"Rows of table `{table}` cannot be told apart by load.",
            why=f"its root table `{root}` has no column `{LOAD_ID}`",
            fix="let normalize add it: `normalize.parquet_normalizer.add_dlt_load_id = true`",
        )
    base = reach(query, catalog, table, columns, root, "INNER")
    return base.select(exp.alias_(column(LOAD_ID, root), LOAD_ID, quoted=True), copy=False)


def reach(query: Any, catalog: Catalog, table: str, columns: Sequence[str], end: str, side: str) -> exp.Select:
    """Rows of a table joined with another one that it belongs to, none of whose columns is given.

    Args:
        query: The rows.
        catalog: The tables.
        table: Where the rows are from.
        columns: Their columns.
        end: The other table.
        side: ``INNER`` or ``LEFT``.
    """
    base: exp.Select = query.copy() if is_star(query) and _bare(query) else nested(query)
    steps = way(catalog, table, end)
    need_columns(steps, columns)
    for link in steps:
        step = exp.Table(this=exp.to_identifier(link.right, quoted=True))
        base = base.join(step, on=on_link(link, link.left, link.right), join_type=side, copy=False)
    kept = [exp.alias_(column(one, table), one, quoted=True) for one in columns]
    return base.select(*kept, append=False, copy=False)


def row_counts(tables: Sequence[str], load_id: str | None) -> Any:
    """One row for each table: its name and how many rows it has."""
    counts = []
    for table in tables:
        name = exp.alias_(exp.Literal.string(table), "table_name", quoted=True)
        number = exp.alias_(exp.Count(this=exp.Star(), big_int=True), "row_count", quoted=True)
        one = exp.select(name, number).from_(exp.Table(this=exp.to_identifier(table, quoted=True)))
        if load_id is not None:
            one = one.where(exp.EQ(this=column(LOAD_ID), expression=exp.Literal.string(load_id)), copy=False)
        counts.append(one)
    if not counts:
        return sqlglot.parse_one("SELECT CAST('' AS TEXT) AS table_name, CAST(0 AS BIGINT) AS row_count WHERE FALSE")
    return counts[0] if len(counts) == 1 else exp.union(*counts, distinct=False)
