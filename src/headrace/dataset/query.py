"""Queries as sqlglot trees: read, resolved against the schema, described and written. Loaded when first needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope
from sqlglot.schema import MappingSchema

from headrace.dataset.catalog import Catalog
from headrace.dataset.sqltypes import from_sql_type, to_sql_type
from headrace.errors.dataset import DatasetTableNotFound, LineageFailedException, did_you_mean
from headrace.typing import TColumnSchema, TTableSchemaColumns

# in the ``meta`` of a table's node: the spelling of a table of the dataset
_OURS = "headrace_table"
_FOREIGN = "headrace_foreign"
# there too: where a table of another dataset is and its columns, of which the catalog knows nothing
_PATH, _COLUMNS = "headrace_path", "headrace_columns"
_OF_VALUES = ("data_type", "nullable", "precision", "scale", "timezone", "description")
_OUTER_JOINS = ("LEFT", "RIGHT", "FULL")


def parse(sql: str, dialect: str | None) -> exp.Query:
    """Read a query.

    Raises:
        LineageFailedException: The text is not SQL of the dialect, or it is something else than one query.
    """
    shown = sql.strip() if len(sql) < 200 else f"{sql.strip()[:200]}…"
    try:
        trees = [tree for tree in sqlglot.parse(sql, dialect=dialect) if tree is not None]
    except SqlglotError as error:
        raise LineageFailedException(
            f"This is not a query in the SQL of `{dialect or 'sqlglot'}`: {shown}",
            why=_plain_message(error),
            fix="correct it, or name the SQL it is written in: `dataset.query(sql, query_dialect=…)`",
        ) from error
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise LineageFailedException(
            f"Only one SELECT can be read from a dataset: {shown}",
            fix="other statements are run with `pipeline.sql_client()`: `with pipeline.sql_client() as c: "
            "c.execute_sql(…)`",
        )
    return trees[0]


def table_query(table: str) -> exp.Select:
    """All rows of a table."""
    return exp.select("*").from_(exp.Table(this=exp.to_identifier(table, quoted=True)))


def resolve(query: exp.Query, catalog: Catalog, dialect: str | None) -> exp.Query:
    """Spell every name as the schema does, qualify every column with its table, and write out every star.

    Args:
        query: As the user wrote it; left as it is.
        catalog: The tables.
        dialect: The SQL it is written in, for the meaning of functions.

    Raises:
        LineageFailedException: The query names what the schema does not have, or is ambiguous.
    """
    tree = query.copy()
    known, foreign = _resolve_tables(tree, catalog)
    _resolve_columns(tree, catalog, known)
    for identifier in tree.find_all(exp.Identifier):
        identifier.set("quoted", True)
    try:
        return qualify(
            tree,
            dialect=exact(dialect),
            schema=_mapping(catalog, dialect, tree),
            # columns of tables that are not ours cannot be checked here; the database will
            validate_qualify_columns=not foreign,
            quote_identifiers=True,
        )
    except SqlglotError as error:
        raise LineageFailedException(
            f"The query does not fit the schema of dataset `{catalog.dataset_name}`: {_plain_message(error)}",
            why=_why(tree, catalog, known),
        ) from error


def exact(dialect: str | None) -> str:
    """The dialect, told to leave the case of names alone: they have been spelled already."""
    return f"{dialect}, normalization_strategy = case_sensitive" if dialect else ""


def _resolve_tables(tree: exp.Query, catalog: Catalog) -> tuple[list[str], bool]:
    """Spell the dataset's tables; returns those in use, and whether there are others."""
    known: list[str] = []
    foreign = False
    for node in list(tree.find_all(exp.Table)):
        if not isinstance(node.this, exp.Identifier):
            foreign = True  # a table function
        elif _PATH in node.meta:
            continue
        elif node.db and node.db.casefold() != catalog.dataset_name.casefold():
            node.meta[_FOREIGN] = foreign = True
        elif not node.db and (cte := _cte(node, tree)) is not None:
            node.set("this", exp.to_identifier(cte, quoted=True))
        else:
            spelled = _table(node.name, catalog)
            node.set("this", exp.to_identifier(spelled, quoted=True))
            node.set("db", None)
            node.set("catalog", None)
            node.meta[_OURS] = spelled
            known.append(spelled)
    return known, foreign


def _table(name: str, catalog: Catalog) -> str:
    try:
        return catalog.table(name)
    except DatasetTableNotFound as error:
        raise LineageFailedException(error.what, why=error.why, fix=error.fix) from error


def _cte(node: exp.Table, tree: exp.Query) -> str | None:
    """The name of the common table expression that a table's node means; None when it means a table."""
    for cte in tree.find_all(exp.CTE):
        if cte.alias.casefold() == node.name.casefold():
            # inside its own definition a name means the table, unless the query is recursive
            inside = any(ancestor is cte for ancestor in _ancestors(node))
            recursive = isinstance(cte.parent, exp.With) and bool(cte.parent.args.get("recursive"))
            return cte.alias if recursive or not inside else None
    return None


def _ancestors(node: Any) -> list[Any]:
    found = []
    current: Any = node.parent
    while current is not None:
        found.append(current)
        current = current.parent
    return found


def _resolve_columns(tree: exp.Query, catalog: Catalog, known: Sequence[str]) -> None:
    """Spell columns and the names of tables before them as they are defined."""
    tables = [*known, *(alias.name for alias in tree.find_all(exp.TableAlias) if alias.name)]
    columns = [name for table in known for name in catalog.columns(table)]
    defined = [alias.alias for alias in tree.find_all(exp.Alias)]
    defined += [name.name for alias in tree.find_all(exp.TableAlias) for name in alias.columns]
    for column in tree.find_all(exp.Column):
        if isinstance(column.this, exp.Identifier):
            _respell(column.this, [*columns, *defined], lambda name, among: catalog.find_column(name, among))
        if isinstance(column.args.get("table"), exp.Identifier):
            _respell(column.args["table"], tables, lambda name, among: catalog.find_table(name) or _alike(name, among))


def _respell(
    identifier: exp.Identifier, among: Sequence[str], find: Callable[[str, Sequence[str]], str | None]
) -> None:
    name = identifier.name
    if name in among:
        return
    found = _alike(name, among) or find(name, among)
    if found is not None:
        identifier.set("this", found)


def _alike(name: str, among: Sequence[str]) -> str | None:
    alike = {one for one in among if one.casefold() == name.casefold()}
    return alike.pop() if len(alike) == 1 else None


def _mapping(catalog: Catalog, dialect: str | None, tree: exp.Query | None = None) -> MappingSchema:
    known = dict(catalog.as_mapping())
    for node in tree.find_all(exp.Table) if tree is not None else ():
        if _PATH in node.meta:
            known[node.name] = node.meta[_COLUMNS]
    tables: dict[str, Any] = {
        table: {name: to_sql_type(column) for name, column in columns.items()} for table, columns in known.items()
    }
    return MappingSchema(tables, dialect=exact(dialect), normalize=False)


def mapping_schema(catalog: Catalog, dialect: str | None) -> MappingSchema:
    """The catalog as sqlglot's schema."""
    return _mapping(catalog, dialect)


def _why(tree: exp.Query, catalog: Catalog, known: Sequence[str]) -> str | None:
    columns = [name for table in known for name in catalog.columns(table)]
    for column in tree.find_all(exp.Column):
        if not isinstance(column.this, exp.Identifier) or column.table:
            continue
        owners = [table for table in dict.fromkeys(known) if column.name in catalog.columns(table)]
        if len(owners) > 1:
            return f"`{column.name}` is a column of {' and '.join(owners)}: write `{owners[0]}.{column.name}`"
        if not owners:
            return f"`{column.name}`: {did_you_mean(column.name, columns, 'column')}"
    return None


def _plain_message(error: SqlglotError) -> str:
    # sqlglot underlines with terminal codes
    return str(error).replace("\x1b[4m", "").replace("\x1b[0m", "").splitlines()[0]


# ---- description -----------------------------------------------------------------------------------------------------


def result_columns(resolved: exp.Query, catalog: Catalog, dialect: str | None) -> TTableSchemaColumns:
    """What a schema would say of the columns of a query's result.

    A column that comes straight from a table keeps its type, size and nullability; any other has the type that follows
    from its expression, if one does.

    Args:
        resolved: What `resolve` gave.
        catalog: The tables.
        dialect: The SQL of the query.
    """
    typed = annotate_types(resolved.copy(), schema=_mapping(catalog, dialect, resolved), dialect=exact(dialect))
    scope = build_scope(typed)
    outer = any(str(join.side).upper() in _OUTER_JOINS for join in typed.find_all(exp.Join))
    columns: TTableSchemaColumns = {}
    for projection in typed.selects:
        name = projection.alias_or_name
        said: TColumnSchema = {"name": name, **_column_of(projection, scope, catalog, outer)}
        columns.setdefault(name, said)
    return columns


def _column_of(projection: Any, scope: Scope | None, catalog: Catalog, outer: bool) -> TColumnSchema:
    source = _origin(projection.unalias(), scope, catalog)
    if source is None:
        made = projection.unalias()
        # older versions of sqlglot leave windows without a type
        kind = made.this.type if isinstance(made, exp.Window) and from_sql_type(made.type) == {} else made.type
        return from_sql_type(kind)
    kept: TColumnSchema = {}
    for prop, value in source.items():
        # what is said of the values stays true of them; keys and indexes are a matter of the table
        if value is not None and (prop in _OF_VALUES or prop.startswith("x-")):
            kept[prop] = value  # type: ignore[literal-required]
    kept["nullable"] = True if outer else kept.get("nullable", True)
    return kept


def _origin(expression: Any, scope: Scope | None, catalog: Catalog) -> TColumnSchema | None:
    """The schema's column that an expression passes on unchanged; None when it makes something new."""
    if scope is None or not isinstance(expression, exp.Column):
        return None
    if scope.expression is not None and isinstance(scope.expression, exp.SetOperation):
        return None
    source = scope.sources.get(expression.table)
    if isinstance(source, exp.Table):
        spelled = source.meta.get(_OURS)
        columns = catalog.columns(spelled) if spelled else source.meta.get(_COLUMNS, {})
        found: TColumnSchema | None = columns.get(expression.name)
        return found
    if isinstance(source, Scope):
        inner_query: Any = source.expression
        for inner in inner_query.selects:
            if inner.alias_or_name == expression.name:
                return _origin(inner.unalias(), source, catalog)
    return None


# ---- text ------------------------------------------------------------------------------------------------------------


def render(resolved: exp.Query, path: Callable[[str], Sequence[str]], dialect: str | None, pretty: bool = False) -> str:
    """Write a resolved query in the destination's SQL.

    Args:
        resolved: What `resolve` gave.
        path: Gives the parts of a table's name at the destination, the table last, without quotes.
        dialect: The destination's SQL.
        pretty: Break lines.
    """
    tree = resolved.copy()
    for node in tree.find_all(exp.Table):
        spelled = node.meta.get(_OURS)
        if spelled or _PATH in node.meta:
            *above, table = path(spelled) if spelled else node.meta[_PATH]
            parts = [exp.to_identifier(part, quoted=True) for part in above]
            node.set("this", exp.to_identifier(table, quoted=True))
            node.set("db", parts[-1] if parts else None)
            node.set("catalog", parts[-2] if len(parts) > 1 else None)
    return tree.sql(dialect=dialect, pretty=pretty)


def for_elsewhere(resolved: exp.Query, path: Callable[[str], Sequence[str]], catalog: Catalog) -> exp.Query:
    """A resolved query as a part of a query of another dataset, which has other tables of the same names.

    Args:
        resolved: What `resolve` gave.
        path: As for `render`.
        catalog: The tables of this dataset.
    """
    tree = resolved.copy()
    for node in tree.find_all(exp.Table):
        spelled = node.meta.pop(_OURS, None)
        if spelled:
            node.meta[_PATH], node.meta[_COLUMNS] = list(path(spelled)), dict(catalog.columns(spelled))
            node.set("this", exp.to_identifier(".".join(node.meta[_PATH]), quoted=True))
    return tree
