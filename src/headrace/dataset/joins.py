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
    foreign = right._dataset is not left._dataset and not right._dataset.is_same_dataset(left._dataset)
    if foreign and not right._dataset.is_same_physical_destination(left._dataset):
        mine, theirs = (d.destination.describe_location() for d in (left._dataset, right._dataset))
        raise DatasetException(
            "Relations of two databases cannot be joined.",
            why=f"one is in {mine}, the other in {theirs}",
            fix="load the other one here first: `pipeline.run(relation, table_name=…)`; or join them as Arrow",
        )
    name = alias or right._origin_table or "other"
    identifier = exp.to_identifier(name, quoted=True)
    if foreign:
        tree: Any = _from_elsewhere(right).subquery(identifier, copy=False)
    elif right._table is not None:
        tree = exp.Table(this=exp.to_identifier(right._table, quoted=True), alias=exp.TableAlias(this=identifier))
    else:
        tree = right._query.copy().subquery(identifier, copy=False)
    between: list[tuple[Any, Any]] = []
    if on is None and foreign:
        raise DatasetException(
            "Relations of two datasets are joined by a condition.",
            why="references do not lead from one dataset into another",
            fix=f'say it: `join(relation, on="<column> = {name}.<column>")`',
        )
    if on is None:
        between, condition = _links(left, right, name)
    else:
        condition = build.condition(on, left.query_dialect)
    side = build.Right(tree, name, right.columns)
    return left._next(build.join(left._query, left.columns, side, between, condition, kind))


def _from_elsewhere(right: Relation) -> Any:
    """The query of another dataset of the same database, with every name written out."""
    from headrace.dataset import query as queries

    dataset = right._dataset
    with dataset.session() as session:
        return queries.for_elsewhere(right._resolved, lambda table: dataset.table_path(table, session), dataset.catalog)


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
