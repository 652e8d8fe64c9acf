"""Column lineage of SQL models: from the query itself, parsed by sqlglot. Worker only: parsing takes milliseconds."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from headrace.observers.lineage.columns_indirect import joined
from headrace.observers.lineage.columns_keys import Sources
from headrace.observers.lineage.columns_model import Source, TableLineage
from headrace.observers.lineage.facts import Transformation

if TYPE_CHECKING:
    from headrace.observers.lineage.columns_package import PackageSchema

logger = logging.getLogger("headrace")

_STRENGTH = ("IDENTITY", "TRANSFORMATION", "AGGREGATION")
_HASHES = frozenset({"MD5", "MD5Digest", "SHA", "SHA2", "SHA1Digest", "SHA2Digest", "FarmFingerprint"})
_MOST_WORDS = 120  # of an expression in a description


def model_tables(text: str) -> list[tuple[str, ...]]:
    """The tables that a model reads: catalog, schema and name as far as the query says them.

    Args:
        text: Of the model's file (`formats.sqlmodel.SqlModel`).
    """
    query = _Query.of(text)
    return list(dict.fromkeys(query.tables.values())) if query else []


def model_lineage(text: str, package: PackageSchema) -> TableLineage:
    """The lineage of a model's columns, under the names that the query gives them.

    A source's ``dataset`` is the table as the query names it. What cannot be parsed or followed has no entry.

    Args:
        text: Of the model's file.
        package: Its schema says which columns a ``*`` stands for.
    """
    from sqlglot.errors import SqlglotError

    query = _Query.of(text)
    if query is None:
        return TableLineage()
    try:
        return query.lineage(package)
    except (SqlglotError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        logger.debug("lineage of a SQL model: %s", error)
        return TableLineage()


class _Query:
    """A query whose tables carry plain names of their own, so that no database or catalog is in the way."""

    def __init__(self, tree: Any, dialect: str | None) -> None:
        from sqlglot import exp

        self.tree, self.dialect = tree, dialect
        self.tables: dict[str, tuple[str, ...]] = {}
        ctes = {cte.alias_or_name.casefold() for cte in tree.find_all(exp.CTE)}
        for table in list(tree.find_all(exp.Table)):
            if not table.db and table.name.casefold() in ctes:
                continue
            parts = tuple(p for p in (table.catalog, table.db, table.name) if p)
            known = next((n for n, p in self.tables.items() if p == parts), None)
            name = known or f"hr_t{len(self.tables)}"
            self.tables[name] = parts
            table.set("alias", exp.TableAlias(this=exp.to_identifier(table.alias_or_name, quoted=True)))
            table.set("this", exp.to_identifier(name))
            table.set("db", None)
            table.set("catalog", None)
        for column in tree.find_all(exp.Column):
            column.set("db", None)
            column.set("catalog", None)

    @staticmethod
    def of(text: str) -> _Query | None:
        import sqlglot
        from sqlglot.errors import SqlglotError

        from headrace.formats.sqlmodel import SqlModel

        model = SqlModel.from_file(text)
        try:
            return _Query(sqlglot.parse_one(model.to_sql(), dialect=model.query_dialect), model.query_dialect)
        except SqlglotError as error:
            logger.debug("lineage of a SQL model: %s", error)
            return None

    def lineage(self, package: PackageSchema) -> TableLineage:
        from sqlglot.optimizer.qualify import qualify
        from sqlglot.optimizer.scope import traverse_scope

        columns = {name: package.columns.get(parts[-1]) or {} for name, parts in self.tables.items()}
        known: dict[str, Any] = {name: dict.fromkeys(found, "TEXT") for name, found in columns.items() if found}
        tree = qualify(
            self.tree,
            dialect=self.dialect,
            schema=known,
            validate_qualify_columns=False,
            allow_partial_qualification=True,
        )
        scopes = traverse_scope(tree)
        root: Any = scopes[-1]
        found = {name: self._column(root, place) for place, name in enumerate(root.expression.named_selects)}
        indirect = [s for scope in scopes for s in self._indirect(scope)]
        return TableLineage(
            columns={name: sources for name, sources in found.items() if sources is not None and name != "*"},
            indirect=joined(indirect),
        )

    def _column(self, scope: Any, place: int) -> Sources | None:
        """Sources of the column at a place; None when they cannot be followed."""
        # of a UNION and its like; sqlglot renamed it
        united = getattr(scope, "set_operation_scopes", None) or getattr(scope, "union_scopes", None)
        if united:
            parts = [self._column(one, place) for one in united]
            return joined([s for part in parts for s in part or ()]) if None not in parts else None
        selects = scope.expression.selects
        return self._of(scope, selects[place].unalias()) if place < len(selects) else None

    def _of(self, scope: Any, expression: Any) -> Sources | None:
        """Sources of a value."""
        from sqlglot import exp

        found: Sources = []
        for column in expression.find_all(exp.Column):
            how = self._how(column, expression)
            sources = self._leaf(scope, column)
            if sources is None:
                return None
            found += [Source(s.path, [_after(how, t) for t in s.transformations], s.dataset) for s in sources]
        return joined(found)

    def _leaf(self, scope: Any, column: Any) -> Sources | None:
        """Where one column of a scope comes from: through subqueries and CTEs down to tables."""
        from sqlglot import exp
        from sqlglot.optimizer.scope import Scope

        source: Any = None
        at: Any = _scope_of(scope, column)
        if not column.table and len(at.sources) == 1 and not at.is_subquery:
            source = next(iter(at.sources.values()))  # a table that no schema is known of
        while at is not None and source is None:  # a correlated subquery sees the columns of the query around it
            source, at = at.sources.get(column.table), at.parent
        if isinstance(source, exp.Table):
            parts = self.tables.get(source.name)
            return [Source([column.name], [Transformation("DIRECT", "IDENTITY")], ".".join(parts))] if parts else None
        if isinstance(source, Scope):
            inner: Any = source
            names = inner.expression.named_selects
            return self._column(source, names.index(column.name)) if column.name in names else None
        return None

    def _indirect(self, scope: Any) -> Sources:
        """What the rows of a query depend on."""
        args = scope.expression.args
        clauses = [("FILTER", args.get(key), key) for key in ("where", "having", "qualify")]
        clauses += [("JOIN", join.args.get("on"), "join") for join in args.get("joins") or ()]
        clauses += [("GROUP_BY", args.get("group"), "group by")]
        parts = [(kind, self._of(scope, clause), words) for kind, clause, words in clauses if clause is not None]
        order = args.get("order")
        ordered = order.expressions if order is not None else ()
        parts += [("SORT", self._ordered(scope, one.this), "order by") for one in ordered]
        return [
            Source(source.path, [Transformation("INDIRECT", kind, words)], source.dataset)
            for kind, sources, words in parts
            for source in sources or ()
        ]

    def _ordered(self, scope: Any, expression: Any) -> Sources | None:
        """Sources of what rows are sorted by, which may be a column of the result by its name."""
        names = scope.expression.named_selects
        if not expression.args.get("table") and expression.name in names:
            return self._column(scope, names.index(expression.name))
        return self._of(scope, expression)

    def _how(self, column: Any, expression: Any) -> Transformation:
        """What an expression makes of one of its columns."""
        from sqlglot import exp

        if column is expression:
            return Transformation("DIRECT", "IDENTITY")
        words = self._words(expression)
        subtype, masking = "TRANSFORMATION", False
        node = column
        while node is not expression:
            parent = node.parent
            if isinstance(parent, exp.If) and node.arg_key == "this":
                return Transformation("INDIRECT", "CONDITIONAL", words)
            if isinstance(parent, exp.Window) and node.arg_key != "this":
                return Transformation("INDIRECT", "WINDOW", words)
            if isinstance(parent, exp.Where):
                return Transformation("INDIRECT", "FILTER", words)
            subtype = "AGGREGATION" if isinstance(parent, exp.AggFunc) else subtype
            masking |= type(parent).__name__ in _HASHES
            node = parent
        return Transformation("DIRECT", subtype, words, masking)

    def _words(self, expression: Any) -> str:
        """An expression for people: tables under their own names, texts in it left out."""
        from sqlglot import exp

        plain = expression.transform(lambda n: exp.Placeholder() if isinstance(n, exp.Literal) and n.is_string else n)
        words = plain.sql(dialect=self.dialect, comments=False)
        for name, parts in self.tables.items():
            words = words.replace(f'"{name}"', ".".join(parts))
        return words if len(words) <= _MOST_WORDS else f"{words[:_MOST_WORDS]}…"


def _scope_of(scope: Any, column: Any) -> Any:
    """The scope that a column is in: that of a subquery inside the expression, or the scope itself."""
    for inner in scope.subquery_scopes:
        node = column
        while node is not None and node is not scope.expression:
            if node is inner.expression:
                return _scope_of(inner, column)
            node = node.parent
    return scope


def _after(outer: Transformation, inner: Transformation) -> Transformation:
    """Both, one after the other: the stronger counts."""
    if "INDIRECT" in (outer.type, inner.type):
        return outer if outer.type == "INDIRECT" else inner
    stronger = max((inner, outer), key=lambda t: _STRENGTH.index(t.subtype))
    words = "; ".join(w for w in (inner.description, outer.description) if w)
    return Transformation("DIRECT", stronger.subtype, words, inner.masking or outer.masking)
