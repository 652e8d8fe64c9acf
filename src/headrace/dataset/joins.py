"""`Relation.join`: what the other side is, and how the tables belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.errors.dataset import DatasetException, RelationHasQueryException

if TYPE_CHECKING:
    from headrace.dataset.relation import Relation


def join(left: Relation, other: str | Relation, on: Any, kind: str, alias: str | None) -> Relation:
    """Join two relations; see `Relation.join`."""
    from sqlglot import exp

    from headrace.dataset import build

    right = left._dataset.table(other) if isinstance(other, str) else other
    if right._dataset is not left._dataset and not right._dataset.is_same_dataset(left._dataset):
        raise DatasetException(
            "Relations of two datasets cannot be joined.",
            fix="load both into one dataset, or write the query with both names: `dataset.query(sql)`",
        )
    name = alias or right._origin_table or "other"
    identifier = exp.to_identifier(name, quoted=True)
    if right._table is not None:
        tree: Any = exp.Table(this=exp.to_identifier(right._table, quoted=True), alias=exp.TableAlias(this=identifier))
    else:
        tree = right._query.copy().subquery(identifier, copy=False)
    between: list[tuple[Any, Any]] = []
    if on is None:
        between, condition = _links(left, right, name)
    else:
        condition = build.condition(on, left.query_dialect)
    side = build.Right(tree, name, right.columns)
    return left._next(build.join(left._query, left.columns, side, between, condition, kind))


def _links(left: Relation, right: Relation, name: str) -> tuple[list[tuple[Any, Any]], Any]:
    from sqlglot import exp

    from headrace.dataset import build

    if left._origin_table is None or right._origin_table is None:
        raise RelationHasQueryException("joining without `on`")
    catalog = left._dataset.catalog
    links = build.way(catalog, left._origin_table, right._origin_table)
    build.need_columns(links, left.columns)
    *steps, last = links
    between = []
    here = build.source_name(left._query)
    for link in steps:
        table = exp.Table(this=exp.to_identifier(link.right, quoted=True))
        between.append((table, build.on_link(link, here, link.right)))
        here = link.right
    return between, build.on_link(last, here, name)
