"""A relation: a table of a dataset, or a query over it, that is read when asked for and refined step by step."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal

from headrace.dataset.rows import Rows
from headrace.errors import TypeErrorWithKnownTypes
from headrace.errors.dataset import DatasetException, RelationHasQueryException
from headrace.typing import TColumnSchema, TTableSchema, TTableSchemaColumns

if TYPE_CHECKING:
    from headrace.dataset.dataset import Dataset
    from headrace.extract.incremental.step import Incremental
    from headrace.formats.sqlmodel import SqlModel

TFilterOperation = Literal["eq", "ne", "gt", "lt", "gte", "lte", "in", "not_in"]


class Relation(Rows):
    """Rows of a dataset. Every method gives a new relation; the database is asked only for rows.

    Made by `Dataset.table` and `Dataset.query`.

    Args:
        dataset: The dataset.
        query: SQL text, a sqlglot query, or an ibis expression.
        query_dialect: The SQL the text is written in; the destination's by default.
        table_name: A table, instead of a query.
    """

    def __init__(
        self,
        *,
        dataset: Dataset,
        query: Any = None,
        query_dialect: str | None = None,
        table_name: str | None = None,
        _execute_raw_query: bool = False,
    ) -> None:
        if (query is None) == (table_name is None):
            raise ValueError("a relation is made of a query or of a table: give one of `query` and `table_name`")
        self._dataset = dataset
        self._dialect = query_dialect
        self._raw = _execute_raw_query
        self._table = dataset.catalog.table(table_name) if table_name is not None else None
        self._given = query
        self._tree: Any = None
        self._resolved_tree: Any = None
        self._columns: TTableSchemaColumns | None = None
        self._incremental = False

    # ---- what it is ----------------------------------------------------------------------------------------------

    @property
    def query_dialect(self) -> str | None:
        """The SQL the query is written in (sqlglot's name of it)."""
        return self._dialect or self._dataset.destination_dialect

    @property
    def destination_dialect(self) -> str | None:
        """The SQL of the destination (sqlglot's name of it)."""
        return self._dataset.destination_dialect

    @property
    def sqlglot_expression(self) -> Any:
        """The query as a sqlglot tree, as it was written."""
        return self._query.copy()

    @property
    def _query(self) -> Any:
        if self._tree is None:
            from headrace.dataset import query as queries

            if self._table is not None:
                self._tree = queries.table_query(self._table)
            elif isinstance(self._given, str):
                self._tree = queries.parse(self._given, self.query_dialect)
            elif type(self._given).__module__.startswith("ibis"):
                from headrace.dataset.ibis import to_sql

                self._tree = queries.parse(to_sql(self._given, self.query_dialect), self.query_dialect)
            else:
                self._tree = self._given
        return self._tree

    @property
    def _resolved(self) -> Any:
        if self._resolved_tree is None:
            from headrace.dataset import query as queries

            self._resolved_tree = queries.resolve(self._query, self._dataset.catalog, self.query_dialect)
        return self._resolved_tree

    @property
    def columns_schema(self) -> TTableSchemaColumns:
        """Name, type and nullability of each column of the result, as far as they follow from the schema."""
        if self._columns is None and self._raw:
            with self._cursor() as cursor:  # only the database knows what a raw query gives
                self._columns = cursor.columns_schema
        elif self._columns is None:
            from headrace.dataset import query as queries

            catalog = self._dataset.catalog
            self._columns = queries.result_columns(self._resolved, catalog, self.query_dialect)
        assert self._columns is not None
        return self._columns

    @property
    def columns(self) -> list[str]:
        """Names of the result's columns."""
        return list(self.columns_schema)

    @property
    def schema(self) -> TTableSchema:
        """The result as a table schema with ``columns`` alone."""
        return {"columns": self.columns_schema}

    def to_sql(self, pretty: bool = False, *, _raw_query: bool = False) -> str:
        """The query in the destination's SQL, with every name qualified.

        Args:
            pretty: Break lines.
            _raw_query: As it was written, without qualified names.

        Raises:
            LineageFailedException: It does not fit the schema.
        """
        if self._raw and isinstance(self._given, str):
            return self._given
        if _raw_query:
            return str(self._query.sql(dialect=self.destination_dialect, pretty=pretty))
        return self._render(None, pretty)

    def _expect(self, session: Any) -> None:
        expect = getattr(session, "expect", None)
        if expect is not None and not self._raw:
            expect(self.columns_schema)

    def _render(self, session: Any, pretty: bool = False) -> str:
        if self._raw and isinstance(self._given, str):
            return self._given
        from functools import partial

        from headrace.dataset import query as queries

        path = partial(self._dataset.table_path, session=session)
        return queries.render(self._resolved, path, self.destination_dialect, pretty)

    def to_ibis(self) -> Any:
        """The relation as an ibis table.

        Raises:
            MissingDependencyException: ibis is not installed.
        """
        from headrace.dataset.ibis import to_ibis

        return to_ibis(self._dataset, self.to_sql())

    def to_model(self) -> SqlModel:
        """The relation as a query that a destination runs: yielded from a resource, its rows are loaded by
        ``INSERT … SELECT`` and never leave the database.

        Raises:
            LineageFailedException: The query does not fit the schema.
        """
        from headrace.formats.sqlmodel import SqlModel

        with self._dataset.session() as session:
            return SqlModel(self._render(session), self.destination_dialect, self.columns_schema, session.place)

    @property
    def sql_client(self) -> Any:
        """The SQL session of the dataset; see `Dataset.sql_client`."""
        return self._dataset.sql_client

    @property
    def sql_client_class(self) -> type[Any]:
        """The class of `sql_client`."""
        return self._dataset.sql_client_class

    # ---- refining ------------------------------------------------------------------------------------------------

    def _next(self, tree: Any, table: str | None = None) -> Relation:
        made = Relation(dataset=self._dataset, query=tree, query_dialect=self._dialect)
        made._origin = table or self._origin_table
        made._incremental = self._incremental
        return made

    _origin: str | None = None

    @property
    def _origin_table(self) -> str | None:
        """The one table whose rows these are, if they come from one."""
        return self._table or self._origin

    def _spelled(self, names: Sequence[str], among: Sequence[str] | None = None) -> list[str]:
        known = self.columns if among is None else among
        return [self._dataset.catalog.column(name, known) for name in names]

    def select(self, *columns: str) -> Relation:
        """Keep some columns, in the order given; ``"*"`` stands for all of them.

        Raises:
            RelationUnknownColumnException: There is no such column.
        """
        from headrace.dataset import build

        names = [name for given in columns for name in (self.columns if given == "*" else self._spelled([given]))]
        return self._next(build.select(self._query, list(dict.fromkeys(names))))

    def __getitem__(self, columns: str | Sequence[str]) -> Relation:
        """Keep one column (``relation["id"]``) or several (``relation[["id", "name"]]``)."""
        if isinstance(columns, str):
            return self.select(columns)
        if not isinstance(columns, Sequence) or not all(isinstance(name, str) for name in columns):
            raise TypeErrorWithKnownTypes("columns", columns, ["str", "Sequence[str]"])
        return self.select(*columns)

    def where(self, column_or_expr: Any, operator: TFilterOperation | str | None = None, value: Any = None) -> Relation:
        """Keep the rows that meet a condition.

        Args:
            column_or_expr: A column's name together with ``operator`` and ``value``; or alone a condition: SQL text or
                a sqlglot tree.
            operator: ``eq``, ``ne``, ``gt``, ``lt``, ``gte``, ``lte``, ``in``, ``not_in``, or a sign: ``=``, ``>=``, …
            value: What to compare with; a list for ``in`` and ``not_in``.

        Raises:
            RelationUnknownColumnException: There is no such column.
            LineageFailedException: The condition cannot be understood.
        """
        from headrace.dataset import build

        if operator is None:
            return self._next(build.where(self._query, build.condition(column_or_expr, self.query_dialect)))
        known = self._all_columns()
        [name] = self._spelled([str(column_or_expr)], list(known))
        return self._next(build.where(self._query, build.compare(name, operator, value, known[name])))

    filter = where

    def _all_columns(self) -> dict[str, TColumnSchema]:
        """The result's columns, and those of its table that were not selected but can still be asked for."""
        hidden = self._dataset.catalog.columns(self._origin_table) if self._origin_table else {}
        return {**hidden, **self.columns_schema}

    def order_by(self, column_name: str, direction: Literal["asc", "desc"] = "asc") -> Relation:
        """Order by a column, after the columns ordered by before.

        Raises:
            RelationUnknownColumnException: There is no such column.
            ValueErrorWithKnownValues: The direction is neither ``asc`` nor ``desc``.
        """
        from headrace.dataset import build

        [name] = self._spelled([column_name], list(self._all_columns()))
        return self._next(build.order_by(self._query, name, direction))

    def limit(self, limit: int) -> Relation:
        """Keep the first ``limit`` rows."""
        from headrace.dataset import build

        return self._next(build.limit(self._query, limit))

    def head(self, limit: int = 5) -> Relation:
        """Keep the first rows."""
        return self.limit(limit)

    def max(self) -> Relation:
        """The largest value of the relation's only column: ``relation.select("id").max().fetchscalar()``."""
        return self._aggregate("max")

    def min(self) -> Relation:
        """The smallest value of the relation's only column."""
        return self._aggregate("min")

    def _aggregate(self, function: Literal["max", "min"]) -> Relation:
        from headrace.dataset import build

        if len(self.columns) != 1:
            raise DatasetException(
                f"`{function}` needs a relation of one column; this one has {len(self.columns)}.",
                fix=f"choose one: `relation.select(column).{function}()`",
            )
        return self._next(build.aggregate(self._query, self.columns[0], function))

    def join(
        self,
        other: str | Relation,
        on: Any = None,
        *,
        kind: Literal["inner", "left", "right", "full"] = "inner",
        alias: str | None = None,
    ) -> Relation:
        """Join another table or relation; its columns are called ``<alias>__<column>``.

        Args:
            other: A table's name, or a relation of the same dataset.
            on: The condition, as SQL text or a sqlglot tree. Without it the tables' own links are followed: from a
                nested table to its parents, and along declared references.
            kind: ``inner``, ``left``, ``right`` or ``full``.
            alias: The name of the other side; its table's by default.

        Raises:
            DatasetException: The tables do not say how they belong together, or are in different datasets.
        """
        from headrace.dataset.joins import join

        return join(self, other, on, kind, alias)

    # ---- loads ---------------------------------------------------------------------------------------------------

    def with_load_id_col(self) -> Relation:
        """The table's rows with ``_dlt_load_id``; in a nested table that of the root row.

        Raises:
            RelationHasQueryException: The relation is not a table.
        """
        from headrace.dataset import build

        table = self._whole_table("asking for load ids")
        if build.LOAD_ID in self.columns:
            return self
        if build.LOAD_ID in self._all_columns():
            return self._next(build.select(self._query, [*self.columns, build.LOAD_ID]))
        return self._next(build.with_load_id(self._query, self._dataset.catalog, table, self.columns))

    def from_loads(self, load_ids: Collection[str], add_load_id_column: bool = False) -> Relation:
        """Keep the rows of some loads.

        Args:
            load_ids: Ids of load packages.
            add_load_id_column: In a nested table, give the load id as a column too.

        Raises:
            RelationHasQueryException: The relation is not a table.
        """
        from headrace.dataset import build

        self._whole_table("choosing loads")
        if build.LOAD_ID in self._all_columns():
            return self.where(build.LOAD_ID, "in", list(load_ids))
        marked = self.with_load_id_col()
        chosen = marked._next(build.nested(marked._query)).where(build.LOAD_ID, "in", list(load_ids))
        return chosen if add_load_id_column else chosen.select(*self.columns)

    @property
    def is_incremental(self) -> bool:
        """Whether the rows were narrowed down by `incremental`."""
        return self._incremental

    def incremental(self, incremental: Incremental[Any], *, advance: bool = True) -> Relation:
        """Keep the rows in the range of an incremental.

        With an incremental that is the argument of a resource, this is how a table is read on from run to run: the
        range ends before the largest value there is, or with it if ``range_end`` is closed, and that value becomes the
        last one. Rows at an open end are left for the next run, when no more of the same value can come.

        Args:
            incremental: Its ``cursor_path`` is a column, or ``table.column`` of a table that this one belongs to
                (``_dlt_loads.inserted_at``). ``last_value_func`` is max or min.
            advance: Take the end of the range from the table and move the last value there; nothing happens to an
                incremental that is not bound to a resource. With False all rows from the start on are kept.

        Raises:
            RelationUnknownColumnException: There is no such column.
            ValueErrorWithKnownValues: ``last_value_func`` is a function of the user.
            IncrementalCursorPathHasValueNone: A row has no value, and ``on_cursor_value_missing`` is ``raise``.
        """
        from headrace.dataset.ranges import incremental as narrow

        return narrow(self, incremental, advance)

    def _whole_table(self, what: str) -> str:
        if self._origin_table is None:
            raise RelationHasQueryException(what)
        return self._origin_table

    # ---- text ----------------------------------------------------------------------------------------------------

    def __str__(self) -> str:
        lines = ["Relation:", *(f"  {line}" for line in self.to_sql(pretty=True).splitlines())]
        if not self._raw:
            columns = self.columns_schema.items()
            lines += ["Columns:", *(f"  {name} {column.get('data_type', '?')}" for name, column in columns)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        what = f"table {self._table!r}" if self._table else f"query {self._given if self._raw else self._query.sql()!r}"
        return f"<headrace.Relation {what} of dataset {self._dataset.dataset_name!r}>"

    def _ipython_key_completions_(self) -> list[str]:
        return self.columns
